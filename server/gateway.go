package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"sync/atomic"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	sekishov1 "github.com/sekisho-dev/sekisho/proto/sekisho/v1"
	"github.com/sekisho-dev/sekisho/server/identity"
)

// gateway is the JSON port's way to the gRPC server: a client over a listener
// in memory, so that every interceptor applies to it as to everybody.
type gateway struct {
	listener *bufconn.Listener
	server   *grpc.Server
	conns    connections
	closed   atomic.Bool
	mux      *runtime.ServeMux
	paths    map[string][]string // of the API, and the methods of each
	// operations are the API's methods, by HTTP's verb.
	operations map[string][]operation
}

func newGateway(s *grpc.Server) (*gateway, error) {
	g := &gateway{listener: bufconn.Listen(256 << 10), server: s}
	var err error
	if g.conns, err = dialAll(gatewayConnections, g.listener.DialContext); err != nil {
		return nil, err
	}
	g.mux = runtime.NewServeMux(
		runtime.WithMarshalerOption(runtime.MIMEWildcard, &steadyJSON{}),
		runtime.WithIncomingHeaderMatcher(func(string) (string, bool) { return "", false }), // authorization is forwarded besides
		runtime.WithOutgoingHeaderMatcher(func(string) (string, bool) { return "", false }),
		runtime.WithErrorHandler(g.fail),
		runtime.WithDisablePathLengthFallback(), // a form is no way to ask
		runtime.WithRoutingErrorHandler(func(_ context.Context, _ *runtime.ServeMux, _ runtime.Marshaler, w http.ResponseWriter, r *http.Request, code int) {
			g.unrouted(w, r, code)
		}),
		runtime.SetQueryParameterParser(&strictQuery{}),
	)
	if g.paths, err = described(sekishov1.OpenAPI); err != nil {
		return nil, err
	}
	if g.operations, err = operations(sekishov1.OpenAPI); err != nil {
		return nil, err
	}
	ctx := context.Background()
	err = errors.Join(
		sekishov1.RegisterAttestationServiceHandlerClient(ctx, g.mux, sekishov1.NewAttestationServiceClient(g.conns)),
		sekishov1.RegisterAdmissionServiceHandlerClient(ctx, g.mux, sekishov1.NewAdmissionServiceClient(g.conns)),
		sekishov1.RegisterSbomServiceHandlerClient(ctx, g.mux, sekishov1.NewSbomServiceClient(g.conns)),
		sekishov1.RegisterLogServiceHandlerClient(ctx, g.mux, sekishov1.NewLogServiceClient(g.conns)),
		sekishov1.RegisterTrustServiceHandlerClient(ctx, g.mux, sekishov1.NewTrustServiceClient(g.conns)),
		g.mux.HandlePath(http.MethodGet, "/v1/attestations/{attestation}:bundle", g.bundle),
	)
	if err != nil {
		return nil, fmt.Errorf("opening the gateway: %w", err)
	}
	return g, nil
}

func (g *gateway) serve() error { return g.server.Serve(g.listener) }

func (g *gateway) close() {
	g.closed.Store(true)
	g.conns.close() //nolint:errcheck // they are going away
}

// bundle answers the bundle itself, byte for byte as it is kept.
func (g *gateway) bundle(w http.ResponseWriter, r *http.Request, path map[string]string) {
	ctx, err := runtime.AnnotateContext(r.Context(), g.mux, r, sekishov1.AttestationService_GetAttestation_FullMethodName)
	if err != nil {
		g.fail(r.Context(), g.mux, nil, w, r, err)
		return
	}
	resp, err := sekishov1.NewAttestationServiceClient(g.conns).GetAttestation(ctx, &sekishov1.GetAttestationRequest{Attestation: path["attestation"]})
	if err != nil {
		g.fail(ctx, g.mux, nil, w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/vnd.dev.sigstore.bundle.v0.3+json")
	w.Write(resp.GetBundle()) //nolint:errcheck // the caller is gone
}

// routes are the paths of the HTTP port.
func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/v1/", s.gateway)
	for path, h := range map[string]http.Handler{
		"/checkpoint": s.c.Tiles,
		"/tile/":      s.c.Tiles,
		"/openapi.json": http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.Write(sekishov1.OpenAPI) //nolint:errcheck // the caller is gone
		}),
		"/healthz": http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") }),
		"/readyz":  http.HandlerFunc(s.ready),
		"/metrics": s.watched(promhttp.HandlerFor(s.c.Metrics, promhttp.HandlerOpts{})),
	} {
		mux.Handle(path, allowing(h))
	}
	mux.HandleFunc("/", noSuchPath)
	return mux
}

// plain has every answer read as what it says it is, and kept by nobody, but for
// the tiles, which say themselves how long they may be kept.
func plain(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Cache-Control", "no-store")
		h.ServeHTTP(w, r)
	})
}

// ready says whether answers are given. If not, why is for callers who are known:
// it tells how the service is set up, and how far its log has come.
func (s *Server) ready(w http.ResponseWriter, r *http.Request) {
	err := s.c.Follow.Ready(0)
	if err == nil {
		fmt.Fprintln(w, "ready")
		return
	}
	text := "not ready"
	if _, unknown := s.c.Tokens.Authenticate(r.Header.Get("Authorization")); unknown == nil {
		text = status.Convert(toStatus(r.Context(), s.c.Logger, err)).Message()
	}
	http.Error(w, text, http.StatusServiceUnavailable)
}

// watched serves those who watch the service: auditors and admins. How much is asked,
// and of what, is nobody else's business.
func (s *Server) watched(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		caller, err := s.c.Tokens.Authenticate(r.Header.Get("Authorization"))
		if err == nil && !slices.ContainsFunc(caller.Roles, func(r identity.Role) bool { return r == identity.Auditor || r == identity.Admin }) {
			err = fmt.Errorf("%w: %s has roles %v, and this path wants auditor or admin", errForbidden, caller.Subject, caller.Roles)
		}
		if err != nil {
			writeStatus(w, status.Convert(toStatus(r.Context(), s.c.Logger, err)))
			return
		}
		h.ServeHTTP(w, r)
	})
}

// sharedCredentials speak TLS to the network, and plain text to the gateway,
// which reaches the server only through memory.
type sharedCredentials struct {
	credentials.TransportCredentials
}

// ServerHandshake lets a connection in memory pass as it is.
func (c sharedCredentials) ServerHandshake(conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	if conn.LocalAddr().Network() == "bufconn" {
		return insecure.NewCredentials().ServerHandshake(conn)
	}
	return c.TransportCredentials.ServerHandshake(conn)
}

// Clone keeps the exception.
func (c sharedCredentials) Clone() credentials.TransportCredentials {
	return sharedCredentials{c.TransportCredentials.Clone()}
}
