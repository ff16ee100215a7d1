package server

import (
	"context"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"
)

const (
	// busyWait is how long a large message waits for room. Whoever waits longer has
	// better be told.
	busyWait = 5 * time.Second
	// middling is what a connection may bring before it counts as one that brings
	// something large.
	middling = 1 << 20
	// retryAfter is what who is refused is told to wait.
	retryAfter = 5 * time.Second
)

// A budget is what large messages may take of memory at once, in bytes. What is
// smaller than smallMessage never asks it, and neither do answers ask those pools from
// which documents are paid, so that documents cannot hold them up.
type budget struct {
	receiving *pool // requests that are not whole yet, of up to middling
	arriving  *pool // likewise, of any size: each has the most that it can become
	working   *pool // documents that are read, parsed and assembled
	unsent    *pool // answers that the other side has not taken yet
	answers   *pool // likewise, and large questions: of those who ask whether something may be deployed
	// pending is how many calls that are not whole there may be: one has some 12 KiB,
	// whatever it has brought.
	pending int64
}

// newBudget divides what memory there is. A sixteenth is left over for everything
// that is small.
func newBudget(memory int64, processors int) *budget {
	between := func(low, n, high int64) int64 { return max(low, min(n, high)) }
	// One document of the largest size, parsed, is 416 MiB; each takes a processor
	// from the answers while it is read.
	parallel := int64(max(processors/2, 1)) * (512 << 20)
	return &budget{
		pending:   between(4<<10, memory>>16, 64<<10),
		receiving: newPool(between(32<<20, memory/16, 1<<30), 4),
		arriving:  newPool(between(3*maxMessage, memory/8, 1<<30), 2),
		working:   newPool(between(128<<20, memory/2, parallel), 1),
		unsent:    newPool(between(64<<20, memory/8, 1<<30), 2),
		answers:   newPool(between(32<<20, memory/16, 1<<30), 2),
	}
}

// growing returns the pool from which a request is paid that has brought so many bytes
// and is not whole, and what it takes from there. Nobody knows how long it becomes. If
// all took only what they had brought so far, together they could take everything and
// none become whole; so that whoever goes on has a place up to the end.
func (b *budget) growing(due int64) (*pool, int64) {
	switch {
	case due <= smallMessage:
		return nil, 0
	case due <= middling:
		return b.receiving, middling
	}
	return b.arriving, (due + maxMessage - 1) / maxMessage * maxMessage
}

// A pool is so many bytes, of which one caller may have a part.
type pool struct {
	size, share int64
	all         *semaphore.Weighted

	mu      sync.Mutex
	callers map[string]*semaphore.Weighted // as many as there are tokens
}

// newPool returns a pool of which each caller may have the given part: with how long
// it is held in the hands of callers, one must not have all of it.
func newPool(size, parts int64) *pool {
	return &pool{size: size, share: size / parts, all: semaphore.NewWeighted(size), callers: map[string]*semaphore.Weighted{}}
}

// take takes so many bytes for a caller, and waits for them if it must, but not long.
// What is larger than there can be takes all that the caller may have. The error is
// errBusy, or that of the context.
func (p *pool) take(ctx context.Context, caller string, n int64) (*hold, error) {
	p.mu.Lock()
	own := p.callers[caller]
	if own == nil {
		own = semaphore.NewWeighted(p.share)
		p.callers[caller] = own
	}
	p.mu.Unlock()
	n = min(n, p.share)
	if own.TryAcquire(n) {
		if p.all.TryAcquire(n) {
			return &hold{pool: p, own: own, n: n}, nil
		}
		own.Release(n)
	}
	wait, cancel := context.WithTimeout(ctx, busyWait)
	defer cancel()
	if err := own.Acquire(wait, n); err != nil {
		return nil, busy(ctx, n)
	}
	if err := p.all.Acquire(wait, n); err != nil {
		own.Release(n)
		return nil, busy(ctx, n)
	}
	return &hold{pool: p, own: own, n: n}, nil
}

func busy(ctx context.Context, n int64) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return fmt.Errorf("%w: other large documents are under way, and there is no room for %d MiB more; send it again in %s", errBusy, max(n>>20, 1), retryAfter)
}

// A hold is a part of a pool that is taken. A nil hold is of nothing.
type hold struct {
	pool *pool
	own  *semaphore.Weighted

	mu sync.Mutex
	n  int64
}

// size is how many bytes are held.
func (h *hold) size() int64 {
	if h == nil {
		return 0
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.n
}

// of reports whether it is a hold on a pool; nil is on none.
func (h *hold) of(p *pool) bool { return h != nil && h.pool == p }

// release gives everything back. It may be called again.
func (h *hold) release() { h.shrink(0) }

// shrink gives back what is over n.
func (h *hold) shrink(n int64) {
	if h == nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if more := h.n - n; more > 0 {
		h.own.Release(more)
		h.pool.all.Release(more)
		h.n = n
	}
}

// join makes one of two holds of one caller. On another pool, the other takes its place.
func (h *hold) join(other *hold) *hold {
	if h == nil || other == nil || h.pool != other.pool {
		h.release()
		return other
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.n += other.size()
	return h
}
