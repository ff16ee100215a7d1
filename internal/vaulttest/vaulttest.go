// Package vaulttest starts a real Vault core with the Transit engine, in memory
// and on loopback, for the tests of whatever talks to one. The core is a program
// of its own, built from the nested module server/ into the repository's cache
// at the first use (some minutes) and found there afterwards. SEKISHO_VAULT_BIN
// names a program to use instead.
package vaulttest

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"testing"
	"time"
)

// A Server is a running Vault. It stops with the test, and with the process that
// started it whatever happens to that.
type Server struct {
	Address   string `json:"address"` // http://127.0.0.1:PORT
	Token     string `json:"token"`   // may do everything
	UnsealKey string `json:"unsealKey"`
}

// Start starts a Vault, unsealed, with a Transit engine at transit/.
func Start(t testing.TB) *Server {
	t.Helper()
	bin, err := binary(context.WithoutCancel(t.Context()))
	if err != nil {
		t.Fatal(err)
	}
	s, err := start(t, bin)
	if err != nil {
		t.Fatalf("starting %s: %v", bin, err)
	}
	s.Do(t, "POST", "sys/mounts/transit", map[string]any{"type": "transit"})
	return s
}

func start(t testing.TB, bin string) (*Server, error) {
	cmd := exec.Command(bin)
	var log bytes.Buffer
	cmd.Stderr = &log
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	t.Cleanup(func() {
		in.Close() //nolint:errcheck // it ends the server, or has already
		if err := cmd.Wait(); err != nil || t.Failed() {
			t.Logf("vault: %v\n%s", err, log.Bytes())
		}
	})
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if err != nil {
		return nil, fmt.Errorf("it ended before it was ready: %w", err)
	}
	var s Server
	return &s, json.Unmarshal(line, &s)
}

// Do sends a request with the root token, and fails the test unless it succeeds.
// The path is that after /v1/. It returns the answer, if there is one.
func (s *Server) Do(t testing.TB, method, path string, body any) map[string]any {
	t.Helper()
	answer, err := s.do(method, path, body)
	if err != nil {
		t.Fatalf("vault: %s %s: %v", method, path, err)
	}
	return answer
}

func (s *Server) do(method, path string, body any) (map[string]any, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	raw, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, method, s.Address+"/v1/"+path, bytes.NewReader(raw))
	if err != nil {
		return nil, err
	}
	req.Header.Set("X-Vault-Token", s.Token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close() //nolint:errcheck // read to its end
	raw, err = io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode/100 != 2 {
		err = errors.New(resp.Status + ": " + string(raw))
	}
	var answer map[string]any
	if err == nil && len(raw) > 0 {
		err = json.Unmarshal(raw, &answer)
	}
	return answer, err
}

// Key makes a Transit key of a type such as "ecdsa-p256".
func (s *Server) Key(t testing.TB, name, keyType string) {
	t.Helper()
	s.Do(t, "POST", "transit/keys/"+name, map[string]any{"type": keyType})
}

// TokenFor makes a token that a policy, given in HCL, applies to.
func (s *Server) TokenFor(t testing.TB, policy string) string {
	t.Helper()
	s.Do(t, "PUT", "sys/policies/acl/test", map[string]any{"policy": policy})
	answer := s.Do(t, "POST", "auth/token/create", map[string]any{"policies": []string{"test"}, "no_parent": true})
	auth, _ := answer["auth"].(map[string]any)
	token, ok := auth["client_token"].(string)
	if !ok {
		t.Fatalf("vault: no token in %v", answer)
	}
	return token
}

// Seal seals it: it answers nothing any more, until Unseal.
func (s *Server) Seal(t testing.TB) {
	t.Helper()
	s.Do(t, "PUT", "sys/seal", nil)
}

// Unseal undoes Seal.
func (s *Server) Unseal(t testing.TB) {
	t.Helper()
	s.Do(t, "PUT", "sys/unseal", map[string]any{"key": s.UnsealKey})
}
