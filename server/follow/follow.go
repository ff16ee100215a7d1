// Package follow turns the log into an index, and into the control state (the
// trust root and the policy in force) that belongs to each position of the log.
//
// It is the only writer of the index. For every entry of the log, in order, it
// rebuilds the leaf from the stored record and payload, requires it to be the
// entry byte for byte, verifies the signature again, and derives the index
// record; a record is never believed for anything that the leaf does not commit
// to. Deriving is a pure function of log and blobs, so that an index that is
// lost, old or suspect is simply made again, and replay from zero equals live.
//
// Where a record or payload is missing or does not rebuild its leaf, following
// stops: the index is damaged from there on, and every evaluation is an error
// until it is restored. Passing over the entry would let a deleted revocation
// look like one that was never made.
package follow

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sekisho-dev/sekisho/attest"
	"github.com/sekisho-dev/sekisho/store"
	"github.com/sekisho-dev/sekisho/tlog"
	"github.com/sekisho-dev/sekisho/verifier"
)

var (
	// ErrDamaged: a leaf's record or payload is missing or does not rebuild it.
	ErrDamaged = errors.New("the log's records are damaged")
	// ErrStale: the index is behind what the caller has seen, or behind the log
	// for longer than is allowed.
	ErrStale = errors.New("the index is behind the log")
	// ErrRollback: the log is smaller than, or inconsistent with, what was
	// followed before.
	ErrRollback = errors.New("the log went back on what it showed before")
)

// Bounds of one transaction of the index. A published checkpoint usually covers less;
// only a replay has more.
const (
	batchSize  = 4096    // entries
	batchBytes = 8 << 20 // of rows, about: what the largest row has comes on top
	atOnce     = 64      // entries that are derived before their rows are counted
)

// Config says what a Follower follows.
type Config struct {
	Log   tlog.Reader
	Blobs store.Blobs
	// Index is where it left off.
	Index store.Index
	// Fresh opens an empty index beside the current one; the returned function
	// puts it in the current one's place. It is used when facts have to be
	// derived anew because the trust root's authorities changed.
	Fresh func() (idx store.Index, replace func() error, err error)
	// Initial is the pinned first trust root.
	Initial *verifier.TrustRoot
	// Poll is how often the log is asked for a new checkpoint; 50 ms if zero.
	Poll time.Duration
	// MaxStaleness is how long the index may be behind the log and still
	// answer; 5 s if zero.
	MaxStaleness time.Duration
	Now          func() time.Time
	// Failed is told when following begins to fail, and why; may be nil.
	Failed func(error)
	// Inspect opens what is damaged too, control records even: for Check, which
	// names all that is, and for nothing else.
	Inspect bool
}

// A Follower follows one log. Its methods may be used concurrently.
type Follower struct {
	c        Config
	index    atomic.Pointer[store.Index]
	state    atomic.Pointer[states]
	progress atomic.Pointer[Progress]
	nudge    chan struct{}
	expected expected
	heavy    sync.Mutex // held while what a large payload says is derived
	mu       sync.Mutex // held while following; guards material
	// material is the trust root whose authorities facts are derived under: the
	// newest that is known, also while older positions are replayed.
	material *verifier.TrustRoot
	// covering is the checkpoint under which the last entries were read. Where
	// following stopped between two checkpoints, the next one must extend it.
	covering attest.Checkpoint
}

// states are the control states of the position before and after the
// transaction in progress. Both are published before the transaction, so that a
// snapshot always finds the state of exactly its own position.
type states [2]*Control

// New returns a follower standing where the index stands. It reads the control
// statements up to there again from the blobs, and verifies them again.
func New(ctx context.Context, c Config) (*Follower, error) {
	if c.Poll == 0 {
		c.Poll = 50 * time.Millisecond
	}
	if c.MaxStaleness == 0 {
		c.MaxStaleness = 5 * time.Second
	}
	if err := startOver(ctx, &c); err != nil {
		return nil, err
	}
	f := &Follower{c: c, nudge: make(chan struct{}, 1)}
	f.index.Store(&c.Index)
	if err := f.notShorter(ctx); err != nil {
		return nil, err
	}
	control, err := f.restore(ctx, c.Index)
	if err != nil {
		return nil, fmt.Errorf("restoring trust root and policy: %w", err)
	}
	f.state.Store(&states{control, control})
	f.material = control.Trust
	f.publish(&Progress{Size: control.Size})
	return f, nil
}

// startOver takes a fresh index where a replay was cut short: its position is no
// checkpoint, and nothing could be proven consistent with it.
func startOver(ctx context.Context, c *Config) error {
	var at attest.Checkpoint
	if err := c.Index.View(ctx, func(s store.Snapshot) error { at = s.Checkpoint(); return nil }); err != nil {
		return fmt.Errorf("reading the index's position: %w", err)
	}
	if at.Size == 0 || len(at.Note) > 0 {
		return nil
	}
	fresh, replace, err := c.Fresh()
	if err == nil {
		err = errors.Join(replace(), c.Index.Close())
	}
	c.Index = fresh
	if err != nil {
		return fmt.Errorf("starting the index over: %w", err)
	}
	return nil
}

// notShorter refuses a log that is shorter than its index, before anything is read by
// the index's positions: it would look damaged, and it was rolled back.
func (f *Follower) notShorter(ctx context.Context) error {
	newest, err := f.c.Log.Checkpoint(ctx)
	if err != nil && !errors.Is(err, tlog.ErrNotFound) {
		return fmt.Errorf("reading the log's checkpoint: %w", err)
	}
	if at := f.position(); newest.Size < at.Size {
		return shorter(newest, at)
	}
	return nil
}

func shorter(newest, at attest.Checkpoint) error {
	return fmt.Errorf("%w: it has %d entries now and had %d; restore the newer log/, for an older one must never serve", ErrRollback, newest.Size, at.Size)
}

// Run follows until the context is done. A failed attempt is kept for Status
// and tried again: what is restored heals without a restart.
func (f *Follower) Run(ctx context.Context) error {
	tick := time.NewTicker(f.c.Poll)
	defer tick.Stop()
	for {
		if err := f.CatchUp(ctx); ctx.Err() != nil {
			return nil
		} else if errors.Is(err, ErrRollback) {
			// Going on would mean believing one of two histories.
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case <-f.nudge:
		}
	}
}

// CatchUp brings the index to the newest published checkpoint.
func (f *Follower) CatchUp(ctx context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	err := f.catchUp(ctx)
	p := &Progress{Size: f.Control().Size, Fresh: f.Progress().Fresh, Failure: err}
	if err == nil {
		p.Fresh = f.c.Now()
	} else if before := f.Progress().Failure; f.c.Failed != nil && (before == nil || before.Error() != err.Error()) {
		f.c.Failed(err)
	}
	f.publish(p)
	return err
}

func (f *Follower) catchUp(ctx context.Context) error {
	err := f.toNewest(ctx)
	if errors.Is(err, errAuthorities) {
		err = f.again(ctx)
	}
	return err
}

// toNewest goes step by step to the newest published checkpoint.
func (f *Follower) toNewest(ctx context.Context) error {
	newest, err := f.c.Log.Checkpoint(ctx)
	if errors.Is(err, tlog.ErrNotFound) {
		err = nil // nothing was ever logged: the tree of no entries
	}
	if err != nil {
		return fmt.Errorf("reading the log's checkpoint: %w", err)
	}
	at := f.position()
	shown := at
	if len(at.Note) == 0 {
		shown = f.covering
	}
	if err := f.consistent(ctx, shown, newest); err != nil {
		return err
	}
	f.covering = newest
	for at.Size < newest.Size {
		at, err = f.step(ctx, at, newest)
		if err != nil {
			return err
		}
	}
	return nil
}

// consistent checks that the newest checkpoint extends what was followed.
func (f *Follower) consistent(ctx context.Context, at, newest attest.Checkpoint) error {
	switch {
	case newest.Size < at.Size:
		return shorter(newest, at)
	case at.Size == 0:
		return nil
	case newest.Size == at.Size:
		if newest.Root != at.Root {
			return fmt.Errorf("%w: two trees of %d entries", ErrRollback, at.Size)
		}
		return nil
	}
	proof, err := f.c.Log.Consistency(ctx, at.Size, newest.Size)
	if err != nil {
		return fmt.Errorf("proving consistency from %d to %d: %w", at.Size, newest.Size, err)
	}
	if err := tlog.VerifyConsistency(at, newest, proof); err != nil {
		return fmt.Errorf("%w: from %d to %d: %w", ErrRollback, at.Size, newest.Size, err)
	}
	return nil
}

// maxView is how long a snapshot may be read from. Nobody has to read for long:
// lists have pages. Whoever does would hold up what cannot go on beside a reader, such
// as an index that has to be mapped anew.
const maxView = 2 * time.Second

// View runs fn on one snapshot of the index together with the control state of
// the same position. The snapshot ends after maxView with
// [context.DeadlineExceeded].
func (f *Follower) View(ctx context.Context, fn func(store.Snapshot, *Control) error) error {
	ctx, cancel := context.WithTimeout(ctx, maxView)
	defer cancel()
	for {
		idx := *f.index.Load()
		var miss bool
		err := idx.View(ctx, func(s store.Snapshot) error {
			at := s.Checkpoint()
			for _, c := range f.state.Load() {
				if c.Size == at.Size {
					return fn(s, c)
				}
			}
			miss = true
			return nil
		})
		if errors.Is(err, store.ErrClosed) && idx != *f.index.Load() {
			continue // replaced under us; the successor answers
		}
		if !miss {
			return err
		}
		// The snapshot was taken before, and the states read after, two whole
		// transactions. Take it again.
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// Control returns the newest control state: what new registrations are checked
// against.
func (f *Follower) Control() *Control { return f.state.Load()[1] }

// position returns the checkpoint that the index stands at.
func (f *Follower) position() (at attest.Checkpoint) {
	idx := *f.index.Load()
	// Reading a position does no I/O that can be waited for, and the zero value
	// on an error makes the next Apply fail with ErrPosition.
	idx.View(context.Background(), func(s store.Snapshot) error { at = s.Checkpoint(); return nil }) //nolint:errcheck // see above
	return at
}

// Close closes the index. Call it when Run has returned.
func (f *Follower) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return (*f.index.Load()).Close()
}
