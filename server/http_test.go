package server

import (
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/sekisho-dev/sekisho/internal/testhouse"
)

// TestHTTPErrors: whatever is wrong with a request, the JSON port answers an error
// object with a reason, and the status that fits.
func TestHTTPErrors(t *testing.T) {
	_, port, _ := start(t, testhouse.New(t, testhouse.Options{}))
	large := `{"statement":"` + strings.Repeat("A", maxMessage) + `"}`
	for _, c := range []struct {
		method, path, body string
		status             int
		reason, message    string
		allow              string
	}{
		{"GET", "/nothing", "", 404, "NOT_FOUND", `there is no "/nothing" here`, ""},
		{"GET", "/v1/nothing", "", 404, "NOT_FOUND", "/openapi.json", ""},
		{"DELETE", "/v1/attestations", "", 405, "METHOD_NOT_ALLOWED", "not \"DELETE\"", "GET, HEAD, POST"},
		{"OPTIONS", "/v1/attestations/5", "", 405, "METHOD_NOT_ALLOWED", "", "GET, HEAD"},
		{"POST", "/v1/attestations/0:bundle", "", 405, "METHOD_NOT_ALLOWED", "", "GET, HEAD"},
		{"GET", "/v1/deployments:evaluate", "", 405, "METHOD_NOT_ALLOWED", "", "POST"},
		{"POST", "/healthz", "", 405, "METHOD_NOT_ALLOWED", "", "GET, HEAD"},
		{"PUT", "/checkpoint", "", 405, "METHOD_NOT_ALLOWED", "", "GET, HEAD"},
		{"POST", "/v1/attestations", "{bad", 400, "BAD_REQUEST", "cannot be read", ""},
		{"POST", "/v1/attestations", `{"nonsense":1}`, 400, "BAD_REQUEST", "nonsense", ""},
		{"POST", "/v1/attestations", large, 413, "DOCUMENT_TOO_LARGE", "24 MiB", ""},
		{"GET", "/v1/attestations?subjct=sha256:00", "", 400, "BAD_REQUEST", `there is no parameter "subjct"; known here: subject,`, ""},
		{"GET", "/v1/attestations?pageSize=many", "", 400, "BAD_REQUEST", "page_size", ""},
		{"GET", "/v1/attestations/99", "", 404, "NOT_FOUND", "attestation 99: not found; the index holds", ""},
	} {
		resp, body := send(t, port, c.method, c.path, c.body)
		var got struct {
			Error *struct {
				Code, Reason, Message string
				Metadata              map[string]string
			}
		}
		name := c.method + " " + c.path
		if err := json.Unmarshal(body, &got); err != nil || got.Error == nil {
			t.Errorf("%s: %.200s is no error object: %v", name, body, err)
			continue
		}
		if e := got.Error; resp.StatusCode != c.status || e.Reason != c.reason || e.Code == "" || e.Metadata == nil || !strings.Contains(e.Message, c.message) {
			t.Errorf("%s: %d %s, want %d %s %q", name, resp.StatusCode, body, c.status, c.reason, c.message)
		}
		if got := resp.Header.Get("Allow"); got != c.allow {
			t.Errorf("%s: Allow %q, want %q", name, got, c.allow)
		}
	}
}

// TestHTTPHead: HEAD is GET without a body, and both spellings of a parameter do.
func TestHTTPHead(t *testing.T) {
	_, port, _ := start(t, testhouse.New(t, testhouse.Options{}))
	for _, path := range []string{"/v1/trusted-root", "/v1/log/checkpoint", "/healthz", "/v1/attestations?page_size=1", "/v1/attestations?pageSize=1"} {
		if resp, body := send(t, port, "HEAD", path, ""); resp.StatusCode != 200 || len(body) > 0 {
			t.Errorf("HEAD %s: %d, %d bytes", path, resp.StatusCode, len(body))
		}
	}
}

// TestHTTPStatus: what is wrong with the service is not the caller's fault, and what
// is too large is not to be sent again later.
func TestHTTPStatus(t *testing.T) {
	for _, o := range outcomes {
		got := httpStatus(o.code, o.reason)
		if stands := slices.Contains([]string{"LOG_DAMAGED", "LOG_ROLLED_BACK", "INDEX_DAMAGED", "KEY_DENIED", "KEY_UNUSABLE", "STORAGE_FULL"}, o.reason); stands && got < 500 {
			t.Errorf("%s: HTTP %d, want one of the service's own", o.reason, got)
		}
		if o.reason == "DOCUMENT_TOO_LARGE" && got != http.StatusRequestEntityTooLarge {
			t.Errorf("%s: HTTP %d", o.reason, got)
		}
	}
}

func send(t *testing.T, port, method, path, body string) (*http.Response, []byte) {
	t.Helper()
	return sendAs(t, adminToken, port, method, path, body, nil)
}

// sendAs asks as whoever has the token, nobody for "". A body comes without a
// Content-Type unless there is one among the headers.
func sendAs(t *testing.T, token, port, method, path, body string, headers http.Header) (*http.Response, []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, port+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if headers != nil {
		req.Header = headers.Clone()
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, got
}
