package server

import (
	"context"
	"fmt"

	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/peer"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	reflectionalphapb "google.golang.org/grpc/reflection/grpc_reflection_v1alpha"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/tap"

	"github.com/sekisho-dev/sekisho/server/identity"
)

// tap decides about a call when its headers are there and before a byte of its
// request is taken: who is calling, whether they may, and until when. It runs in the
// reader of the connection, under the transport's lock, so that nothing in it may
// wait: a look-up by hash, and counters.
func (s *Server) tap(ctx context.Context, info *tap.Info) (context.Context, error) {
	c := &call{method: info.FullMethodName, Context: ctx}
	if p, ok := peer.FromContext(ctx); ok {
		switch a := p.Addr.(type) {
		case *remote:
			c.conn = a.conn
		default:
			c.gateway = p.Addr.Network() == "bufconn"
		}
	}
	if err := s.answerable(c, info); err != nil {
		s.metrics.refused(c.method, err)
		c.conn.offend(refusalCost(ctx))
		return ctx, err
	}
	if lasts(c.method) {
		return c, nil
	}
	patience := maxDuration
	if c.caller.Subject == "" {
		patience = strangersPatience
	}
	// The stream's own end cancels its context, and this one with it.
	ctx, c.cancel = context.WithTimeout(c, patience)
	if c.caller.Subject == "" {
		c.mayGiveUp(c.cancel)
	}
	return ctx, nil
}

// answerable returns why a call is refused, as a status, or nil.
func (s *Server) answerable(c *call, info *tap.Info) error {
	if _, known := access[c.method]; !known {
		return toStatus(c, s.c.Logger, fmt.Errorf("%w: %.100q", errUnimplemented, c.method))
	}
	fields := 0
	for _, values := range info.Header {
		fields += len(values)
	}
	if fields > maxFields {
		return toStatus(c, s.c.Logger, fmt.Errorf("%w: %d header fields, at most %d", errBadRequest, fields, maxFields))
	}
	authorization, err := bearer(info.Header["authorization"])
	if err == nil {
		err = s.authorize(c, authorization)
	}
	if err != nil {
		return toStatus(c, s.c.Logger, err)
	}
	if large(c.method) {
		c.full = make(chan struct{})
	}
	if err := c.conn.begin(c); err != nil {
		return toStatus(c, s.c.Logger, err)
	}
	return nil
}

// bearer is the one authorization header of a call. Two would be read in two ways.
func bearer(values []string) (string, error) {
	switch len(values) {
	case 0:
		return "", nil
	case 1:
		return values[0], nil
	}
	return "", fmt.Errorf("%w: %d authorization headers, want one", identity.ErrUnauthenticated, len(values))
}

// lasts reports whether the calls of a method last as long as their connection.
func lasts(method string) bool {
	switch method {
	case healthpb.Health_Watch_FullMethodName,
		reflectionpb.ServerReflection_ServerReflectionInfo_FullMethodName,
		reflectionalphapb.ServerReflection_ServerReflectionInfo_FullMethodName:
		return true
	}
	return false
}

// refused counts a call that was refused on its headers.
func (m *metrics) refused(method string, err error) {
	if _, known := access[method]; !known {
		method = "other"
	}
	m.calls.WithLabelValues(method, status.Code(err).String()).Inc()
}
