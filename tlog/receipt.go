package tlog

import (
	"context"
	"fmt"

	"github.com/sekisho-dev/sekisho/attest"
)

// Receipt makes the receipt of an entry under the newest checkpoint, as Append
// gave it when the entry was new. [ErrNotFound] if the log does not reach so far.
func Receipt(ctx context.Context, log Reader, index uint64) (attest.Receipt, error) {
	cp, err := log.Checkpoint(ctx)
	if err != nil {
		return attest.Receipt{}, err
	}
	if index >= cp.Size {
		return attest.Receipt{}, fmt.Errorf("%w: entry %d of a log of %d entries", ErrNotFound, index, cp.Size)
	}
	r := attest.Receipt{Index: index, Checkpoint: cp}
	for e, err := range log.Entries(ctx, cp, index) {
		if err != nil {
			return attest.Receipt{}, err
		}
		r.LeafHash = attest.LeafHash(e.Data)
		break
	}
	if r.Proof, err = log.Inclusion(ctx, index, cp.Size); err != nil {
		return attest.Receipt{}, err
	}
	return r, VerifyInclusion(cp, index, r.LeafHash, r.Proof)
}
