// Package server is the edge: it carries the API over gRPC and JSON/HTTP, says
// who is calling, who may, and in which words an error crosses the wire. The
// work is done below it, by register, decide and follow, which never import it.
//
// Both ports lead through the same interceptors: the JSON gateway is a client of
// the gRPC server over a listener in memory, so that there is one
// authentication, one authorization table and one set of limits.
package server

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"

	sekishov1 "github.com/sekisho-dev/sekisho/proto/sekisho/v1"
	"github.com/sekisho-dev/sekisho/server/decide"
	"github.com/sekisho-dev/sekisho/server/follow"
	"github.com/sekisho-dev/sekisho/server/identity"
	"github.com/sekisho-dev/sekisho/server/register"
	"github.com/sekisho-dev/sekisho/store"
	"github.com/sekisho-dev/sekisho/tlog"
)

// Limits on what a caller may send and how long it may take.
const (
	maxMessage    = 24 << 20 // a 16 MiB document, in base64 on the JSON port
	maxHeaders    = 16 << 10
	maxStreams    = 256 // calls at once on a connection
	maxDuration   = time.Minute
	readHeaders   = 10 * time.Second
	shutdownGrace = 10 * time.Second
	httpIdle      = time.Minute
)

// What a connection lives. One that has shown a token may be idle for minutes; who is
// gone without a word is found by asking; and nobody keeps unread answers for ever.
var connectionLife = keepalive.ServerParameters{
	MaxConnectionIdle:     5 * time.Minute,
	MaxConnectionAge:      time.Hour,
	MaxConnectionAgeGrace: 2 * maxDuration,
	Time:                  time.Minute,
	Timeout:               20 * time.Second,
}

// streamWorkers is how many goroutines are kept to answer calls. A new one would
// grow its stack at every question: a tenth of what an answer costs. Calls beyond
// them have goroutines of their own.
const streamWorkers = 64

// Config is what a Server serves.
type Config struct {
	Register *register.Registrar
	Decide   *decide.Decider
	Follow   *follow.Follower
	Log      tlog.Reader
	LogKey   *tlog.Verifier
	Tiles    http.Handler // serves /checkpoint and /tile/
	Blobs    store.Blobs
	// Keys are the public keys to publish, and TrustedRoot the Sigstore
	// trusted_root.json with which stock clients verify what they sign.
	Keys        []*sekishov1.Key
	TrustedRoot []byte
	Tokens      *identity.Tokens
	TLS         *tls.Config // nil: plain text, for loopback
	Logger      *slog.Logger
	Metrics     *prometheus.Registry
	// Connections are how many each port takes at once, half of them from one
	// address; 1024 if zero. Every one is a file descriptor, and the log and the
	// blobs need theirs.
	Connections int
	// Memory is how much the service should stay within, in bytes; 1 GiB if zero.
	// Large messages get a part of it.
	Memory int64
}

// A Server serves both ports.
type Server struct {
	c       Config
	grpc    *grpc.Server
	http    *http.Server
	health  *health.Server
	gateway *gateway
	metrics *metrics
	budget  *budget
	// stopping ends what would last as long as its connection: the streams of
	// health and reflection.
	stopping context.Context
	stop     context.CancelFunc
}

// New returns a server that serves nothing yet.
func New(c Config) (*Server, error) {
	s := prepare(c)
	c.Blobs = weighedBlobs{c.Blobs, s.budget}
	s.grpc = grpc.NewServer(s.options()...)
	s.grpc.RegisterService(s.receivingLarge(sekishov1.AttestationService_ServiceDesc), &attestations{Config: c})
	sekishov1.RegisterAdmissionServiceServer(s.grpc, &admission{Config: c})
	s.grpc.RegisterService(s.receivingLarge(sekishov1.SbomService_ServiceDesc), &sboms{Config: c})
	sekishov1.RegisterLogServiceServer(s.grpc, &logs{Config: c})
	sekishov1.RegisterTrustServiceServer(s.grpc, &trust{Config: c})
	healthpb.RegisterHealthServer(s.grpc, s.health)
	reflection.Register(s.grpc)

	var err error
	if s.gateway, err = newGateway(s.grpc); err != nil {
		return nil, err
	}
	s.http = &http.Server{
		Handler:           plain(s.admitting(http.MaxBytesHandler(s.routes(), maxMessage))),
		TLSConfig:         c.TLS,
		ReadHeaderTimeout: readHeaders,
		ReadTimeout:       maxDuration,
		WriteTimeout:      2 * maxDuration,
		IdleTimeout:       httpIdle,
		MaxHeaderBytes:    maxHeaders,
		ConnState:         httpState,
		ConnContext:       withConn,
		ErrorLog:          slog.NewLogLogger(c.Logger.Handler(), slog.LevelDebug),
		// HTTP/2 would have as many requests under way on a connection as it likes, of
		// which no account is kept.
		Protocols: new(http.Protocols),
	}
	s.http.Protocols.SetHTTP1(true)
	return s, nil
}

// prepare is a server without its services.
func prepare(c Config) *Server {
	c.Connections = cmp.Or(c.Connections, 1024)
	c.Memory = cmp.Or(c.Memory, 1<<30)
	c.Connections = min(c.Connections, int(c.Memory>>18)) // one has some 80 KiB when it has been used
	s := &Server{c: c, health: health.NewServer(), metrics: newMetrics(c.Metrics, c.Follow), budget: newBudget(c.Memory, runtime.GOMAXPROCS(0))}
	s.stopping, s.stop = context.WithCancel(context.Background())
	return s
}

// options are the limits and the interceptors of the gRPC server, the outermost
// first.
func (s *Server) options() []grpc.ServerOption {
	m := s.metrics
	opts := []grpc.ServerOption{
		grpc.MaxRecvMsgSize(maxMessage),
		grpc.MaxSendMsgSize(2 * maxMessage),
		grpc.MaxConcurrentStreams(maxStreams),
		grpc.NumStreamWorkers(streamWorkers),
		grpc.MaxHeaderListSize(maxHeaders),
		grpc.ConnectionTimeout(readHeaders),
		grpc.KeepaliveParams(connectionLife),
		grpc.InTapHandle(s.tap),
		grpc.ForceServerCodecV2(newCodec()),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 10 * time.Second, PermitWithoutStream: true}),
		grpc.ChainUnaryInterceptor(s.requestUnary, m.unary, s.errorsUnary, s.admitUnary),
		grpc.ChainStreamInterceptor(s.requestStream, m.stream, s.errorsStream, s.admitStream),
	}
	if s.c.TLS != nil {
		opts = append(opts, grpc.Creds(sharedCredentials{credentials.NewTLS(s.c.TLS)}))
	}
	return opts
}

// Serve serves both listeners until the context is done, then lets what is
// under way finish. It returns the first error that is not the shutdown's.
func (s *Server) Serve(ctx context.Context, grpcListener, httpListener net.Listener) error {
	s.health.SetServingStatus("", healthpb.HealthCheckResponse_SERVING)
	s.tellReadiness()
	go s.keepTelling()
	grpcListener, httpListener = s.guard(grpcListener), s.guard(httpListener)
	failed := make(chan error, 3)
	go func() { failed <- s.gateway.serve() }()
	go func() { failed <- s.grpc.Serve(grpcListener) }()
	go func() {
		if s.c.TLS != nil {
			failed <- s.http.ServeTLS(httpListener, "", "")
		} else {
			failed <- s.http.Serve(httpListener)
		}
	}()
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	s.shutdown()
	if errors.Is(err, http.ErrServerClosed) || errors.Is(err, grpc.ErrServerStopped) {
		return nil
	}
	return err
}

// guard puts the limits of connections before a listener, until the service stops.
func (s *Server) guard(l net.Listener) net.Listener {
	d := newListener(l, s.c.Connections, s.budget)
	d.ended = func(why string) { s.metrics.ended.WithLabelValues(why).Inc() }
	go d.watch(s.stopping)
	return d
}

// tellReadiness sets the health of the AdmissionService: whether it can answer, as
// /readyz says it. The health of "" is that of the process, which a supervisor
// must not restart because its index is damaged.
func (s *Server) tellReadiness() {
	answers := healthpb.HealthCheckResponse_NOT_SERVING
	if s.c.Follow.Ready(0) == nil {
		answers = healthpb.HealthCheckResponse_SERVING
	}
	s.health.SetServingStatus(sekishov1.AdmissionService_ServiceDesc.ServiceName, answers)
}

func (s *Server) keepTelling() {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-s.stopping.Done():
			return
		case <-tick.C:
			s.tellReadiness()
		}
	}
}

// shutdown says that it is going away, stops taking work, and waits for the
// work under way: HTTP first, because it is a client of gRPC.
func (s *Server) shutdown() {
	s.health.Shutdown() // from now on nobody sets another status
	s.stop()
	ctx, cancel := context.WithTimeout(context.Background(), shutdownGrace)
	defer cancel()
	if err := s.http.Shutdown(ctx); err != nil {
		s.http.Close() //nolint:errcheck // it is going away
	}
	s.gateway.close()
	done := make(chan struct{})
	go func() { s.grpc.GracefulStop(); close(done) }()
	select {
	case <-done:
	case <-ctx.Done():
		s.grpc.Stop()
	}
}
