package server

import (
	"container/list"
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
)

// strangersIdle is how long a connection may be idle on which nobody has shown a
// token; also one that has sent nothing but HTTP/2's preface.
const strangersIdle = 15 * time.Second

// strangersSlow is how long what a stranger began may stand still before the
// connection makes room for another, when there is none.
const strangersSlow = 5 * time.Second

// strangersPatience is until when a stranger's call has to be answered: what they may
// ask has twenty bytes, and is answered at once.
const strangersPatience = 10 * time.Second

// What a peer may take back or have refused: a client whose deadlines pass, or whose
// token is an old one, does so at the rate of its questions. Resetting streams in
// order to cost something is two orders of magnitude above.
const (
	offencesPerSecond = 500
	offencesAtOnce    = 5000
	offencesAddress   = 4 // times as many, for many share an address
)

// A listener is one of the network's that lets in as many as there is room for. A
// connection over that is closed at once, so that whoever asks is told and nobody
// waits; but one that is idle and has shown no token makes room first.
type listener struct {
	net.Listener
	most, perAddress int
	budget           *budget
	now              func() time.Time
	ended            func(why string) // is told of each connection that the listener ends

	strangers        atomic.Int64 // bytes of requests that are not whole, of connections without a token
	pending          atomic.Int64 // calls that are not whole, and some that are
	lasting          atomic.Int64 // health watches
	lastingStrangers atomic.Int64 // and those of strangers

	guestsMu sync.Mutex
	guests   *list.List // of *call: strangers' calls, in the order in which they began

	mu        sync.Mutex
	conns     *list.List // of *conn, in the order in which they came
	places    map[*conn]*list.Element
	addresses map[netip.Prefix]*address
}

// An address is what connections come from: a host, or the half of an IPv6 address
// that a subscriber has to himself.
type address struct {
	conns    int
	offences *rate.Limiter
}

func newListener(l net.Listener, connections int, b *budget) *listener {
	return &listener{
		Listener: l, most: connections, perAddress: max(connections/2, 1), budget: b, ended: func(string) {},
		now:    time.Now, //nolint:forbidigo // since when a connection is idle: nothing that is kept
		guests: list.New(), conns: list.New(), places: map[*conn]*list.Element{}, addresses: map[netip.Prefix]*address{},
	}
}

// Accept returns the next connection there is room for.
func (d *listener) Accept() (net.Conn, error) {
	for {
		raw, err := d.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if c := d.enter(raw); c != nil {
			return c, nil
		}
		raw.Close() //nolint:errcheck // there is no room for it
		d.ended("no room")
	}
}

// enter finds room for a connection, or returns nil.
func (d *listener) enter(raw net.Conn) *conn {
	c := &conn{Conn: raw, listener: d, offences: newOffences(1), since: d.now()}
	c.remote = &remote{raw.RemoteAddr(), c}
	from := prefix(raw.RemoteAddr())
	d.mu.Lock()
	a := d.addresses[from]
	if a == nil {
		a = &address{offences: newOffences(offencesAddress)}
		d.addresses[from] = a
	}
	c.address = a
	var idle *conn
	switch {
	case a.conns >= d.perAddress:
		idle = d.idlest(func(o *conn) bool { return o.address == a })
	case d.conns.Len() >= d.most:
		idle = d.idlest(func(*conn) bool { return true })
	default:
		d.add(c)
		d.mu.Unlock()
		return c
	}
	if idle == nil {
		d.mu.Unlock()
		return nil
	}
	d.remove(idle)
	d.add(c)
	d.mu.Unlock()
	idle.end("made room")
	return c
}

// idlest is the oldest connection that may make room.
func (d *listener) idlest(among func(*conn) bool) *conn {
	for e := d.conns.Front(); e != nil; e = e.Next() {
		if c := e.Value.(*conn); among(c) && c.expendable() {
			return c
		}
	}
	return nil
}

func (d *listener) add(c *conn) {
	d.places[c] = d.conns.PushBack(c)
	c.address.conns++
}

func (d *listener) remove(c *conn) {
	if e, ok := d.places[c]; ok {
		d.conns.Remove(e)
		delete(d.places, c)
		c.address.conns--
	}
}

// left forgets a connection that is closed.
func (d *listener) left(c *conn) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.remove(c)
}

// host takes in a stranger's call. What strangers may ask is answered at once; where
// there are too many of their calls, the oldest ends, which is one that does not become
// whole.
func (d *listener) host(s *call) *list.Element {
	d.guestsMu.Lock()
	defer d.guestsMu.Unlock()
	if d.guests.Len() >= maxStrangersInAll {
		oldest := d.guests.Front()
		d.guests.Remove(oldest)
		oldest.Value.(*call).giveUp()
	}
	return d.guests.PushBack(s)
}

// farewell forgets a stranger's call that has ended.
func (d *listener) farewell(place *list.Element) {
	d.guestsMu.Lock()
	defer d.guestsMu.Unlock()
	d.guests.Remove(place) // which does nothing for one that was removed
}

// watch ends connections on which nobody shows a token, gives back what ended calls
// held, and forgets addresses that nothing is to be remembered of, until the context
// is done.
func (d *listener) watch(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			for _, c := range d.sweep() {
				c.end("idle")
			}
		}
	}
}

func (d *listener) sweep() (ended []*conn) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for e := d.conns.Front(); e != nil; e = e.Next() {
		c := e.Value.(*conn)
		if c.idleFor(strangersIdle) {
			ended = append(ended, c)
			continue
		}
		c.mu.Lock()
		c.settle()
		c.mu.Unlock()
	}
	for p, a := range d.addresses {
		if a.conns == 0 && a.offences.Tokens() >= float64(a.offences.Burst()) {
			delete(d.addresses, p)
		}
	}
	return ended
}

// idleFor reports whether a connection has shown no token and nothing is open on it,
// for so long.
func (c *conn) idleFor(d time.Duration) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.known == "" && c.busy == 0 && c.listener.now().Sub(c.since) >= d
}

// expendable reports whether a connection may make room for another: nobody has shown
// a token on it, and nothing is open but watches, or nothing has moved for a while.
// What strangers may ask is answered at once.
func (c *conn) expendable() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.known == "" && (c.busy == c.lasting || c.listener.now().Sub(c.since) > strangersSlow)
}

// offend counts what was opened in vain; where it is too much, the connection ends.
// Every connection of an address that did too much ends at its next offence.
func (c *conn) offend(n int) {
	if c == nil || n == 0 {
		return
	}
	now := c.listener.now()
	if !c.offences.AllowN(now, n) || !c.address.offences.AllowN(now, n) {
		c.end("offences")
	}
}

// end closes a connection, and has it counted why.
func (c *conn) end(why string) {
	c.Close() //nolint:errcheck // whatever it says, it is ended
	c.listener.ended(why)
}

func newOffences(times int) *rate.Limiter {
	return rate.NewLimiter(rate.Limit(times*offencesPerSecond), times*offencesAtOnce)
}

// refusalCost is how many offences it is to be refused: grpc keeps a timer for the
// deadline of a call that was refused on its headers, so that one far away costs.
func refusalCost(ctx context.Context) int {
	if at, ok := ctx.Deadline(); ok && time.Until(at) > 2*maxDuration {
		return 100
	}
	return 1
}

// prefix is what a connection's address is counted by.
func prefix(a net.Addr) netip.Prefix {
	p, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return netip.Prefix{} // not of the network: all of one kind
	}
	ip, bits := p.Addr().Unmap(), 32
	if ip.Is6() {
		bits = 64
	}
	from, _ := ip.Prefix(bits) // of as many bits as it has
	return from
}

// connUnder is the connection under one that net/http knows, or nil.
func connUnder(c net.Conn) *conn {
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	g, _ := c.(*conn)
	return g
}

// httpState follows what net/http says of a connection.
func httpState(nc net.Conn, state http.ConnState) {
	c := connUnder(nc)
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.since = c.listener.now()
	switch state {
	case http.StateActive:
		c.busy = 1
	case http.StateIdle:
		c.busy = 0
	}
}
