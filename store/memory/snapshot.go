package memory

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
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
	return walk(s, k, from, func(r store.Record) store.Record {
		return store.Record{Index: r.Index, Value: slices.Clone(r.Value)}
	})
}

// Indexes implements [store.Snapshot].
func (s *snapshot) Indexes(k store.Key, from uint64) iter.Seq2[uint64, error] {
	return walk(s, k, from, func(r store.Record) uint64 { return r.Index })
}

// Count implements [store.Snapshot].
func (s *snapshot) Count(k store.Key) (uint64, error) {
	return uint64(len(s.state.find[k])), errors.Join(k.CheckFind(), s.usable())
}

// Values implements [store.Snapshot].
func (s *snapshot) Values(kind store.Kind, first string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		if err := errors.Join(store.Key{Kind: kind, Value: first}.CheckFind(), s.usable()); err != nil {
			yield("", err)
			return
		}
		var values []string
		for k := range s.state.find {
			if part, ok := k.First(); ok && k.Kind == kind && part == first {
				values = append(values, k.Value)
			}
		}
		slices.Sort(values)
		for _, v := range values {
			if err := s.usable(); err != nil {
				yield("", err)
				return
			}
			if !yield(v, nil) {
				return
			}
		}
	}
}

// walk gives of each record that has the key what of shows of it.
func walk[T any](s *snapshot, k store.Key, from uint64, of func(store.Record) T) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		if err := errors.Join(k.CheckFind(), s.usable()); err != nil {
			yield(none, err)
			return
		}
		for _, at := range s.state.since(k, from) {
			if err := s.usable(); err != nil {
				yield(none, err)
				return
			}
			if !yield(of(s.state.recs[at]), nil) {
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
