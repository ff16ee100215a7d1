package follow

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"

	"github.com/sekisho-dev/sekisho/attest"
	"github.com/sekisho-dev/sekisho/store"
	"github.com/sekisho-dev/sekisho/tlog"
	"golang.org/x/sync/errgroup"
)

// step applies the next entries, up to batchSize or batchBytes, in one transaction,
// and returns the position reached. A step ends at the newest checkpoint, at a full
// batch, or where a control document takes effect: what comes after is derived
// under the authorities that it names.
func (f *Follower) step(ctx context.Context, at, newest attest.Checkpoint) (attest.Checkpoint, error) {
	entries, err := f.read(ctx, newest, at.Size)
	if err != nil {
		return at, err
	}
	b := batch{control: f.Control(), seen: map[attest.Hash]bool{}}
	var failure error
	for n := 0; n < len(entries) && failure == nil && !b.full(); n = b.entries {
		var rows []Row
		rows, failure = f.deriveAll(ctx, entries[n:min(n+atOnce, len(entries))])
		for i := 0; i < len(rows) && !b.full(); i++ {
			counted, err := f.counted(ctx, rows[i].leaf)
			if err != nil {
				return at, err
			}
			b.add(rows[i], counted)
		}
	}
	if b.entries == 0 {
		return at, failure
	}
	to := newest
	if size := at.Size + uint64(b.entries); size < newest.Size {
		to = attest.Checkpoint{Origin: newest.Origin, Size: size}
	}
	at, err = f.apply(ctx, at.Size, to, b.recs, b.control)
	if err != nil {
		return at, err
	}
	if b.changed && b.control.Trust.Version() > f.material.Version() {
		stale := b.control.Trust.Authorities() != f.material.Authorities()
		f.material = b.control.Trust
		if stale && at.Size > 1 {
			return at, errAuthorities
		}
	}
	if b.full() {
		return at, nil // what failed comes after it, and is met again
	}
	return at, failure
}

// A batch is what one transaction will write.
type batch struct {
	entries int
	size    int // in bytes, about
	recs    []store.Record
	seen    map[attest.Hash]bool
	control *Control // the state after it
	changed bool     // a document took effect: it is the last entry
}

// full reports whether no more may be added.
func (b *batch) full() bool {
	return b.changed || b.entries == batchSize || b.size > batchBytes
}

// add adds the row of the next entry. A leaf counts once, at its lowest index;
// counted says that the index has it already.
func (b *batch) add(r Row, counted bool) {
	b.entries++
	if counted || b.seen[r.leaf] {
		return
	}
	b.seen[r.leaf] = true
	b.recs, b.size = append(b.recs, r.record), b.size+r.size()
	if r.control != nil {
		b.control, b.changed = b.control.next(r.record.Index, r.facts, r.control)
	}
}

// apply writes one transaction, with the states of both its ends published first.
func (f *Follower) apply(ctx context.Context, from uint64, to attest.Checkpoint, recs []store.Record, control *Control) (attest.Checkpoint, error) {
	next := *control
	next.Size = to.Size
	f.state.Store(&states{f.Control(), &next})
	idx := *f.index.Load()
	if err := idx.Apply(ctx, from, to, recs); err != nil {
		at := f.position()
		if at.Size != to.Size { // it was not done after all
			f.state.Store(&states{f.state.Load()[0], f.state.Load()[0]})
			return at, fmt.Errorf("writing entries %d to %d to the index: %w", from, to.Size, err)
		}
	}
	return to, nil
}

// read reads at most batchSize entries from a position.
func (f *Follower) read(ctx context.Context, newest attest.Checkpoint, from uint64) ([]tlog.Entry, error) {
	var entries []tlog.Entry
	for e, err := range f.c.Log.Entries(ctx, newest, from) {
		if err != nil {
			return nil, fmt.Errorf("reading the log from entry %d: %w", from, err)
		}
		e.Data = bytes.Clone(e.Data) // the log keeps its buffer
		if entries = append(entries, e); len(entries) == batchSize {
			break
		}
	}
	return entries, nil
}

// deriveAll derives entries side by side, until their rows are enough for a
// transaction. It returns the rows of those before the first that failed, with its
// failure, and at least one if none did.
func (f *Follower) deriveAll(ctx context.Context, entries []tlog.Entry) ([]Row, error) {
	rows, errs := make([]Row, len(entries)), make([]error, len(entries))
	var size atomic.Int64
	var g errgroup.Group
	g.SetLimit(runtime.GOMAXPROCS(0))
	for i, e := range entries {
		if size.Load() > batchBytes {
			rows, errs = rows[:i], errs[:i]
			break
		}
		if r, ok := f.expected.take(e, f.material.Authorities()); ok {
			rows[i] = r
			size.Add(int64(r.size()))
			continue
		}
		g.Go(func() error {
			rows[i], errs[i] = f.derive(ctx, e, f.material)
			size.Add(int64(rows[i].size()))
			return nil
		})
	}
	g.Wait() //nolint:errcheck // each entry keeps its own
	for i, err := range errs {
		if err != nil {
			return rows[:i], err
		}
	}
	return rows, nil
}

// counted reports whether the index has a leaf already.
func (f *Follower) counted(ctx context.Context, leaf attest.Hash) (yes bool, err error) {
	idx := *f.index.Load()
	err = idx.View(ctx, func(s store.Snapshot) error {
		for _, err := range s.Find(store.Key{Kind: store.Leaf, Value: string(leaf[:])}, 0) {
			yes = err == nil
			return err
		}
		return nil
	})
	return yes, err
}

// errAuthorities: the trust root now names other authorities than those under
// which facts were derived so far, so that they have to be derived again.
var errAuthorities = errors.New("other authorities")

// again derives everything again on a fresh index, under the newest authorities,
// and puts it in place of the current index once it has come as far. Until then
// the current one answers, and facts verified under authorities that are no
// longer named count for nothing.
func (f *Follower) again(ctx context.Context) error {
	for {
		fresh, replace, err := f.c.Fresh()
		if err != nil {
			return fmt.Errorf("opening a fresh index: %w", err)
		}
		c := f.c
		c.Index = fresh
		g, err := New(ctx, c)
		if err != nil {
			return errors.Join(err, fresh.Close())
		}
		g.material = f.material
		err = g.toNewest(ctx)
		f.material = g.material
		if errors.Is(err, errAuthorities) {
			// A later trust root named others again. What was derived so far is
			// thrown away; versions only grow, so this ends.
			if err := fresh.Close(); err != nil {
				return err
			}
			continue
		}
		if err != nil {
			return errors.Join(err, fresh.Close())
		}
		if err := replace(); err != nil {
			return fmt.Errorf("replacing the index: %w", err)
		}
		f.state.Store(&states{f.Control(), g.Control()})
		old := f.index.Swap(g.index.Load())
		return (*old).Close()
	}
}
