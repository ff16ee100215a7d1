package server

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"google.golang.org/grpc"

	"github.com/sekisho-dev/sekisho/attest"
	"github.com/sekisho-dev/sekisho/internal/testhouse"
	sekishov1 "github.com/sekisho-dev/sekisho/proto/sekisho/v1"
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

// TestLargeQuestion: a question of many megabytes is answered over both ports, and does
// not wait for itself.
func TestLargeQuestion(t *testing.T) {
	addr, port, _ := start(t, testhouse.New(t, testhouse.Options{}))
	name, digest := strings.Repeat("x", 10<<20), attest.SHA256(nil)
	if resp, body := send(t, port, "POST", "/v1/deployments:evaluate", `{"artifact":{"digest":{"sha256":"`+digest.Hex()+`"},"names":["`+name+`"]}}`); resp.StatusCode != 200 {
		t.Errorf("%s %.300s", resp.Status, body)
	}
	req := &sekishov1.EvaluateDeploymentRequest{Artifact: &sekishov1.Artifact{Digest: digest.Set(), Names: []string{name, name}}}
	if _, err := sekishov1.NewAdmissionServiceClient(dial(t, addr)).EvaluateDeployment(as(t.Context(), deployerToken), req, grpc.MaxCallRecvMsgSize(maxMessage)); err != nil {
		t.Error(err)
	}
}

// TestBodyOfUnknownLength: a body that does not say how long it is is read whole.
func TestBodyOfUnknownLength(t *testing.T) {
	_, port, _ := start(t, testhouse.New(t, testhouse.Options{}))
	for _, size := range []int{10, 2 * smallMessage, 3 << 20} {
		body := `{"artifact":{"digest":{"sha256":"` + attest.SHA256(nil).Hex() + `"},"names":["` + strings.Repeat("x", size) + `"]}}`
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, port+"/v1/deployments:evaluate", io.MultiReader(strings.NewReader(body)))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+deployerToken)
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		got, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != 200 || len(got) < size {
			t.Errorf("%d bytes: %s, %.200s", size, resp.Status, got)
		}
	}
}

type endless struct{ read atomic.Int64 }

func (e *endless) Read(b []byte) (int, error) { e.read.Add(int64(len(b))); return len(b), nil }
