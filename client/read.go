package client

import (
	"context"
	"iter"
	"strconv"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/sekisho-dev/sekisho/attest"
	sekishov1 "github.com/sekisho-dev/sekisho/proto/sekisho/v1"
)

// Get fetches one attestation, by log index or digest, and checks all of it: the
// receipt, that the leaf is the envelope's, the signature, and that everything the
// server says about the statement is what the statement says.
func (c *Client) Get(ctx context.Context, name string) (*sekishov1.GetAttestationResponse, error) {
	resp, _, err := c.get(ctx, name)
	return resp, err
}

func (c *Client) get(ctx context.Context, name string) (*sekishov1.GetAttestationResponse, *attest.Statement, error) {
	floor, err := c.meet(ctx)
	if err != nil {
		return nil, nil, err
	}
	resp, err := c.attests.GetAttestation(ctx, &sekishov1.GetAttestationRequest{Attestation: name})
	if err != nil {
		return nil, nil, err
	}
	a := resp.GetAttestation()
	if name != a.GetDigest() && name != strconv.FormatUint(a.GetLogIndex(), 10) {
		return nil, nil, refuse(ErrWrongAttestation, nil, "asked for %s and got %s at index %d", name, a.GetDigest(), a.GetLogIndex())
	}
	leaf, err := c.receipt(ctx, floor, resp.GetReceipt(), a.GetLogIndex())
	if err != nil {
		return nil, nil, err
	}
	s, err := c.bind(ctx, resp, leaf)
	if err != nil {
		return nil, nil, err
	}
	return resp, s, nil
}

// List lists attestations in the order of the log, page after page. An error is
// yielded once, last. The list is what the index says; [Client.Get] proves.
func (c *Client) List(ctx context.Context, req *sekishov1.ListAttestationsRequest) iter.Seq2[*sekishov1.Attestation, error] {
	return pages(proto.CloneOf(req), c.attests.ListAttestations, ctx, func(r *sekishov1.ListAttestationsRequest, token string) { r.PageToken = token },
		(*sekishov1.ListAttestationsResponse).GetAttestations)
}

// Components lists what the newest SBOM of an artifact says is in it.
func (c *Client) Components(ctx context.Context, artifact string) iter.Seq2[*sekishov1.Component, error] {
	return pages(&sekishov1.ListComponentsRequest{Artifact: artifact, PageSize: 10000}, c.sboms.ListComponents, ctx, func(r *sekishov1.ListComponentsRequest, token string) { r.PageToken = token },
		(*sekishov1.ListComponentsResponse).GetComponents)
}

// Dependents lists the artifacts whose SBOM contains a component. Without a version
// in the package URL every version matches.
func (c *Client) Dependents(ctx context.Context, purl string) iter.Seq2[*sekishov1.Dependent, error] {
	return pages(&sekishov1.ListDependentsRequest{Purl: purl}, c.sboms.ListDependents, ctx, func(r *sekishov1.ListDependentsRequest, token string) { r.PageToken = token },
		(*sekishov1.ListDependentsResponse).GetDependents)
}

// equalDigests reports whether two digest sets are the same.
func equalDigests(a, b map[string]string) bool {
	if len(a) != len(b) {
		return false
	}
	for alg, h := range a {
		if b[alg] != h {
			return false
		}
	}
	return true
}

// short is a digest as it stands in a sentence.
func short(digest map[string]string) string {
	var parts []string
	for _, d := range attest.DigestSet(digest).Acceptable() {
		parts = append(parts, string(d))
	}
	return strings.Join(parts, ", ")
}
