package server

import (
	"context"
	"errors"
	"fmt"
)

// The account of a connection: how much it has brought of requests that are not whole
// yet. Nobody sees into what a connection brings; but all that it has brought since
// the oldest of those requests began is the most that it can be.

// count puts bytes that were read on the account. The error ends the connection.
func (c *conn) count(n int) error {
	c.mu.Lock()
	c.read += uint64(n)
	due := c.due()
	if c.known == "" {
		defer c.mu.Unlock()
		return c.countStranger(due)
	}
	from, want := c.listener.budget.growing(due)
	if c.receiving.of(from) {
		want -= c.receiving.size()
	}
	known := c.known
	c.mu.Unlock()
	if want <= 0 {
		return nil
	}
	// The reader waits, and with it the connection: what it brings next would have
	// no place. Others' calls are on other connections, and small ones pass.
	h, err := from.take(context.Background(), known, want)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		return c.shed(err)
	}
	c.receiving = c.receiving.join(h)
	c.settle()
	return nil
}

// shed ends the calls for whose requests there is no room. Where none of those may be
// large, whoever sends so much means no good, and the connection ends.
func (c *conn) shed(err error) error {
	found := false
	for _, s := range c.waiting[c.head:] {
		if s.full != nil && c.pending(s) {
			found = true
			s.state.Store(answered)
			close(s.full)
		}
	}
	c.settle()
	if !found {
		return fmt.Errorf("%w: %w", errOverdrawn, err)
	}
	return nil
}

// due is how many bytes of requests that are not whole the connection can have
// brought at most: all since the oldest of them began.
func (c *conn) due() int64 {
	for c.head < len(c.waiting) && !c.pending(c.waiting[c.head]) {
		c.waiting[c.head] = nil
		c.head++
		c.listener.pending.Add(-1)
	}
	if c.head == len(c.waiting) {
		c.waiting, c.head = c.waiting[:0], 0
		return 0
	}
	return int64(c.read - c.waiting[c.head].began)
}

// pending reports whether a call's request may still arrive.
func (c *conn) pending(s *call) bool {
	if s.state.Load() != arriving {
		return false
	}
	err := s.Err()
	if errors.Is(err, context.Canceled) && s.caller.Subject != "" { // a stranger's are counted when they end
		c.vain++
	}
	return err == nil
}

// countStranger keeps the account of who has shown no token.
func (c *conn) countStranger(due int64) error {
	if due > strangersBytes {
		return fmt.Errorf("%w: %d bytes without a token, at most %d", errOverdrawn, due, strangersBytes)
	}
	all := c.chargeStranger(due)
	if due > strangersUncounted && all > strangersBytesAll {
		return fmt.Errorf("%w: all connections without a token have %d bytes under way, at most %d", errOverdrawn, all, strangersBytesAll)
	}
	return nil
}

func (c *conn) chargeStranger(due int64) (all int64) {
	all = c.listener.strangers.Add(due - c.charged)
	c.charged = due
	return all
}

// settle gives back what is not due any more.
func (c *conn) settle() {
	due := c.due()
	if c.known == "" {
		c.chargeStranger(due)
		return
	}
	_, want := c.listener.budget.growing(due)
	if c.receiving.shrink(want); want == 0 {
		c.receiving = nil
	}
}

// enter puts a call among those whose requests are not whole.
func (c *conn) enter(s *call) {
	if c.closed {
		return
	}
	if len(c.waiting) == cap(c.waiting) { // forget those in between before it grows
		live := c.waiting[:0]
		for _, w := range c.waiting[c.head:] {
			if c.pending(w) {
				live = append(live, w)
			}
		}
		c.listener.pending.Add(int64(len(live) - (len(c.waiting) - c.head)))
		clear(c.waiting[len(live):])
		c.waiting, c.head = live, 0
	}
	s.began = c.read
	c.waiting = append(c.waiting, s)
	c.listener.pending.Add(1)
}

// await says that another request of a stream is waited for.
func (c *conn) await(s *call) {
	if c != nil && s.state.CompareAndSwap(arrived, arriving) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.enter(s)
	}
}

// size is the most that a call's request can have; 0 for one without an account.
func (c *conn) size(s *call) int64 {
	if c == nil {
		return 0
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return int64(c.read - s.began)
}

// arrived says that a call's request is whole.
func (c *conn) arrived(s *call) {
	if c == nil {
		return
	}
	s.state.Store(arrived)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.settle()
}

// answered says that nothing is waited for any more.
func (c *conn) answered(s *call) {
	if c != nil {
		s.state.Store(answered)
	}
}

// owe keeps what an answer holds until it is taken, or the connection ends.
func (c *conn) owe(h *hold) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		h.release()
		return
	}
	if c.owed == nil {
		c.owed = map[*hold]bool{}
	}
	c.owed[h] = true
}

func (c *conn) paid(h *hold) {
	h.release()
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.owed, h)
}
