package client

import (
	"context"
	"net"
	"strings"
	"sync/atomic"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"

	sekishov1 "github.com/sekisho-dev/sekisho/proto/sekisho/v1"
)

// A line is one connection. Whoever is at its other end may be another than was at
// the last one's, because a service was stopped and somebody else has its port; so
// it is the connection that is recognised, and not the address.
type line struct {
	credentials.AuthInfo
	recognised atomic.Bool // it has shown the right log
}

// GetCommonAuthInfo passes on how well the connection is protected.
func (l *line) GetCommonAuthInfo() credentials.CommonAuthInfo {
	if i, ok := l.AuthInfo.(interface {
		GetCommonAuthInfo() credentials.CommonAuthInfo
	}); ok {
		return i.GetCommonAuthInfo()
	}
	return credentials.CommonAuthInfo{}
}

// lines makes every connection a line.
type lines struct {
	credentials.TransportCredentials
}

func (l lines) ClientHandshake(ctx context.Context, authority string, raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	conn, info, err := l.TransportCredentials.ClientHandshake(ctx, authority, raw)
	return conn, &line{AuthInfo: info}, err
}

func (l lines) Clone() credentials.TransportCredentials {
	return lines{l.TransportCredentials.Clone()}
}

// A bearer sends the token: not where none is needed, and not on a line whose log
// was not recognised. It stands where the header is written, below everything that
// could forget to ask.
type bearer struct {
	token  string
	secure bool
}

func (b bearer) GetRequestMetadata(ctx context.Context, _ ...string) (map[string]string, error) {
	info, ok := credentials.RequestInfoFromContext(ctx)
	if ok && public(info.Method) {
		return nil, nil
	}
	if l, ok := info.AuthInfo.(*line); ok && l.recognised.Load() {
		return map[string]string{"authorization": "Bearer " + b.token}, nil
	}
	if kept, ok := ctx.Value(keptBack{}).(*atomic.Bool); ok {
		kept.Store(true)
	}
	return nil, status.Error(codes.Unauthenticated, "the service has not shown its log on this connection yet, so the token was kept back")
}

// RequireTransportSecurity lets grpc refuse to send the token in plain text,
// wherever that was not decided before.
func (b bearer) RequireTransportSecurity() bool { return b.secure }

// public reports whether a method is answered to everybody: what it returns proves
// itself, or is held against what does.
func public(method string) bool {
	switch method {
	case sekishov1.TrustService_GetTrustedRoot_FullMethodName, sekishov1.TrustService_ListKeys_FullMethodName:
		return true
	}
	return ofLog(method)
}

// ofLog reports whether a method shows the log, by which a service is recognised.
func ofLog(method string) bool {
	return strings.HasPrefix(method, "/"+sekishov1.LogService_ServiceDesc.ServiceName+"/")
}

// keptBack is where a call's context says that the token was kept back.
type keptBack struct{}

// introductions is how often a call may find itself on a new connection.
const introductions = 3

// call has the log recognised before anything else is asked, and again on every
// connection before the token goes out on it. What was kept back was never sent, so
// that a registration too may be asked again.
func (c *Client) call(ctx context.Context, method string, req, resp any, conn *grpc.ClientConn, next grpc.UnaryInvoker, o ...grpc.CallOption) error {
	ask := func(ctx context.Context) error {
		return fromWire(next(ctx, method, req, resp, conn, o...), c.c.Server, c.c.Token)
	}
	if ofLog(method) {
		return ask(ctx)
	}
	if _, err := c.meet(ctx); err != nil {
		return err
	}
	if c.c.Unnamed && !public(method) {
		return unnamed(c.c.Server)
	}
	for try := 1; ; try++ {
		kept := new(atomic.Bool)
		err := ask(context.WithValue(ctx, keptBack{}, kept))
		if !kept.Load() || try == introductions {
			return err
		}
		if err := c.greet(ctx); err != nil {
			return err
		}
	}
}
