package server

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	sekishov1 "github.com/sekisho-dev/sekisho/proto/sekisho/v1"
	"github.com/sekisho-dev/sekisho/server/identity"
)

// soon is a context that does not wait for long.
func soon(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	t.Cleanup(cancel)
	return ctx
}

// TestPool: one caller has a part of a pool, all together have all of it, and what is
// given back is there again.
func TestPool(t *testing.T) {
	p := newPool(100, 2)
	a, err := p.take(t.Context(), "a", 40)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.take(soon(t), "a", 20); err == nil {
		t.Error("a has more than half")
	}
	b, err := p.take(t.Context(), "b", 1000) // all that b may have
	if err != nil || b.size() != 50 {
		t.Fatal(b.size(), err)
	}
	if _, err := p.take(soon(t), "c", 20); err == nil {
		t.Error("there is more in the pool than there is")
	}
	a.shrink(5)
	c, err := p.take(t.Context(), "c", 45)
	if err != nil {
		t.Error(err)
	}
	b.release()
	b.release() // again, and nothing is given back twice
	d, err := p.take(t.Context(), "d", 50)
	if err != nil {
		t.Error(err)
	}
	if _, err := p.take(soon(t), "e", 1); err == nil {
		t.Error("something was given back twice")
	}
	for _, h := range []*hold{a, c, d} {
		h.release()
	}
	if !p.all.TryAcquire(100) {
		t.Error("not everything was given back")
	}
}

// TestBusy: who waits too long is told, and when to come again; who has given up is
// not told anything else.
func TestBusy(t *testing.T) {
	if err := busy(t.Context(), 5<<20); !errors.Is(err, errBusy) || !strings.Contains(err.Error(), "5 MiB") {
		t.Error(err)
	}
	if err := busy(soonDone(t), 1); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func soonDone(t *testing.T) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}

// TestBudgetSizes: whatever memory there is, a document of the largest size can be
// received, and the parts together are not more than the whole, from a size on.
func TestBudgetSizes(t *testing.T) {
	for _, memory := range []int64{0, 256 << 20, 1 << 30, 64 << 30} {
		b := newBudget(memory, 2)
		if b.arriving.share < maxMessage {
			t.Errorf("with %d MiB a caller can have %d bytes arrive, want %d", memory>>20, b.arriving.share, maxMessage)
		}
		if all := b.receiving.size + b.arriving.size + b.working.size + b.unsent.size + b.answers.size; memory >= 1<<30 && all > memory {
			t.Errorf("of %d MiB the budget has %d", memory>>20, all>>20)
		}
	}
}

// TestAccount: what a connection has on the budget follows what it has under way; small
// requests never ask, and a request that ends in whatever way gives its part back.
func TestAccount(t *testing.T) {
	b := newBudget(1<<30, 2)
	d := newListener(nil, 10, b)
	c, _ := comes(d, "192.0.2.1:1")
	caller := identity.Caller{Issuer: "token:ci", Subject: "builder"}
	opened := func() (*call, context.CancelFunc) {
		ctx, cancel := context.WithCancel(t.Context())
		s := &call{Context: ctx, method: sekishov1.AttestationService_CreateAttestation_FullMethodName, caller: caller, full: make(chan struct{})}
		if err := c.begin(s); err != nil {
			t.Fatal(err)
		}
		return s, cancel
	}
	bring := func(n int) {
		t.Helper()
		if err := c.count(n); err != nil {
			t.Fatal(err)
		}
	}
	held := func(want int64) {
		t.Helper()
		if got := c.receiving.size(); got != want {
			t.Errorf("%d bytes are held, want %d", got, want)
		}
	}
	for range 100 { // small ones, one after the other and overlapping
		first, _ := opened()
		bring(30 << 10)
		second, _ := opened()
		bring(30 << 10)
		held(0)
		c.arrived(first)
		c.arrived(second)
	}
	first, _ := opened()
	bring(100 << 10)
	held(middling)
	bring(2 << 20)
	held(maxMessage)
	if !b.receiving.all.TryAcquire(b.receiving.size) {
		t.Error("what is large is held twice")
	}
	b.receiving.all.Release(b.receiving.size)
	c.arrived(first)
	held(0)

	_, cancel := opened()
	bring(2 << 20)
	held(maxMessage)
	cancel()
	d.sweep()
	held(0)

	opened()
	bring(2 << 20)
	c.Close()
	if !b.arriving.all.TryAcquire(b.arriving.size) {
		t.Error("a connection that ended holds something")
	}
}

// TestShed: where there is no room for what a large method brings, its call is told so,
// and the connection goes on; where no such method is called, the connection ends.
func TestShed(t *testing.T) {
	c, _ := comes(newListener(nil, 10, newBudget(1<<30, 2)), "192.0.2.1:1")
	caller := identity.Caller{Issuer: "token:ci", Subject: "builder"}
	s := &call{Context: t.Context(), method: sekishov1.AdmissionService_EvaluateDeployment_FullMethodName, caller: caller}
	if err := c.begin(s); err != nil {
		t.Fatal(err)
	}
	if err := c.shed(errBusy); !errors.Is(err, errOverdrawn) {
		t.Errorf("%v, want the connection's end", err)
	}
	c.arrived(s)
	s = &call{Context: t.Context(), method: sekishov1.SbomService_UploadSbom_FullMethodName, caller: caller, full: make(chan struct{})}
	if err := c.begin(s); err != nil {
		t.Fatal(err)
	}
	if err := c.shed(errBusy); err != nil {
		t.Error(err)
	}
	if due := c.due(); due != 0 {
		t.Errorf("%d bytes are due for a call that was told", due)
	}
	select {
	case <-s.full:
	default:
		t.Error("nobody told the call")
	}
}
