package client

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/sekisho-dev/sekisho/attest"
	sekishov1 "github.com/sekisho-dev/sekisho/proto/sekisho/v1"
	"github.com/sekisho-dev/sekisho/tlog"
)

// meet returns the largest checkpoint known of the server's log: the floor below
// which no answer to the question that is about to be asked may be. The first time
// it asks the server for its log, and decides whether that is the right one.
//
// The floor is taken before each question, because answers may overtake one
// another: one that is older than another's is honest, one that is older than its
// own question is not.
func (c *Client) meet(ctx context.Context) (floor attest.Checkpoint, err error) {
	c.meeting.Lock()
	defer c.meeting.Unlock()
	if _, floor, ok := c.known(); ok {
		return floor, nil
	}
	resp, err := c.logs.GetCheckpoint(ctx, &sekishov1.GetCheckpointRequest{})
	if err != nil {
		return attest.Checkpoint{}, err
	}
	v, err := c.recognise(resp.GetVerifierKey())
	if err != nil {
		return attest.Checkpoint{}, err
	}
	remembered, err := c.memory.recall(v)
	if err != nil {
		if errors.Is(err, ErrState) {
			return attest.Checkpoint{}, err
		}
		c.forgetful(err)
	}
	cp, err := open(v, remembered, resp.GetCheckpoint())
	if errors.Is(err, ErrRollback) {
		// Another process may have seen the log grow since we asked. Ask again.
		if resp, err = c.logs.GetCheckpoint(ctx, &sekishov1.GetCheckpointRequest{}); err != nil {
			return attest.Checkpoint{}, err
		}
		cp, err = open(v, remembered, resp.GetCheckpoint())
	}
	if err != nil {
		return attest.Checkpoint{}, err
	}
	if cp.Size != resp.GetTreeSize() || resp.GetOrigin() != cp.Origin {
		return attest.Checkpoint{}, refuse(ErrBadProof, nil, "the server says that its log is %.200q with %d entries; the signed checkpoint says %q with %d", resp.GetOrigin(), resp.GetTreeSize(), cp.Origin, cp.Size)
	}
	if err := c.consistent(ctx, remembered, cp); err != nil {
		return attest.Checkpoint{}, err
	}
	if err := c.keep(ctx, v, remembered, cp); err != nil {
		return attest.Checkpoint{}, err
	}
	c.mu.Lock()
	c.verifier, c.largest = v, cp
	c.mu.Unlock()
	return cp, nil
}

// known returns the log as it has been met.
func (c *Client) known() (*tlog.Verifier, attest.Checkpoint, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.verifier, c.largest, c.verifier != nil
}

// recognise decides whether a log's key, as shown by the server, is the right one:
// the pinned one, or that of the log which was met there before, or, where none
// was, the first to be met (advisory class A6: a server must not introduce its own
// new key).
func (c *Client) recognise(vkey string) (*tlog.Verifier, error) {
	v, err := tlog.NewVerifier(vkey)
	if err != nil {
		return nil, refuse(ErrBadProof, err, "the server shows a log key that is none")
	}
	if c.c.LogKey != "" {
		if v.String() != c.c.LogKey {
			return nil, refuse(ErrLogKeyChanged, nil, "the log at %s has the key %s; pinned is %s", c.c.Server, v, c.c.LogKey)
		}
		return v, nil
	}
	if c.c.LogOrigin != "" && v.Origin() != c.c.LogOrigin {
		return nil, refuse(ErrLogKeyChanged, nil, "the log at %s is %s; its endpoint file says %s", c.c.Server, v.Origin(), c.c.LogOrigin)
	}
	logs, err := c.memory.all()
	if err != nil {
		if errors.Is(err, ErrState) {
			return nil, err
		}
		c.forgetful(err)
	}
	return v, c.compare(v, logs)
}

// compare holds a log's key against those of the logs that were met.
func (c *Client) compare(v *tlog.Verifier, logs []met) error {
	first := true
	for _, l := range logs {
		if l.VerifierKey == v.String() {
			first = false
		}
	}
	for _, l := range logs {
		old, err := tlog.NewVerifier(l.VerifierKey)
		if err != nil || l.VerifierKey == v.String() {
			continue
		}
		if old.Origin() == v.Origin() {
			return refuse(ErrLogKeyChanged, nil, "the log %s now has the key %s; it was met with %s. If whoever runs it says that this is right, remove %s or pin the new key with --log-key", v.Origin(), v, old, c.memory.name(old))
		}
		if !slices.Contains(l.Servers, c.c.Server) {
			continue
		}
		// Addresses of this machine are used by one service after another, and
		// nobody stands between; an endpoint file has vouched for the origin.
		if !Loopback(c.c.Server) && c.c.LogOrigin == "" {
			return refuse(ErrLogKeyChanged, nil, "the log at %s is now %s; it was %s. If whoever runs it says that this is right, pin the new key with --log-key %s", c.c.Server, v.Origin(), old.Origin(), v)
		}
		if err := c.memory.leave(old, c.c.Server); err != nil {
			c.forgetful(err)
		}
		if c.c.LogOrigin == "" {
			c.c.Warn(fmt.Sprintf("the log at %s is now %s; it was %s when last met there", c.c.Server, v.Origin(), old.Origin()))
		}
		first = false
	}
	if first && c.c.LogOrigin == "" && !Loopback(c.c.Server) {
		c.c.Warn(fmt.Sprintf("met the log %s for the first time, and believe its key from now on; to pin it: --log-key %s", v.Origin(), v))
	}
	return nil
}

// forgetful says, once, that nothing can be remembered.
func (c *Client) forgetful(err error) {
	c.forgets.Do(func() {
		c.c.Warn(fmt.Sprintf("cannot remember the log's checkpoints in %s, so a rollback between two runs would go unnoticed: %v", c.memory.dir, err))
	})
}
