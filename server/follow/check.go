package follow

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/sekisho-dev/sekisho/attest"
	"github.com/sekisho-dev/sekisho/store"
)

// A Problem is one entry at which log, blobs and index do not agree.
type Problem struct {
	Entry uint64
	Err   error
}

// Check checks everything against everything: each entry of the log is
// authenticated, rebuilt from its record and payload, verified, and what it
// says is compared with its row in the index. It changes nothing, and yields
// every problem; an error ends it. Nothing may be following meanwhile.
func (f *Follower) Check(ctx context.Context) iter.Seq2[Problem, error] {
	return func(yield func(Problem, error) bool) {
		f.mu.Lock()
		defer f.mu.Unlock()
		newest, err := f.c.Log.Checkpoint(ctx)
		if err == nil {
			err = f.consistent(ctx, f.position(), newest)
		}
		if err != nil {
			yield(Problem{}, err)
			return
		}
		idx, seen := *f.index.Load(), map[attest.Hash]bool{}
		indexed := f.position().Size
		for e, err := range f.c.Log.Entries(ctx, newest, 0) {
			if err != nil {
				yield(Problem{}, err)
				return
			}
			d, err := f.derive(ctx, e, f.material)
			leaf := attest.LeafHash(e.Data)
			again := seen[leaf]
			seen[leaf] = true
			if err == nil && e.Index < indexed && !again {
				err = compare(ctx, idx, d.record)
			}
			if ctx.Err() != nil {
				yield(Problem{}, ctx.Err())
				return
			}
			if err != nil && !yield(Problem{e.Index, err}, nil) {
				return
			}
		}
	}
}

// compare compares what an entry says with its row in the index.
func compare(ctx context.Context, idx store.Index, want store.Record) error {
	return idx.View(ctx, func(s store.Snapshot) error {
		have, err := s.Record(want.Index)
		switch {
		case errors.Is(err, store.ErrNotFound):
			return errors.New("not in the index: run sekishod reindex")
		case err != nil:
			return fmt.Errorf("reading the index: %w", err)
		case !bytes.Equal(have.Value, want.Value) || !slices.Equal(sorted(have.Keys), sorted(want.Keys)):
			return errors.New("the index says something else than the log: run sekishod reindex")
		}
		return nil
	})
}

// sorted orders keys, which are a set.
func sorted(keys []store.Key) []store.Key {
	keys = slices.Clone(keys)
	slices.SortFunc(keys, func(a, b store.Key) int {
		if a.Kind != b.Kind {
			return int(a.Kind) - int(b.Kind)
		}
		return strings.Compare(a.Value, b.Value)
	})
	return slices.Compact(keys)
}
