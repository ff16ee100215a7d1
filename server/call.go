package server

import (
	"context"
	"crypto/rand"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/sekisho-dev/sekisho/server/identity"
)

// A call is what is known of one from its headers on, and the context that carries it:
// one thing in place of three, for there is one at every question.
type call struct {
	context.Context // of its stream
	method          string
	caller          identity.Caller // zero where nobody was asked
	// admitted says that the table lets the caller call the method. The zero call
	// is admitted to nothing.
	admitted bool
	gateway  bool // it comes from the JSON port, which has weighed what it sends and gets
	conn     *conn
	cancel   context.CancelFunc
	// givenUp is cancel, for others than the call's own goroutine.
	givenUp atomic.Pointer[context.CancelFunc]
	work    *hold // what it has of the budget while it is answered

	// What follows is of its connection's account.
	began uint64 // bytes that the connection had brought
	state atomic.Int32
	full  chan struct{} // of a large method: closed when there is no room for its request
	small bool          // its request is no larger than smallMessage

	once sync.Once
	id   string
}

// The states of a call's request.
const (
	arriving int32 = iota
	arrived        // it is whole, and weighed where it is large
	answered       // its handler is done
)

type contextKey int

const (
	callKey contextKey = iota
	connKey
)

// callOf returns the call of a context, or nil.
func callOf(ctx context.Context) *call { c, _ := ctx.Value(callKey).(*call); return c }

// requestID returns the id of the request, which errors and log lines carry. It is
// made when it is first asked for: an answer has none.
func requestID(ctx context.Context) string {
	c := callOf(ctx)
	if c == nil {
		return ""
	}
	c.once.Do(func() { c.id = rand.Text() })
	return c.id
}

func (c *call) mayGiveUp(cancel context.CancelFunc) { c.givenUp.Store(&cancel) }

// giveUp ends a call that takes somebody else's place.
func (c *call) giveUp() {
	if cancel := c.givenUp.Load(); cancel != nil {
		(*cancel)()
	}
}

// callerOf returns who is calling; the zero Caller where nobody was asked.
func callerOf(ctx context.Context) identity.Caller {
	if c := callOf(ctx); c != nil {
		return c.caller
	}
	return identity.Caller{}
}

// account is what a caller's holds are kept under.
func account(c identity.Caller) string { return c.Issuer + "/" + c.Subject }

// Value is the call itself, or what the stream's context has.
func (c *call) Value(key any) any {
	if key == callKey {
		return c
	}
	return c.Context.Value(key)
}

// authorize names the caller by the authorization header and looks the method up in
// the table. Where anybody may call, a credential is not looked at, but where calls last.
func (s *Server) authorize(c *call, authorization string) error {
	if allowed(c.method, nil) {
		c.admitted = true
		if lasts(c.method) && authorization != "" { // who is known has places of his own
			if caller, err := s.c.Tokens.Authenticate(authorization); err == nil {
				c.caller = caller
			}
		}
		return nil
	}
	caller, err := s.c.Tokens.Authenticate(authorization)
	if err != nil {
		return err
	}
	if !allowed(c.method, caller.Roles) {
		return fmt.Errorf("%w: %s has roles %v, and %s wants one of %v", errForbidden, caller.Subject, caller.Roles, c.method, access[c.method])
	}
	c.caller, c.admitted = caller, true
	return nil
}
