package server

import (
	"context"
	"crypto/rand"
	"fmt"
	"runtime/debug"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/sekisho-dev/sekisho/server/identity"
)

type contextKey int

const (
	requestIDKey contextKey = iota
	callerKey
)

// requestID returns the id of the request, which errors and log lines carry.
func requestID(ctx context.Context) string { id, _ := ctx.Value(requestIDKey).(string); return id }

// callerOf returns who is calling; the zero Caller where nobody was asked.
func callerOf(ctx context.Context) identity.Caller {
	c, _ := ctx.Value(callerKey).(identity.Caller)
	return c
}

// begin gives a request its id and a deadline, whatever the caller set.
func begin(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx = context.WithValue(ctx, requestIDKey, rand.Text())
	return context.WithTimeout(ctx, maxDuration)
}

func (s *Server) requestUnary(ctx context.Context, req any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	ctx, cancel := begin(ctx)
	defer cancel()
	return next(ctx, req)
}

// requestStream gives streams no deadline: health watches and reflection last as
// long as the connection, or until the service stops.
func (s *Server) requestStream(srv any, ss grpc.ServerStream, _ *grpc.StreamServerInfo, next grpc.StreamHandler) error {
	ctx, cancel := context.WithCancel(context.WithValue(ss.Context(), requestIDKey, rand.Text()))
	defer cancel()
	defer context.AfterFunc(s.stopping, cancel)()
	return next(srv, &serverStream{ss, ctx})
}

// errorsUnary maps errors to what the caller may know of them. A panic is an
// internal error, never a success.
func (s *Server) errorsUnary(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (resp any, err error) {
	defer func() {
		if r := recover(); r != nil {
			s.c.Logger.ErrorContext(ctx, "panic", "method", info.FullMethod, "panic", r, "stack", string(debug.Stack()), "request", requestID(ctx))
			resp, err = nil, toStatus(ctx, s.c.Logger, fmt.Errorf("panic: %v", r))
		}
	}()
	resp, err = next(ctx, req)
	return resp, toStatus(ctx, s.c.Logger, err)
}

func (s *Server) errorsStream(srv any, ss grpc.ServerStream, _ *grpc.StreamServerInfo, next grpc.StreamHandler) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = toStatus(ss.Context(), s.c.Logger, fmt.Errorf("panic: %v", r))
		}
	}()
	return toStatus(ss.Context(), s.c.Logger, next(srv, ss))
}

func (s *Server) authorizeUnary(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	ctx, err := s.authorize(ctx, info.FullMethod)
	if err != nil {
		return nil, err
	}
	return next(ctx, req)
}

func (s *Server) authorizeStream(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) error {
	ctx, err := s.authorize(ss.Context(), info.FullMethod)
	if err != nil {
		return err
	}
	return next(srv, &serverStream{ss, ctx})
}

// authorize names the caller and looks the method up in the table. Where
// anybody may call, a credential is not looked at.
func (s *Server) authorize(ctx context.Context, method string) (context.Context, error) {
	if allowed(method, nil) {
		return ctx, nil
	}
	var header string
	if values := metadata.ValueFromIncomingContext(ctx, "authorization"); len(values) > 0 {
		header = values[0]
	}
	caller, err := s.c.Tokens.Authenticate(header)
	if err != nil {
		return nil, err
	}
	if !allowed(method, caller.Roles) {
		return nil, fmt.Errorf("%w: %s has roles %v, and %s wants one of %v", errForbidden, caller.Subject, caller.Roles, method, access[method])
	}
	return context.WithValue(ctx, callerKey, caller), nil
}

type serverStream struct {
	grpc.ServerStream
	ctx context.Context
}

func (s *serverStream) Context() context.Context { return s.ctx }
