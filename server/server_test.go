package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/sekisho-dev/sekisho/attest"
	"github.com/sekisho-dev/sekisho/internal/testhouse"
	sekishov1 "github.com/sekisho-dev/sekisho/proto/sekisho/v1"
	"github.com/sekisho-dev/sekisho/server/identity"
)

const (
	adminToken    = "admin-token-of-the-test"
	deployerToken = "deployer-token-of-the-test"
	builderToken  = "builder-token-of-the-test"
)

// start serves a house on loopback until the test ends.
func start(t testing.TB, h *testhouse.House, change ...func(*Config)) (grpcAddr, httpAddr string, logs *strings.Builder) {
	t.Helper()
	tokens := identity.NewTokens()
	for token, c := range map[string]identity.Caller{
		adminToken:    {Issuer: "token:admin", Subject: "admin", Roles: []identity.Role{identity.Admin}},
		deployerToken: {Issuer: "token:cd", Subject: "deployer", Roles: []identity.Role{identity.Deployer}},
		builderToken:  {Issuer: "token:ci", Subject: "builder", Roles: []identity.Role{identity.Builder}},
	} {
		if err := tokens.Add(token, c); err != nil {
			t.Fatal(err)
		}
	}
	logs = &strings.Builder{}
	config := Config{
		Register: h.Register, Decide: h.Decide, Follow: h.Follow, Log: h.Log, LogKey: h.Log.Verifier(), Blobs: h.Blobs,
		Tiles: http.NotFoundHandler(), Tokens: tokens, TrustedRoot: []byte("{}"),
		Logger: slog.New(slog.NewTextHandler(logs, nil)), Metrics: prometheus.NewRegistry(),
	}
	for _, c := range change {
		c(&config)
	}
	s, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	gl, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	hl, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- s.Serve(ctx, gl, hl) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return gl.Addr().String(), "http://" + hl.Addr().String(), logs
}

func dial(t testing.TB, addr string) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func as(ctx context.Context, token string) context.Context {
	return metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token)
}

// TestEveryMethodIsInTheTable (advisory G3): each RPC of the service has a rule,
// and each rule is of an RPC.
func TestAdvisoryG3_EveryMethodIsInTheTable(t *testing.T) {
	s := grpc.NewServer()
	h := testhouse.New(t, testhouse.Options{})
	srv, err := New(Config{Follow: h.Follow, Logger: slog.New(slog.DiscardHandler), Metrics: prometheus.NewRegistry(), Tokens: identity.NewTokens(), Tiles: http.NotFoundHandler()})
	if err != nil {
		t.Fatal(err)
	}
	s.Stop()
	known := map[string]bool{}
	for name, info := range srv.grpc.GetServiceInfo() {
		for _, m := range info.Methods {
			method := "/" + name + "/" + m.Name
			known[method] = true
			if len(access[method]) == 0 {
				t.Errorf("%s has no rule", method)
			}
		}
	}
	for method := range access {
		if !known[method] {
			t.Errorf("the rule of %s is of no method", method)
		}
	}
	if allowed("/sekisho.v1.AttestationService/DeleteEverything", []identity.Role{identity.Admin}) {
		t.Error("an unknown method is allowed")
	}
}

func TestAuthorization(t *testing.T) {
	h := testhouse.New(t, testhouse.Options{})
	addr, _, logs := start(t, h)
	conn := dial(t, addr)
	evaluate := func(ctx context.Context) error {
		_, err := sekishov1.NewAdmissionServiceClient(conn).EvaluateDeployment(ctx, &sekishov1.EvaluateDeploymentRequest{
			Artifact: &sekishov1.Artifact{Digest: attest.SHA256(nil).Set()},
		})
		return err
	}
	create := func(ctx context.Context) error {
		_, err := sekishov1.NewAttestationServiceClient(conn).CreateAttestation(ctx, &sekishov1.CreateAttestationRequest{
			Document: &sekishov1.CreateAttestationRequest_Statement{Statement: testhouse.Provenance(attest.SHA256(nil), "https://localhost/b")},
		})
		return err
	}
	checkpoint := func(ctx context.Context) error {
		_, err := sekishov1.NewLogServiceClient(conn).GetCheckpoint(ctx, &sekishov1.GetCheckpointRequest{})
		return err
	}
	for name, c := range map[string]struct {
		call  func(context.Context) error
		token string
		want  codes.Code
	}{
		"evaluate, nobody":           {evaluate, "", codes.Unauthenticated},
		"evaluate, wrong token":      {evaluate, "not-a-token-of-this-test", codes.Unauthenticated},
		"evaluate, builder":          {evaluate, builderToken, codes.PermissionDenied},
		"evaluate, deployer":         {evaluate, deployerToken, codes.OK},
		"create, deployer":           {create, deployerToken, codes.PermissionDenied},
		"create, builder, not in it": {create, builderToken, codes.PermissionDenied},
		"create, admin":              {create, adminToken, codes.OK},
		"checkpoint, nobody":         {checkpoint, "", codes.OK},
	} {
		ctx := t.Context()
		if c.token != "" {
			ctx = as(ctx, c.token)
		}
		if err := c.call(ctx); status.Code(err) != c.want {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	for _, token := range []string{adminToken, deployerToken, builderToken, "not-a-token-of-this-test"} {
		if strings.Contains(logs.String(), token) {
			t.Errorf("advisory E8: a token is in the logs")
		}
	}
}

func TestHTTP(t *testing.T) {
	h := testhouse.New(t, testhouse.Options{})
	_, base, _ := start(t, h)
	call := func(method, path, token, body string) (int, string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, base+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if token != "" {
			req.Header.Set("Authorization", "Bearer "+token)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		raw, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(raw)
	}
	digest := attest.SHA256(nil).Hex()
	for _, c := range []struct {
		method, path, token, body string
		status                    int
		want                      string
	}{
		{"GET", "/healthz", "", "", 200, "ok"},
		{"GET", "/readyz", "", "", 200, "ready"},
		{"GET", "/metrics", "", "", 401, `"reason":"UNAUTHENTICATED"`},
		{"GET", "/metrics", deployerToken, "", 403, `"reason":"FORBIDDEN"`},
		{"GET", "/openapi.json", "", "", 200, `"swagger"`},
		{"GET", "/metrics", adminToken, "", 200, "sekisho_index_entries"},
		{"GET", "/v1/log/checkpoint", "", "", 200, `"treeSize":"2"`},
		{"GET", "/v1/log/inclusion?logIndex=1", "", "", 200, `"leafHash"`},
		{"GET", "/v1/log/consistency?fromSize=1", "", "", 200, `"hashes"`},
		{"GET", "/v1/log/consistency?fromSize=9", "", "", 400, `"reason":"NO_SUCH_PROOF"`},
		{"GET", "/v1/trusted-root", "", "", 200, `"trustedRoot"`},
		{"GET", "/v1/keys", "", "", 200, `"keys"`},
		{"GET", "/v1/attestations", "", "", 401, `"reason":"UNAUTHENTICATED"`},
		{"GET", "/v1/attestations", adminToken, "", 200, `"nextPageToken":""`},
		{"GET", "/v1/attestations?pageSize=1", adminToken, "", 200, `"nextPageToken":"1"`},
		{"GET", "/v1/attestations/0", adminToken, "", 200, `"envelope"`},
		{"GET", "/v1/attestations/0:bundle", adminToken, "", 200, `"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json"`},
		{"GET", "/v1/attestations/0:bundle", "", "", 401, `"reason":"UNAUTHENTICATED"`},
		{"GET", "/v1/attestations/99", adminToken, "", 404, `"reason":"NOT_FOUND"`},
		{"GET", "/v1/attestations/x", adminToken, "", 400, `"reason":"BAD_REQUEST"`},
		{"GET", "/v1/attestations/sha256:" + digest, adminToken, "", 404, `"reason":"NOT_FOUND"`},
		{"POST", "/v1/deployments:evaluate", deployerToken, `{"artifact":{"digest":{"sha256":"` + digest + `"}},"minBuildLevel":2}`, 200, `"verdict":"VERDICT_DENY"`},
		{"POST", "/v1/deployments:evaluate", deployerToken, `{"artifact":{"digest":{"sha256":"` + digest + `"}},"minBuildLevel":4}`, 400, `"reason":"UNKNOWN_LEVEL"`},
		{"POST", "/v1/deployments:evaluate", deployerToken, `{"unknown":1}`, 400, `"INVALID_ARGUMENT"`},
		{"POST", "/v1/deployments:evaluate", deployerToken, `{}`, 400, `"reason":"NO_ARTIFACT"`},
		{"POST", "/v1/deployments:batchEvaluate", deployerToken, `{"requests":[]}`, 400, `"reason":"BAD_REQUEST"`},
		{"POST", "/v1/attestations", adminToken, `{"statement":"e30="}`, 400, `"reason":"UNSUPPORTED_STATEMENT_TYPE"`},
		{"POST", "/v1/attestations", adminToken, `{}`, 400, `"reason":"BAD_REQUEST"`},
		{"GET", "/", "", "", 404, ""},
		{"GET", "/v1//attestations", adminToken, "", 0, ""},
	} {
		code, body := call(c.method, c.path, c.token, c.body)
		body = strings.ReplaceAll(body, `": `, `":`)
		if c.status != 0 && code != c.status || !strings.Contains(strings.ReplaceAll(body, " ", ""), strings.ReplaceAll(c.want, " ", "")) {
			t.Errorf("%s %s: %d %.300s; want %d with %s", c.method, c.path, code, body, c.status, c.want)
		}
	}
}

// TestAdvisoryD5_LabelsAreConstant: no caller chooses a metric's label.
func TestAdvisoryD5_LabelsAreConstant(t *testing.T) {
	h := testhouse.New(t, testhouse.Options{})
	addr, base, _ := start(t, h)
	conn := dial(t, addr)
	for i := range 50 {
		conn.Invoke(t.Context(), fmt.Sprintf("/evil.Service%d/Method", i), &sekishov1.GetCheckpointRequest{}, &sekishov1.GetCheckpointResponse{}) // it is refused
	}
	if resp, raw := send(t, base, "GET", "/metrics", ""); resp.StatusCode != 200 || strings.Contains(string(raw), "evil") {
		t.Error("a caller chose a metric's label")
	}
}

// TestOutcomes: what is not in the table does not leave the service, and a cause
// is found under what wraps it.
func TestOutcomes(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	err := toStatus(t.Context(), log, errors.New("the password is swordfish"))
	if status.Code(err) != codes.Internal || strings.Contains(err.Error(), "swordfish") {
		t.Errorf("%v", err)
	}
	for _, o := range outcomes {
		err := toStatus(t.Context(), log, fmt.Errorf("doing something: %w", o.err))
		if status.Code(err) != o.code {
			t.Errorf("%v: %v, want %v", o.err, status.Code(err), o.code)
		}
	}
}

// TestPanicIsAnError: a panic in a handler is an internal error and no answer.
func TestPanicIsAnError(t *testing.T) {
	s := &Server{c: Config{Logger: slog.New(slog.DiscardHandler)}}
	resp, err := s.errorsUnary(t.Context(), nil, &grpc.UnaryServerInfo{FullMethod: "/x/y"}, func(context.Context, any) (any, error) {
		panic("no")
	})
	if resp != nil || status.Code(err) != codes.Internal {
		t.Errorf("%v, %v", resp, err)
	}
}

// TestShutdownEndsWatches: a health watch lasts as long as its connection, and must
// not hold up a service that stops.
func TestShutdownEndsWatches(t *testing.T) {
	h := testhouse.New(t, testhouse.Options{})
	var stopped time.Time
	t.Run("serving", func(serving *testing.T) {
		addr, _, _ := start(serving, h)
		watch, err := healthpb.NewHealthClient(dial(t, addr)).Watch(t.Context(), &healthpb.HealthCheckRequest{}) // outlives the service
		if err != nil {
			t.Fatal(err)
		}
		if first, err := watch.Recv(); err != nil || first.GetStatus() != healthpb.HealthCheckResponse_SERVING {
			t.Fatalf("%v, %v", first, err)
		}
		stopped = time.Now()
	})
	if took := time.Since(stopped); took > shutdownGrace/2 {
		t.Errorf("stopping took %v", took)
	}
}
