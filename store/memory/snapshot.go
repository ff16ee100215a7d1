package memory

import (
	"context"
	"fmt"
	"iter"
	"sync/atomic"

	"github.com/sekisho-dev/sekisho/attest"
	"github.com/sekisho-dev/sekisho/store"
)

// snapshot is a [store.Snapshot] of one state, for as long as its View runs.
type snapshot struct {
	ctx   context.Context
	state *state
	ended atomic.Bool
}

// Checkpoint implements [store.Snapshot].
func (s *snapshot) Checkpoint() attest.Checkpoint { return copyCheckpoint(s.state.at) }

// Record implements [store.Snapshot].
func (s *snapshot) Record(index uint64) (store.Record, error) {
	if err := s.usable(); err != nil {
		return store.Record{}, err
	}
	found := s.state.since(store.Key{}, index)
	if len(found) == 0 || s.state.recs[found[0]].Index != index {
		return store.Record{}, fmt.Errorf("%w: the index has no record of log entry %d", store.ErrNotFound, index)
	}
	return copyRecord(s.state.recs[found[0]]), nil
}

// Find implements [store.Snapshot].
func (s *snapshot) Find(k store.Key, from uint64) iter.Seq2[store.Record, error] {
	return func(yield func(store.Record, error) bool) {
		if err := k.CheckFind(); err != nil {
			yield(store.Record{}, err)
			return
		}
		if err := s.usable(); err != nil {
			yield(store.Record{}, err)
			return
		}
		for _, at := range s.state.since(k, from) {
			if err := s.usable(); err != nil {
				yield(store.Record{}, err)
				return
			}
			if !yield(copyRecord(s.state.recs[at]), nil) {
				return
			}
		}
	}
}

// usable reports whether the View still runs and is still wanted.
func (s *snapshot) usable() error {
	if s.ended.Load() {
		return fmt.Errorf("%w: the snapshot's View has returned", store.ErrClosed)
	}
	return s.ctx.Err()
}
