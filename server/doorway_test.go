package server

import (
	"bytes"
	"io"
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/sekisho-dev/sekisho/internal/testhouse"
)

// TestBodiesOfStrangers: over HTTP nobody's body is read who may not send it, and the
// answer says what it says over gRPC.
func TestBodiesOfStrangers(t *testing.T) {
	_, base, _ := start(t, testhouse.New(t, testhouse.Options{}))
	for name, c := range map[string]struct {
		method, path, token string
		status              int
		want                string
	}{
		"no token":   {"POST", "/v1/attestations", "", 401, `"UNAUTHENTICATED"`},
		"wrong role": {"POST", "/v1/attestations", deployerToken, 403, `"FORBIDDEN"`},
		"no path":    {"POST", "/v1/nothing", "", 404, `"NOT_FOUND"`},
		"GET":        {"GET", "/v1/log/checkpoint", "", 200, `"treeSize"`},
		"of form":    {"POST", "/v1/policy", "", 405, `"METHOD_NOT_ALLOWED"`},
	} {
		body := &endless{}
		r, err := http.NewRequestWithContext(t.Context(), c.method, base+c.path, body)
		if err != nil {
			t.Fatal(err)
		}
		r.ContentLength = 20 << 20
		if c.token != "" {
			r.Header.Set("Authorization", "Bearer "+c.token)
		}
		resp, err := (&http.Transport{}).RoundTrip(r)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != c.status || !bytes.Contains(got, []byte(c.want)) || !resp.Close {
			t.Errorf("%s: %s, closed %v, %s; want %d with %s", name, resp.Status, resp.Close, got, c.status, c.want)
		}
		if n := body.read.Load(); n > 6<<20 { // what the kernel's buffers take
			t.Errorf("%s: %d bytes were sent", name, n)
		}
	}
}

type endless struct{ read atomic.Int64 }

func (e *endless) Read(b []byte) (int, error) { e.read.Add(int64(len(b))); return len(b), nil }
