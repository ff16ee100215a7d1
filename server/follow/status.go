package follow

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sekisho-dev/sekisho/tlog"
)

// Progress is what following has come to. It is replaced, never changed.
type Progress struct {
	Size    uint64    // entries indexed
	Fresh   time.Time // when the index last equalled the newest checkpoint; zero if never
	Failure error     // what stopped the last attempt; nil when it succeeded

	superseded chan struct{} // closed when there is a newer Progress
}

// Progress returns the newest progress. It never waits for a step under way.
func (f *Follower) Progress() *Progress { return f.progress.Load() }

// publish replaces the progress and wakes everybody who waits for it.
func (f *Follower) publish(p *Progress) {
	p.superseded = make(chan struct{})
	if old := f.progress.Swap(p); old != nil {
		close(old.superseded)
	}
}

// Ready reports whether an answer may be given from the index now: nothing is
// damaged, it holds at least size entries, and it was current not long ago.
// The error wraps [ErrDamaged], [ErrRollback] or [ErrStale]. It does no I/O.
func (f *Follower) Ready(size uint64) error {
	return f.ready(f.Progress(), size)
}

func (f *Follower) ready(p *Progress, size uint64) error {
	switch {
	case errors.Is(p.Failure, ErrDamaged), errors.Is(p.Failure, ErrRollback), tlog.Damaged(p.Failure): // waiting mends none of it
		return p.Failure
	case p.Size < size:
		return p.stale("it holds %d entries, and %d are asked for", p.Size, size)
	case p.Fresh.IsZero():
		return p.stale("it has not caught up since the start")
	case f.c.Now().Sub(p.Fresh) > f.c.MaxStaleness:
		return p.stale("last known to be current at %s, more than %s ago", p.Fresh.UTC().Format(time.RFC3339), f.c.MaxStaleness)
	}
	return nil
}

// stale is an ErrStale that says what holds the index up, if anything does.
func (p *Progress) stale(format string, args ...any) error {
	err := fmt.Errorf("%w: %s", ErrStale, fmt.Sprintf(format, args...))
	if p.Failure != nil {
		err = fmt.Errorf("%w; the last attempt to follow failed: %w", err, p.Failure)
	}
	return err
}

// Wait waits until Ready(size) or until the context is done, and returns what
// Ready last said.
func (f *Follower) Wait(ctx context.Context, size uint64) error {
	// Once is enough: the step that it asks for reaches the newest checkpoint, and
	// what is not published then is found when it is.
	nudge := f.Nudge
	for {
		p := f.Progress()
		err := f.ready(p, size)
		if err == nil {
			return nil
		}
		nudge()
		nudge = func() {}
		select {
		case <-ctx.Done():
			return err
		case <-p.superseded:
		}
	}
}

// Nudge asks Run to look at the log at once.
func (f *Follower) Nudge() {
	select {
	case f.nudge <- struct{}{}:
	default:
	}
}
