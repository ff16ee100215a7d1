package sign_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"path/filepath"
	"testing"

	"github.com/sekisho-dev/sekisho/attest"
	"github.com/sekisho-dev/sekisho/sign"
	"github.com/sekisho-dev/sekisho/sign/keyfile"
)

// lying is a signer that says it has one key and signs in another way.
type lying struct {
	key  sign.Key
	sign func(digest []byte) ([]byte, error)
}

func (l lying) Key() sign.Key                                         { return l.key }
func (l lying) Sign(_ context.Context, digest []byte) ([]byte, error) { return l.sign(digest) }

// TestAdvisoryH4_VerifiedBeforeReturned: whatever a signer answers, an envelope
// is returned only if its signature verifies under the key that was pinned.
func TestAdvisoryH4_VerifiedBeforeReturned(t *testing.T) {
	s, other := newKey(t, attest.ECDSAP256SHA256), newKey(t, attest.ECDSAP256SHA256)
	r := newKey(t, attest.RSA3072SHA256)
	honest := func(digest []byte) ([]byte, error) { return s.Sign(context.Background(), digest) }
	fault := errors.New("fault")
	for _, tt := range []struct {
		name string
		key  sign.Key
		sign func([]byte) ([]byte, error)
		want error
	}{
		{"honest", s.Key(), honest, nil},
		{"another key, or version", other.Key(), honest, sign.ErrBadSignature},
		{"another type of key", r.Key(), func(d []byte) ([]byte, error) { return honest(d) }, sign.ErrBadSignature},
		{"hashed again", s.Key(), func(d []byte) ([]byte, error) { return honest(attest.SHA256(d).Bytes()) }, sign.ErrBadSignature},
		{"another message", s.Key(), func([]byte) ([]byte, error) { return honest(make([]byte, 32)) }, sign.ErrBadSignature},
		{"r and s of a JWS", s.Key(), func([]byte) ([]byte, error) { return make([]byte, 64), nil }, sign.ErrBadSignature},
		{"PSS", r.Key(), func(d []byte) ([]byte, error) {
			return rsa.SignPSS(rand.Reader, r.Crypto().(*rsa.PrivateKey), crypto.SHA256, d, nil)
		}, sign.ErrBadSignature},
		{"trailing byte", s.Key(), func(d []byte) ([]byte, error) { sig, err := honest(d); return append(sig, 0), err }, sign.ErrBadSignature},
		{"empty", s.Key(), func([]byte) ([]byte, error) { return nil, nil }, sign.ErrBadSignature},
		{"failed", s.Key(), func([]byte) ([]byte, error) { return nil, fault }, fault},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e, err := sign.Envelope(t.Context(), lying{tt.key, tt.sign}, attest.PayloadTypeInToto, []byte("{}"))
			if !errors.Is(err, tt.want) || (err == nil) != (e != nil) {
				t.Fatalf("envelope %v, error %v; want %v", e, err, tt.want)
			}
		})
	}
}

// TestAdvisoryD8_Ed25519CannotBeLogged: a kind of key whose signatures cannot be
// logged is refused by name, and never reaches the size of hash number 0.
func TestAdvisoryD8_Ed25519CannotBeLogged(t *testing.T) {
	ed, _, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	p224, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, pub := range map[string]crypto.PublicKey{"Ed25519": ed, "P-224": p224.Public(), "nothing": nil, "text": "key"} {
		if k, err := sign.NewKey(pub, ""); !errors.Is(err, attest.ErrNotLoggable) || k.ID != "" {
			t.Errorf("%s: key %v, error %v; want ErrNotLoggable", name, k, err)
		}
	}
	// A driver that makes its Key by hand is no way around it.
	for _, details := range []attest.KeyDetails{"", "PKIX_ED25519", "PKIX_RSA_PSS_3072_SHA256"} {
		s := lying{sign.Key{Details: details, Public: ed}, func([]byte) ([]byte, error) { return make([]byte, 64), nil }}
		if _, err := sign.Envelope(t.Context(), s, attest.PayloadTypeInToto, nil); !errors.Is(err, sign.ErrKey) {
			t.Errorf("details %q: %v, want ErrKey", details, err)
		}
		if err := s.key.Verify(make([]byte, 32), make([]byte, 64)); err == nil {
			t.Errorf("details %q: it verifies", details)
		}
	}
}

func TestNewKey(t *testing.T) {
	s := newKey(t, attest.ECDSAP384SHA384)
	k, err := sign.NewKey(s.Key().Public, "7")
	if err != nil {
		t.Fatal(err)
	}
	if k.ID != attest.SHA256(k.SPKI).Hex() || k.Version != "7" || k.Details != attest.ECDSAP384SHA384 || !bytes.Equal(k.SPKI, s.Key().SPKI) {
		t.Errorf("%+v", k)
	}
}

// TestVerifyNeedsDigest: a digest of another length than the key's hash has does
// not verify, even where the mathematics would cut it to length.
func TestVerifyNeedsDigest(t *testing.T) {
	s := newKey(t, attest.ECDSAP256SHA256)
	long := make([]byte, 64)
	sig, err := ecdsa.SignASN1(rand.Reader, s.Crypto().(*ecdsa.PrivateKey), long)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Key().Verify(long, sig); !errors.Is(err, sign.ErrKey) {
		t.Errorf("%v, want ErrKey", err)
	}
	if err := s.Key().Verify(long[:32], sig); err != nil {
		t.Errorf("the digest that ECDSA cut it to: %v", err)
	}
}

func newKey(t *testing.T, details attest.KeyDetails) *keyfile.Signer {
	t.Helper()
	s, err := keyfile.Create(filepath.Join(t.TempDir(), "key.pem"), details)
	if err != nil {
		t.Fatal(err)
	}
	return s
}
