// Package memory keeps an index or blobs in memory, for tests and for trying
// things out. It is a real implementation and the strictest one: what the
// contract allows a driver to do, it does. It shares no memory with its callers in either
// direction, gives keys in another order than it got them, reads and returns
// blobs in odd pieces, and refuses a snapshot once its View has returned. Code that
// works on it does not rely on the kindness of a driver.
package memory

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"sort"
	"sync"

	"github.com/sekisho-dev/sekisho/attest"
	"github.com/sekisho-dev/sekisho/store"
)

// Index is a [store.Index] in memory. The zero value is not usable.
type Index struct {
	apply sync.Mutex // held by an Apply from the comparison to the write
	mu    sync.RWMutex
	now   *state // nil once closed
	views sync.WaitGroup
}

var _ store.Index = (*Index)(nil)

// state is the index at one checkpoint. It is never changed: an Apply makes
// another, which may share the backing arrays beyond the lengths seen here.
type state struct {
	at   attest.Checkpoint
	recs []store.Record           // ascending
	find map[store.Key][]position // ascending
}

// position is an index into state.recs.
type position int

// NewIndex returns an empty index.
func NewIndex() *Index {
	return &Index{now: &state{find: map[store.Key][]position{}}}
}

// Apply implements [store.Index].
func (x *Index) Apply(ctx context.Context, from uint64, to attest.Checkpoint, recs []store.Record) error {
	x.apply.Lock()
	defer x.apply.Unlock()
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("applying to index: %w", err)
	}
	x.mu.RLock()
	have := x.now
	x.mu.RUnlock()
	if have == nil {
		return fmt.Errorf("applying to index: %w", store.ErrClosed)
	}
	if err := store.CheckApply(have.at, from, to, recs); err != nil {
		return fmt.Errorf("applying log entries [%d, %d) to index: %w", from, to.Size, err)
	}
	next := have.with(to, recs)
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.now == nil {
		return fmt.Errorf("applying to index: %w", store.ErrClosed)
	}
	x.now = next
	return nil
}

// with returns the state after an Apply, and leaves s as it is.
func (s *state) with(to attest.Checkpoint, recs []store.Record) *state {
	n := &state{at: copyCheckpoint(to), recs: s.recs, find: make(map[store.Key][]position, len(s.find))}
	for k, at := range s.find {
		n.find[k] = at
	}
	for _, r := range recs {
		r = copyRecord(r)
		for _, k := range append(r.Keys, store.Key{Kind: store.All}) {
			n.find[k] = append(n.find[k], position(len(n.recs)))
		}
		n.recs = append(n.recs, r)
	}
	return n
}

// since returns the records with the key from a log index on.
func (s *state) since(k store.Key, from uint64) []position {
	all := s.find[k]
	first := sort.Search(len(all), func(i int) bool { return s.recs[all[i]].Index >= from })
	return all[first:]
}

// View implements [store.Index].
func (x *Index) View(ctx context.Context, f func(store.Snapshot) error) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("reading index: %w", err)
	}
	x.mu.RLock()
	now := x.now
	if now != nil {
		x.views.Add(1)
	}
	x.mu.RUnlock()
	if now == nil {
		return fmt.Errorf("reading index: %w", store.ErrClosed)
	}
	defer x.views.Done()
	s := &snapshot{ctx: ctx, state: now}
	defer s.ended.Store(true)
	return f(s)
}

// Close implements [store.Index]. What the index held is gone.
func (x *Index) Close() error {
	x.mu.Lock()
	x.now = nil
	x.mu.Unlock()
	x.views.Wait()
	return nil
}

// copyRecord returns a copy that shares nothing, its keys once each and in
// descending order, which is nobody's natural one.
func copyRecord(r store.Record) store.Record {
	keys := slices.Clone(r.Keys)
	slices.SortFunc(keys, func(a, b store.Key) int {
		return bytes.Compare(b.AppendTo(nil), a.AppendTo(nil))
	})
	return store.Record{Index: r.Index, Keys: slices.Compact(keys), Value: slices.Clone(r.Value)}
}

func copyCheckpoint(c attest.Checkpoint) attest.Checkpoint {
	c.Note = slices.Clone(c.Note)
	return c
}
