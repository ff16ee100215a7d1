package client_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/sekisho-dev/sekisho/attest"
	"github.com/sekisho-dev/sekisho/client"
	"github.com/sekisho-dev/sekisho/server"
)

// certificate is one for this machine, and the pool that believes it.
func certificate(t *testing.T) (*tls.Config, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, MinVersion: tls.VersionTLS13}, pool
}

// TestTLS: with a certificate that the client believes, both ends speak TLS; a
// client that does not believe it, or speaks plain text, has no answer.
func TestTLS(t *testing.T) {
	config, pool := certificate(t)
	s := serve(t, func(c *server.Config) { c.TLS = config })
	s.built(t, attest.SHA256([]byte("a")))
	q := question(attest.SHA256([]byte("a")))
	if _, err := s.ask(t, tlsConfig(&tls.Config{RootCAs: pool})).Evaluate(t.Context(), q); err != nil {
		t.Errorf("over TLS: %v", err)
	}
	for name, option := range map[string]with{
		"another root": tlsConfig(&tls.Config{RootCAs: x509.NewCertPool()}),
		"plain text":   func(*client.Config) {},
	} {
		if _, err := s.ask(t, option).Evaluate(t.Context(), q); !errors.Is(err, client.ErrUnreachable) {
			t.Errorf("%s: %v, want UNREACHABLE", name, err)
		}
	}
}

// TestTokenStaysWithItsService: a token goes over plain text to this machine only,
// and never into an error.
func TestTokenStaysWithItsService(t *testing.T) {
	for addr, want := range map[string]bool{
		"127.0.0.1:7443": true, "[::1]:7443": true, "localhost:7443": true,
		"127.0.0.1.evil.example:7443": false, "localhost.evil.example:7443": false, "192.0.2.1:7443": false, "7443": false, "": false,
	} {
		if got := client.Loopback(addr); got != want {
			t.Errorf("Loopback(%q) = %v", addr, got)
		}
	}
	s := serve(t)
	if _, err := s.ask(t, token("no-token-of-this-service")).Get(t.Context(), "0"); !errors.Is(err, client.ErrUnauthenticated) || strings.Contains(err.Error(), "no-token-of") {
		t.Errorf("%v, want UNAUTHENTICATED without the token in it", err)
	}
	if _, err := s.ask(t, token(builderToken)).Evaluate(t.Context(), question(attest.SHA256(nil))); !errors.Is(err, client.ErrForbidden) {
		t.Errorf("a builder asks for a verdict: %v, want FORBIDDEN", err)
	}
	if _, err := client.New(client.Config{Server: s.addr, Token: "two words", Now: time.Now}); err == nil || strings.Contains(err.Error(), "two words") {
		t.Errorf("a token with a space: %v", err)
	}
	if _, err := client.New(client.Config{Server: s.addr, TLS: &tls.Config{}, Plaintext: true, Now: time.Now}); !errors.Is(err, client.ErrInsecure) {
		t.Errorf("TLS and plain text: %v, want INSECURE", err)
	}
}

// TestNobodyAnswers: no answer is an error with its own name, soon enough for a script.
func TestNobodyAnswers(t *testing.T) {
	s := serve(t)
	c := s.ask(t)
	met(t, c)
	s.stop()
	start := time.Now()
	_, err := c.Evaluate(t.Context(), question(attest.SHA256(nil)))
	var e *client.Error
	if !errors.Is(err, client.ErrUnreachable) || !errors.As(err, &e) || e.Code != codes.Unavailable {
		t.Errorf("%v, want UNREACHABLE", err)
	}
	if took := time.Since(start); took > 30*time.Second {
		t.Errorf("it took %v", took)
	}
}
