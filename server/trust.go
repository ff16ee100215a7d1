package server

import (
	"context"
	"fmt"

	sekishov1 "github.com/sekisho-dev/sekisho/proto/sekisho/v1"
)

// trust is the TrustService.
type trust struct {
	sekishov1.UnimplementedTrustServiceServer
	Config
}

func (t *trust) GetTrustedRoot(context.Context, *sekishov1.GetTrustedRootRequest) (*sekishov1.GetTrustedRootResponse, error) {
	return &sekishov1.GetTrustedRootResponse{TrustedRoot: t.TrustedRoot}, nil
}

func (t *trust) ListKeys(context.Context, *sekishov1.ListKeysRequest) (*sekishov1.ListKeysResponse, error) {
	return &sekishov1.ListKeysResponse{Keys: t.Keys}, nil
}

func (t *trust) GetTrustRoot(context.Context, *sekishov1.GetTrustRootRequest) (*sekishov1.GetTrustRootResponse, error) {
	c := t.Follow.Control()
	return &sekishov1.GetTrustRootResponse{
		Document: c.Trust.Bytes(),
		Digest:   string(c.TrustRef.Digest),
		Version:  c.Trust.Version(),
		LogIndex: c.TrustRef.Index,
	}, nil
}

func (t *trust) GetPolicy(context.Context, *sekishov1.GetPolicyRequest) (*sekishov1.GetPolicyResponse, error) {
	c := t.Follow.Control()
	if c.Policy == nil {
		return nil, fmt.Errorf("policy: %w; until one is applied every answer is a refusal", errNotFound)
	}
	return &sekishov1.GetPolicyResponse{
		Document: c.Policy.Bytes(),
		Digest:   string(c.PolicyRef.Digest),
		Name:     c.Policy.Name,
		Version:  c.Policy.Version,
		LogIndex: c.PolicyRef.Index,
	}, nil
}
