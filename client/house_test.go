package client_test

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"

	"github.com/sekisho-dev/sekisho/attest"
	"github.com/sekisho-dev/sekisho/client"
	"github.com/sekisho-dev/sekisho/internal/testhouse"
	sekishov1 "github.com/sekisho-dev/sekisho/proto/sekisho/v1"
	"github.com/sekisho-dev/sekisho/server"
	"github.com/sekisho-dev/sekisho/server/identity"
	"github.com/sekisho-dev/sekisho/tlog"
)

const (
	adminToken   = "admin-token-of-the-test"
	builderToken = "builder-token-of-the-test"
)

// A service is the real one, over a house in memory.
type service struct {
	*testhouse.House
	addr string
	stop func()
}

// serve serves a house on loopback until the test ends.
func serve(t testing.TB, change ...func(*server.Config)) *service {
	t.Helper()
	h := testhouse.New(t, testhouse.Options{})
	tokens := identity.NewTokens()
	for token, c := range map[string]identity.Caller{
		adminToken:   {Issuer: "token:admin", Subject: "admin", Roles: []identity.Role{identity.Admin}},
		builderToken: {Issuer: "token:ci", Subject: "builder", Roles: []identity.Role{identity.Builder}},
	} {
		if err := tokens.Add(token, c); err != nil {
			t.Fatal(err)
		}
	}
	config := server.Config{
		Register: h.Register, Decide: h.Decide, Follow: h.Follow, Log: h.Log, LogKey: h.Log.Verifier(), Blobs: h.Blobs,
		Tiles: http.NotFoundHandler(), Tokens: tokens, TrustedRoot: []byte("{}"),
		Keys: []*sekishov1.Key{{
			KeyId: attest.SHA256(h.Signer.Key().SPKI).Hex(), Purpose: sekishov1.KeyPurpose_KEY_PURPOSE_STATEMENTS,
			Pem: testhouse.PublicPEM(h.Signer), Current: true,
		}},
		Logger: slog.New(slog.DiscardHandler), Metrics: prometheus.NewRegistry(),
	}
	for _, c := range change {
		c(&config)
	}
	s, err := server.New(config)
	if err != nil {
		t.Fatal(err)
	}
	gl, hl := listen(t), listen(t)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, gl, hl) }()
	stopped := false
	stop := func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
	}
	t.Cleanup(stop)
	return &service{h, gl.Addr().String(), stop}
}

func listen(t testing.TB) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// with changes a client's configuration.
type with func(*client.Config)

func state(dir string) with        { return func(c *client.Config) { c.State = dir } }
func token(token string) with      { return func(c *client.Config) { c.Token = token } }
func tlsConfig(t *tls.Config) with { return func(c *client.Config) { c.TLS = t } }
func warnTo(says *[]string) with {
	return func(c *client.Config) { c.Warn = func(s string) { *says = append(*says, s) } }
}
func dial(o ...grpc.DialOption) with {
	return func(c *client.Config) { c.DialOptions = append(c.DialOptions, o...) }
}

// between puts an interceptor between the client and the service.
func between(i grpc.UnaryClientInterceptor) with { return dial(grpc.WithChainUnaryInterceptor(i)) }

// ask returns a client of the service, with the admin's token.
func (s *service) ask(t testing.TB, options ...with) *client.Client {
	t.Helper()
	config := client.Config{Server: s.addr, Token: adminToken, Now: s.Clock.Now}
	for _, o := range options {
		o(&config)
	}
	c, err := client.New(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// built registers provenance for an artifact and returns its index.
func (s *service) built(t testing.TB, artifact attest.Digest) uint64 {
	t.Helper()
	return s.Statement(t, testhouse.Provenance(artifact, "https://localhost/ci")).Receipt.Index
}

// question asks about an artifact.
func question(artifact attest.Digest) *sekishov1.EvaluateDeploymentRequest {
	return &sekishov1.EvaluateDeploymentRequest{Artifact: &sekishov1.Artifact{Digest: artifact.Set()}, MinBuildLevel: 1}
}

// remembered reads every file of a state directory.
func remembered(t testing.TB, dir string) map[string]string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, f := range files {
		raw, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		all[filepath.Base(f)] = string(raw)
	}
	return all
}

// met makes a client meet the log, and returns what it knows of it.
func met(t testing.TB, c *client.Client) (*tlog.Verifier, attest.Checkpoint) {
	t.Helper()
	v, cp, err := c.Log(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return v, cp
}
