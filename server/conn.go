package server

import (
	"container/list"
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
	maxStrangers       = 64       // calls at once on a connection that has shown no token
	maxStrangersInAll  = 2048     // of all connections together; the oldest makes room
	maxPending         = 8        // calls that are not whole, on a connection, where there are maxPendingInAll
	maxLasting         = 4        // health watches and reflection
	maxLastingInAll    = 512      // of strangers on all connections together, and as many of others
	maxFields          = 64       // of the headers of a call; ours have a dozen
	strangersBytes     = 1 << 20  // of requests that are not whole, without a token
	strangersBytesAll  = 64 << 20 // likewise, together
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
	listener *listener
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
	c.listener.pending.Add(-int64(len(c.waiting) - c.head))
	c.closed, c.waiting, c.head = true, nil, 0
	c.settle()
	for h := range c.owed {
		h.release() // grpc drops what it had queued without a word
	}
	c.owed = nil
	c.mu.Unlock()
	if first {
		c.listener.left(c)
	}
	return err
}

// Read reads, and puts what it read on the account. Where the account is overdrawn
// the connection ends, because what it brings is not yet anybody's request.
func (c *conn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if n > 0 {
		if over := c.count(n); over != nil {
			c.end("overdrawn")
			return 0, over
		}
	}
	return n, err
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
	}
	c.due() // forgets what is whole
	if len(c.waiting)-c.head >= maxPending && c.listener.pending.Load() >= c.listener.budget.pending {
		return fmt.Errorf("%w: %d calls are under way that are not whole; send this one again in %s", errBusy, c.listener.budget.pending, retryAfter)
	}
	if s.caller.Subject == "" || lasts(s.method) {
		if err := c.beginCounted(s); err != nil {
			return err
		}
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

// beginCounted counts a call for which nobody was authenticated, or which lasts, until
// it ends.
func (c *conn) beginCounted(s *call) error {
	last, lasting := 0, &c.listener.lasting
	if lasts(s.method) {
		last = 1
	}
	stranger := 0
	if s.caller.Subject == "" {
		stranger, lasting = 1, &c.listener.lastingStrangers
	}
	switch {
	case c.known == "" && c.busy >= maxStrangers:
		return fmt.Errorf("%w: %d calls at once on a connection without a token; try again in %s", errBusy, maxStrangers, retryAfter)
	case last == 1 && c.lasting >= maxLasting:
		return fmt.Errorf("%w: %d health watches or reflections on this connection, at most that many; end one of them", errBusy, maxLasting)
	case last == 1 && lasting.Load() >= maxLastingInAll:
		return fmt.Errorf("%w: %d health watches are open in all, at most that many; ask Check of %s now and then", errBusy, maxLastingInAll, healthpb.Health_ServiceDesc.ServiceName)
	}
	c.busy += stranger
	c.lasting += last
	c.since = c.listener.now()
	lasting.Add(int64(last))
	var place *list.Element
	if last == 0 {
		place = c.listener.host(s)
	}
	context.AfterFunc(s, func() {
		c.mu.Lock()
		c.busy -= stranger
		c.lasting -= last
		lasting.Add(-int64(last))
		c.since = c.listener.now()
		c.settle()
		c.mu.Unlock()
		if place != nil {
			c.listener.farewell(place)
		}
		if s.state.Load() == arriving {
			c.offend(1) // it was opened, and taken back
		}
	})
	return nil
}
