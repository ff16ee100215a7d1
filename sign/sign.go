// Package sign makes signatures with keys that we do not hold. A [Signer] is one
// version of one key, somewhere: a file, Vault, a cloud's key service. It signs
// a hash, and what it returns is verified here, against the public key it was
// opened with, before anybody uses it: a key service that answers with another
// key, another version or nonsense makes an error, never an attestation.
package sign

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"

	"github.com/sekisho-dev/sekisho/attest"
)

// The ways in which signing fails. Drivers wrap exactly one of these.
var (
	// ErrUnavailable: the key service cannot be reached, is sealed or overloaded; try again.
	ErrUnavailable = errors.New("key service unavailable")
	// ErrDenied: the key service refuses us: a bad token, or no permission.
	ErrDenied = errors.New("key service denied the request")
	// ErrKey: no such key, not one that can sign attestations, or asked for what it
	// cannot do.
	ErrKey = errors.New("unusable key")
	// ErrBadSignature: what came back does not verify under the key that was asked.
	ErrBadSignature = errors.New("signature does not verify")
)

// A Key is the public half of a signer, and what fixes how it signs.
type Key struct {
	ID      string            // hex SHA-256 of SPKI
	Version string            // the driver's, such as Vault's key version; "" where there is none
	Details attest.KeyDetails // type and hash
	Public  crypto.PublicKey
	SPKI    []byte // DER SubjectPublicKeyInfo
}

// NewKey describes a public key. [attest.ErrNotLoggable] for a kind whose
// signatures cannot be logged.
func NewKey(pub crypto.PublicKey, version string) (Key, error) {
	details, err := attest.KeyDetailsOf(pub)
	if err != nil {
		return Key{}, err
	}
	spki, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		return Key{}, fmt.Errorf("%w: %w", ErrKey, err)
	}
	return Key{ID: attest.SHA256(spki).Hex(), Version: version, Details: details, Public: pub, SPKI: spki}, nil
}

// CheckDigest refuses what is not a digest by the hash of k.Details. A driver
// asks it before it signs: ECDSA itself would cut a long digest short and take a
// short one as it is. The error wraps [ErrKey].
func (k Key) CheckDigest(digest []byte) error {
	h := k.Details.Hash()
	if h == 0 {
		return fmt.Errorf("%w: key details %q cannot be logged", ErrKey, k.Details)
	}
	if len(digest) != h.Size() {
		return fmt.Errorf("%w: a digest of %d bytes, and %s signs %d (%s)", ErrKey, len(digest), k.Details, h.Size(), h)
	}
	return nil
}

// Verify checks a signature over a digest by the hash of k.Details: ASN.1 ECDSA,
// or RSA PKCS #1 v1.5. The error wraps [ErrBadSignature], or is that of
// [Key.CheckDigest].
func (k Key) Verify(digest, sig []byte) error {
	if err := k.CheckDigest(digest); err != nil {
		return err
	}
	ok := false
	switch pub := k.Public.(type) {
	case *ecdsa.PublicKey:
		ok = ecdsa.VerifyASN1(pub, digest, sig)
	case *rsa.PublicKey:
		ok = rsa.VerifyPKCS1v15(pub, k.Details.Hash(), digest, sig) == nil
	}
	if !ok {
		return fmt.Errorf("%w under key %.16s (version %q)", ErrBadSignature, k.ID, k.Version)
	}
	return nil
}

// A Signer signs with one version of one key. Its methods may be called at the
// same time from several goroutines.
type Signer interface {
	// Key returns the key. It never changes: a rotated key is another Signer.
	Key() Key
	// Sign signs a digest by the hash of Key().Details, and returns an ASN.1
	// ECDSA or a PKCS #1 v1.5 signature. It honours the context: one that is done
	// ends it at once, with the context's own error.
	Sign(ctx context.Context, digest []byte) ([]byte, error)
}

// Envelope signs a payload: one signature over its PAE, in a DSSE envelope. The
// envelope names no key id. It would be a hint, and stock verifiers refuse a hint
// that is not in the form which they would have made of the key themselves.
//
// Only the hash leaves this process, whatever the payload's size, and only a
// signature that verifies here under s.Key() is returned. Errors: those of
// [Signer], and [ErrBadSignature].
func Envelope(ctx context.Context, s Signer, payloadType string, payload []byte) (*attest.Envelope, error) {
	key := s.Key()
	if key.Details.Hash() == 0 {
		return nil, fmt.Errorf("signing with key %.16s: %w: key details %q cannot be logged", key.ID, ErrKey, key.Details)
	}
	digest := attest.PAEDigest(key.Details.Hash().New(), payloadType, payload)
	sig, err := s.Sign(ctx, digest)
	if err != nil {
		return nil, fmt.Errorf("signing with key %.16s: %w", key.ID, err)
	}
	if err := key.Verify(digest, sig); err != nil {
		return nil, fmt.Errorf("signing with key %.16s: %w", key.ID, err)
	}
	return &attest.Envelope{
		PayloadType: payloadType,
		Payload:     payload,
		Signatures:  []attest.Signature{{Sig: sig}},
	}, nil
}

// A TimeAuthority says when a signature existed (RFC 3161).
type TimeAuthority interface {
	// Timestamp returns a DER TimeStampResp over the raw bytes of a signature.
	Timestamp(ctx context.Context, signature []byte) ([]byte, error)
}
