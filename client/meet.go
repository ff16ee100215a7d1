package client

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/peer"

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
	var at peer.Peer
	resp, err := c.logs.GetCheckpoint(ctx, &sekishov1.GetCheckpointRequest{}, grpc.Peer(&at))
	if err != nil {
		return attest.Checkpoint{}, err
	}
	v, gone, err := c.recognise(resp.GetVerifierKey())
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
		if resp, err = c.logs.GetCheckpoint(ctx, &sekishov1.GetCheckpointRequest{}, grpc.Peer(&at)); err != nil {
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
	c.replaced(v, gone)
	if err := c.keep(ctx, v, remembered, cp); err != nil {
		return attest.Checkpoint{}, err
	}
	c.mu.Lock()
	c.verifier, c.largest = v, cp
	c.mu.Unlock()
	introduced(at)
	return cp, nil
}

// greet has the log that was met shown again, on a connection that is new.
func (c *Client) greet(ctx context.Context) error {
	c.meeting.Lock()
	defer c.meeting.Unlock()
	_, floor, _ := c.known()
	var at peer.Peer
	resp, err := c.logs.GetCheckpoint(ctx, &sekishov1.GetCheckpointRequest{}, grpc.Peer(&at))
	if err != nil {
		return err
	}
	v, _, _ := c.known()
	if resp.GetVerifierKey() != v.String() {
		return refuse(ErrLogKeyChanged, nil, "the log at %s now has the key %.200s; a moment ago it was %s: another service answers there", c.c.Server, resp.GetVerifierKey(), v)
	}
	cp, err := c.opened(floor, resp.GetCheckpoint())
	if err != nil {
		return err
	}
	if err := c.adopt(ctx, cp); err != nil {
		return err
	}
	introduced(at)
	return nil
}

// introduced marks the connection on which the log was shown.
func introduced(at peer.Peer) {
	if l, ok := at.AuthInfo.(*line); ok {
		l.recognised.Store(true)
	}
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
func (c *Client) recognise(vkey string) (v *tlog.Verifier, gone []*tlog.Verifier, err error) {
	v, err = tlog.NewVerifier(vkey)
	if err != nil {
		return nil, nil, refuse(ErrBadProof, err, "the server shows a log key that is none")
	}
	if c.c.LogKey != "" {
		if v.String() != c.c.LogKey {
			return nil, nil, refuse(ErrLogKeyChanged, nil, "the log at %s has the key %s; pinned is %s", c.c.Server, v, c.c.LogKey)
		}
		return v, nil, nil
	}
	if c.c.LogOrigin != "" && v.Origin() != c.c.LogOrigin {
		return nil, nil, refuse(ErrLogKeyChanged, nil, "the log at %s is %s; its endpoint file says %s", c.c.Server, v.Origin(), c.c.LogOrigin)
	}
	logs, err := c.memory.all()
	if err != nil {
		if errors.Is(err, ErrState) {
			return nil, nil, err
		}
		c.forgetful(err)
	}
	gone, err = c.compare(v, logs)
	return v, gone, err
}

// compare holds a log's key against those of the logs that were met. It returns those
// that are no longer where they were met, if somebody has vouched for this one.
func (c *Client) compare(v *tlog.Verifier, logs []met) (gone []*tlog.Verifier, err error) {
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
			return nil, refuse(ErrLogKeyChanged, nil, "the log %s now has the key %s; it was met with %s. If whoever runs it says that this is right, remove %s or pin the new key with --log-key", v.Origin(), v, old, c.memory.name(old))
		}
		if !slices.Contains(l.Servers, c.c.Server) {
			continue
		}
		// Also on this machine: ports change hands, and not only among friends.
		if c.c.LogOrigin == "" {
			return nil, refuse(ErrLogKeyChanged, nil, "the log at %s is now %s; it was %s. If whoever runs it says that this is right, name its data directory (--data), which vouches for it, or pin the new key with --log-key %s, or remove %s to forget the old one", c.c.Server, v.Origin(), old.Origin(), v, c.memory.name(old))
		}
		gone = append(gone, old)
	}
	if first && c.c.LogOrigin == "" && !Loopback(c.c.Server) {
		c.c.Warn(fmt.Sprintf("met the log %s for the first time, and believe its key from now on; to pin it: --log-key %s", v.Origin(), v))
	}
	return gone, nil
}

// replaced writes, and says, that other logs are no longer where one was met.
func (c *Client) replaced(v *tlog.Verifier, gone []*tlog.Verifier) {
	for _, old := range gone {
		if err := c.memory.leave(old, c.c.Server); err != nil {
			c.forgetful(err)
		}
		c.c.Warn(fmt.Sprintf("the log at %s is now %s, as its endpoint file says; it was %s when last met there", c.c.Server, v.Origin(), old.Origin()))
	}
}

// forgetful says, once, that nothing can be remembered.
func (c *Client) forgetful(err error) {
	c.forgets.Do(func() {
		c.c.Warn(fmt.Sprintf("cannot remember the log's checkpoints in %s, so a rollback between two runs would go unnoticed: %v", c.memory.dir, err))
	})
}

// unnamed is why nothing but what is public is asked at an address that nobody named:
// an honest service there would demand a token, which does not go there, so that
// only a stranger's could answer.
func unnamed(server string) error {
	return &Error{Code: codes.Unauthenticated, Reason: ErrUnauthenticated, Message: fmt.Sprintf("nobody has named the service at %s, so no token is sent there and no answer taken from it; name it with --server %[1]s, or its data directory with --data DIR", server)}
}
