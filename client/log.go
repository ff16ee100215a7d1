package client

import (
	"context"
	"fmt"

	"github.com/sekisho-dev/sekisho/attest"
	sekishov1 "github.com/sekisho-dev/sekisho/proto/sekisho/v1"
	"github.com/sekisho-dev/sekisho/tlog"
)

// Checkpoint returns the log's newest checkpoint: signed by the key that is known
// here, and consistent with the largest one that was seen.
func (c *Client) Checkpoint(ctx context.Context) (*sekishov1.GetCheckpointResponse, error) {
	floor, err := c.meet(ctx)
	if err != nil {
		return nil, err
	}
	resp, err := c.logs.GetCheckpoint(ctx, &sekishov1.GetCheckpointRequest{})
	if err != nil {
		return nil, err
	}
	cp, err := c.opened(floor, resp.GetCheckpoint())
	if err != nil {
		return nil, err
	}
	v, _, _ := c.known()
	if resp.GetVerifierKey() != v.String() || resp.GetTreeSize() != cp.Size || resp.GetOrigin() != cp.Origin {
		return nil, refuse(ErrBadProof, nil, "the server describes the log as %.200q with %d entries and key %.200q; the signed checkpoint says otherwise", resp.GetOrigin(), resp.GetTreeSize(), resp.GetVerifierKey())
	}
	return resp, c.adopt(ctx, cp)
}

// Prove returns the proof that the entry at an index is in the newest tree.
func (c *Client) Prove(ctx context.Context, index uint64) (*sekishov1.GetInclusionProofResponse, error) {
	floor, err := c.meet(ctx)
	if err != nil {
		return nil, err
	}
	resp, err := c.logs.GetInclusionProof(ctx, &sekishov1.GetInclusionProofRequest{LogIndex: index})
	if err != nil {
		return nil, err
	}
	if _, err := c.included(ctx, floor, resp.GetCheckpoint(), resp.GetInclusionProof(), resp.GetLeafHash(), index); err != nil {
		return nil, err
	}
	return resp, nil
}

// Log returns the verifier of the log's checkpoints and the largest checkpoint that
// is known, for whoever reads the log's tiles himself. The largest has size 0 while
// the log is empty.
func (c *Client) Log(ctx context.Context) (*tlog.Verifier, attest.Checkpoint, error) {
	if _, err := c.meet(ctx); err != nil {
		return nil, attest.Checkpoint{}, err
	}
	v, largest, _ := c.known()
	return v, largest, nil
}

// Witness holds a checkpoint that was fetched elsewhere, and verified, against what
// is known of the log, and remembers it. A smaller one than the largest is no
// rollback here, since nobody knows when it was fetched, but must be consistent.
func (c *Client) Witness(ctx context.Context, cp attest.Checkpoint) error {
	if _, err := c.meet(ctx); err != nil {
		return err
	}
	opened, err := c.opened(attest.Checkpoint{}, string(cp.Note))
	if err == nil {
		err = c.adopt(ctx, opened)
	}
	if err != nil {
		return fmt.Errorf("checkpoint of %d entries: %w", cp.Size, err)
	}
	return nil
}
