package follow

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"

	"github.com/sekisho-dev/sekisho/attest"
	"github.com/sekisho-dev/sekisho/store"
	"github.com/sekisho-dev/sekisho/tlog"
	"golang.org/x/sync/errgroup"
)

// step applies the next entries, up to batchSize, in one transaction, and
// returns the position reached. A step ends at the newest checkpoint, at a full
// batch, or where a control document takes effect: what comes after is derived
// under the authorities that it names.
func (f *Follower) step(ctx context.Context, at, newest attest.Checkpoint) (attest.Checkpoint, error) {
	entries, err := f.read(ctx, newest, at.Size)
	if err != nil {
		return at, err
	}
	found, failure := f.deriveAll(ctx, entries)
	control, n, changed := f.Control(), 0, false
	var recs []store.Record
	seen := map[attest.Hash]bool{}
	for _, d := range found {
		n++
		leaf := attest.LeafHash(entries[n-1].Data)
		if again, err := f.counted(ctx, leaf); err != nil {
			return at, err
		} else if again || seen[leaf] {
			continue // a leaf counts once, at its lowest index
		}
		seen[leaf] = true
		recs = append(recs, d.record)
		if attest.IsControl(d.statement.PredicateType) {
			if control, changed = control.next(d.record.Index, d.facts, d.statement); changed {
				break
			}
		}
	}
	if n == 0 {
		return at, failure
	}
	to := newest
	if size := at.Size + uint64(n); size < newest.Size {
		to = attest.Checkpoint{Origin: newest.Origin, Size: size}
	}
	at, err = f.apply(ctx, at.Size, to, recs, control)
	if err != nil {
		return at, err
	}
	if changed && control.Trust.Version() > f.material.Version() {
		stale := control.Trust.Authorities() != f.material.Authorities()
		f.material = control.Trust
		if stale && at.Size > 1 {
			return at, errAuthorities
		}
	}
	if n < len(found) {
		return at, nil // what follows the control document is derived anew
	}
	return at, failure
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

// deriveAll derives entries side by side, and returns those before the first
// that failed, with its failure.
func (f *Follower) deriveAll(ctx context.Context, entries []tlog.Entry) ([]derived, error) {
	found, errs := make([]derived, len(entries)), make([]error, len(entries))
	var g errgroup.Group
	g.SetLimit(runtime.GOMAXPROCS(0))
	for i, e := range entries {
		g.Go(func() error {
			if d, ok := f.expected.take(e, f.material.Authorities()); ok {
				found[i] = d
				return nil
			}
			found[i], errs[i] = f.derive(ctx, e, f.material)
			return nil
		})
	}
	g.Wait() //nolint:errcheck // each entry keeps its own
	for i, err := range errs {
		if err != nil {
			return found[:i], err
		}
	}
	return found, nil
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
