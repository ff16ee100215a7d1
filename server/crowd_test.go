package server

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/sekisho-dev/sekisho/internal/testhouse"
	sekishov1 "github.com/sekisho-dev/sekisho/proto/sekisho/v1"
)

// TestCrowdOfStrangers: calls that strangers begin and do not end cost more than what
// they bring. There are so many at most; the oldest makes room, so that an honest
// stranger, who is answered at once, is answered.
func TestCrowdOfStrangers(t *testing.T) {
	addr, _, _ := start(t, testhouse.New(t, testhouse.Options{}))
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	open, ended := 0, make(chan error, 2*maxStrangersInAll)
	half := func(conn *grpc.ClientConn) {
		stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true}, sekishov1.LogService_GetCheckpoint_FullMethodName)
		if err != nil {
			ended <- err
			return
		}
		go func() { ended <- stream.RecvMsg(&emptypb.Empty{}) }()
	}
	for range maxStrangersInAll/maxStrangers + 8 {
		conn := dial(t, addr)
		for range maxStrangers - 2 {
			half(conn)
			open++
		}
		// And in between somebody asks.
		if _, err := sekishov1.NewLogServiceClient(conn).GetCheckpoint(ctx, &sekishov1.GetCheckpointRequest{}); err != nil {
			t.Fatalf("with %d half calls: %v", open, err)
		}
	}
	over := open - maxStrangersInAll
	if over < 100 {
		t.Fatalf("%d calls are too few for the test", open)
	}
	for range over - maxStrangers { // in whatever order; the last few may still be ending
		select {
		case err := <-ended:
			if err == nil {
				t.Error("a half call was answered")
			}
		case <-ctx.Done():
			t.Fatal("the oldest calls go on")
		}
	}
}

// TestManyFields: a call has a dozen header fields. What brings hundreds, which cost
// nothing to send, is refused on its headers.
func TestManyFields(t *testing.T) {
	addr, base, _ := start(t, testhouse.New(t, testhouse.Options{}))
	ctx := as(t.Context(), adminToken)
	for i := range maxFields + 1 {
		ctx = metadata.AppendToOutgoingContext(ctx, fmt.Sprint("x-", i), "")
	}
	_, err := sekishov1.NewTrustServiceClient(dial(t, addr)).GetPolicy(ctx, &sekishov1.GetPolicyRequest{})
	if status.Code(err) != codes.InvalidArgument {
		t.Errorf("%v, want it refused", err)
	}
	two := metadata.AppendToOutgoingContext(as(t.Context(), adminToken), "authorization", "Bearer x")
	if _, err := sekishov1.NewTrustServiceClient(dial(t, addr)).GetPolicy(two, &sekishov1.GetPolicyRequest{}); status.Code(err) != codes.Unauthenticated {
		t.Errorf("two tokens: %v", err)
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+"/v1/policy", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header["Authorization"] = []string{"Bearer " + adminToken, "Bearer x"}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("two tokens on the JSON port: %s", resp.Status)
	}
}

// TestStrangersWatchesLeaveRoom: strangers' health watches are counted apart from those
// of callers who are known.
func TestStrangersWatchesLeaveRoom(t *testing.T) {
	addr, _, _ := start(t, testhouse.New(t, testhouse.Options{}))
	watch := func(ctx context.Context) error {
		w, err := healthpb.NewHealthClient(dial(t, addr)).Watch(ctx, &healthpb.HealthCheckRequest{})
		if err == nil {
			_, err = w.Recv()
		}
		return err
	}
	d := maxLastingInAll / maxLasting
	for range d {
		conn := dial(t, addr)
		for range maxLasting {
			w, err := healthpb.NewHealthClient(conn).Watch(t.Context(), &healthpb.HealthCheckRequest{})
			if err == nil {
				_, err = w.Recv()
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := watch(t.Context()); status.Code(err) != codes.ResourceExhausted || len(status.Convert(err).Message()) < 60 {
		t.Errorf("one more stranger: %v, want it refused in words", err)
	}
	if err := watch(as(t.Context(), deployerToken)); err != nil {
		t.Errorf("one who is known: %v", err)
	}
}

// TestJSONPortIsHTTP1: with TLS too. HTTP/2 would have requests under way on a
// connection of which no account is kept.
func TestJSONPortIsHTTP1(t *testing.T) {
	lent := httptest.NewTLSServer(http.NotFoundHandler())
	defer lent.Close()
	_, base, _ := start(t, testhouse.New(t, testhouse.Options{}), func(c *Config) {
		c.TLS = &tls.Config{Certificates: lent.TLS.Certificates, MinVersion: tls.VersionTLS13}
	})
	roots := x509.NewCertPool()
	roots.AddCert(lent.Certificate())
	conn, err := tls.Dial("tcp", strings.TrimPrefix(base, "http://"), &tls.Config{
		RootCAs: roots, ServerName: "example.com", NextProtos: []string{"h2", "http/1.1"}, MinVersion: tls.VersionTLS13,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if got := conn.ConnectionState().NegotiatedProtocol; got != "http/1.1" {
		t.Errorf("the JSON port speaks %q", got)
	}
}
