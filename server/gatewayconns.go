package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync/atomic"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
)

// gatewayConnections is how many connections the JSON port has to the gRPC server:
// what breaks one of them costs only the calls on it, and callers who wait on one
// leave room on the others.
const gatewayConnections = 8

// connections share calls among themselves. grpc dials one that broke again by itself.
type connections []*connection

type connection struct {
	*grpc.ClientConn
	calls atomic.Int64 // under way
}

// dialAll opens n connections. Nothing is dialled before the first call.
func dialAll(n int, dial func(context.Context) (net.Conn, error)) (connections, error) {
	all := make(connections, n)
	for i := range all {
		c, err := grpc.NewClient("passthrough:///gateway",
			grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return dial(ctx) }),
			grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(2*maxMessage)),
		)
		if err != nil {
			return nil, fmt.Errorf("opening the gateway: %w", err)
		}
		all[i] = &connection{ClientConn: c}
	}
	return all, nil
}

// freest returns the connection with the fewest calls under way, one that works if
// there is any.
func (c connections) freest() *connection {
	var best *connection
	var least int64
	for _, one := range c {
		n := one.calls.Load()
		if one.GetState() == connectivity.TransientFailure {
			n += 1 << 32 // it fails at once, so that it would look the freest of all
		}
		if best == nil || n < least {
			best, least = one, n
		}
	}
	return best
}

// Invoke makes a call on one of the connections.
func (c connections) Invoke(ctx context.Context, method string, req, resp any, opts ...grpc.CallOption) error {
	one := c.freest()
	one.calls.Add(1)
	defer one.calls.Add(-1)
	return one.ClientConn.Invoke(ctx, method, req, resp, opts...)
}

// NewStream refuses: streams are gRPC only.
func (c connections) NewStream(context.Context, *grpc.StreamDesc, string, ...grpc.CallOption) (grpc.ClientStream, error) {
	return nil, status.Error(codes.Unimplemented, "streams are gRPC only")
}

func (c connections) close() error {
	var errs []error
	for _, one := range c {
		errs = append(errs, one.Close())
	}
	return errors.Join(errs...)
}
