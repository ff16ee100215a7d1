package server

import (
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	sekishov1 "github.com/sekisho-dev/sekisho/proto/sekisho/v1"
	"github.com/sekisho-dev/sekisho/server/identity"
)

func discard() *slog.Logger          { return slog.New(slog.DiscardHandler) }
func registry() *prometheus.Registry { return prometheus.NewRegistry() }
func nothing() http.Handler          { return http.NotFoundHandler() }

// pipes are connections from addresses that a test names.
type pipes struct {
	net.Conn
	from net.Addr
	gone *atomic.Bool
}

func (p pipes) RemoteAddr() net.Addr { return p.from }
func (p pipes) Close() error         { p.gone.Store(true); return nil }

// comes has a connection come to a listener; nil if there is no room.
func comes(d *listener, from string) (*conn, *atomic.Bool) {
	gone := &atomic.Bool{}
	addr, err := net.ResolveTCPAddr("tcp", from)
	if err != nil {
		panic(err)
	}
	return d.enter(pipes{from: addr, gone: gone}), gone
}

// TestListener: a port has so many connections, and half of them for one address; one that
// is idle and has shown no token makes room for the next, and one that has does not.
func TestListener(t *testing.T) {
	now := time.Unix(1e9, 0)
	d := newListener(nil, 8, newBudget(1<<30, 2))
	d.now = func() time.Time { return now }
	caller := identity.Caller{Issuer: "token:x", Subject: "x"}

	var known []*conn
	for i := range 4 {
		c, _ := comes(d, fmt.Sprintf("192.0.2.1:%d", 1000+i))
		c.recognise(caller)
		known = append(known, c)
	}
	if c, _ := comes(d, "192.0.2.1:2000"); c != nil {
		t.Error("a fifth connection of an address that may have four, all in use")
	}
	if c, _ := comes(d, "[::ffff:192.0.2.1]:2000"); c != nil {
		t.Error("the same address, written as IPv6")
	}
	var gone []*atomic.Bool
	for i := range 4 {
		c, g := comes(d, fmt.Sprintf("[2001:db8:0:%x::1]:1000", i))
		if c == nil {
			t.Fatal("no room for another address")
		}
		gone = append(gone, g)
	}
	why := ""
	d.ended = func(w string) { why = w }
	if c, _ := comes(d, "198.51.100.1:1000"); c == nil || why != "made room" || !gone[0].Load() || gone[1].Load() {
		t.Errorf("the ninth of eight: %v; the oldest stranger is gone: %v", c, gone[0].Load())
	}
	if d.conns.Len() != 8 {
		t.Errorf("%d connections, want 8", d.conns.Len())
	}
	known[0].Close()
	if c, _ := comes(d, "192.0.2.1:2000"); c == nil {
		t.Error("no room where a connection has ended")
	}

	// One subscriber of IPv6 has as many addresses as he likes.
	d = newListener(nil, 8, newBudget(1<<30, 2))
	for i := range 4 {
		c, _ := comes(d, fmt.Sprintf("[2001:db8::%x]:1000", i+1))
		c.recognise(caller)
	}
	if c, _ := comes(d, "[2001:db8::ffff]:1000"); c != nil {
		t.Error("a fifth connection from one half of IPv6 addresses")
	}
}

// TestIdleStrangers: a connection on which nobody shows a token ends when it is idle
// for a while, whatever it sent; one that is known does not.
func TestIdleStrangers(t *testing.T) {
	now := time.Unix(1e9, 0)
	d := newListener(nil, 8, newBudget(1<<30, 2))
	d.now = func() time.Time { return now }
	stranger, _ := comes(d, "192.0.2.1:1")
	known, _ := comes(d, "192.0.2.2:1")
	known.recognise(identity.Caller{Issuer: "token:x", Subject: "x"})
	busy, _ := comes(d, "192.0.2.3:1")
	busy.busy = 1
	now = now.Add(strangersIdle - time.Second)
	if ended := d.sweep(); len(ended) != 0 {
		t.Errorf("%d connections ended early", len(ended))
	}
	now = now.Add(time.Second)
	if ended := d.sweep(); len(ended) != 1 || ended[0] != stranger {
		t.Errorf("%v ended, want the stranger's", ended)
	}
}

// TestForgottenAddresses: addresses are remembered only as long as there is something
// to remember of them.
func TestForgottenAddresses(t *testing.T) {
	now := time.Unix(1e9, 0)
	d := newListener(nil, 8, newBudget(1<<30, 2))
	d.now = func() time.Time { return now }
	for i := range 100 {
		c, _ := comes(d, fmt.Sprintf("192.0.2.%d:1", i))
		c.Close()
	}
	d.sweep()
	if n := len(d.addresses); n != 0 {
		t.Errorf("%d addresses are remembered", n)
	}
}

// TestStrangersInAll: all connections without a token together have so much under way,
// and it is given back when they end.
func TestStrangersInAll(t *testing.T) {
	d := newListener(nil, 1000, newBudget(1<<30, 2))
	var open []*conn
	ended := 0
	for i := range 100 {
		c, gone := comes(d, fmt.Sprintf("192.0.2.%d:1", i))
		if err := c.begin(&call{Context: t.Context(), method: sekishov1.LogService_GetCheckpoint_FullMethodName}); err != nil {
			t.Fatal(err)
		}
		for range 31 {
			if gone.Load() {
				break
			}
			if err := c.count(32 << 10); err != nil {
				c.Close()
				ended++
			}
		}
		open = append(open, c)
	}
	if all := d.strangers.Load(); all > strangersBytesAll || ended < 30 {
		t.Errorf("%d bytes of strangers are under way, want at most %d; %d connections ended", all, strangersBytesAll, ended)
	}
	for _, c := range open {
		c.Close()
	}
	if all := d.strangers.Load(); all != 0 {
		t.Errorf("%d bytes are on the account of nobody", all)
	}
}
