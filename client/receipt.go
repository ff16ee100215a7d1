package client

import (
	"context"

	"github.com/sekisho-dev/sekisho/attest"
	sekishov1 "github.com/sekisho-dev/sekisho/proto/sekisho/v1"
	"github.com/sekisho-dev/sekisho/tlog"
)

// receipt checks that a receipt proves the entry at an index to be in the log, and
// returns the hash of the leaf that is there. A receipt that is missing is one that
// does not verify.
func (c *Client) receipt(ctx context.Context, floor attest.Checkpoint, r *sekishov1.Receipt, index uint64) (attest.Hash, error) {
	if r == nil {
		return attest.Hash{}, refuse(ErrBadProof, nil, "the answer about entry %d has no receipt", index)
	}
	return c.included(ctx, floor, r.GetCheckpoint(), r.GetInclusionProof(), r.GetLeafHash(), index)
}

// included checks an inclusion proof under the checkpoint that came with it.
func (c *Client) included(ctx context.Context, floor attest.Checkpoint, note string, p *sekishov1.InclusionProof, leafHash []byte, index uint64) (attest.Hash, error) {
	cp, err := c.opened(floor, note)
	if err != nil {
		return attest.Hash{}, err
	}
	if p == nil || len(leafHash) != len(attest.Hash{}) {
		return attest.Hash{}, refuse(ErrBadProof, nil, "the proof of entry %d is incomplete", index)
	}
	if p.GetLogIndex() != index || p.GetTreeSize() != cp.Size {
		return attest.Hash{}, refuse(ErrBadProof, nil, "the proof is for entry %d in a tree of %d; want entry %d in the checkpoint's tree of %d", p.GetLogIndex(), p.GetTreeSize(), index, cp.Size)
	}
	path, err := hashes(p.GetHashes())
	if err != nil {
		return attest.Hash{}, err
	}
	leaf := attest.Hash(leafHash)
	if err := tlog.VerifyInclusion(cp, index, leaf, path); err != nil {
		return attest.Hash{}, refuse(ErrBadProof, err, "the log does not hold what the server says it holds")
	}
	return leaf, c.adopt(ctx, cp)
}
