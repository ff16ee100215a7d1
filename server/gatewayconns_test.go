package server

import (
	"context"
	"net"
	"sync"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	sekishov1 "github.com/sekisho-dev/sekisho/proto/sekisho/v1"
)

// waiting is a LogService whose calls wait until they are let go.
type waiting struct {
	sekishov1.UnimplementedLogServiceServer
	arrived chan struct{}
	free    chan struct{}
}

func (w *waiting) GetCheckpoint(ctx context.Context, _ *sekishov1.GetCheckpointRequest) (*sekishov1.GetCheckpointResponse, error) {
	w.arrived <- struct{}{}
	select {
	case <-w.free:
	case <-ctx.Done():
	}
	return &sekishov1.GetCheckpointResponse{}, nil
}

// TestABrokenConnectionCostsItsOwnCalls: of many calls under way those on the
// connection that breaks fail, no other does, and later ones find it dialled again.
func TestABrokenConnectionCostsItsOwnCalls(t *testing.T) {
	listener := bufconn.Listen(1 << 20)
	service := &waiting{arrived: make(chan struct{}), free: make(chan struct{})}
	s := grpc.NewServer()
	sekishov1.RegisterLogServiceServer(s, service)
	go s.Serve(listener)
	t.Cleanup(s.Stop)

	var mu sync.Mutex
	var dialled []net.Conn
	conns, err := dialAll(4, func(ctx context.Context) (net.Conn, error) {
		c, err := listener.DialContext(ctx)
		mu.Lock()
		defer mu.Unlock()
		dialled = append(dialled, c)
		return c, err
	})
	if err != nil {
		t.Fatal(err)
	}
	defer conns.close()
	client := sekishov1.NewLogServiceClient(conns)

	const calls = 12
	ended := make(chan error, calls)
	for range calls {
		go func() {
			_, err := client.GetCheckpoint(t.Context(), &sekishov1.GetCheckpointRequest{})
			ended <- err
		}()
		<-service.arrived // one after the other, so that they spread evenly
	}
	if len(dialled) != 4 {
		t.Fatalf("%d calls went over %d connections, want 4", calls, len(dialled))
	}
	dialled[0].Close()
	for range calls / 4 {
		if err := <-ended; status.Code(err) != codes.Unavailable {
			t.Errorf("a call on the broken connection: %v", err)
		}
	}
	close(service.free)
	for range calls - calls/4 {
		if err := <-ended; err != nil {
			t.Errorf("a call on another connection: %v", err)
		}
	}

	go func() {
		for range service.arrived {
		}
	}()
	for range 20 {
		if _, err := client.GetCheckpoint(t.Context(), &sekishov1.GetCheckpointRequest{}); err != nil {
			t.Errorf("a later call: %v", err)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if len(dialled) != 5 {
		t.Errorf("%d connections were dialled, want the broken one again", len(dialled))
	}
}

// TestOneThatFailsIsNotTheFreest: a connection that cannot be dialled fails its calls at
// once, has none under way, and must not draw all of them.
func TestOneThatFailsIsNotTheFreest(t *testing.T) {
	listener := bufconn.Listen(1 << 20)
	s := grpc.NewServer()
	sekishov1.RegisterLogServiceServer(s, sekishov1.UnimplementedLogServiceServer{})
	go s.Serve(listener)
	t.Cleanup(s.Stop)
	good, err := dialAll(1, listener.DialContext)
	if err != nil {
		t.Fatal(err)
	}
	bad, err := dialAll(1, func(context.Context) (net.Conn, error) { return nil, net.ErrClosed })
	if err != nil {
		t.Fatal(err)
	}
	both := append(bad, good...)
	defer both.close()
	client := sekishov1.NewLogServiceClient(both)
	failed := 0
	for range 50 {
		if _, err := client.GetCheckpoint(t.Context(), &sekishov1.GetCheckpointRequest{}); status.Code(err) == codes.Unavailable {
			failed++
		}
	}
	if failed > 2 {
		t.Errorf("%d of 50 calls went to the connection that fails", failed)
	}
}

// TestWaitersLeaveRoom: calls that wait, more of them than one connection has streams,
// leave room for one that is answered at once.
func TestWaitersLeaveRoom(t *testing.T) {
	const streams, waiters = 50, 50*gatewayConnections - 2
	listener := bufconn.Listen(1 << 20)
	service := &waiting{arrived: make(chan struct{}), free: make(chan struct{})}
	s := grpc.NewServer(grpc.MaxConcurrentStreams(streams))
	sekishov1.RegisterLogServiceServer(s, service)
	go s.Serve(listener)
	t.Cleanup(s.Stop)
	conns, err := dialAll(gatewayConnections, listener.DialContext)
	if err != nil {
		t.Fatal(err)
	}
	defer conns.close()
	client := sekishov1.NewLogServiceClient(conns)
	var all sync.WaitGroup
	for range waiters {
		all.Go(func() {
			if _, err := client.GetCheckpoint(t.Context(), &sekishov1.GetCheckpointRequest{}); err != nil {
				t.Errorf("a waiter: %v", err)
			}
		})
		<-service.arrived
	}
	if _, err := client.GetInclusionProof(t.Context(), &sekishov1.GetInclusionProofRequest{}); status.Code(err) != codes.Unimplemented {
		t.Errorf("another call: %v, want its answer", err)
	}
	close(service.free)
	all.Wait()
}
