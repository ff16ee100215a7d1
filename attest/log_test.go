package attest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"math/big"
	"reflect"
	"testing"
	"time"

	"github.com/cyberphone/json-canonicalization/go/src/webpki.org/jsoncanonicalizer"
	common "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	rekor "github.com/sigstore/rekor-tiles/v2/pkg/generated/protobuf"
	"github.com/sigstore/rekor-tiles/v2/pkg/types/hashedrekord"
	"github.com/sigstore/sigstore/pkg/signature"
	"google.golang.org/protobuf/encoding/protojson"
)

var loggable = []KeyDetails{ECDSAP256SHA256, ECDSAP384SHA384, ECDSAP521SHA512, RSA2048SHA256, RSA3072SHA256, RSA4096SHA256}

// rekorSignature is the leaf's signature in Rekor's words.
func rekorSignature(l *Leaf) *rekor.Signature {
	v := &rekor.Verifier{KeyDetails: common.PublicKeyDetails(common.PublicKeyDetails_value[string(l.KeyDetails)])}
	if len(l.PublicKey) > 0 {
		v.Verifier = &rekor.Verifier_PublicKey{PublicKey: &rekor.PublicKey{RawBytes: l.PublicKey}}
	} else {
		v.Verifier = &rekor.Verifier_X509Certificate{X509Certificate: &common.X509Certificate{RawBytes: l.Certificate}}
	}
	return &rekor.Signature{Content: l.Signature, Verifier: v}
}

// Our leaf is the one that a Rekor v2 log makes of the same signature, to the byte,
// after it has verified it.
func TestEntryIsRekors(t *testing.T) {
	allowed := make([]common.PublicKeyDetails, len(loggable))
	for i, d := range loggable {
		allowed[i] = common.PublicKeyDetails(common.PublicKeyDetails_value[string(d)])
	}
	registry, err := signature.NewAlgorithmRegistryConfig(allowed)
	if err != nil {
		t.Fatal(err)
	}
	elliptical := func(c elliptic.Curve) crypto.Signer {
		k, err := ecdsa.GenerateKey(c, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	rsa2048, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		details KeyDetails
		key     crypto.Signer
	}{
		{ECDSAP256SHA256, elliptical(elliptic.P256())},
		{ECDSAP384SHA384, elliptical(elliptic.P384())},
		{ECDSAP521SHA512, elliptical(elliptic.P521())},
		{RSA2048SHA256, rsa2048},
	} {
		details, err := KeyDetailsOf(c.key.Public())
		if err != nil || details != c.details {
			t.Fatalf("%s: %s, %v", c.details, details, err)
		}
		record := Record{PayloadType: PayloadTypeInToto, KeyDetails: details}
		if record.PublicKey, err = x509.MarshalPKIXPublicKey(c.key.Public()); err != nil {
			t.Fatal(err)
		}
		certificate, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{SerialNumber: big.NewInt(1)}, &x509.Certificate{}, c.key.Public(), c.key)
		if err != nil {
			t.Fatal(err)
		}
		digest := PAEDigest(details.Hash().New(), PayloadTypeInToto, []byte(statementV1))
		if record.Signature.Sig, err = c.key.Sign(rand.Reader, digest, details.Hash()); err != nil {
			t.Fatal(err)
		}
		byCertificate := record
		byCertificate.PublicKey, byCertificate.Certificate = nil, certificate
		for name, r := range map[string]*Record{"key": &record, "certificate": &byCertificate} {
			leaf, err := r.Leaf([]byte(statementV1))
			if err != nil {
				t.Fatal(err)
			}
			entry, err := leaf.Entry()
			if err != nil {
				t.Fatal(err)
			}
			theirs, err := hashedrekord.ToLogEntry(&rekor.HashedRekordRequestV002{Digest: digest, Signature: rekorSignature(leaf)}, registry)
			if err != nil {
				t.Fatalf("%s by %s: Rekor refuses it: %v", details, name, err)
			}
			loose, err := protojson.Marshal(theirs)
			if err != nil {
				t.Fatal(err)
			}
			want, err := jsoncanonicalizer.Transform(loose)
			if err != nil {
				t.Fatal(err)
			}
			if string(entry) != string(want) {
				t.Errorf("%s by %s:\n%s\nwant\n%s", details, name, entry, want)
			}
			if len(entry) >= 4096 {
				t.Errorf("%s by %s: an entry of %d bytes", details, name, len(entry))
			}
		}
	}
}

// The same of every kind that we write, with bytes that base64 spells with "+", "/"
// and padding; and the leaf hash is the one that a client computes from a bundle.
func TestLeafHashIsRekors(t *testing.T) {
	for _, details := range loggable {
		for n := range 3 {
			key := append([]byte{0xfb, 0xff, 0xfe}, make([]byte, n)...)
			for _, leaf := range []Leaf{{PublicKey: key}, {Certificate: key}} {
				leaf.KeyDetails, leaf.Signature, leaf.Digest = details, key, make([]byte, details.Hash().Size())
				entry, err := leaf.Entry()
				if err != nil {
					t.Fatal(err)
				}
				want, err := hashedrekord.ToEntryHash(leaf.Digest, rekorSignature(&leaf))
				if err != nil {
					t.Fatal(err)
				}
				if got := LeafHash(entry); string(got[:]) != string(want) {
					t.Errorf("%s: %s hashes to %x, want %x", details, entry, got, want)
				}
			}
		}
	}
	// RFC 6962: the hash of an empty leaf is not that of an empty tree.
	const empty = "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
	if h := LeafHash(nil); hex.EncodeToString(h[:]) != empty {
		t.Errorf("empty leaf: %x", h)
	}
}

func TestEntryRefusesWhatMakesNone(t *testing.T) {
	good := Leaf{Digest: make([]byte, 32), Signature: []byte("s"), KeyDetails: ECDSAP256SHA256, PublicKey: []byte("k")}
	if _, err := good.Entry(); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Leaf){
		"nothing at all":            func(l *Leaf) { *l = Leaf{} },
		"no digest":                 func(l *Leaf) { l.Digest = nil },
		"a digest of another hash":  func(l *Leaf) { l.Digest = make([]byte, 48) },
		"another hash's key":        func(l *Leaf) { l.KeyDetails = ECDSAP384SHA384 },
		"no signature":              func(l *Leaf) { l.Signature = []byte{} },
		"neither key nor cert":      func(l *Leaf) { l.PublicKey = nil },
		"key and certificate":       func(l *Leaf) { l.Certificate = []byte("c") },
		"no details":                func(l *Leaf) { l.KeyDetails = "" },
		"pure Ed25519":              func(l *Leaf) { l.KeyDetails = "PKIX_ED25519" },
		"RSA-PSS":                   func(l *Leaf) { l.KeyDetails = "PKIX_RSA_PSS_2048_SHA256" },
		"details that would inject": func(l *Leaf) { l.KeyDetails = `PKIX_ECDSA_P256_SHA_256","x":"` },
	} {
		l := good
		change(&l)
		if entry, err := l.Entry(); entry != nil || !errors.Is(err, ErrNotLoggable) {
			t.Errorf("%s: %s, %v", name, entry, err)
		}
	}
}

// Rekor #872: asking the hash of a pure Ed25519 key for its size panicked.
func TestAdvisoryD8_KeysThatCannotBeLogged(t *testing.T) {
	pub, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p224, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ofBits := func(n uint) *rsa.PublicKey { return &rsa.PublicKey{N: new(big.Int).Lsh(big.NewInt(1), n-1), E: 65537} }
	for name, key := range map[string]crypto.PublicKey{
		"Ed25519": pub, "P-224": &p224.PublicKey, "RSA-1024": ofBits(1024), "RSA-2047": ofBits(2047), "RSA-2049": ofBits(2049), "RSA-8192": ofBits(8192),
		"nothing": nil, "a private key": p224, "a key by value": ecdsa.PublicKey{}, "DER": []byte("k"),
	} {
		if d, err := KeyDetailsOf(key); d != "" || !errors.Is(err, ErrNotLoggable) || !isSentinel(err) {
			t.Errorf("%s: %q, %v", name, d, err)
		}
	}
	for bits, want := range map[uint]KeyDetails{2048: RSA2048SHA256, 3072: RSA3072SHA256, 4096: RSA4096SHA256} {
		if d, err := KeyDetailsOf(ofBits(bits)); d != want || err != nil {
			t.Errorf("RSA-%d: %s, %v", bits, d, err)
		}
	}
	for _, d := range []KeyDetails{"", "PKIX_ED25519", "PKIX_ED25519_PH", "pkix_ecdsa_p256_sha_256"} {
		if d.Hash() != 0 {
			t.Errorf("%q has the hash %s", d, d.Hash())
		}
		if l, err := (&Record{KeyDetails: d}).Leaf(nil); l != nil || !errors.Is(err, ErrNotLoggable) {
			t.Errorf("%q: %+v, %v", d, l, err)
		}
	}
}

// A record is stored as JSON, and rebuilds leaf and envelope from what comes back.
func TestRecordComesBack(t *testing.T) {
	r := Record{
		PayloadType: PayloadTypeInToto, PayloadDigest: SHA256([]byte(statementV1)), PayloadSize: int64(len(statementV1)), Payload: []byte(statementV1),
		Signature: Signature{KeyID: "k<&>é", Sig: []byte{0xfb, 0xff}}, KeyDetails: ECDSAP384SHA384, PublicKey: []byte("key"),
		Timestamp: []byte("t"), Bundle: []byte("{}"), SubmittedBy: "ci", SubmittedAt: time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC),
	}
	stored, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	var back Record
	if err := json.Unmarshal(stored, &back); err != nil || !reflect.DeepEqual(back, r) {
		t.Errorf("%v\n%+v\n%+v", err, back, r)
	}
	e := back.Envelope(back.Payload)
	if again, err := ParseEnvelope(e.JSON()); err != nil || again.Digest() != e.Digest() || again.Signatures[0].KeyID != "k<&>é" {
		t.Errorf("envelope: %v", err)
	}
	before, _ := r.Leaf(r.Payload)
	display := back
	display.SubmittedBy, display.SubmittedAt, display.PayloadSize, display.Timestamp = "somebody else", time.Time{}, 7, nil
	after, err := display.Leaf(back.Payload)
	if err != nil || !reflect.DeepEqual(before, after) {
		t.Errorf("the leaf depends on what it does not commit to: %+v, %v", after, err)
	}
	for name, other := range map[string]func(*Record) []byte{
		"payload":      func(*Record) []byte { return []byte(statementV1 + " ") },
		"payload type": func(r *Record) []byte { r.PayloadType = "application/json"; return r.Payload },
		"signature":    func(r *Record) []byte { r.Signature.Sig = []byte("x"); return r.Payload },
		"key":          func(r *Record) []byte { r.PublicKey = []byte("x"); return r.Payload },
	} {
		r := back
		payload := other(&r)
		leaf, err := r.Leaf(payload)
		if err != nil || reflect.DeepEqual(before, leaf) {
			t.Errorf("another %s makes the same leaf: %v", name, err)
		}
	}
}
