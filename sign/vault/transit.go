package vault

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/hashicorp/vault/api"

	"github.com/sekisho-dev/sekisho/sign"
)

const (
	attempts  = 4       // of one call
	maxAnswer = 1 << 20 // bytes; a key of hundreds of versions is less
)

// A transit asks one Transit engine. Between the API client and us there is one
// rule: the client never tries again by itself, and never follows a redirect,
// which would carry the token to whoever is named there.
type transit struct {
	c      Config
	client *api.Client
	pause  pauseFunc
}

// A pauseFunc waits before the next attempt, after so many that failed.
type pauseFunc func(ctx context.Context, failed int) error

func dial(c Config, pause pauseFunc) (*transit, error) {
	roots, err := authorities(c.CAFile)
	if err != nil {
		return nil, err
	}
	token, err := c.token()
	if err != nil {
		return nil, err
	}
	// A configuration of our own, whole: the client's default reads the
	// environment, where VAULT_SKIP_VERIFY would turn off TLS.
	client, err := api.NewClient(&api.Config{
		Address: c.Address,
		HttpClient: &http.Client{
			Transport: capped{&http.Transport{
				Proxy:               http.ProxyFromEnvironment,
				TLSClientConfig:     &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots},
				ForceAttemptHTTP2:   true,
				MaxIdleConnsPerHost: 64,
				IdleConnTimeout:     90 * time.Second,
			}},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		CheckRetry:       func(context.Context, *http.Response, error) (bool, error) { return false, nil },
		DisableRedirects: true,
	})
	if err != nil {
		return nil, err
	}
	client.SetToken(token)
	client.ClearNamespace()
	if c.Namespace != "" {
		client.SetNamespace(c.Namespace)
	}
	return &transit{c: c, client: client, pause: pause}, nil
}

func authorities(path string) (*x509.CertPool, error) {
	if path == "" {
		return nil, nil // the system's
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading Vault's CA: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(raw) {
		return nil, fmt.Errorf("reading Vault's CA: no certificate in %s", path)
	}
	return pool, nil
}

// call asks Vault, with a body or without, and reads the data of the answer. It
// tries again after [sign.ErrUnavailable], a few times, and after
// [sign.ErrDenied] once, if the token file holds another token by then. A
// context that is done ends it with the context's error.
func (t *transit) call(ctx context.Context, answer any, path string, body map[string]any) error {
	reread := false
	for failed := 1; ; failed++ {
		token := t.client.Token()
		err := t.try(ctx, answer, path, body)
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return fmt.Errorf("asking Vault: %w", ctx.Err())
		case errors.Is(err, sign.ErrDenied) && !reread && t.rotated(token):
			reread = true
		case errors.Is(err, sign.ErrUnavailable) && failed < attempts:
			if err := t.pause(ctx, failed); err != nil {
				return fmt.Errorf("asking Vault: %w", err)
			}
		default:
			return err
		}
	}
}

// rotated reads the token file again, and reports whether it holds another token
// than the one that was refused.
func (t *transit) rotated(refused string) bool {
	if t.c.TokenFile == "" {
		return false
	}
	token, err := t.c.token()
	if err != nil || token == refused {
		return false
	}
	t.client.SetToken(token)
	return true
}

// try asks once.
func (t *transit) try(ctx context.Context, answer any, path string, body map[string]any) error {
	ctx, cancel := context.WithTimeout(ctx, t.c.Timeout)
	defer cancel()
	resp, err := t.send(ctx, t.c.Mount+"/"+path, body)
	if resp != nil {
		defer resp.Body.Close() //nolint:errcheck // read, or of no use
	}
	if err != nil {
		return t.failure(err)
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%w: Vault answered HTTP %d without doing anything; want the address of an active node", sign.ErrUnavailable, resp.StatusCode)
	}
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		return t.failure(err)
	}
	var secret struct {
		Data json.RawMessage `json:"data"`
	}
	if err := json.Unmarshal(raw, &secret); err != nil || len(secret.Data) == 0 || string(secret.Data) == "null" {
		return fmt.Errorf("%w: an answer of %d bytes without data: is this Vault?", sign.ErrUnavailable, len(raw))
	}
	if err := json.Unmarshal(secret.Data, answer); err != nil {
		return fmt.Errorf("%w: an answer that is not Transit's: is it Transit at %s?", sign.ErrKey, t.c.Mount)
	}
	return nil
}

func (t *transit) send(ctx context.Context, path string, body map[string]any) (*api.Response, error) {
	if body == nil {
		return t.client.Logical().ReadRawWithContext(ctx, path)
	}
	raw, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	return t.client.Logical().WriteRawWithContext(ctx, path, raw)
}

// failure says in our words what went wrong. The client's error is not wrapped:
// its text is Vault's or a proxy's, of any length, and might repeat the token;
// and a deadline in it is that of one attempt, not the caller's.
func (t *transit) failure(err error) error {
	var refused *api.ResponseError
	if !errors.As(err, &refused) {
		return fmt.Errorf("%w: %s", sign.ErrUnavailable, t.clean(err.Error()))
	}
	kind := sign.ErrKey
	switch code := refused.StatusCode; {
	case code == http.StatusUnauthorized, code == http.StatusForbidden:
		kind = sign.ErrDenied
	case code == http.StatusRequestTimeout, code == http.StatusPreconditionFailed, // a replica that is behind
		code == http.StatusTooManyRequests, code >= 500: // 503: sealed
		kind = sign.ErrUnavailable
	case code == http.StatusNotFound:
		return fmt.Errorf("%w: Vault has no such key, or no Transit engine at %s", sign.ErrKey, t.c.Mount)
	}
	return fmt.Errorf("%w: Vault answered HTTP %d: %s", kind, refused.StatusCode, t.clean(strings.Join(refused.Errors, "; ")))
}

// clean makes somebody else's text fit for our errors and logs.
func (t *transit) clean(text string) string {
	return fmt.Sprintf("%.300q", strings.ReplaceAll(text, t.client.Token(), "[token]"))
}

// pause waits as long as [backoff] says.
func pause(ctx context.Context, failed int) error {
	timer := time.NewTimer(backoff(failed, rand.Float64()))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// backoff doubles from 100 ms, and takes off up to half of it at random (in
// [0, 1)) so that those who failed together do not come back together.
func backoff(failed int, random float64) time.Duration {
	full := 100 * time.Millisecond << (failed - 1)
	return full - time.Duration(random*float64(full)/2)
}

// capped bounds what is read of an answer, errors included.
type capped struct{ next http.RoundTripper }

func (c capped) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := c.next.RoundTrip(r)
	if err == nil {
		resp.Body = http.MaxBytesReader(nil, resp.Body, maxAnswer)
	}
	return resp, err
}
