// Package stock verifies what Sekisho signs as a stranger would: with sigstore-go
// alone, the key, and trusted_root.json. Nothing of ours is imported, so that a
// bundle which passes here does so without us. The demo and the tests use it;
// make test-integration asks cosign and npm's sigstore as well.
package stock

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/verify"
	"github.com/sigstore/sigstore/pkg/signature"
)

// Verify verifies that a Sigstore bundle attests an artifact under a public key:
// the signature, the inclusion proof to the log's signed checkpoint, and the
// signed timestamp, of a log and an authority that trusted_root.json names.
func Verify(raw, trustedRoot, publicKey []byte, artifact io.Reader) (*verify.VerificationResult, error) {
	material, err := root.NewTrustedRootFromJSON(trustedRoot)
	if err != nil {
		return nil, fmt.Errorf("reading trusted root: %w", err)
	}
	key, err := load(publicKey)
	if err != nil {
		return nil, fmt.Errorf("reading public key: %w", err)
	}
	var b bundle.Bundle
	if err := b.UnmarshalJSON(bytes.TrimSpace(raw)); err != nil {
		return nil, fmt.Errorf("reading bundle: %w", err)
	}
	keys := root.NewTrustedPublicKeyMaterial(func(string) (root.TimeConstrainedVerifier, error) { return key, nil })
	v, err := verify.NewVerifier(root.TrustedMaterialCollection{keys, material},
		verify.WithTransparencyLog(1), verify.WithSignedTimestamps(1))
	if err != nil {
		return nil, err
	}
	return v.Verify(&b, verify.NewPolicy(verify.WithArtifact(artifact), verify.WithKey()))
}

func load(publicKey []byte) (root.TimeConstrainedVerifier, error) {
	block, _ := pem.Decode(publicKey)
	if block == nil {
		return nil, errors.New("no PEM block")
	}
	public, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	v, err := signature.LoadDefaultVerifier(public)
	if err != nil {
		v, err = signature.LoadVerifier(public, crypto.SHA256)
	}
	if err != nil {
		return nil, err
	}
	return root.NewExpiringKey(v, time.Time{}, time.Time{}), nil
}
