package main

import (
	"context"
	"crypto/x509"
	"encoding/pem"

	"github.com/sekisho-dev/sekisho/attest"
	"github.com/sekisho-dev/sekisho/policy"
	sekishov1 "github.com/sekisho-dev/sekisho/proto/sekisho/v1"
	"github.com/sekisho-dev/sekisho/server/register"
	"github.com/sekisho-dev/sekisho/sign"
	"github.com/sekisho-dev/sekisho/sign/bundle"
	"github.com/sekisho-dev/sekisho/sign/keyfile"
	"github.com/sekisho-dev/sekisho/verifier"
)

// rootKey is the development root and policy key. In production the roots are
// kept outside the service, and the configuration pins their first trust root.
func (h *house) rootKey() (sign.Signer, error) {
	return keyfile.OpenOrCreate(h.config.path("keys", "root.pem"), attest.ECDSAP256SHA256)
}

// starterTrust makes the development trust root.
func (h *house) starterTrust() ([]byte, error) {
	root, err := h.rootKey()
	if err != nil {
		return nil, err
	}
	return verifier.StarterTrustRoot(verifier.Starter{
		Statements:    publicPEM(h.signer.Key().SPKI),
		Root:          publicPEM(root.Key().SPKI),
		TimeAuthority: certificatesPEM(h.time.Certificates()),
		Admin:         verifier.Caller{Issuer: adminIssuer, Subject: adminSubject},
	})
}

// registerStarters registers the first trust root and, where there is none, the
// starter policy, signed by the development root key. Doing it twice is harmless:
// the same document by the same signer is registered once.
func (h *house) registerStarters(ctx context.Context, r *register.Registrar) error {
	if h.config.TrustRoot != "" {
		return nil // whoever pins a trust root registers it, with the keys that we do not hold
	}
	root, err := h.rootKey()
	if err != nil {
		return err
	}
	control := h.follow.Control()
	if control.TrustRef.Digest == "" {
		if err := h.registerControl(ctx, r, root, attest.TrustRootType, "trust-root", control.Trust.Bytes()); err != nil {
			return err
		}
	}
	if control.Policy == nil {
		return h.registerControl(ctx, r, root, attest.PolicyType, "policy", policy.Starter())
	}
	return nil
}

func (h *house) registerControl(ctx context.Context, r *register.Registrar, root sign.Signer, predicateType, name string, document []byte) error {
	envelope, err := sign.Envelope(ctx, root, attest.PayloadTypeInToto, attest.ControlStatement(predicateType, name, document))
	if err != nil {
		return err
	}
	_, err = r.Register(ctx, register.Submission{
		Caller:   verifier.Caller{Issuer: adminIssuer, Subject: adminSubject},
		Envelope: envelope.JSON(),
	})
	return err
}

// published are the public keys of the service, and the trusted_root.json with
// which stock Sigstore clients verify what they sign.
func (h *house) published(ctx context.Context) ([]*sekishov1.Key, []byte, error) {
	statements, err := h.versions(ctx)
	if err != nil {
		return nil, nil, err
	}
	var keys []*sekishov1.Key
	for _, k := range statements {
		keys = append(keys, &sekishov1.Key{
			KeyId:      k.ID,
			Purpose:    sekishov1.KeyPurpose_KEY_PURPOSE_STATEMENTS,
			Pem:        publicPEM(k.SPKI),
			KeyDetails: string(k.Details),
			Version:    k.Version,
			Current:    k.ID == h.signer.Key().ID,
		})
	}
	log, err := x509.MarshalPKIXPublicKey(h.logKey.PublicKey())
	if err != nil {
		return nil, nil, err
	}
	keys = append(keys,
		&sekishov1.Key{KeyId: attest.SHA256(log).Hex(), Purpose: sekishov1.KeyPurpose_KEY_PURPOSE_LOG, Pem: publicPEM(log), KeyDetails: "PKIX_ED25519", Current: true},
		&sekishov1.Key{
			KeyId:      attest.SHA256(h.time.Certificates()[0].RawSubjectPublicKeyInfo).Hex(),
			Purpose:    sekishov1.KeyPurpose_KEY_PURPOSE_TIME,
			Pem:        certificatesPEM(h.time.Certificates()),
			KeyDetails: string(attest.ECDSAP256SHA256),
			Current:    true,
		})
	root, err := bundle.TrustedRoot(h.logKey.Origin(), h.logKey.PublicKey(), h.logKey.LogID(), h.time.Certificates())
	return keys, root, err
}

// versions are all versions of the statements key that its keeper still shows: what
// an old one signed stays signed.
func (h *house) versions(ctx context.Context) ([]sign.Key, error) {
	if s, ok := h.signer.(interface {
		Versions(context.Context) ([]sign.Key, error)
	}); ok {
		return s.Versions(ctx)
	}
	return []sign.Key{h.signer.Key()}, nil
}

func publicPEM(spki []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: spki}))
}

func certificatesPEM(certs []*x509.Certificate) string {
	var out []byte
	for _, c := range certs {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	return string(out)
}
