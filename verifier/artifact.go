package verifier

import (
	"crypto"
	"crypto/x509"
	"fmt"
	"io"
	"time"

	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/verify"
	"github.com/sigstore/sigstore/pkg/signature"
)

// ArtifactPolicy says whose signature over which artifact is wanted. Exactly one
// of Key and Identity must be given.
type ArtifactPolicy struct {
	Key      crypto.PublicKey // a key that somebody manages, or
	Issuer   string           // the exact OIDC issuer, and
	Identity string           // the exact subject alternative name in the certificate
}

// VerifyArtifact verifies a Sigstore bundle of either kind, a signature over a
// file or an attestation about one, against one Sigstore trusted root (JSON)
// and an artifact. It uses no network. Registering the first kind is
// [ErrNotAttestation]; verifying it is not.
func VerifyArtifact(data, trustedRoot []byte, artifact io.Reader, p ArtifactPolicy) (err error) {
	if (p.Key == nil) == (p.Identity == "" || p.Issuer == "") {
		return fmt.Errorf("%w: want either a key, or an identity and its issuer", ErrUnknownKey)
	}
	o, err := readOutline(data)
	if err != nil {
		return err
	}
	material, err := root.NewTrustedRootFromJSON(trustedRoot)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrTrustRoot, err)
	}
	b, err := load(data)
	if err != nil {
		return err
	}
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: verifying panicked", ErrBundle)
		}
	}()
	v, identity, err := p.verifier(o, material)
	if err != nil {
		return err
	}
	if _, err := v.Verify(b, verify.NewPolicy(verify.WithArtifact(artifact), identity)); err != nil {
		return fmt.Errorf("%w: %w", ErrSignature, err)
	}
	return nil
}

// verifier is how a bundle is verified for a policy: what a certificate needs
// (a log entry, a time, an SCT) a key may have, and must then have right.
func (p ArtifactPolicy) verifier(o *outline, material *root.TrustedRoot) (*verify.Verifier, verify.PolicyOption, error) {
	if p.Key == nil {
		if o.Material.PublicKey != nil {
			return nil, nil, fmt.Errorf("%w: the bundle is signed by a key, and an identity is wanted", ErrUnknownKey)
		}
		identity, err := verify.NewShortCertificateIdentity(p.Issuer, "", p.Identity, "")
		if err != nil {
			return nil, nil, fmt.Errorf("%w: %w", ErrUnknownKey, err)
		}
		v, err := verify.NewVerifier(material, verify.WithTransparencyLog(1), verify.WithObserverTimestamps(1), verify.WithSignedCertificateTimestamps(1))
		return v, verify.WithCertificateIdentity(identity), err
	}
	if o.Material.PublicKey == nil {
		return nil, nil, fmt.Errorf("%w: the bundle is signed with a certificate, and a key is wanted", ErrUnknownKey)
	}
	options := []verify.VerifierOption{}
	if len(o.Material.Entries) > 0 {
		options = append(options, verify.WithTransparencyLog(1))
	}
	if o.provesTime() == nil {
		options = append(options, verify.WithObserverTimestamps(1))
	} else {
		options = append(options, verify.WithNoObserverTimestamps())
	}
	v, err := keyVerifier(material, p.Key, crypto.SHA256, options...)
	return v, verify.WithKey(), err
}

// keyVerifier verifies under a key beside a Sigstore root's logs and authorities.
func keyVerifier(material *root.TrustedRoot, public crypto.PublicKey, h crypto.Hash, options ...verify.VerifierOption) (*verify.Verifier, error) {
	if _, err := x509.MarshalPKIXPublicKey(public); err != nil {
		return nil, err
	}
	loaded, err := signature.LoadVerifier(public, h)
	if err != nil {
		return nil, err
	}
	expiring := root.NewExpiringKey(loaded, time.Time{}, time.Time{})
	keys := root.NewTrustedPublicKeyMaterial(func(string) (root.TimeConstrainedVerifier, error) { return expiring, nil })
	return verify.NewVerifier(root.TrustedMaterialCollection{keys, material}, options...)
}
