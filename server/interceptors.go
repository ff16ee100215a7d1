package server

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
)

// requestUnary ends what the tap began. A call that came without the tap gets its
// deadline here, and is admitted to nothing yet.
func (s *Server) requestUnary(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	c := callOf(ctx)
	if c == nil {
		c = &call{Context: ctx, method: info.FullMethod}
		ctx, c.cancel = context.WithTimeout(c, maxDuration)
	}
	defer c.cancel()
	return next(ctx, req)
}

// requestStream gives streams no deadline but the tap's: health watches and reflection
// last as long as the connection, or until the service stops.
func (s *Server) requestStream(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) error {
	ctx := ss.Context()
	c := callOf(ctx)
	if c == nil {
		c = &call{Context: ctx, method: info.FullMethod}
		ctx = c
	}
	defer c.conn.answered(c)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if lasts(info.FullMethod) {
		defer context.AfterFunc(s.stopping, cancel)()
	}
	return next(srv, &serverStream{ss, ctx})
}

// errorsUnary maps errors to what the caller may know of them. A panic is an
// internal error, never a success.
func (s *Server) errorsUnary(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (resp any, err error) {
	defer func() {
		if r := recover(); r != nil {
			resp, err = nil, s.panicked(ctx, info.FullMethod, r)
		}
	}()
	resp, err = next(ctx, req)
	return resp, toStatus(ctx, s.c.Logger, err)
}

func (s *Server) panicked(ctx context.Context, method string, r any) error {
	s.c.Logger.ErrorContext(ctx, "panic", "method", method, "panic", r, "stack", string(debug.Stack()), "request", requestID(ctx))
	return toStatus(ctx, s.c.Logger, fmt.Errorf("panic: %v", r))
}

func (s *Server) errorsStream(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = s.panicked(ss.Context(), info.FullMethod, r)
		}
	}()
	return toStatus(ss.Context(), s.c.Logger, next(srv, ss))
}

// admitted requires that the caller may call the method. The tap has asked already,
// on the headers; what did not come through it is asked here, so that no way leads
// around the table.
func (s *Server) admitted(ctx context.Context, method string) error {
	c := callOf(ctx)
	if c.admitted && c.method == method {
		return nil
	}
	var header string
	if values := metadata.ValueFromIncomingContext(ctx, "authorization"); len(values) > 0 {
		header = values[0]
	}
	c.method = method
	return s.authorize(c, header)
}

func (s *Server) admitUnary(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	c := callOf(ctx)
	defer c.conn.answered(c)
	if err := s.admitted(ctx, info.FullMethod); err != nil {
		return nil, err
	}
	// A large request stays on its connection's account until it is on the budget's.
	work, err := s.budget.weigh(ctx, c, req)
	c.conn.arrived(c)
	if err != nil {
		return nil, err
	}
	c.work = work
	defer func() { c.work.release() }()
	resp, err := next(ctx, req)
	if errors.Is(ctx.Err(), context.Canceled) {
		c.conn.offend(1) // it was sent and taken back
	}
	if err != nil {
		return nil, err
	}
	return s.budget.send(ctx, c, resp)
}

func (s *Server) admitStream(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) error {
	if err := s.admitted(ss.Context(), info.FullMethod); err != nil {
		return err
	}
	return next(srv, ss)
}

// receivingLarge registers those methods of a service that take documents as streams
// of one message. grpc calls a unary method when its message is whole; a stream's
// handler asks for it, and can say that there is no room. (With ClientStreams false the
// interceptors of streams would be left out, and who may call with them.)
func (s *Server) receivingLarge(d grpc.ServiceDesc) *grpc.ServiceDesc {
	unary := d.Methods
	d.Methods, d.Streams = nil, slices.Clone(d.Streams)
	for _, m := range unary {
		method := "/" + d.ServiceName + "/" + m.MethodName
		if !large(method) {
			d.Methods = append(d.Methods, m)
			continue
		}
		d.Streams = append(d.Streams, grpc.StreamDesc{StreamName: m.MethodName, ClientStreams: true, Handler: func(srv any, ss grpc.ServerStream) error {
			resp, err := m.Handler(srv, ss.Context(), func(req any) error { return receive(ss, req) }, s.admitUnary)
			if err != nil {
				return err
			}
			return ss.SendMsg(resp)
		}})
	}
	return &d
}

// receive receives a request, or returns that there is no room for it. What is read
// meanwhile ends with the stream, and so with the handler's return: a stream that is
// read says by itself why it ends, and would not say this.
func receive(ss grpc.ServerStream, req any) error {
	received := make(chan error, 1)
	go func() { received <- ss.RecvMsg(req) }()
	select {
	case err := <-received:
		return err
	case <-callOf(ss.Context()).full:
		return busy(context.Background(), maxMessage)
	}
}

type serverStream struct {
	grpc.ServerStream
	ctx context.Context
}

func (s *serverStream) Context() context.Context { return s.ctx }

// RecvMsg keeps the account of a request: from when it is waited for until it is
// whole. What a stream brings before somebody waits stays within the transport's
// window.
func (s *serverStream) RecvMsg(m any) error {
	c := callOf(s.ctx)
	if !lasts(c.method) {
		return s.ServerStream.RecvMsg(m) // its one request is weighed before it has arrived
	}
	c.conn.await(c)
	err := s.ServerStream.RecvMsg(m)
	if err == nil {
		c.conn.arrived(c)
	}
	return err
}
