package server

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/sekisho-dev/sekisho/attest"
	"github.com/sekisho-dev/sekisho/internal/testhouse"
	sekishov1 "github.com/sekisho-dev/sekisho/proto/sekisho/v1"
	"github.com/sekisho-dev/sekisho/store"
)

// TestAdvisoryStrictRequests: what two readers could read in two ways is refused, with
// an error object, whoever asks.
func TestAdvisoryStrictRequests(t *testing.T) {
	h := testhouse.New(t, testhouse.Options{})
	_, port, _ := start(t, h)
	question := `{"artifact":{"digest":{"sha256":"` + attest.SHA256(nil).Hex() + `"}}}`
	form := "application/x-www-form-urlencoded"
	long := strings.Repeat("b", store.MaxKeyValue+1)
	for _, c := range []struct {
		method, path, body string
		headers            http.Header
		status             int
		reason             string
	}{
		// One value, of UTF-8, without anything behind it.
		{"POST", "/v1/deployments:evaluate", question, nil, 200, ""},
		{"POST", "/v1/deployments:evaluate", question + " \n", nil, 200, ""},
		{"POST", "/v1/deployments:evaluate", question + `{"minBuildLevel":3}`, nil, 400, "BAD_REQUEST"},
		{"POST", "/v1/deployments:evaluate", question + " garbage", nil, 400, "BAD_REQUEST"},
		{"POST", "/v1/deployments:evaluate", question + "\x00", nil, 400, "BAD_REQUEST"},
		{"POST", "/v1/deployments:evaluate", `{"environment":"a` + "\xff" + `"}`, nil, 400, "BAD_REQUEST"},
		{"POST", "/v1/deployments:evaluate", `{"environment":"a","environment":"b"}`, nil, 400, "BAD_REQUEST"},
		{"POST", "/v1/deployments:evaluate", `{"minBuildLevel":1,"min_build_level":0}`, nil, 400, "BAD_REQUEST"},
		{"POST", "/v1/deployments:evaluate", `{"surprise":1}`, nil, 400, "BAD_REQUEST"},
		{"POST", "/v1/deployments:evaluate?minBuildLevel=3", question, nil, 400, "BAD_REQUEST"},
		{"GET", "/v1/attestations/%ff", "", nil, 400, "BAD_REQUEST"},
		{"GET", "/v1/attestations/%C3:bundle", "", nil, 400, "BAD_REQUEST"},
		{"GET", "/v1/attestations?signer=%ff", "", nil, 400, "BAD_REQUEST"},
		{"GET", "/v1/attestations?%ff=1", "", nil, 400, "BAD_REQUEST"},
		{"GET", "/v1/attestations?signer=%zz", "", nil, 400, "BAD_REQUEST"},
		{"GET", "/v1/attestations?pageSize=1&page_size=2", "", nil, 400, "BAD_REQUEST"},
		{"GET", "/v1/attestations?pageSize=1&pageSize=2", "", nil, 400, "BAD_REQUEST"},
		// As the bytes that it says it is.
		{"POST", "/v1/deployments:evaluate", question, http.Header{"Content-Type": {"application/json"}}, 200, ""},
		{"POST", "/v1/deployments:evaluate", question, http.Header{"Content-Type": {"Application/JSON; charset=UTF-8"}}, 200, ""},
		{"POST", "/v1/deployments:evaluate", question, http.Header{"Content-Type": {"application/json; charset=utf-16"}}, 415, "UNSUPPORTED_MEDIA_TYPE"},
		{"POST", "/v1/deployments:evaluate", question, http.Header{"Content-Type": {"application/json; version=2"}}, 415, "UNSUPPORTED_MEDIA_TYPE"},
		{"POST", "/v1/deployments:evaluate", question, http.Header{"Content-Type": {"application/json", "text/plain"}}, 415, "UNSUPPORTED_MEDIA_TYPE"},
		{"POST", "/v1/deployments:evaluate", question, http.Header{"Content-Type": {form}}, 415, "UNSUPPORTED_MEDIA_TYPE"},
		{"POST", "/v1/deployments:evaluate", question, http.Header{"Content-Type": {"text/plain"}}, 415, "UNSUPPORTED_MEDIA_TYPE"},
		{"POST", "/v1/deployments:evaluate", question, http.Header{"Content-Type": {""}}, 415, "UNSUPPORTED_MEDIA_TYPE"},
		{"POST", "/v1/deployments:evaluate", question, http.Header{"Content-Encoding": {"gzip"}}, 415, "UNSUPPORTED_MEDIA_TYPE"},
		{"POST", "/v1/deployments:evaluate", question, http.Header{"Content-Encoding": {"identity", "gzip"}}, 415, "UNSUPPORTED_MEDIA_TYPE"},
		{"POST", "/v1/deployments:evaluate", question, http.Header{"Content-Encoding": {"identity"}}, 200, ""},
		// By the method that it is sent with.
		{"POST", "/v1/policy", "", http.Header{"X-Http-Method-Override": {"GET"}}, 405, "METHOD_NOT_ALLOWED"},
		{"POST", "/v1/policy", "", http.Header{"X-Http-Method-Override": {"GET"}, "Content-Type": {form}}, 405, "METHOD_NOT_ALLOWED"},
		{"POST", "/v1/attestations/0", "a=b", http.Header{"X-Http-Method-Override": {"GET"}, "Content-Type": {form}}, 405, "METHOD_NOT_ALLOWED"},
		{"POST", "/v1/attestations/0", "", http.Header{"Content-Type": {form}}, 405, "METHOD_NOT_ALLOWED"},
		// With the service's deadline.
		{"GET", "/v1/policy", "", http.Header{"Grpc-Timeout": {"xyz"}}, 200, ""},
		{"GET", "/v1/policy", "", http.Header{"Grpc-Timeout": {"1n"}}, 200, ""},
		{"GET", "/v1/policy", "", http.Header{"X-Forwarded-For": {strings.Repeat("a", 12<<10)}}, 200, ""},
		// Under names that something can have.
		{"GET", "/v1/attestations?builderId=" + long, "", nil, 400, "BAD_REQUEST"},
		{"GET", "/v1/attestations?signer=" + long, "", nil, 400, "BAD_REQUEST"},
		{"GET", "/v1/attestations?predicateType=" + long, "", nil, 400, "BAD_REQUEST"},
		{"GET", "/v1/attestations?subject=sha256:" + long, "", nil, 400, "MALFORMED_DIGEST"},
		{"GET", "/v1/attestations?subject=sha256:" + attest.SHA256(nil).Hex() + "&signer=" + long, "", nil, 400, "BAD_REQUEST"},
		{"GET", "/v1/attestations?pageToken=" + long, "", nil, 400, "BAD_REQUEST"},
		{"GET", "/v1/dependents?purl=pkg:npm/" + long, "", nil, 400, "MALFORMED_PURL"},
		{"GET", "/v1/components?artifact=" + long, "", nil, 400, "MALFORMED_DIGEST"},
	} {
		resp, body := sendAs(t, adminToken, port, c.method, c.path, c.body, c.headers)
		var got ErrorBody
		if err := json.Unmarshal(body, &got); err != nil || resp.StatusCode != c.status || got.Error.Reason != c.reason {
			t.Errorf("%s %.60s %.40q %.100v: %d %.300s; want %d %s", c.method, c.path, c.body, c.headers, resp.StatusCode, body, c.status, c.reason)
		}
	}
	// Nobody's deadline is looked at before it is known who they are.
	if resp, body := sendAs(t, "", port, "GET", "/v1/policy", "", http.Header{"Grpc-Timeout": {"xyz"}}); resp.StatusCode != 401 {
		t.Errorf("a malformed Grpc-Timeout of a stranger: %d %s", resp.StatusCode, body)
	}
}

// TestFiltersAreBounded: what no key of the index can be is the caller's mistake over
// gRPC as well, and nothing internal.
func TestFiltersAreBounded(t *testing.T) {
	h := testhouse.New(t, testhouse.Options{})
	addr, _, _ := start(t, h)
	conn := dial(t, addr)
	list := sekishov1.NewAttestationServiceClient(conn).ListAttestations
	long := strings.Repeat("b", 1<<20)
	ctx := as(t.Context(), adminToken)
	for name, call := range map[string]func() error{
		"builder": func() error { _, err := list(ctx, &sekishov1.ListAttestationsRequest{BuilderId: long}); return err },
		"signer":  func() error { _, err := list(ctx, &sekishov1.ListAttestationsRequest{Signer: long}); return err },
		"type":    func() error { _, err := list(ctx, &sekishov1.ListAttestationsRequest{PredicateType: long}); return err },
		"subject": func() error { _, err := list(ctx, &sekishov1.ListAttestationsRequest{Subject: long}); return err },
		"token":   func() error { _, err := list(ctx, &sekishov1.ListAttestationsRequest{PageToken: long}); return err },
		"purl": func() error {
			_, err := sekishov1.NewSbomServiceClient(conn).ListDependents(ctx, &sekishov1.ListDependentsRequest{Purl: "pkg:npm/" + long})
			return err
		},
		"hash": func() error {
			_, err := sekishov1.NewSbomServiceClient(conn).ListDependents(ctx, &sekishov1.ListDependentsRequest{Purl: long})
			return err
		},
	} {
		err := call()
		if code, reason := reasonOf(err); code.String() != "InvalidArgument" || reason == "" || len(err.Error()) > 3<<10 {
			t.Errorf("%s: %v %s, %d bytes", name, code, reason, len(fmt.Sprint(err)))
		}
	}
}

// TestAdvisoryLongErrors: a control document with 300,000 faults, and a predicate type
// of megabytes, are refused in a few words; nobody else's call notices.
func TestAdvisoryLongErrors(t *testing.T) {
	h := testhouse.New(t, testhouse.Options{})
	_, port, _ := start(t, h)
	stranger := newKey(t)
	var policy strings.Builder
	for i := range 300000 {
		fmt.Fprintf(&policy, "k%d: 1\n", i)
	}
	envelope := envelopeBy(t, stranger, attest.PayloadTypeInToto, attest.ControlStatement("https://sekisho.dev/policy/v1", "control", []byte(policy.String()))).JSON()
	post := func(document map[string]any) []byte {
		raw, err := json.Marshal(document)
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	attacks := map[string][]byte{
		"policy": post(map[string]any{"envelope": base64.StdEncoding.EncodeToString(envelope), "publicKey": testhouse.PublicPEM(stranger)}),
		"type": post(map[string]any{"statement": bytes.Replace(testhouse.Provenance(attest.SHA256(nil), localBuilder),
			[]byte("https://slsa.dev/provenance/v1"), bytes.Repeat([]byte("A"), 4<<20), 1)}),
	}
	done := make(chan struct{})
	failed := make(chan string, 1000)
	go func() {
		defer close(done)
		for name, body := range attacks {
			resp, answer := send(t, port, "POST", "/v1/attestations", string(body))
			if resp.StatusCode < 400 || resp.StatusCode >= 500 || len(answer) > 4<<10 {
				t.Errorf("%s: %d, %d bytes: %.300s", name, resp.StatusCode, len(answer), answer)
			}
		}
	}()
	question := `{"artifact":{"digest":{"sha256":"` + attest.SHA256(nil).Hex() + `"}}}`
	for asked := 0; ; asked++ {
		select {
		case <-done:
			close(failed)
			for f := range failed {
				t.Error(f)
			}
			if asked == 0 {
				t.Error("nobody asked meanwhile")
			}
			return
		default:
			if resp, body := send(t, port, "POST", "/v1/deployments:evaluate", question); resp.StatusCode != 200 {
				failed <- fmt.Sprintf("another's question: %d %s", resp.StatusCode, body)
			}
		}
	}
}

// TestHeaders: no answer is read as something else, and none is kept by anybody, but for
// what says that it may be.
func TestHeaders(t *testing.T) {
	h := testhouse.New(t, testhouse.Options{})
	tiles := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/checkpoint" {
			w.Header().Set("Cache-Control", "no-cache")
			return
		}
		http.NotFound(w, r)
	})
	_, port, _ := start(t, h, func(c *Config) { c.Tiles = tiles })
	for _, c := range []struct{ method, path, token, cache string }{
		{"GET", "/v1/policy", adminToken, "no-store"},
		{"GET", "/v1/policy", "", "no-store"},
		{"GET", "/v1/attestations/0:bundle", adminToken, "no-store"},
		{"GET", "/v1/nothing", adminToken, "no-store"},
		{"DELETE", "/v1/policy", adminToken, "no-store"},
		{"GET", "/v1/log/checkpoint", "", "no-store"},
		{"GET", "/readyz", "", "no-store"},
		{"GET", "/healthz", "", "no-store"},
		{"GET", "/metrics", adminToken, "no-store"},
		{"GET", "/metrics", "", "no-store"},
		{"GET", "/openapi.json", "", "no-store"},
		{"GET", "/nothing", "", "no-store"},
		{"GET", "/checkpoint", "", "no-cache"},
		{"GET", "/tile/0/999", "", "no-store"},
		{"POST", "/checkpoint", "", "no-store"},
	} {
		resp, _ := sendAs(t, c.token, port, c.method, c.path, "", nil)
		if got := resp.Header; got.Get("X-Content-Type-Options") != "nosniff" || got.Get("Cache-Control") != c.cache {
			t.Errorf("%s %s: %v; want nosniff and %s", c.method, c.path, got, c.cache)
		}
	}
}
