// Package verifier believes, or does not believe, an envelope that somebody made.
//
// It does two things and keeps them apart. The mathematics: does this signature
// verify under this key, this certificate chain up to that root at that time, is
// this log entry the one of this signature. What comes of it are [Facts], which
// nobody else can make, and which stay true. And trust: does a [TrustRoot] name
// this signer, may it speak for that builder, and up to which level. That is
// asked anew at each question ([TrustRoot.Believe]), so that a key distrusted
// today changes tomorrow's answers and not yesterday's facts.
//
// A trust root is data, signed and versioned like everything else: Sigstore
// roots, each used whole; signers; builders and their levels; who may have what
// signed; and who signs the next version. Nothing in a document that is being
// verified ever adds to it.
package verifier

import (
	"crypto"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/verify"

	"github.com/sekisho-dev/sekisho/attest"
	"github.com/sekisho-dev/sekisho/internal/strictyaml"
)

// A TrustRoot says who is believed, for what. It is never changed.
type TrustRoot struct {
	doc         document
	raw         []byte
	roots       keyring // sign the next version
	policy      keyring // sign policies
	sigstore    []sigstoreRoot
	signers     []signer
	builders    []builder
	authorities []timeAuthority
	submitters  []submitter
	keyIDs      []string      // of all signers
	digest      attest.Digest // of the parts under which facts are derived
}

// document is the YAML form.
type document struct {
	Version         uint64                  `yaml:"version"`
	Previous        string                  `yaml:"previous"`
	Roots           keyringDocument         `yaml:"roots"`
	PolicyKeys      keyringDocument         `yaml:"policyKeys"`
	Sigstore        []sigstoreDocument      `yaml:"sigstore"`
	Signers         []signerDocument        `yaml:"signers"`
	Builders        []builderDocument       `yaml:"builders"`
	Verifiers       []verifierDocument      `yaml:"verifiers"`
	TimeAuthorities []timeAuthorityDocument `yaml:"timeAuthorities"`
	Submitters      []submitterDocument     `yaml:"submitters"`
}

type keyringDocument struct {
	Pos       strictyaml.Pos `yaml:"-"`
	Threshold int            `yaml:"threshold"`
	Keys      []keyDocument  `yaml:"keys"`
}

type keyDocument struct {
	Pos              strictyaml.Pos `yaml:"-"`
	PEM              string         `yaml:"pem"`
	NotBefore        *time.Time     `yaml:"notBefore"`
	NotAfter         *time.Time     `yaml:"notAfter"`
	CompromisedSince *time.Time     `yaml:"compromisedSince"`
}

type sigstoreDocument struct {
	Pos         strictyaml.Pos `yaml:"-"`
	Name        string         `yaml:"name"`
	TrustedRoot any            `yaml:"trustedRoot"`
	Require     struct {
		Log        int `yaml:"log"`
		Timestamps int `yaml:"timestamps"`
		SCT        int `yaml:"sct"`
	} `yaml:"require"`
}

type signerDocument struct {
	Pos      strictyaml.Pos    `yaml:"-"`
	Name     string            `yaml:"name"`
	Keys     []keyDocument     `yaml:"keys"`
	Sigstore string            `yaml:"sigstore"`
	Issuer   string            `yaml:"issuer"`
	Identity *identityDocument `yaml:"identity"`
}

type identityDocument struct {
	Pos       strictyaml.Pos `yaml:"-"`
	BuilderID bool           `yaml:"builderId"`
	Exact     string         `yaml:"exact"`
	Pattern   string         `yaml:"pattern"`
}

type builderDocument struct {
	Pos        strictyaml.Pos `yaml:"-"`
	Name       string         `yaml:"name"`
	ID         string         `yaml:"id"`
	Pattern    string         `yaml:"pattern"`
	Ref        string         `yaml:"ref"`
	Signers    []string       `yaml:"signers"`
	BuildTypes []string       `yaml:"buildTypes"`
	MaxLevel   int            `yaml:"maxLevel"`
	From       *time.Time     `yaml:"from"`
	To         *time.Time     `yaml:"to"`
	Evidence   string         `yaml:"evidence"`
}

type verifierDocument struct {
	Pos           strictyaml.Pos `yaml:"-"`
	ID            string         `yaml:"id"`
	Signers       []string       `yaml:"signers"`
	MaxBuildLevel int            `yaml:"maxBuildLevel"`
	MaxAge        time.Duration  `yaml:"maxAge"`
}

type timeAuthorityDocument struct {
	Pos         strictyaml.Pos `yaml:"-"`
	Name        string         `yaml:"name"`
	Certificate string         `yaml:"certificate"`
}

type submitterDocument struct {
	Pos            strictyaml.Pos    `yaml:"-"`
	Issuer         string            `yaml:"issuer"`
	Subject        *identityDocument `yaml:"subject"`
	Builders       []string          `yaml:"builders"`
	PredicateTypes []string          `yaml:"predicateTypes"`
}

// Version returns the version, 1 or more.
func (t *TrustRoot) Version() uint64 { return t.doc.Version }

// Bytes returns the document that the trust root was read from.
func (t *TrustRoot) Bytes() []byte { return t.raw }

// Authorities names the Sigstore roots and time authorities under which facts
// are derived. Two trust roots with the same derive the same facts.
func (t *TrustRoot) Authorities() attest.Digest { return t.digest }

// ParseTrustRoot reads a trust root. Unknown keys, empty lists and patterns,
// thresholds that cannot be met or mean nothing, names that nothing defines and
// validity without a start are refused, all at once, each with its place. The
// error wraps [ErrTrustRoot].
func ParseTrustRoot(raw []byte) (*TrustRoot, error) {
	t := &TrustRoot{raw: raw}
	if err := strictyaml.Decode(raw, &t.doc); err != nil {
		return nil, fmt.Errorf("%w:\n%w", ErrTrustRoot, err)
	}
	c := &compiler{}
	top := strictyaml.Pos{Line: 1, Column: 1}
	c.check(t.doc.Version > 0, top, "version is required, and starts at 1")
	if t.doc.Version > 1 || t.doc.Previous != "" {
		_, err := attest.ParseDigest(t.doc.Previous)
		c.check(t.doc.Version > 1 && err == nil, top, "previous: every version but the first names the digest of its predecessor's attestation")
	}
	t.roots = c.keyring("roots", t.doc.Roots)
	t.policy = c.keyring("policyKeys", t.doc.PolicyKeys)
	t.sigstore = c.sigstoreRoots(t.doc.Sigstore)
	t.authorities = c.timeAuthorities(t.doc.TimeAuthorities)
	t.signers = c.signersOf(t.doc.Signers, t.sigstore)
	t.builders = c.buildersOf(t.doc.Builders, t.signers)
	c.verifiers(t.doc.Verifiers, t.signers)
	t.submitters = c.submittersOf(t.doc.Submitters)
	if err := c.faults.Err(); err != nil {
		return nil, fmt.Errorf("%w:\n%w", ErrTrustRoot, err)
	}
	for _, k := range t.signerKeys() {
		t.keyIDs = append(t.keyIDs, k.id)
	}
	slices.Sort(t.keyIDs)
	t.keyIDs = slices.Compact(t.keyIDs)
	t.digest = t.authoritiesDigest()
	return t, nil
}

// authoritiesDigest names everything that facts depend on, and nothing else.
func (t *TrustRoot) authoritiesDigest() attest.Digest {
	var parts []byte
	for i, r := range t.sigstore {
		parts = fmt.Appendf(parts, "sigstore %s %+v\n", r.digest, t.doc.Sigstore[i].Require)
	}
	for _, a := range t.authorities {
		parts = fmt.Appendf(parts, "time %q", a.name)
		for _, c := range a.chain {
			parts = fmt.Appendf(parts, " %s", attest.SHA256(c.Raw))
		}
		parts = append(parts, '\n')
	}
	return attest.SHA256(parts)
}

// compiler turns the document into what is used, and collects what is wrong.
type compiler struct{ faults strictyaml.Faults }

func (c *compiler) check(ok bool, at strictyaml.Pos, format string, args ...any) bool {
	if !ok {
		c.faults.Addf(at, format, args...)
	}
	return ok
}

// A keyring is a set of keys, of which so many must sign. Keys are told apart by
// what they are: one key written twice counts once.
type keyring struct {
	threshold int
	keys      []key
}

// A key is a public key and when it counts. Edges are inclusive.
type key struct {
	id                                    string
	public                                crypto.PublicKey
	spki                                  []byte
	notBefore, notAfter, compromisedSince *time.Time
}

func (c *compiler) key(d keyDocument) (key, bool) {
	block, rest := pem.Decode([]byte(d.PEM))
	if !c.check(block != nil && block.Type == "PUBLIC KEY" && strings.TrimSpace(string(rest)) == "", d.Pos, "pem: want one PEM block of type PUBLIC KEY") {
		return key{}, false
	}
	public, err := x509.ParsePKIXPublicKey(block.Bytes)
	if !c.check(err == nil, d.Pos, "pem: %v", err) {
		return key{}, false
	}
	c.check(d.NotBefore == nil || d.NotAfter == nil || !d.NotAfter.Before(*d.NotBefore), d.Pos, "notAfter is before notBefore")
	return key{attest.SHA256(block.Bytes).Hex(), public, block.Bytes, d.NotBefore, d.NotAfter, d.CompromisedSince}, true
}

func (c *compiler) keyring(name string, d keyringDocument) keyring {
	r := keyring{threshold: d.Threshold}
	seen := map[string]bool{}
	for _, kd := range d.Keys {
		k, ok := c.key(kd)
		c.check(kd.NotBefore == nil && kd.NotAfter == nil && kd.CompromisedSince == nil, kd.Pos, "%s: keys have no windows; leave the key out of the next version instead", name)
		if ok && !seen[k.id] {
			seen[k.id] = true
			r.keys = append(r.keys, k)
		}
	}
	at := d.Pos
	if at.Line == 0 {
		at = strictyaml.Pos{Line: 1, Column: 1}
	}
	c.check(r.threshold > 0 && r.threshold <= len(r.keys), at, "%s: a threshold of %d of %d different keys; want at least 1 and at most all", name, r.threshold, len(r.keys))
	return r
}

// met reports how many different keys of the ring are among the ids.
func (r keyring) met(ids []string) error {
	n := 0
	for _, k := range r.keys {
		for _, id := range ids {
			if id == k.id {
				n++
				break
			}
		}
	}
	if n < r.threshold {
		return fmt.Errorf("%w: %d of the %d keys that are needed have signed", ErrThreshold, n, r.threshold)
	}
	return nil
}

func (r keyring) ids() []string {
	ids := make([]string, len(r.keys))
	for i, k := range r.keys {
		ids[i] = k.id
	}
	return ids
}

// A sigstoreRoot is a Sigstore instance, used whole: its authorities, logs and
// timestamps together, never in a union with another's.
type sigstoreRoot struct {
	name     string
	digest   attest.Digest // of the trusted root in canonical JSON
	material *root.TrustedRoot
	options  []verify.VerifierOption
	verifier *verify.Verifier
}

func (c *compiler) sigstoreRoots(docs []sigstoreDocument) []sigstoreRoot {
	var roots []sigstoreRoot
	seen := map[string]bool{}
	for _, d := range docs {
		c.check(d.Name != "" && !seen[d.Name], d.Pos, "a Sigstore root needs a name of its own, found %q", d.Name)
		seen[d.Name] = true
		r, err := newSigstoreRoot(d)
		if c.check(err == nil, d.Pos, "sigstore %q: %v", d.Name, err) {
			roots = append(roots, r)
		}
	}
	return roots
}

func newSigstoreRoot(d sigstoreDocument) (sigstoreRoot, error) {
	if text, ok := d.TrustedRoot.(string); ok {
		if !strings.HasPrefix(strings.TrimSpace(text), "{") {
			return sigstoreRoot{}, fmt.Errorf("trustedRoot is a file name: sekisho trust apply puts the file's contents in its place")
		}
		d.TrustedRoot = jsontext.Value(text)
	}
	raw, err := json.Marshal(d.TrustedRoot)
	if err != nil {
		return sigstoreRoot{}, err
	}
	canonical := jsontext.Value(raw)
	if err := canonical.Canonicalize(); err != nil {
		return sigstoreRoot{}, err
	}
	r := sigstoreRoot{name: d.Name, digest: attest.SHA256(canonical)}
	if r.material, err = root.NewTrustedRootFromJSON(canonical); err != nil {
		return sigstoreRoot{}, err
	}
	q := d.Require
	if q.Log < 0 || q.Timestamps < 0 || q.SCT < 0 {
		return sigstoreRoot{}, fmt.Errorf("require: counts cannot be negative")
	}
	if q.Timestamps == 0 {
		return sigstoreRoot{}, fmt.Errorf("require.timestamps: certificates live for minutes, so that at least 1 is needed")
	}
	r.options = []verify.VerifierOption{verify.WithObserverTimestamps(q.Timestamps)}
	if q.Log > 0 {
		r.options = append(r.options, verify.WithTransparencyLog(q.Log))
	}
	if q.SCT > 0 {
		r.options = append(r.options, verify.WithSignedCertificateTimestamps(q.SCT))
	}
	r.verifier, err = verify.NewVerifier(r.material, r.options...)
	return r, err
}

// pattern compiles an identity pattern. It is always anchored, and it must say
// something: an empty one, or one that matches everything, names nobody.
func pattern(text string) (*regexp.Regexp, error) {
	if text == "" || len(text) > 1024 {
		return nil, fmt.Errorf("a pattern has 1 to 1024 characters")
	}
	re, err := regexp.Compile(`\A(?:` + text + `)\z`)
	if err != nil {
		return nil, err
	}
	if re.MatchString("") || re.MatchString("https://\x00.invalid/") && re.MatchString("\x00") {
		return nil, fmt.Errorf("pattern %q matches everything: name whom you mean", text)
	}
	if !strings.HasSuffix(text, `\z`) && !strings.HasSuffix(text, `$`) || !strings.HasPrefix(text, `\A`) && !strings.HasPrefix(text, `^`) {
		return nil, fmt.Errorf(`pattern %q is not anchored: write \A…\z`, text)
	}
	return re, nil
}
