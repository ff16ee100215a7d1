package vault

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sekisho-dev/sekisho/attest"
	"github.com/sekisho-dev/sekisho/internal/vaulttest"
	"github.com/sekisho-dev/sekisho/sign"
	"github.com/sekisho-dev/sekisho/sign/signtest"
)

// TestSigner runs the suite on every type of key that can be logged.
func TestSigner(t *testing.T) {
	v := vaulttest.Start(t)
	for keyType, details := range map[string]attest.KeyDetails{
		"ecdsa-p256": attest.ECDSAP256SHA256, "ecdsa-p384": attest.ECDSAP384SHA384, "ecdsa-p521": attest.ECDSAP521SHA512,
		"rsa-2048": attest.RSA2048SHA256, "rsa-3072": attest.RSA3072SHA256, "rsa-4096": attest.RSA4096SHA256,
	} {
		t.Run(keyType, func(t *testing.T) {
			v.Key(t, keyType, keyType)
			signtest.Run(t, func(t *testing.T) sign.Signer {
				s := mustOpen(t, config(t, v, keyType))
				if k := s.Key(); k.Details != details || k.Version != "1" {
					t.Fatalf("%s version %q, want %s version 1", k.Details, k.Version, details)
				}
				return s
			})
		})
	}
}

// TestRotation: a signer stays at its version whatever happens to the key, and
// one that is opened later has the new one.
func TestRotation(t *testing.T) {
	v := vaulttest.Start(t)
	v.Key(t, "k", "ecdsa-p256")
	c := config(t, v, "k")
	first := mustOpen(t, c)
	v.Do(t, "POST", "transit/keys/k/rotate", nil)
	second := mustOpen(t, c)
	digest := make([]byte, 32)
	old, err := first.Sign(t.Context(), digest)
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Key().Verify(digest, old); err != nil || first.Key().Version != "1" {
		t.Errorf("after the rotation, version %s: %v", first.Key().Version, err)
	}
	if err := second.Key().Verify(digest, old); !errors.Is(err, sign.ErrBadSignature) || second.Key().Version != "2" {
		t.Errorf("what version 1 signed, by version %s: %v", second.Key().Version, err)
	}
	c.KeyVersion = 1
	if pinned := mustOpen(t, c); pinned.Key().ID != first.Key().ID {
		t.Error("version 1 by name is another key")
	}
	c.KeyVersion = 3
	if _, err := Open(t.Context(), c); !errors.Is(err, sign.ErrKey) {
		t.Errorf("version 3 of 2: %v", err)
	}
	versions, err := second.Versions(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(versions) != 2 || versions[0].ID != first.Key().ID || versions[1].ID != second.Key().ID {
		t.Errorf("versions: %v", versions)
	}
	// An operator who retires version 1 stops the signer that is pinned to it.
	// Vault answers 500, as if the fault were its own, so it counts as unavailable.
	v.Do(t, "POST", "transit/keys/k/config", map[string]any{"min_encryption_version": 2})
	if _, err := first.Sign(t.Context(), digest); !errors.Is(err, sign.ErrUnavailable) {
		t.Errorf("with a retired version: %v", err)
	}
	v.Do(t, "POST", "transit/keys/k/config", map[string]any{"min_decryption_version": 2})
	c.KeyVersion = 1
	if _, err := Open(t.Context(), c); !errors.Is(err, sign.ErrKey) || !strings.Contains(err.Error(), "min_decryption_version") {
		t.Errorf("opening a hidden version: %v", err)
	}
}

// TestManyVersions: versions are listed by number, not by spelling.
func TestManyVersions(t *testing.T) {
	v := vaulttest.Start(t)
	v.Key(t, "k", "ecdsa-p256")
	for range 11 {
		v.Do(t, "POST", "transit/keys/k/rotate", nil)
	}
	s := mustOpen(t, config(t, v, "k"))
	versions, err := s.Versions(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for i, k := range versions {
		if k.Version != strconv.Itoa(i+1) {
			t.Errorf("version %s at place %d", k.Version, i)
		}
	}
	if len(versions) != 12 || s.Key().Version != "12" {
		t.Errorf("%d versions, opened %s; want 12", len(versions), s.Key().Version)
	}
}

// TestAdvisoryH1_SignAndNothingElse: a token that may read one key and sign with
// it is enough.
func TestAdvisoryH1_SignAndNothingElse(t *testing.T) {
	v := vaulttest.Start(t)
	v.Key(t, "k", "ecdsa-p256")
	v.Key(t, "other", "ecdsa-p256")
	token := v.TokenFor(t, `
		path "transit/keys/k" { capabilities = ["read"] }
		path "transit/sign/k" { capabilities = ["update"] }`)
	s := mustOpen(t, with(config(t, v, "k"), token, t))
	if _, err := sign.Envelope(t.Context(), s, attest.PayloadTypeInToto, []byte("{}")); err != nil {
		t.Error(err)
	}
	if _, err := s.Versions(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := Open(t.Context(), with(config(t, v, "other"), token, t)); !errors.Is(err, sign.ErrDenied) {
		t.Errorf("another key: %v, want ErrDenied", err)
	}
}

// TestAdvisoryH2_KeyValidatedAtOpen: a key that cannot sign attestations is
// refused when it is opened, and the error says what it is.
func TestAdvisoryH2_KeyValidatedAtOpen(t *testing.T) {
	v := vaulttest.Start(t)
	v.Key(t, "symmetric", "aes256-gcm96")
	v.Key(t, "ed25519", "ed25519")
	v.Do(t, "POST", "transit/keys/hmac", map[string]any{"type": "hmac", "key_size": 32})
	v.Do(t, "POST", "transit/keys/derived", map[string]any{"type": "ed25519", "derived": true})
	v.Do(t, "POST", "sys/mounts/kv-not-transit", map[string]any{"type": "transit"})
	for name, says := range map[string]string{
		"symmetric": "aes256-gcm96", "ed25519": "ed25519", "hmac": "hmac", "derived": "ed25519", "absent": "no such key",
	} {
		if _, err := Open(t.Context(), config(t, v, name)); !errors.Is(err, sign.ErrKey) || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v; want ErrKey that says %q", name, err, says)
		}
	}
	elsewhere := config(t, v, "k")
	elsewhere.Mount = "nowhere/at-all"
	if _, err := Open(t.Context(), elsewhere); !errors.Is(err, sign.ErrKey) && !errors.Is(err, sign.ErrDenied) {
		t.Errorf("no engine: %v", err)
	}
}

// TestAdvisoryH3_FailsClosed: a Vault that is sealed, gone, or says no makes a
// typed error, and there is nothing else that signs instead.
func TestAdvisoryH3_FailsClosed(t *testing.T) {
	v := vaulttest.Start(t)
	v.Key(t, "k", "ecdsa-p256")
	c := config(t, v, "k")
	s := mustOpen(t, c)
	refused := func(name string, want error) {
		t.Helper()
		e, err := sign.Envelope(t.Context(), s, attest.PayloadTypeInToto, []byte("{}"))
		if !errors.Is(err, want) || e != nil {
			t.Errorf("signing, %s: %v; want %v", name, err, want)
		}
		if _, err := s.Versions(t.Context()); !errors.Is(err, want) {
			t.Errorf("listing, %s: %v; want %v", name, err, want)
		}
		if _, err := open(t.Context(), c, atOnce); !errors.Is(err, want) {
			t.Errorf("opening, %s: %v; want %v", name, err, want)
		}
	}
	v.Seal(t)
	refused("sealed", sign.ErrUnavailable)
	v.Unseal(t)
	if _, err := sign.Envelope(t.Context(), s, attest.PayloadTypeInToto, []byte("{}")); err != nil {
		t.Errorf("unsealed again: %v", err)
	}
	v.Do(t, "POST", "transit/keys/k/config", map[string]any{"deletion_allowed": true})
	v.Do(t, "DELETE", "transit/keys/k", nil)
	refused("deleted", sign.ErrKey)
	v.Do(t, "DELETE", "sys/mounts/transit", nil)
	refused("no engine", sign.ErrKey)
	v.Do(t, "PUT", "auth/token/revoke-self", nil)
	refused("revoked", sign.ErrDenied)
}

// TestUnreachable: nobody listens.
func TestUnreachable(t *testing.T) {
	server := httptest.NewServer(nil)
	address := server.URL
	server.Close()
	c := Config{URI: "hashivault://k", Address: address, TokenFile: tokenFile(t, "x")}
	if _, err := open(t.Context(), c, atOnce); !errors.Is(err, sign.ErrUnavailable) {
		t.Errorf("%v, want ErrUnavailable", err)
	}
}

// TestTokenRotated: when the token file holds another token by the time that
// Vault refuses ours, that one is used; when not, the refusal stands.
func TestTokenRotated(t *testing.T) {
	v := vaulttest.Start(t)
	v.Key(t, "k", "ecdsa-p256")
	policy := `path "transit/+/k" { capabilities = ["read", "update"] }`
	old, fresh := v.TokenFor(t, policy), v.TokenFor(t, policy)
	c := with(config(t, v, "k"), old, t)
	s := mustOpen(t, c)
	v.Do(t, "POST", "auth/token/revoke", map[string]any{"token": old})
	digest := make([]byte, 32)
	if _, err := s.Sign(t.Context(), digest); !errors.Is(err, sign.ErrDenied) {
		t.Errorf("with a revoked token: %v, want ErrDenied", err)
	}
	if err := os.WriteFile(c.TokenFile, []byte(fresh+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Sign(t.Context(), digest); err != nil {
		t.Errorf("with a fresh token in the file: %v", err)
	}
	v.Do(t, "POST", "auth/token/revoke", map[string]any{"token": fresh})
	if err := os.Remove(c.TokenFile); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Sign(t.Context(), digest); !errors.Is(err, sign.ErrDenied) {
		t.Errorf("with no token file: %v, want ErrDenied", err)
	}
}

// TestTokenFromEnvironment: a token in the environment works, and Vault's own
// variables do not reach the client.
func TestTokenFromEnvironment(t *testing.T) {
	v := vaulttest.Start(t)
	v.Key(t, "k", "ecdsa-p256")
	t.Setenv("VAULT_TOKEN", "wrong")
	t.Setenv("VAULT_NAMESPACE", "wrong")
	t.Setenv("VAULT_ADDR", "http://127.0.0.1:1")
	t.Setenv("VAULT_AGENT_ADDR", "http://127.0.0.1:1")
	t.Setenv("SEKISHO_TEST_TOKEN", v.Token)
	c := Config{URI: "hashivault://k", Address: v.Address, TokenEnv: "SEKISHO_TEST_TOKEN"}
	mustOpen(t, c)
	c.TokenEnv = ""
	if _, err := Open(t.Context(), c); !errors.Is(err, sign.ErrDenied) {
		t.Errorf("by default VAULT_TOKEN counts: %v", err)
	}
	t.Setenv("VAULT_TOKEN", v.Token)
	mustOpen(t, c)
}

// TestTLS: the CA file is who is believed, and nobody else is.
func TestTLS(t *testing.T) {
	v := vaulttest.Start(t)
	v.Key(t, "k", "ecdsa-p256")
	target, err := url.Parse(v.Address)
	if err != nil {
		t.Fatal(err)
	}
	front := httptest.NewTLSServer(httputil.NewSingleHostReverseProxy(target))
	t.Cleanup(front.Close)
	c := config(t, v, "k")
	c.Address = front.URL
	t.Setenv("VAULT_SKIP_VERIFY", "true")
	if _, err := open(t.Context(), c, atOnce); !errors.Is(err, sign.ErrUnavailable) || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("by an unknown authority: %v", err)
	}
	c.CAFile = filepath.Join(t.TempDir(), "ca.pem")
	raw := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: front.Certificate().Raw})
	if err := os.WriteFile(c.CAFile, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	mustOpen(t, c)
}

// TestConfig: every fault is found before Vault is asked, and named.
func TestConfig(t *testing.T) {
	good := Config{URI: "hashivault://k", Address: "https://vault.example:8200", TokenFile: tokenFile(t, "x")}
	for says, change := range map[string]func(*Config){
		"hashivault://NAME":      func(c *Config) { c.URI = "awskms://k" },
		"name of a Transit key":  func(c *Config) { c.URI = "hashivault://../sys/seal" },
		"want https://HOST:PORT": func(c *Config) { c.Address = "" },
		"and no more":            func(c *Config) { c.Address = "https://user:secret@vault.example" },
		"in the clear":           func(c *Config) { c.Address = "http://vault.example:8200" },
		"scheme \"unix\"":        func(c *Config) { c.Address = "unix://host/socket" },
		"path of a Transit":      func(c *Config) { c.Mount = "transit/../sys" },
		"path of a Transit ":     func(c *Config) { c.Mount = "/transit" },
		"must not be negative":   func(c *Config) { c.KeyVersion = -1 },
		"must not be negative ":  func(c *Config) { c.Timeout = -1 },
		"no such file":           func(c *Config) { c.TokenFile = "nowhere" },
		"no such file ":          func(c *Config) { c.CAFile = "nowhere" },
		"no certificate":         func(c *Config) { c.CAFile = c.TokenFile },
		"no Vault token":         func(c *Config) { c.TokenFile = tokenFile(t, " \n") },
		"more than one word":     func(c *Config) { c.TokenFile = tokenFile(t, "secret secret") },
		"environment variable":   func(c *Config) { c.TokenFile, c.TokenEnv = "", "SEKISHO_NO_SUCH" },
	} {
		c := good
		change(&c)
		_, err := open(t.Context(), c, atOnce)
		if !errors.Is(err, sign.ErrKey) && !errors.Is(err, sign.ErrDenied) || !strings.Contains(err.Error(), strings.TrimSpace(says)) {
			t.Errorf("%v; want one that says %q", err, says)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%v: says too much", err)
		}
	}
	_, err := Open(t.Context(), Config{KeyVersion: -1})
	for _, says := range []string{"uri", "address", "version"} {
		if !strings.Contains(fmt.Sprint(err), says) {
			t.Errorf("%v: does not report the fault in %s", err, says)
		}
	}
}

func TestBackoff(t *testing.T) {
	for failed, full := range map[int]time.Duration{1: 100 * time.Millisecond, 2: 200 * time.Millisecond, 3: 400 * time.Millisecond} {
		if got := backoff(failed, 0); got != full {
			t.Errorf("after %d: %v, want %v", failed, got, full)
		}
		if got := backoff(failed, 0.999); got < full/2 || got > full {
			t.Errorf("after %d: %v, want at least half of %v", failed, got, full)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := pause(ctx, 3); !errors.Is(err, context.Canceled) {
		t.Errorf("pausing for nobody: %v", err)
	}
}

// atOnce does not wait between attempts.
func atOnce(ctx context.Context, _ int) error { return ctx.Err() }

// config reaches a server's key with the root token.
func config(t *testing.T, v *vaulttest.Server, name string) Config {
	t.Helper()
	return Config{URI: scheme + name, Address: v.Address, TokenFile: tokenFile(t, v.Token)}
}

// with changes the token.
func with(c Config, token string, t *testing.T) Config {
	t.Helper()
	c.TokenFile = tokenFile(t, token)
	return c
}

func tokenFile(t *testing.T, token string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(path, []byte(token), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func mustOpen(t *testing.T, c Config) *Signer {
	t.Helper()
	s, err := open(t.Context(), c, atOnce)
	if err != nil {
		t.Fatal(err)
	}
	return s
}
