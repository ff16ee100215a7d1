package client

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/grpc/codes"

	"github.com/sekisho-dev/sekisho/attest"
	sekishov1 "github.com/sekisho-dev/sekisho/proto/sekisho/v1"
	"github.com/sekisho-dev/sekisho/tlog"
)

// open verifies a checkpoint and holds it against the floor.
func open(v *tlog.Verifier, floor attest.Checkpoint, note string) (attest.Checkpoint, error) {
	if note == "" {
		return attest.Checkpoint{}, refuse(ErrBadProof, nil, "the answer has no checkpoint")
	}
	cp, err := v.Open([]byte(note))
	if err != nil {
		return attest.Checkpoint{}, refuse(ErrBadProof, err, "the checkpoint is not signed by the log")
	}
	if cp.Size < floor.Size {
		return attest.Checkpoint{}, refuse(ErrRollback, nil, "the log %s shows %d entries, and has shown %d before: it was rolled back, or restored from an old copy", cp.Origin, cp.Size, floor.Size)
	}
	return cp, nil
}

// opened verifies a checkpoint that came with an answer. One that was verified
// before is not verified again: most answers come from a log that has not grown.
func (c *Client) opened(floor attest.Checkpoint, note string) (attest.Checkpoint, error) {
	v, largest, _ := c.known()
	if note != "" && note == string(largest.Note) {
		return largest, nil
	}
	return open(v, floor, note)
}

// adopt holds an opened checkpoint against the largest that is known, and, if it is
// larger, writes it down and makes it the largest: in this order, so that a fork
// that another process has seen is refused every time and not only the first.
func (c *Client) adopt(ctx context.Context, cp attest.Checkpoint) error {
	for {
		v, largest, _ := c.known()
		if err := c.consistent(ctx, largest, cp); err != nil {
			return err
		}
		if cp.Size > largest.Size {
			if err := c.keep(ctx, v, largest, cp); err != nil {
				return err
			}
		}
		if c.grow(largest, cp) {
			return nil
		}
	}
}

// grow replaces the largest checkpoint if it is still the one that cp was held
// against; otherwise somebody else was faster, and it must be held again.
func (c *Client) grow(was, cp attest.Checkpoint) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.largest.Size != was.Size {
		return false
	}
	if cp.Size > was.Size {
		c.largest = cp
	}
	return true
}

// keep writes down a checkpoint that was proven to be consistent with another. If
// neither is what is written there, because another process has seen more, it is
// held against that one too, and nothing is overwritten before. Of a service that
// nobody named nothing is written: it must not be the one that was met first when
// another is named there.
func (c *Client) keep(ctx context.Context, v *tlog.Verifier, proven, cp attest.Checkpoint) error {
	if c.c.Unnamed {
		return nil
	}
	for {
		there, done, err := c.memory.remember(v, c.c.Server, proven, cp)
		switch {
		case errors.Is(err, ErrState):
			return err
		case err != nil:
			c.forgetful(err)
			return nil
		case done:
			return nil
		}
		if err := c.consistent(ctx, there, cp); err != nil {
			return err
		}
		proven = there
	}
}

// consistent has the server prove that the larger of two trees extends the
// smaller. About an empty tree there is nothing to prove.
func (c *Client) consistent(ctx context.Context, a, b attest.Checkpoint) error {
	if a.Size > b.Size {
		a, b = b, a
	}
	if a.Size == 0 {
		return nil
	}
	var path []attest.Hash
	if a.Size < b.Size {
		resp, err := c.logs.GetConsistencyProof(ctx, &sekishov1.GetConsistencyProofRequest{FromSize: a.Size, ToSize: b.Size})
		if e := (*Error)(nil); errors.As(err, &e) && (e.Code == codes.InvalidArgument || e.Code == codes.NotFound) {
			return refuse(ErrInconsistent, err, "the log has signed trees of %d and %d entries, and does not prove that one extends the other", a.Size, b.Size)
		}
		if err != nil {
			return fmt.Errorf("asking for the proof that %d entries extend %d: %w", b.Size, a.Size, err)
		}
		if path, err = hashes(resp.GetHashes()); err != nil {
			return err
		}
	}
	if err := tlog.VerifyConsistency(a, b, path); err != nil {
		return refuse(ErrInconsistent, err, "the log %s shows two histories. Keep both checkpoints; they are proof", a.Origin)
	}
	return nil
}

// maxPath is the longest proof: a path to either side of a tree of 2^63 entries.
const maxPath = 2 * 64

// hashes reads the hashes of a proof.
func hashes(raw [][]byte) ([]attest.Hash, error) {
	if len(raw) > maxPath {
		return nil, refuse(ErrBadProof, nil, "a proof of %d hashes; none is longer than %d", len(raw), maxPath)
	}
	hs := make([]attest.Hash, len(raw))
	for i, h := range raw {
		if len(h) != len(hs[i]) {
			return nil, refuse(ErrBadProof, nil, "a hash of %d bytes in a proof, want %d", len(h), len(hs[i]))
		}
		hs[i] = attest.Hash(h)
	}
	return hs, nil
}
