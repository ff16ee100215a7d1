package client

import (
	"bytes"
	"context"

	"github.com/sekisho-dev/sekisho/attest"
	sekishov1 "github.com/sekisho-dev/sekisho/proto/sekisho/v1"
)

// UploadSBOM has an SBOM signed as a statement about an artifact and registered.
// What comes back has been checked as [Client.Register] checks, and that the signed
// statement is about this artifact and carries this document.
func (c *Client) UploadSBOM(ctx context.Context, req *sekishov1.UploadSbomRequest) (*sekishov1.UploadSbomResponse, error) {
	floor, err := c.meet(ctx)
	if err != nil {
		return nil, err
	}
	resp, err := c.sboms.UploadSbom(ctx, req)
	if err != nil || req.GetValidateOnly() {
		return resp, err
	}
	index := resp.GetAttestation().GetLogIndex()
	leaf, err := c.receipt(ctx, floor, resp.GetReceipt(), index)
	if err != nil {
		return nil, err
	}
	served, err := c.await(ctx, index)
	if err != nil {
		return nil, err
	}
	s, err := c.bind(ctx, served, leaf)
	if err != nil {
		return nil, err
	}
	if served.GetAttestation().GetDigest() != resp.GetAttestation().GetDigest() {
		return nil, refuse(ErrWrongAttestation, nil, "registered as %s; at index %d is %s", resp.GetAttestation().GetDigest(), index, served.GetAttestation().GetDigest())
	}
	if err := carries(served, s, req.GetArtifact().GetDigest(), req.GetDocument()); err != nil {
		return nil, err
	}
	return resp, nil
}

// GetSBOM returns the newest SBOM of an artifact ("sha256:…"), after checking that
// it is the document of a logged statement about that artifact. That it is the
// newest is what the index says.
func (c *Client) GetSBOM(ctx context.Context, artifact attest.Digest) (*sekishov1.GetSbomResponse, error) {
	resp, err := c.sboms.GetSbom(ctx, &sekishov1.GetSbomRequest{What: &sekishov1.GetSbomRequest_Artifact{Artifact: string(artifact)}})
	if err != nil {
		return nil, err
	}
	if resp.GetAttestation().GetDigest() == "" {
		return nil, refuse(ErrWrongAttestation, nil, "an SBOM of %s that is in no attestation", artifact)
	}
	served, s, err := c.get(ctx, resp.GetAttestation().GetDigest())
	if err != nil {
		return nil, err
	}
	if err := carries(served, s, artifact.Set(), resp.GetDocument()); err != nil {
		return nil, err
	}
	return resp, nil
}

// carries checks that a statement is about an artifact and that its predicate is a
// document, byte for byte. The white space around the document is no part of a
// predicate's value, but it was signed too.
func carries(served *sekishov1.GetAttestationResponse, s *attest.Statement, artifact attest.DigestSet, document []byte) error {
	if match, _ := s.Subject(artifact); match != attest.Matched {
		return refuse(ErrWrongAttestation, nil, "the signed statement is not about %s", short(artifact))
	}
	e, err := attest.ParseEnvelope(served.GetEnvelope())
	if err != nil || !bytes.Contains(e.Payload, document) || !bytes.Equal(bytes.TrimSpace(document), bytes.TrimSpace(s.Predicate)) {
		return refuse(ErrWrongAttestation, nil, "the signed statement does not carry this document")
	}
	return nil
}
