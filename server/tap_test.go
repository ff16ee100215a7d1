package server

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/tap"

	"github.com/sekisho-dev/sekisho/attest"
	"github.com/sekisho-dev/sekisho/internal/testhouse"
	sekishov1 "github.com/sekisho-dev/sekisho/proto/sekisho/v1"
	"github.com/sekisho-dev/sekisho/server/identity"
)

// A peer speaks HTTP/2 by hand.
type peerByHand struct {
	net.Conn
	framer *http2.Framer
	block  bytes.Buffer
	enc    *hpack.Encoder
	next   uint32
	closed chan struct{}          // when the service has ended the connection
	ended  chan map[string]string // trailers, of those who listen
}

func byHand(t testing.TB, addr string) *peerByHand {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	return overConn(t, c)
}

func overConn(t testing.TB, c net.Conn) *peerByHand {
	t.Helper()
	t.Cleanup(func() { c.Close() })
	p := &peerByHand{Conn: c, framer: http2.NewFramer(c, c), next: 1, closed: make(chan struct{}), ended: make(chan map[string]string, 1)}
	p.enc = hpack.NewEncoder(&p.block)
	p.framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	io.WriteString(c, http2.ClientPreface)
	p.framer.WriteSettings()
	go func() {
		defer close(p.closed)
		for {
			f, err := p.framer.ReadFrame()
			if errors.As(err, &http2.StreamError{}) {
				continue
			} else if err != nil {
				return
			}
			if h, ok := f.(*http2.MetaHeadersFrame); ok && h.StreamEnded() {
				trailer := map[string]string{}
				for _, field := range h.Fields {
					trailer[field.Name] = field.Value
				}
				select {
				case p.ended <- trailer:
				default:
				}
			}
		}
	}()
	return p
}

// open sends the headers of a call.
func (p *peerByHand) open(method, token string) (id uint32, err error) {
	p.block.Reset()
	for _, f := range [][2]string{{":method", "POST"}, {":scheme", "http"}, {":path", method}, {":authority", "x"}, {"content-type", "application/grpc"}, {"te", "trailers"}, {"authorization", token}} {
		if f[1] != "" {
			p.enc.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]})
		}
	}
	id, p.next = p.next, p.next+2
	return id, p.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: p.block.Bytes(), EndHeaders: true})
}

// wait reports whether the service ends the connection.
func (p *peerByHand) wait(d time.Duration) bool {
	select {
	case <-p.closed:
		return true
	case <-time.After(d):
		return false
	}
}

// TestRefusedOnHeaders: who may not call is told so before a byte of the request is
// sent, in the words and with the reason that a whole request would get.
func TestRefusedOnHeaders(t *testing.T) {
	addr, _, _ := start(t, testhouse.New(t, testhouse.Options{}))
	for name, c := range map[string]struct {
		token string
		want  codes.Code
	}{
		"no token":      {"", codes.Unauthenticated},
		"unknown token": {"Bearer not-a-token-of-this-test", codes.Unauthenticated},
		"wrong role":    {"Bearer " + deployerToken, codes.PermissionDenied},
	} {
		p := byHand(t, addr)
		if _, err := p.open(sekishov1.AttestationService_CreateAttestation_FullMethodName, c.token); err != nil {
			t.Fatal(err)
		}
		select {
		case got := <-p.ended:
			if got["grpc-status"] != map[codes.Code]string{codes.Unauthenticated: "16", codes.PermissionDenied: "7"}[c.want] || got["grpc-status-details-bin"] == "" {
				t.Errorf("%s: %v, want %v with details", name, got, c.want)
			}
		case <-time.After(10 * time.Second):
			t.Errorf("%s: the service waits for the request", name)
		}
	}
	conn := dial(t, addr)
	for name, c := range map[string]struct {
		ctx    context.Context
		reason string
	}{
		"no token":   {t.Context(), "UNAUTHENTICATED"},
		"wrong role": {as(t.Context(), deployerToken), "FORBIDDEN"},
	} {
		_, err := sekishov1.NewAttestationServiceClient(conn).CreateAttestation(c.ctx, &sekishov1.CreateAttestationRequest{})
		if _, reason := reasonOf(err); reason != c.reason {
			t.Errorf("%s: reason %q, want %s: %v", name, reason, c.reason, err)
		}
	}
}

// TestDeadlineFromHeaders: every call has a deadline before its request has arrived,
// but those that last as long as their connection.
func TestDeadlineFromHeaders(t *testing.T) {
	s := tapped(t)
	for method := range access {
		ctx, cancel := context.WithCancel(context.Background())
		got, err := s.tap(ctx, &tap.Info{FullMethodName: method, Header: metadata.Pairs("authorization", "Bearer "+adminToken)})
		if err != nil {
			t.Errorf("%s: %v", method, err)
		}
		at, ok := got.Deadline()
		if ok == lasts(method) || ok && time.Until(at) > maxDuration {
			t.Errorf("%s: deadline %v, %v", method, at, ok)
		}
		cancel()
		if got.Err() == nil {
			t.Errorf("%s: the end of its stream does not end the call", method)
		}
	}
}

// tapped is a server that nobody serves.
func tapped(t *testing.T) *Server {
	h := testhouse.New(t, testhouse.Options{})
	tokens := identity.NewTokens()
	if err := tokens.Add(adminToken, identity.Caller{Issuer: "token:admin", Subject: "admin", Roles: []identity.Role{identity.Admin}}); err != nil {
		t.Fatal(err)
	}
	s, err := New(Config{Follow: h.Follow, Decide: h.Decide, Register: h.Register, Log: h.Log, Tokens: tokens, Logger: discard(), Metrics: registry(), Tiles: nothing()})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestWithoutTheTap: a call that reaches an interceptor by another way is denied by
// default, unary or not.
func TestWithoutTheTap(t *testing.T) {
	s := tapped(t)
	for method, roles := range access {
		if roles[0] == everyone {
			continue
		}
		ran := false
		handler := func(context.Context, any) (any, error) { ran = true; return nil, nil }
		admit := func(ctx context.Context, req any) (any, error) {
			return s.admitUnary(ctx, req, &grpc.UnaryServerInfo{FullMethod: method}, handler)
		}
		if _, err := s.requestUnary(t.Context(), nil, &grpc.UnaryServerInfo{FullMethod: method}, admit); err == nil || ran {
			t.Errorf("%s: called without a token: %v", method, err)
		}
		stream := func(srv any, ss grpc.ServerStream) error {
			return s.admitStream(srv, ss, &grpc.StreamServerInfo{FullMethod: method}, func(any, grpc.ServerStream) error { ran = true; return nil })
		}
		if err := s.requestStream(nil, &serverStream{ctx: t.Context()}, &grpc.StreamServerInfo{FullMethod: method}, stream); err == nil || ran {
			t.Errorf("%s: called as a stream without a token: %v", method, err)
		}
	}
	// What the tap admitted to one method is not admitted to another.
	c := &call{Context: t.Context(), method: "/sekisho.v1.LogService/GetCheckpoint", admitted: true}
	if err := s.admitted(c, sekishov1.AttestationService_CreateAttestation_FullMethodName); err == nil {
		t.Error("admitted to one method, and called another")
	}
}

// TestResets: a peer that opens calls and takes them back, or has them refused, as
// fast as it can is cut off; one whose calls are cancelled as clients do is not.
func TestResets(t *testing.T) {
	addr, _, _ := start(t, testhouse.New(t, testhouse.Options{}))
	for name, c := range map[string]struct{ method, token string }{
		"refused":         {sekishov1.AdmissionService_EvaluateDeployment_FullMethodName, ""},
		"a stranger's":    {sekishov1.LogService_GetCheckpoint_FullMethodName, ""},
		"with a token":    {sekishov1.AdmissionService_EvaluateDeployment_FullMethodName, "Bearer " + deployerToken},
		"of large method": {sekishov1.AttestationService_CreateAttestation_FullMethodName, "Bearer " + builderToken},
	} {
		p := byHand(t, addr)
		sent := 0
		for ; sent < 200_000 && !p.wait(0); sent++ {
			id, err := p.open(c.method, c.token)
			if err != nil || p.framer.WriteRSTStream(id, http2.ErrCodeCancel) != nil {
				break
			}
		}
		if !p.wait(5 * time.Second) {
			t.Errorf("%s: %d calls were taken back on one connection, and it goes on", name, sent)
		}
	}
}

// TestStrangersBytes: without a token a connection has a mebibyte under way at most,
// over TLS as without.
func TestStrangersBytes(t *testing.T) {
	h := testhouse.New(t, testhouse.Options{})
	pool := x509.NewCertPool()
	plain, _, _ := start(t, h)
	secret, _, _ := start(t, h, func(c *Config) { c.TLS = certificate(t, pool) })
	c, err := tls.Dial("tcp", secret, &tls.Config{RootCAs: pool, ServerName: "localhost", NextProtos: []string{"h2"}})
	if err != nil {
		t.Fatal(err)
	}
	for name, p := range map[string]*peerByHand{"plain": byHand(t, plain), "TLS": overConn(t, c)} {
		var ids []uint32
		for range 64 { // each has the transport's window
			id, err := p.open(sekishov1.LogService_GetCheckpoint_FullMethodName, "")
			if err != nil {
				t.Fatal(err)
			}
			ids = append(ids, id)
		}
		// At first less than a mebibyte, then more.
		block := make([]byte, 15<<10)
		copy(block, []byte{0, 0x01, 0, 0, 0})
		send := func(ids []uint32) error {
			for _, id := range ids {
				if err := p.framer.WriteData(id, false, block); err != nil {
					return err
				}
			}
			return nil
		}
		if err := send(ids[:48]); err != nil || p.wait(200*time.Millisecond) {
			t.Errorf("%s: the connection ended with %d bytes under way: %v", name, 48*len(block), err)
		}
		send(ids[48:]) // the connection may have ended
		send(ids)
		if !p.wait(5 * time.Second) {
			t.Errorf("%s: more than a mebibyte is under way", name)
		}
	}
}

// TestHonestCancellations: see TestResets.
func TestHonestCancellations(t *testing.T) {
	addr, _, _ := start(t, testhouse.New(t, testhouse.Options{}))
	var dials atomic.Int32
	conn := counted(t, addr, &dials)
	evaluations := sekishov1.NewAdmissionServiceClient(conn)
	req := &sekishov1.EvaluateDeploymentRequest{Artifact: &sekishov1.Artifact{Digest: attest.SHA256(nil).Set()}}
	for i := range 2000 {
		ctx, cancel := context.WithCancel(as(t.Context(), deployerToken))
		if i%2 == 0 {
			time.AfterFunc(50*time.Microsecond, cancel)
		}
		evaluations.EvaluateDeployment(ctx, req)
		cancel()
	}
	if _, err := evaluations.EvaluateDeployment(as(t.Context(), deployerToken), req); err != nil || dials.Load() != 1 {
		t.Errorf("after cancellations: %v, %d connections", err, dials.Load())
	}
}

// counted is a client that counts its connections.
func counted(t *testing.T, addr string, dials *atomic.Int32) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithContextDialer(func(ctx context.Context, addr string) (net.Conn, error) {
		dials.Add(1)
		return (&net.Dialer{}).DialContext(ctx, "tcp", addr)
	}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// TestHealthWatches: a connection has a few, and is told when it wants more.
func TestHealthWatches(t *testing.T) {
	addr, _, _ := start(t, testhouse.New(t, testhouse.Options{}))
	conn := dial(t, addr)
	for i := range 2 * maxLasting {
		watch, err := healthpb.NewHealthClient(conn).Watch(t.Context(), &healthpb.HealthCheckRequest{})
		if err != nil {
			t.Fatal(err)
		}
		_, err = watch.Recv()
		code, reason := reasonOf(err)
		if i < maxLasting && err != nil || i >= maxLasting && (code != codes.ResourceExhausted || reason != "BUSY") {
			t.Errorf("watch %d: %v %s", i+1, err, reason)
		}
		if s := status.Convert(err); i >= maxLasting && len(s.Details()) != 2 {
			t.Errorf("watch %d: %v, want ErrorInfo and RetryInfo", i+1, s.Details())
		}
	}
}

// TestMonitorGoesOn: what limits strangers is what is under way, so that one who asks
// little at a time may ask for days, and watch meanwhile.
func TestMonitorGoesOn(t *testing.T) {
	addr, _, _ := start(t, testhouse.New(t, testhouse.Options{}))
	var dials atomic.Int32
	conn := counted(t, addr, &dials)
	watch, err := healthpb.NewHealthClient(conn).Watch(t.Context(), &healthpb.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := watch.Recv(); err != nil {
		t.Fatal(err)
	}
	ctx := metadata.AppendToOutgoingContext(t.Context(), "x-padding", string(bytes.Repeat([]byte("x"), 6000))) // more than a table of headers remembers
	for sent := 0; sent < 2*strangersBytes; sent += 6000 {
		if _, err := sekishov1.NewLogServiceClient(conn).GetCheckpoint(ctx, &sekishov1.GetCheckpointRequest{}); err != nil {
			t.Fatal(err)
		}
	}
	if dials.Load() != 1 {
		t.Errorf("%d connections", dials.Load())
	}
}
