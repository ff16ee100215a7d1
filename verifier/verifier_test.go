package verifier

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"math/big"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/sekisho-dev/sekisho/attest"
)

// testKey is a key pair of a test.
type testKey struct {
	private *ecdsa.PrivateKey
	spki    []byte
	pem     string
}

func newKey(t testing.TB) testKey {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	spki, err := x509.MarshalPKIXPublicKey(private.Public())
	if err != nil {
		t.Fatal(err)
	}
	return testKey{private, spki, string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: spki}))}
}

func (k testKey) id() string { return attest.SHA256(k.spki).Hex() }

// sign signs a message: its SHA-256, by ECDSA.
func (k testKey) sign(t testing.TB, message []byte) []byte {
	t.Helper()
	sum := sha256.Sum256(message)
	sig, err := ecdsa.SignASN1(rand.Reader, k.private, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	return sig
}

// envelope is a payload in an envelope, signed by each of the keys.
func envelope(t testing.TB, payload []byte, keys ...testKey) *attest.Envelope {
	t.Helper()
	e := &attest.Envelope{PayloadType: attest.PayloadTypeInToto, Payload: payload}
	for _, k := range keys {
		e.Signatures = append(e.Signatures, attest.Signature{Sig: k.sign(t, attest.PAE(e.PayloadType, payload))})
	}
	return e
}

// world is a trust root and the private keys behind it.
type world struct {
	*TrustRoot
	root, statements, tsaRoot testKey
	tsa                       testKey
	chain                     []*x509.Certificate
	yaml                      string
}

var eku = asn1.ObjectIdentifier{2, 5, 29, 37}

// newWorld makes a starter trust root with keys of the test's own.
func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{root: newKey(t), statements: newKey(t), tsaRoot: newKey(t), tsa: newKey(t)}
	w.chain = w.authority(t, true, timeStamping)
	raw, err := StarterTrustRoot(Starter{
		Statements: w.statements.pem, Root: w.root.pem, TimeAuthority: pemOf(w.chain), Admin: Caller{"token:admin", "admin"},
	})
	if err != nil {
		t.Fatal(err)
	}
	w.yaml = string(raw)
	w.TrustRoot = parse(t, w.yaml)
	return w
}

// authority makes the certificates of a time authority with some extended key usage.
func (w *world) authority(t testing.TB, critical bool, usage []byte) []*x509.Certificate {
	t.Helper()
	from := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	template := func(n int64, ca bool) *x509.Certificate {
		return &x509.Certificate{
			SerialNumber: big.NewInt(n), Subject: pkix.Name{CommonName: "time"}, NotBefore: from, NotAfter: from.AddDate(10, 0, 0),
			IsCA: ca, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		}
	}
	root := template(1, true)
	root.Subject.CommonName = "time root"
	leaf := template(2, false)
	leaf.ExtraExtensions = []pkix.Extension{{Id: eku, Critical: critical, Value: usage}}
	var chain []*x509.Certificate
	for _, c := range []struct {
		cert   *x509.Certificate
		public any
	}{{leaf, w.tsa.private.Public()}, {root, w.tsaRoot.private.Public()}} {
		der, err := x509.CreateCertificate(rand.Reader, c.cert, root, c.public, w.tsaRoot.private)
		if err != nil {
			t.Fatal(err)
		}
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		chain = append(chain, cert)
	}
	return chain
}

func pemOf(certs []*x509.Certificate) string {
	var b strings.Builder
	for _, c := range certs {
		b.Write(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}))
	}
	return b.String()
}

func parse(t testing.TB, yaml string) *TrustRoot {
	t.Helper()
	r, err := ParseTrustRoot([]byte(yaml))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// edited is the world's trust root with one thing replaced, which must occur.
func (w *world) edited(t testing.TB, from, to string) string {
	t.Helper()
	if !strings.Contains(w.yaml, from) {
		t.Fatalf("the trust root does not hold %q", from)
	}
	return strings.Replace(w.yaml, from, to, 1)
}

func testdata(t testing.TB, name string) []byte {
	t.Helper()
	raw, err := os.ReadFile("../testdata/provenance/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return []byte(strings.TrimSpace(string(raw)))
}

// verifyBundle reads and verifies a bundle as registration does.
func verifyBundle(r *TrustRoot, data []byte) (*Facts, error) {
	rec, payload, err := ReadBundle(data)
	if err != nil {
		return nil, err
	}
	rec.PayloadDigest, rec.PayloadSize = attest.SHA256(payload), int64(len(payload))
	return r.Verify(rec, payload)
}

const provenance = `{"_type":"https://in-toto.io/Statement/v1","subject":[{"name":"a","digest":{"sha256":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}}],` +
	`"predicateType":"https://slsa.dev/provenance/v1","predicate":{"buildDefinition":{"buildType":"https://localhost/t@v1","externalParameters":{"a":1}},` +
	`"runDetails":{"builder":{"id":"https://localhost/b"},"metadata":{"finishedOn":"2026-02-03T04:05:06Z"}}}}`

// record is what registration makes of an envelope with one signature.
func record(t testing.TB, r *TrustRoot, e *attest.Envelope) *attest.Record {
	t.Helper()
	recs, err := r.Resolve(e)
	if err != nil {
		t.Fatal(err)
	}
	recs[0].PayloadDigest, recs[0].PayloadSize = attest.SHA256(e.Payload), int64(len(e.Payload))
	return recs[0]
}
