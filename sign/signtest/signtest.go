// Package signtest holds what every [sign.Signer] must do, as a suite that each
// driver runs against the real thing.
package signtest

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"sync"
	"testing"

	"github.com/sekisho-dev/sekisho/attest"
	"github.com/sekisho-dev/sekisho/sign"
)

// Run tests a driver. Each call of open returns a signer with the same key, in
// the same version, opened anew.
func Run(t *testing.T, open func(t *testing.T) sign.Signer) {
	t.Run("Key", func(t *testing.T) { testKey(t, open(t), open(t)) })
	t.Run("Sign", func(t *testing.T) { testSign(t, open(t)) })
	t.Run("WrongDigest", func(t *testing.T) { testWrongDigest(t, open(t)) })
	t.Run("Cancelled", func(t *testing.T) { testCancelled(t, open(t)) })
	t.Run("Concurrent", func(t *testing.T) { testConcurrent(t, open(t)) })
	t.Run("Envelope", func(t *testing.T) { testEnvelope(t, open(t)) })
}

// testKey: the key describes itself truly, and is the same when opened again.
func testKey(t *testing.T, s, again sign.Signer) {
	k := s.Key()
	want, err := sign.NewKey(k.Public, k.Version)
	if err != nil {
		t.Fatal(err)
	}
	if k.ID != want.ID || k.Details != want.Details || !bytes.Equal(k.SPKI, want.SPKI) {
		t.Errorf("the key says %s %s, and is %s %s", k.Details, k.ID, want.Details, want.ID)
	}
	if _, err := x509.ParsePKIXPublicKey(k.SPKI); err != nil {
		t.Errorf("SPKI: %v", err)
	}
	if other := again.Key(); other.ID != k.ID || other.Version != k.Version {
		t.Errorf("opened again it is key %.16s version %q, was %.16s version %q", other.ID, other.Version, k.ID, k.Version)
	}
}

// testSign: a signature verifies under its key, over its digest and no other.
func testSign(t *testing.T, s sign.Signer) {
	k := s.Key()
	one, other := digest(k, "one"), digest(k, "other")
	sig, err := s.Sign(t.Context(), one)
	if err != nil {
		t.Fatal(err)
	}
	if err := k.Verify(one, sig); err != nil {
		t.Error(err)
	}
	if err := k.Verify(other, sig); !errors.Is(err, sign.ErrBadSignature) {
		t.Errorf("it verifies over another digest: %v", err)
	}
}

// testWrongDigest: what is not a digest by the key's hash is refused, not cut to
// length.
func testWrongDigest(t *testing.T, s sign.Signer) {
	size := s.Key().Details.Hash().Size()
	for _, n := range []int{0, 1, size - 1, size + 1, 2 * size} {
		if sig, err := s.Sign(t.Context(), make([]byte, n)); !errors.Is(err, sign.ErrKey) || sig != nil {
			t.Errorf("%d bytes as a digest of %d: signature %x, error %v; want ErrKey", n, size, sig, err)
		}
	}
}

// testCancelled: a context that is done ends signing with its own error.
func testCancelled(t *testing.T, s sign.Signer) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if sig, err := s.Sign(ctx, digest(s.Key(), "x")); !errors.Is(err, context.Canceled) || sig != nil {
		t.Errorf("signature %x, error %v; want context.Canceled", sig, err)
	}
}

// testConcurrent: many sign at once, and each gets its own signature.
func testConcurrent(t *testing.T, s sign.Signer) {
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			d := digest(s.Key(), rand.Text())
			sig, err := s.Sign(t.Context(), d)
			if err == nil {
				err = s.Key().Verify(d, sig)
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

// testEnvelope: payloads of every size are signed by their hash, and the
// signature is over the PAE.
func testEnvelope(t *testing.T, s sign.Signer) {
	k := s.Key()
	for _, size := range []int{0, 1, 64, 1 << 20} {
		payload := make([]byte, size)
		rand.Read(payload) // it does not fail
		e, err := sign.Envelope(t.Context(), s, attest.PayloadTypeInToto, payload)
		if err != nil {
			t.Fatalf("%d bytes: %v", size, err)
		}
		if len(e.Signatures) != 1 || !bytes.Equal(e.Payload, payload) || e.PayloadType != attest.PayloadTypeInToto {
			t.Errorf("%d bytes: envelope of %s, %d bytes, %d signatures", size, e.PayloadType, len(e.Payload), len(e.Signatures))
		}
		d := attest.PAEDigest(k.Details.Hash().New(), attest.PayloadTypeInToto, payload)
		if err := k.Verify(d, e.Signatures[0].Sig); err != nil {
			t.Errorf("%d bytes: %v", size, err)
		}
		if e.Signatures[0].KeyID != "" {
			t.Errorf("key id %q, a hint that stock verifiers may refuse", e.Signatures[0].KeyID)
		}
	}
}

func digest(k sign.Key, text string) []byte {
	h := k.Details.Hash().New()
	h.Write([]byte(text))
	return h.Sum(nil)
}
