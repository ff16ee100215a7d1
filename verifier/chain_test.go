package verifier

import (
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/sekisho-dev/sekisho/attest"
)

// fulcio is a Sigstore instance of the test's own: a root, an intermediate and a
// leaf certificate, each with its own window, and the world's time authority.
type fulcio struct {
	w    *world
	leaf testKey
	cert *x509.Certificate
	root *TrustRoot
}

const identityOfTest = "https://ci.acme.example/builder"

// newFulcio makes an instance whose intermediate is good until a time and whose leaf
// outlives it.
func newFulcio(t *testing.T, w *world, from, until time.Time) *fulcio {
	t.Helper()
	f := &fulcio{w: w, leaf: newKey(t)}
	rootKey, middleKey := newKey(t), newKey(t)
	certify := func(template, parent *x509.Certificate, public any, by testKey) *x509.Certificate {
		der, err := x509.CreateCertificate(rand.Reader, template, parent, public, by.private)
		if err != nil {
			t.Fatal(err)
		}
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		return cert
	}
	authority := func(n int64, name string, end time.Time) *x509.Certificate {
		return &x509.Certificate{SerialNumber: big.NewInt(n), Subject: pkix.Name{CommonName: name}, NotBefore: from, NotAfter: end,
			IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning}}
	}
	rootTemplate := authority(1, "root", from.AddDate(9, 0, 0))
	root := certify(rootTemplate, rootTemplate, rootKey.private.Public(), rootKey)
	middle := certify(authority(2, "intermediate", until), root, middleKey.private.Public(), rootKey)
	issuer, err := asn1.MarshalWithParams("https://issuer.acme.example", "utf8")
	if err != nil {
		t.Fatal(err)
	}
	identity, err := url.Parse(identityOfTest)
	if err != nil {
		t.Fatal(err)
	}
	f.cert = certify(&x509.Certificate{SerialNumber: big.NewInt(3), NotBefore: from, NotAfter: until.AddDate(1, 0, 0), URIs: []*url.URL{identity},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning},
		ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57264, 1, 8}, Value: issuer}}}, middle, f.leaf.private.Public(), middleKey)

	chain := func(certs ...*x509.Certificate) string {
		var raw []string
		for _, c := range certs {
			raw = append(raw, fmt.Sprintf(`{"rawBytes":%q}`, base64.StdEncoding.EncodeToString(c.Raw)))
		}
		return fmt.Sprintf(`[{"subject":{"organization":"acme","commonName":"acme"},"uri":"https://acme.example","certChain":{"certificates":[%s]},"validFor":{"start":%q}}]`,
			strings.Join(raw, ","), from.Format(time.RFC3339))
	}
	f.root = parse(t, "version: 1\nroots: {threshold: 1, keys: [{pem: "+yamlOf(t, w.root.pem)+"}]}\npolicyKeys: {threshold: 1, keys: [{pem: "+yamlOf(t, w.root.pem)+"}]}\n"+
		`sigstore: [{name: acme, require: {log: 0, timestamps: 1, sct: 0}, trustedRoot: {"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1","tlogs":[],"ctlogs":[],`+
		`"certificateAuthorities":`+chain(middle, root)+`,"timestampAuthorities":`+chain(w.chain...)+"}}]\n"+
		"signers: [{name: acme, sigstore: acme, issuer: https://issuer.acme.example, identity: {exact: "+identityOfTest+"}}]\n")
	return f
}

func yamlOf(t *testing.T, text string) string {
	t.Helper()
	raw, err := json.Marshal(text)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// bundle signs the statement with the leaf, timestamped at some time.
func (f *fulcio) bundle(t *testing.T, at time.Time) []byte {
	t.Helper()
	e := envelope(t, []byte(provenance), f.leaf)
	sig := e.Signatures[0].Sig
	b64 := base64.StdEncoding.EncodeToString
	return fmt.Appendf(nil, `{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","verificationMaterial":{"certificate":{"rawBytes":%q},`+
		`"timestampVerificationData":{"rfc3161Timestamps":[{"signedTimestamp":%q}]}},"dsseEnvelope":{"payload":%q,"payloadType":%q,"signatures":[{"sig":%q}]}}`,
		b64(f.cert.Raw), b64(f.w.token(t, sig, at)), b64(e.Payload), attest.PayloadTypeInToto, b64(sig))
}

// C3, CVE-2026-24122: every certificate of the chain has to be valid when it signed,
// not the leaf alone; also where no log is asked for.
func TestAdvisoryC3_ExpiredIntermediate(t *testing.T) {
	from := time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC)
	until := from.AddDate(0, 1, 0)
	f := newFulcio(t, newWorld(t), from, until)
	good, err := verifyBundle(f.root, f.bundle(t, until.Add(-time.Minute)))
	if err != nil {
		t.Fatal(err)
	}
	if b := f.root.Believe(good); !errors.Is(b.Err, ErrSignerBuilderMismatch) { // a signer who is known, and rated for no builder
		t.Errorf("while all were valid: %+v", b)
	}
	for name, at := range map[string]time.Time{
		"the intermediate has expired": until.Add(time.Minute),
		"nothing is valid yet":         from.Add(-time.Minute),
		"nothing is valid any more":    until.AddDate(1, 0, 1),
	} {
		if _, err := verifyBundle(f.root, f.bundle(t, at)); !errors.Is(err, ErrUntrustedRoot) {
			t.Errorf("%s: %v, want ErrUntrustedRoot", name, err)
		}
	}
}

// A8: an artifact without a digest matches nothing, and statements about nothing are
// none.
func TestAdvisoryA8_NoDigestMatchesNothing(t *testing.T) {
	s := attest.Statement{Subjects: []attest.Resource{{Digest: attest.DigestSet{"sha256": attest.SHA256(nil).Hex()}}}}
	for _, artifact := range []attest.DigestSet{nil, {}, {"sha1": strings.Repeat("0", 40)}, {"sha256": ""}} {
		if m, _ := s.Subject(artifact); m == attest.Matched {
			t.Errorf("%v matches", artifact)
		}
	}
	w := newWorld(t)
	nothing := strings.Replace(provenance, `{"sha256":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}`, `{}`, 1)
	e := envelope(t, []byte(nothing), w.statements)
	rec := record(t, w.TrustRoot, e)
	if _, err := w.Verify(rec, e.Payload); !errors.Is(err, attest.ErrNoDigest) {
		t.Errorf("a statement about nothing: %v, want ErrNoDigest", err)
	}
}
