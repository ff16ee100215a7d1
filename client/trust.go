package client

import (
	"bytes"
	"context"
	"strconv"

	"github.com/sekisho-dev/sekisho/attest"
	sekishov1 "github.com/sekisho-dev/sekisho/proto/sekisho/v1"
)

// TrustedRoot returns the Sigstore trusted_root.json with which stock clients
// verify what the service signs.
func (c *Client) TrustedRoot(ctx context.Context) ([]byte, error) {
	resp, err := c.trust.GetTrustedRoot(ctx, &sekishov1.GetTrustedRootRequest{})
	return resp.GetTrustedRoot(), err
}

// Keys lists the public keys of the service. Each key's id is its own.
func (c *Client) Keys(ctx context.Context) ([]*sekishov1.Key, error) {
	resp, err := c.trust.ListKeys(ctx, &sekishov1.ListKeysRequest{})
	if err != nil {
		return nil, err
	}
	for _, k := range resp.GetKeys() {
		ms := fromPEM([]byte(k.GetPem()))
		if len(ms) == 0 || attest.SHA256(ms[0].spki).Hex() != k.GetKeyId() {
			return nil, refuse(ErrBadProof, nil, "the key %.80q is not the one that its id names", k.GetKeyId())
		}
	}
	return resp.GetKeys(), nil
}

// TrustRoot returns the trust root in force, after checking that it is in the log.
// One that the service's configuration pins, and that was never registered, has no
// digest and cannot be checked.
func (c *Client) TrustRoot(ctx context.Context) (*sekishov1.GetTrustRootResponse, error) {
	resp, err := c.trust.GetTrustRoot(ctx, &sekishov1.GetTrustRootRequest{})
	if err != nil {
		return nil, err
	}
	if resp.GetDigest() == "" {
		c.c.Warn("this trust root is pinned in the service's configuration and not in the log: nothing here proves it")
		return resp, nil
	}
	if err := c.control(ctx, attest.TrustRootType, resp.GetLogIndex(), resp.GetDigest(), resp.GetDocument()); err != nil {
		return nil, err
	}
	return resp, nil
}

// Policy returns the policy in force, after checking that it is in the log.
func (c *Client) Policy(ctx context.Context) (*sekishov1.GetPolicyResponse, error) {
	resp, err := c.trust.GetPolicy(ctx, &sekishov1.GetPolicyRequest{})
	if err != nil {
		return nil, err
	}
	if err := c.control(ctx, attest.PolicyType, resp.GetLogIndex(), resp.GetDigest(), resp.GetDocument()); err != nil {
		return nil, err
	}
	return resp, nil
}

// control checks that a document is the one that a logged control statement carries.
func (c *Client) control(ctx context.Context, predicateType string, index uint64, digest string, document []byte) error {
	got, s, err := c.get(ctx, strconv.FormatUint(index, 10))
	if err != nil {
		return err
	}
	logged, err := s.Document()
	if err != nil || s.PredicateType != predicateType || got.GetAttestation().GetDigest() != digest || !bytes.Equal(logged, document) {
		return refuse(ErrWrongAttestation, err, "the document shown is not the one that is logged as %s at index %d", digest, index)
	}
	return nil
}
