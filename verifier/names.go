package verifier

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/semver"

	"github.com/sekisho-dev/sekisho/attest"
	"github.com/sekisho-dev/sekisho/internal/strictyaml"
)

// A signer is whoever may sign: by key, or by the identity in a certificate
// under one named Sigstore root.
type signer struct {
	name     string
	keys     []key
	sigstore *sigstoreRoot
	issuer   string
	identity identity
}

// An identity is one exact name, a pattern, or "the builder.id that the
// provenance names" (builder).
type identity struct {
	builder bool
	exact   string
	pattern *regexp.Regexp
}

func (i identity) matches(name, builderID string) bool {
	switch {
	case name == "":
		return false
	case i.builder:
		return name == builderID
	case i.exact != "":
		return name == i.exact
	}
	return i.pattern != nil && i.pattern.MatchString(name)
}

func (c *compiler) identity(d *identityDocument, at strictyaml.Pos, what string, mayBuilder bool) identity {
	if d == nil {
		c.check(false, at, "%s is required: an absent one would name everybody", what)
		return identity{}
	}
	given := 0
	for _, yes := range []bool{d.BuilderID, d.Exact != "", d.Pattern != ""} {
		if yes {
			given++
		}
	}
	c.check(given == 1, d.Pos, "%s: exactly one of builderId: true, exact and pattern", what)
	c.check(mayBuilder || !d.BuilderID, d.Pos, "%s: builderId is for signers only", what)
	i := identity{builder: d.BuilderID, exact: d.Exact}
	if d.Pattern != "" {
		var err error
		i.pattern, err = pattern(d.Pattern)
		c.check(err == nil, d.Pos, "%s: %v", what, err)
	}
	return i
}

func (c *compiler) signersOf(docs []signerDocument, roots []sigstoreRoot) []signer {
	var list []signer
	seen := map[string]bool{}
	for _, d := range docs {
		c.check(d.Name != "" && !seen[d.Name], d.Pos, "a signer needs a name of its own, found %q", d.Name)
		seen[d.Name] = true
		s := signer{name: d.Name, issuer: d.Issuer}
		byCertificate := d.Sigstore != "" || d.Issuer != "" || d.Identity != nil
		c.check(byCertificate != (len(d.Keys) > 0), d.Pos, "signer %q: either keys, or sigstore with issuer and identity", d.Name)
		for _, kd := range d.Keys {
			if k, ok := c.key(kd); ok {
				s.keys = append(s.keys, k)
			}
		}
		if byCertificate {
			i := slices.IndexFunc(roots, func(r sigstoreRoot) bool { return r.name == d.Sigstore })
			if c.check(i >= 0, d.Pos, "signer %q: no Sigstore root %q", d.Name, d.Sigstore) {
				s.sigstore = &roots[i]
			}
			c.check(d.Issuer != "", d.Pos, "signer %q: issuer is required", d.Name)
			s.identity = c.identity(d.Identity, d.Pos, "identity", true)
		}
		list = append(list, s)
	}
	return list
}

// A builder is rated: provenance that names it, signed by one of its signers,
// counts for at most a level.
type builder struct {
	name       string // the name that policies use, else the id
	id         string // before the ref, where ref is not exact
	pattern    *regexp.Regexp
	ref        string
	signers    []string
	buildTypes []string
	level      attest.Level
	from, to   *time.Time
}

// The ways in which a builder's ref, what follows the last "@" of its id, counts.
const (
	refExact  = "exact"
	refSemver = "semver-tag"
	refAny    = "any"
)

// is reports whether a builder.id is this builder's.
func (b *builder) is(id string) bool {
	if b.pattern != nil {
		return b.pattern.MatchString(id)
	}
	if b.ref == refExact {
		return id == b.id
	}
	// The ref begins at the last "@refs/": a path may hold an "@" of its own.
	at := strings.LastIndex(id, "@refs/")
	if at < 0 || id[:at] != b.id {
		return false
	}
	if b.ref == refAny {
		return true
	}
	tag, ok := strings.CutPrefix(id[at:], "@refs/tags/")
	// A branch or a short tag moves; only a full version says what was run.
	return ok && semver.IsValid(tag) && semver.Canonical(tag) == tag
}

func (c *compiler) buildersOf(docs []builderDocument, signers []signer) []builder {
	var list []builder
	for _, d := range docs {
		b := builder{name: d.Name, id: d.ID, ref: d.Ref, signers: d.Signers, buildTypes: d.BuildTypes, level: attest.Level(d.MaxLevel), from: d.From, to: d.To}
		c.check((d.ID == "") != (d.Pattern == ""), d.Pos, "a builder has either an id or a pattern")
		if d.Pattern != "" {
			var err error
			b.pattern, err = pattern(d.Pattern)
			c.check(err == nil, d.Pos, "pattern: %v", err)
			c.check(d.Name != "", d.Pos, "a builder with a pattern needs a name")
		}
		if b.name == "" {
			b.name = d.ID
		}
		if b.ref == "" {
			b.ref = refExact
		}
		c.check(slices.Contains([]string{refExact, refSemver, refAny}, b.ref), d.Pos, "ref %q: exact, semver-tag or any", d.Ref)
		c.check(b.level.Valid(), d.Pos, "maxLevel %d: build levels are 0 to 3", d.MaxLevel)
		c.check(len(d.Signers) > 0, d.Pos, "builder %q names no signers", b.name)
		c.known(d.Pos, d.Signers, signers)
		c.check(d.BuildTypes == nil || len(d.BuildTypes) > 0, d.Pos, "buildTypes is an empty list: leave it out to allow any, or name some")
		list = append(list, b)
	}
	return list
}

// known checks that every name is a signer's.
func (c *compiler) known(at strictyaml.Pos, names []string, signers []signer) {
	for _, n := range names {
		c.check(slices.ContainsFunc(signers, func(s signer) bool { return s.name == n }), at, "no signer is named %q", n)
	}
}

func (c *compiler) verifiers(docs []verifierDocument, signers []signer) {
	for _, d := range docs {
		c.check(d.ID != "" && len(d.Signers) > 0, d.Pos, "a verifier needs an id and signers")
		c.known(d.Pos, d.Signers, signers)
		c.check(attest.Level(d.MaxBuildLevel).Valid(), d.Pos, "maxBuildLevel %d: build levels are 0 to 3", d.MaxBuildLevel)
		c.check(d.MaxAge > 0, d.Pos, "maxAge is required: a summary that never grows old outlives what it summarised")
	}
}

// A timeAuthority makes RFC 3161 timestamps that count: its own certificate
// first, then the chain to its root.
type timeAuthority struct {
	name  string
	chain []*x509.Certificate
}

// id is what facts call the authority, however long its name is.
func (a *timeAuthority) id() string { return kept(a.name, keptAuthority) }

func (c *compiler) timeAuthorities(docs []timeAuthorityDocument) []timeAuthority {
	var list []timeAuthority
	for _, d := range docs {
		a := timeAuthority{name: d.Name}
		c.check(d.Name != "", d.Pos, "a time authority needs a name")
		for block, rest := pem.Decode([]byte(d.Certificate)); block != nil && len(a.chain) < 10; block, rest = pem.Decode(rest) {
			cert, err := x509.ParseCertificate(block.Bytes)
			if c.check(err == nil, d.Pos, "certificate: %v", err) {
				a.chain = append(a.chain, cert)
			}
		}
		if c.check(len(a.chain) >= 2, d.Pos, "certificate: want the authority's certificate and the chain to its root, in PEM; found %d", len(a.chain)) {
			err := a.checkChain()
			c.check(err == nil, d.Pos, "certificate: %v", err)
			list = append(list, a)
		}
	}
	return list
}

// A Caller is somebody who hands a statement in.
type Caller struct {
	Issuer  string // such as "token:ci"
	Subject string
}

// String returns "issuer/subject", for display.
func (c Caller) String() string { return c.Issuer + "/" + c.Subject }

// A submitter may have statements signed: of these predicate types, and
// provenance for these builders.
type submitter struct {
	issuer         string
	subject        identity
	builders       []string // an id, or a prefix ending in "/"
	predicateTypes []string
}

func (c *compiler) submittersOf(docs []submitterDocument) []submitter {
	var list []submitter
	for _, d := range docs {
		c.check(d.Issuer != "", d.Pos, "a submitter needs an issuer")
		c.check(len(d.PredicateTypes) > 0, d.Pos, "a submitter without predicate types may submit nothing")
		for _, p := range d.PredicateTypes {
			c.check(!reserved(p), d.Pos, "predicate type %q is never signed for a caller", p)
		}
		list = append(list, submitter{d.Issuer, c.identity(d.Subject, d.Pos, "subject", false), d.Builders, d.PredicateTypes})
	}
	return list
}

// vsaType is the predicate type of a verification summary.
const vsaType = "https://slsa.dev/verification_summary/v1"

// reserved reports whether statements of a type are made by us alone, or by
// root keys: whoever could have one signed by handing it in could decide.
func reserved(predicateType string) bool {
	return strings.HasPrefix(predicateType, "https://sekisho.dev/") || strings.HasPrefix(predicateType, "https://slsa.dev/verification_summary/")
}

// Submits reports whether a caller may have statements signed by the service at all.
// The default is no: [ErrNotAllowed].
func (t *TrustRoot) Submits(caller Caller) error {
	if len(t.submittersFor(caller)) == 0 {
		return fmt.Errorf("%w: %s is no submitter in trust root version %d; add it under submitters", ErrNotAllowed, caller, t.Version())
	}
	return nil
}

// SpeaksForType reports whether a caller may have any statement of a predicate type
// signed by the service: it is asked before the statement is read. The default is no.
// Errors: [ErrControlStatement], [ErrNotAllowed].
func (t *TrustRoot) SpeaksForType(caller Caller, predicateType string) error {
	if reserved(predicateType) {
		return fmt.Errorf("%w: %.200s", ErrControlStatement, predicateType)
	}
	if err := t.Submits(caller); err != nil {
		return err
	}
	for _, m := range t.submittersFor(caller) {
		if slices.Contains(m.predicateTypes, predicateType) {
			return nil
		}
	}
	return fmt.Errorf("%w: %s may not have %.200s signed; see submitters in the trust root", ErrNotAllowed, caller, predicateType)
}

// SpeaksFor reports whether a caller may have a statement signed by the service.
// The default is no. Errors: those of SpeaksForType, or that provenance cannot be read.
func (t *TrustRoot) SpeaksFor(caller Caller, s *attest.Statement) error {
	if err := t.SpeaksForType(caller, s.PredicateType); err != nil || !attest.IsProvenance(s.PredicateType) {
		return err
	}
	p, err := s.Provenance()
	if err != nil {
		return err
	}
	for _, m := range t.submittersFor(caller) {
		if slices.Contains(m.predicateTypes, s.PredicateType) && m.speaksFor(p.BuilderID) {
			return nil
		}
	}
	return fmt.Errorf("%w: %s may not have %.200s signed for builder %.200s; see submitters in the trust root", ErrNotAllowed, caller, s.PredicateType, p.BuilderID)
}

// submittersFor returns what the trust root says of a caller.
func (t *TrustRoot) submittersFor(caller Caller) (list []submitter) {
	for _, m := range t.submitters {
		if m.issuer == caller.Issuer && m.subject.matches(caller.Subject, "") {
			list = append(list, m)
		}
	}
	return list
}

// speaksFor reports whether a builder id is one of the submitter's: exactly, or
// under a prefix that ends in "/".
func (m *submitter) speaksFor(builderID string) bool {
	return slices.ContainsFunc(m.builders, func(b string) bool {
		return b == builderID || strings.HasSuffix(b, "/") && strings.HasPrefix(builderID, b) && !strings.Contains(builderID, "/../")
	})
}

// KeyIDs returns the ids of all keys of signers.
func (t *TrustRoot) KeyIDs() []string { return t.keyIDs }

// KeyIDsOf returns the ids of the keys of a signer, by its name; none for one whom
// certificates name.
func (t *TrustRoot) KeyIDsOf(signer string) (ids []string) {
	for i := range t.signers {
		if t.signers[i].name == signer {
			for _, k := range t.signers[i].keys {
				ids = append(ids, k.id)
			}
		}
	}
	return ids
}

// NamesCertificate reports whether statements under a certificate of this issuer and
// identity could count for anything: whether the identity is that of a signer, or, for
// signers whom the builder id names, that of a builder who is rated for one.
func (t *TrustRoot) NamesCertificate(issuer, identity string) bool {
	for i := range t.signers {
		s := &t.signers[i]
		if s.sigstore == nil || s.issuer != issuer {
			continue
		}
		if !s.identity.builder {
			if s.identity.matches(identity, "") {
				return true
			}
			continue
		}
		for j := range t.builders {
			if b := &t.builders[j]; slices.Contains(b.signers, s.name) && b.is(identity) {
				return true
			}
		}
	}
	return false
}

// RootKeyIDs returns the ids of the keys that sign the next version.
func (t *TrustRoot) RootKeyIDs() []string { return t.roots.ids() }

// PolicyKeyIDs returns the ids of the keys that sign policies.
func (t *TrustRoot) PolicyKeyIDs() []string { return t.policy.ids() }

// Accepts reports whether next may follow t: one version on, naming one of the
// attestations that carry t as its predecessor, and signed by enough of t's root
// keys and enough of its own (TUF section 5.3). [ErrRollback], [ErrThreshold].
func (t *TrustRoot) Accepts(next *TrustRoot, carriers []attest.Digest, keyIDs []string) error {
	if next.Version() != t.Version()+1 {
		return fmt.Errorf("%w: trust root version %d is in force, so that the next is %d, and this is %d", ErrRollback, t.Version(), t.Version()+1, next.Version())
	}
	if !slices.Contains(carriers, attest.Digest(next.doc.Previous)) {
		return fmt.Errorf("%w: previous is %s, and version %d is %v", ErrRollback, next.doc.Previous, t.Version(), carriers)
	}
	if err := t.roots.met(keyIDs); err != nil {
		return fmt.Errorf("trust root version %d, by the keys of version %d: %w", next.Version(), t.Version(), err)
	}
	if err := next.roots.met(keyIDs); err != nil {
		return fmt.Errorf("trust root version %d, by its own keys: %w", next.Version(), err)
	}
	return nil
}

// AcceptsPolicy reports whether enough policy keys have signed. [ErrThreshold].
func (t *TrustRoot) AcceptsPolicy(keyIDs []string) error {
	if err := t.policy.met(keyIDs); err != nil {
		return fmt.Errorf("policy: %w", err)
	}
	return nil
}
