package client

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"errors"

	"github.com/sekisho-dev/sekisho/attest"
	sekishov1 "github.com/sekisho-dev/sekisho/proto/sekisho/v1"
)

// bind checks that what the server serves as an attestation is what the leaf
// commits to: it rebuilds the leaf from the envelope and whichever key or
// certificate fits, verifies the signature again, and holds the server's summary
// against the statement that was signed.
func (c *Client) bind(ctx context.Context, resp *sekishov1.GetAttestationResponse, leaf attest.Hash) (*attest.Statement, error) {
	a := resp.GetAttestation()
	wrong := func(err error, what string) error {
		return refuse(ErrWrongAttestation, err, "attestation %s at index %d: %s", a.GetDigest(), a.GetLogIndex(), what)
	}
	e, err := attest.ParseEnvelope(resp.GetEnvelope())
	if err != nil {
		return nil, wrong(err, "its envelope cannot be read")
	}
	if e.Digest() != attest.Digest(a.GetDigest()) || !bytes.Equal(e.JSON(), resp.GetEnvelope()) {
		return nil, wrong(nil, "its envelope has the digest "+string(attest.SHA256(resp.GetEnvelope())))
	}
	if len(e.Signatures) != 1 {
		return nil, wrong(nil, "an attestation has one signature")
	}
	if err := c.signed(ctx, e, resp, leaf); err != nil {
		return nil, wrong(err, "no key that is known here makes this envelope the leaf in the log")
	}
	s, err := e.Statement()
	if err != nil {
		return nil, wrong(err, "it is not a statement")
	}
	if what := misquoted(a, e, s); what != "" {
		return nil, wrong(nil, "the server's "+what+" is not that of the signed statement")
	}
	return s, nil
}

// signed finds the key under which the envelope is the leaf.
func (c *Client) signed(ctx context.Context, e *attest.Envelope, resp *sekishov1.GetAttestationResponse, leaf attest.Hash) error {
	var failed error
	for m, err := range c.materials(ctx, resp) {
		if err != nil {
			return err
		}
		if attest.SHA256(m.spki).Hex() != resp.GetAttestation().GetKeyId() {
			continue
		}
		if err := m.makes(e, leaf); err == nil {
			return nil
		} else {
			failed = err
		}
	}
	if failed == nil {
		failed = errors.New("the key " + resp.GetAttestation().GetKeyId() + " is neither served with the bundle nor published by the service")
	}
	return failed
}

// A material is what verifies a signature: a public key, bare or in a certificate.
type material struct {
	spki        []byte
	certificate []byte // nil for a bare key
}

// makes reports why this material does not make the envelope the leaf, if so.
func (m material) makes(e *attest.Envelope, leaf attest.Hash) error {
	pub, err := x509.ParsePKIXPublicKey(m.spki)
	if err != nil {
		return err
	}
	details, err := attest.KeyDetailsOf(pub)
	if err != nil {
		return err
	}
	l := attest.Leaf{
		Digest:     attest.PAEDigest(details.Hash().New(), e.PayloadType, e.Payload),
		Signature:  e.Signatures[0].Sig,
		KeyDetails: details,
	}
	if l.Certificate = m.certificate; l.Certificate == nil {
		l.PublicKey = m.spki
	}
	entry, err := l.Entry()
	if err != nil {
		return err
	}
	if attest.LeafHash(entry) != leaf {
		return errors.New("the leaf rebuilt from envelope and key is not the one in the log")
	}
	return verify(pub, details.Hash(), l.Digest, l.Signature)
}

// verify checks a signature that can be logged.
func verify(pub crypto.PublicKey, hash crypto.Hash, digest, sig []byte) error {
	switch k := pub.(type) {
	case *ecdsa.PublicKey:
		if ecdsa.VerifyASN1(k, digest, sig) {
			return nil
		}
	case *rsa.PublicKey:
		if rsa.VerifyPKCS1v15(k, hash, digest, sig) == nil {
			return nil
		}
	}
	return errors.New("the signature does not verify")
}

// misquoted names the part of the server's summary that differs from the signed
// statement, or returns "".
func misquoted(a *sekishov1.Attestation, e *attest.Envelope, s *attest.Statement) string {
	switch {
	case a.GetPayloadSha256() != attest.SHA256(e.Payload).Hex():
		return "payload digest"
	case a.GetPredicateType() != s.PredicateType:
		return "predicate type"
	case len(a.GetSubjects()) != len(s.Subjects):
		return "number of subjects"
	}
	for i, sub := range s.Subjects {
		if got := a.GetSubjects()[i]; got.GetName() != sub.Name || !equalDigests(got.GetDigest(), sub.Digest) {
			return "list of subjects"
		}
	}
	if p, err := s.Provenance(); err == nil && a.GetBuilderId() != p.BuilderID || err != nil && a.GetBuilderId() != "" {
		return "builder"
	}
	return ""
}
