package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/sekisho-dev/sekisho/attest"
	sekishov1 "github.com/sekisho-dev/sekisho/proto/sekisho/v1"
)

// Register hands in one document: a statement to be signed, an envelope, or a
// bundle. What comes back has been checked: the receipts, that each leaf in the
// log is that of the envelope which is served for it, and that it carries the
// statement that was handed in. With ValidateOnly nothing was registered and there
// is nothing to check.
//
// A registration is not retried: where the error does not say what became of it,
// register again, for the same statement by the same signer is registered once.
func (c *Client) Register(ctx context.Context, req *sekishov1.CreateAttestationRequest) (*sekishov1.CreateAttestationResponse, error) {
	payload, err := handedIn(req)
	if err != nil {
		return nil, err
	}
	floor, err := c.meet(ctx)
	if err != nil {
		return nil, err
	}
	resp, err := c.attests.CreateAttestation(ctx, req)
	if err != nil || req.GetValidateOnly() {
		return resp, err
	}
	// The answer holds the first of the registrations beside the others.
	regs := append([]*sekishov1.Registration{{
		Attestation: resp.GetAttestation(), Receipt: resp.GetReceipt(), AlreadyRegistered: resp.GetAlreadyRegistered(),
	}}, resp.GetOthers()...)
	for _, reg := range regs {
		if err := c.registered(ctx, floor, reg, payload); err != nil {
			return nil, err
		}
		if req.GetStatement() != nil && !reg.GetAlreadyRegistered() {
			if err := c.ours(ctx, reg.GetAttestation().GetKeyId()); err != nil {
				return nil, err
			}
		}
	}
	return resp, nil
}

// registered checks one registration: its receipt, and that the log's leaf carries
// the payload that was handed in.
func (c *Client) registered(ctx context.Context, floor attest.Checkpoint, reg *sekishov1.Registration, payload []byte) error {
	a := reg.GetAttestation()
	leaf, err := c.receipt(ctx, floor, reg.GetReceipt(), a.GetLogIndex())
	if err != nil {
		return err
	}
	served, err := c.await(ctx, a.GetLogIndex())
	if err != nil {
		return fmt.Errorf("registered at index %d, but what is there could not be checked yet (sekisho get %d): %w", a.GetLogIndex(), a.GetLogIndex(), err)
	}
	got := served.GetAttestation()
	if _, err := c.bind(ctx, served, leaf); err != nil {
		return err
	}
	if got.GetDigest() != a.GetDigest() || got.GetLogIndex() != a.GetLogIndex() {
		return refuse(ErrWrongAttestation, nil, "registered as %s at index %d; at that index is %s", a.GetDigest(), a.GetLogIndex(), got.GetDigest())
	}
	if e, err := attest.ParseEnvelope(served.GetEnvelope()); err != nil || !bytes.Equal(e.Payload, payload) {
		return refuse(ErrWrongAttestation, err, "the statement registered at index %d is not the one that was handed in", a.GetLogIndex())
	}
	return nil
}

// await fetches an attestation that the log has and the index may not have yet.
func (c *Client) await(ctx context.Context, index uint64) (*sekishov1.GetAttestationResponse, error) {
	const pause, tries = 100 * time.Millisecond, 50
	for i := 1; ; i++ {
		resp, err := c.attests.GetAttestation(ctx, &sekishov1.GetAttestationRequest{Attestation: fmt.Sprint(index)})
		if !errors.Is(err, ErrNotFound) || i == tries {
			return resp, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(pause):
		}
	}
}

// ours checks that a statement was signed with a key that the service publishes for
// statements: its other keys never sign what a caller hands in.
func (c *Client) ours(ctx context.Context, keyID string) error {
	keys, err := c.trust.ListKeys(ctx, &sekishov1.ListKeysRequest{})
	if err != nil {
		return err
	}
	for _, k := range keys.GetKeys() {
		if k.GetKeyId() == keyID && k.GetPurpose() == sekishov1.KeyPurpose_KEY_PURPOSE_STATEMENTS {
			return nil
		}
	}
	return refuse(ErrWrongAttestation, nil, "the statement was signed with the key %s, which the service does not publish as a statements key", keyID)
}

// handedIn returns the statement bytes of a request's document.
func handedIn(req *sekishov1.CreateAttestationRequest) ([]byte, error) {
	envelope := req.GetEnvelope()
	switch {
	case req.GetStatement() != nil:
		return req.GetStatement(), nil
	case req.GetBundle() != nil:
		var b struct {
			Camel json.RawMessage `json:"dsseEnvelope"`
			Snake json.RawMessage `json:"dsse_envelope"`
		}
		if err := json.Unmarshal(req.GetBundle(), &b); err != nil {
			return nil, fmt.Errorf("%w: reading bundle: %w", ErrMalformed, err)
		}
		if envelope = b.Camel; envelope == nil {
			envelope = b.Snake
		}
		if envelope == nil {
			return nil, fmt.Errorf("%w: the bundle holds no dsseEnvelope: it signs a file, if anything, and not a statement about one; only attestations can be registered", ErrNotAnAttestation)
		}
	case envelope == nil:
		return nil, fmt.Errorf("%w: a statement, an envelope or a bundle", ErrBadRequest)
	}
	e, err := attest.ParseEnvelope(envelope)
	switch {
	case errors.Is(err, attest.ErrTooLarge):
		return nil, fmt.Errorf("%w: %w", ErrOverLimit, err)
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return e.Payload, nil
}
