package server

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strconv"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/resolver/manual"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/proto"

	sekishov1 "github.com/sekisho-dev/sekisho/proto/sekisho/v1"
)

// gatewayConnections is how many connections the JSON port has to the gRPC server.
const gatewayConnections = 8

// gateway is the JSON port's way to the gRPC server: a client over a listener
// in memory, so that every interceptor applies to it as to everybody.
type gateway struct {
	listener *bufconn.Listener
	server   *grpc.Server
	conn     *grpc.ClientConn
	mux      *runtime.ServeMux
	paths    map[string][]string // of the API, and the methods of each
	// operations are the API's methods, by HTTP's verb.
	operations map[string][]operation
}

func newGateway(s *grpc.Server) (*gateway, error) {
	g := &gateway{listener: bufconn.Listen(256 << 10), server: s}
	// Several connections, each asked in its turn: a connection has only so many
	// streams, and calls that wait must not hold up the others.
	several := manual.NewBuilderWithScheme("gateway")
	var endpoints []resolver.Endpoint
	for i := range gatewayConnections {
		endpoints = append(endpoints, resolver.Endpoint{Addresses: []resolver.Address{{Addr: strconv.Itoa(i)}}})
	}
	several.InitialState(resolver.State{Endpoints: endpoints})
	var err error
	g.conn, err = grpc.NewClient("gateway:///",
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return g.listener.DialContext(ctx) }),
		grpc.WithResolvers(several),
		grpc.WithDefaultServiceConfig(`{"loadBalancingConfig":[{"round_robin":{}}]}`),
		grpc.WithIdleTimeout(0),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(2*maxMessage)),
	)
	if err != nil {
		return nil, fmt.Errorf("opening the gateway: %w", err)
	}
	g.mux = runtime.NewServeMux(
		runtime.WithMarshalerOption(runtime.MIMEWildcard, &steadyJSON{}),
		runtime.WithIncomingHeaderMatcher(func(string) (string, bool) { return "", false }), // authorization is forwarded besides
		runtime.WithOutgoingHeaderMatcher(func(string) (string, bool) { return "", false }),
		runtime.WithErrorHandler(writeError),
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
	for _, register := range []func(context.Context, *runtime.ServeMux, *grpc.ClientConn) error{
		sekishov1.RegisterAttestationServiceHandler,
		sekishov1.RegisterAdmissionServiceHandler,
		sekishov1.RegisterSbomServiceHandler,
		sekishov1.RegisterLogServiceHandler,
		sekishov1.RegisterTrustServiceHandler,
	} {
		if err := register(ctx, g.mux, g.conn); err != nil {
			return nil, fmt.Errorf("opening the gateway: %w", err)
		}
	}
	err = g.mux.HandlePath(http.MethodGet, "/v1/attestations/{attestation}:bundle", g.bundle)
	return g, err
}

// steadyJSON is the gateway's own reading of JSON, and our writing of it.
type steadyJSON struct{ runtime.JSONPb }

// Marshal renders a message; whatever else the gateway should write is its own.
func (j *steadyJSON) Marshal(v any) ([]byte, error) {
	if m, ok := v.(proto.Message); ok {
		return sekishov1.JSON(m)
	}
	return j.JSONPb.Marshal(v)
}

func (g *gateway) serve() error { return g.server.Serve(g.listener) }

func (g *gateway) close() { g.conn.Close() } //nolint:errcheck // it is going away

// bundle answers the bundle itself, byte for byte as it is kept.
func (g *gateway) bundle(w http.ResponseWriter, r *http.Request, path map[string]string) {
	ctx, err := runtime.AnnotateContext(r.Context(), g.mux, r, sekishov1.AttestationService_GetAttestation_FullMethodName)
	if err != nil {
		writeError(r.Context(), g.mux, nil, w, r, err)
		return
	}
	resp, err := sekishov1.NewAttestationServiceClient(g.conn).GetAttestation(ctx, &sekishov1.GetAttestationRequest{Attestation: path["attestation"]})
	if err != nil {
		writeError(ctx, g.mux, nil, w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/vnd.dev.sigstore.bundle.v0.3+json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
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
		"/metrics": promhttp.HandlerFor(s.c.Metrics, promhttp.HandlerOpts{}),
	} {
		mux.Handle(path, allowing(h))
	}
	mux.HandleFunc("/", noSuchPath)
	return mux
}

// ready says whether answers are given, and if not, why.
func (s *Server) ready(w http.ResponseWriter, _ *http.Request) {
	if err := s.c.Follow.Ready(0); err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	fmt.Fprintln(w, "ready")
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
