package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"golang.org/x/time/rate"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/sekisho-dev/sekisho/server/identity"
)

// Limits of one connection. Requests that are not whole yet are what a caller can
// make the service keep for nothing.
const (
	maxStrangers       = 128      // calls at once on a connection that has shown no token
	maxLasting         = 4        // health watches and reflection
	maxLastingInAll    = 1024     //
	strangersBytes     = 1 << 20  // of requests that are not whole, without a token
	strangersBytesAll  = 64 << 20 // likewise, of all connections together
	strangersUncounted = 4 << 10  // a request for a proof has twenty bytes
	smallMessage       = 64 << 10 // what is smaller never waits for a budget
)

var (
	// errOverdrawn ends a connection.
	errOverdrawn = errors.New("more was sent than this connection may have under way")
	// errBusy refuses what the service has no room for now; it may be asked again.
	errBusy = errors.New("busy")
)

// remote is the address of a connection, by which a call finds the connection that
// it came over.
type remote struct {
	net.Addr
	conn *conn
}

// A conn is a connection from the network, and its account. All methods that are
// called for a call's sake do nothing on a nil conn: the JSON port reaches the
// service through memory, and has an account of its own.
type conn struct {
	net.Conn
	door     *door
	address  *address
	remote   *remote
	offences *rate.Limiter

	mu        sync.Mutex
	read      uint64  // bytes that it brought
	waiting   []*call // from head on: whose requests are not whole, the oldest first, and some that are
	head      int
	known     string // the caller who was authenticated on it; "" for a stranger
	busy      int    // calls of strangers that are open, or a request over HTTP
	lasting   int
	charged   int64          // on the account of all strangers
	receiving *hold          // on the budget of what is received
	owed      map[*hold]bool // answers that the other side has not taken
	vain      int            // calls that were taken back before they had arrived
	since     time.Time      // when something last began or ended on it
	closed    bool
}

// RemoteAddr is the other side's address.
func (c *conn) RemoteAddr() net.Addr { return c.remote }

// Close closes the connection and its account.
func (c *conn) Close() error {
	err := c.Conn.Close()
	c.mu.Lock()
	first := !c.closed
	c.closed, c.waiting, c.head = true, nil, 0
	c.settle()
	for h := range c.owed {
		h.release() // grpc drops what it had queued without a word
	}
	c.owed = nil
	c.mu.Unlock()
	if first {
		c.door.left(c)
	}
	return err
}

// Read reads, and puts what it read on the account. Where the account is overdrawn
// the connection ends, because what it brings is not yet anybody's request.
func (c *conn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if n > 0 {
		if over := c.count(n); over != nil {
			c.Close() //nolint:errcheck // it is ended for another reason
			return 0, over
		}
	}
	return n, err
}

func (c *conn) count(n int) error {
	c.mu.Lock()
	c.read += uint64(n)
	due := c.due()
	if c.known == "" {
		defer c.mu.Unlock()
		return c.countStranger(due)
	}
	from, want := c.door.budget.growing(due)
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
			select {
			case <-s.full:
			default:
				close(s.full)
			}
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
	all = c.door.strangers.Add(due - c.charged)
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
	_, want := c.door.budget.growing(due)
	if c.receiving.shrink(want); want == 0 {
		c.receiving = nil
	}
}

// begin opens a call's account. It is called with the headers, by the connection's
// reader.
func (c *conn) begin(s *call) error {
	if c == nil {
		return nil
	}
	c.mu.Lock()
	defer func() {
		vain := c.vain
		c.vain = 0
		c.mu.Unlock()
		c.offend(vain)
	}()
	if s.caller.Subject != "" {
		c.recognise(s.caller)
	} else if err := c.beginStranger(s); err != nil {
		return err
	}
	c.enter(s)
	return nil
}

// recognise says who is on the connection; the first who showed a token stays.
func (c *conn) recognise(caller identity.Caller) {
	if c.known == "" {
		c.chargeStranger(0)
		c.known = account(caller)
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
		clear(c.waiting[len(live):])
		c.waiting, c.head = live, 0
	}
	s.began = c.read
	c.waiting = append(c.waiting, s)
}

// beginStranger counts a call for which nobody was authenticated until it ends.
func (c *conn) beginStranger(s *call) error {
	last := 0
	if lasts(s.method) {
		last = 1
	}
	switch {
	case c.known == "" && c.busy >= maxStrangers:
		return fmt.Errorf("%w: %d calls at once on a connection without a token; try again in %s", errBusy, maxStrangers, retryAfter)
	case last == 1 && c.lasting >= maxLasting:
		return fmt.Errorf("%w: %d health watches or reflections on this connection, at most that many; end one of them", errBusy, maxLasting)
	case last == 1 && c.door.lasting.Load() >= maxLastingInAll:
		return fmt.Errorf("%w: %d health watches are open in all, at most that many; ask %s now and then", errBusy, maxLastingInAll, healthpb.Health_Check_FullMethodName)
	}
	c.busy++
	c.lasting += last
	c.since = c.door.now()
	c.door.lasting.Add(int64(last))
	context.AfterFunc(s, func() {
		c.mu.Lock()
		c.busy--
		c.lasting -= last
		c.door.lasting.Add(-int64(last))
		c.since = c.door.now()
		c.settle()
		c.mu.Unlock()
		if s.state.Load() == arriving {
			c.offend(1) // it was opened, and taken back
		}
	})
	return nil
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
