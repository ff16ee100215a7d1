package hammer

import (
	"bytes"
	"context"
	"encoding/pem"
	"fmt"
	"net/http"
	"strings"

	"github.com/sekisho-dev/sekisho/attest"
	sekishov1 "github.com/sekisho-dev/sekisho/proto/sekisho/v1"
)

// poison registers a statement that is made anew each time. want is why it should be
// refused; nothing, where it may be registered.
func (h *hostile) poison(want string, statement func(n int64) []byte) func(context.Context) (string, error) {
	return func(ctx context.Context) (string, error) {
		how, err := h.create(ctx, h.large, statement(h.serial.Add(1)))
		if err != nil {
			return "", err
		}
		return expected(want, how)
	}
}

// statement is about a target, of a predicate type and with a predicate.
func statement(subjects, predicateType, predicate string) []byte {
	return []byte(`{"_type":"` + attest.StatementV1 + `","subject":[` + subjects + `],"predicateType":"` + predicateType + `","predicate":` + predicate + `}`)
}

func subject(name string, n int64) string {
	return fmt.Sprintf(`{"name":"%s","digest":{"sha256":"%s"}}`, name, artifact("poison", n).Hex())
}

func longType(n int64) []byte {
	return statement(subject("a", n), "https://x/"+strings.Repeat("t", 5008), `{}`)
}

func longBuilder(n int64) []byte {
	return provenance(artifact("poison", n), "https://x/"+strings.Repeat("b", 5000), "")
}

func longName(n int64) []byte {
	return statement(subject(strings.Repeat("n", 11<<20), n), "https://x/y", `{}`)
}

func fatParameter(n int64) []byte {
	return provenance(artifact("poison", n), "https://evil.example/builder", fmt.Sprint(n, strings.Repeat("p", 9<<20)))
}

func manySubjects(n int64) []byte {
	all := make([]string, attest.MaxSubjects)
	for i := range all {
		all[i] = subject("s", n<<10+int64(i))
	}
	return statement(strings.Join(all, ","), "https://x/y", `{}`)
}

func badPolicy(n int64) []byte {
	var document bytes.Buffer
	for i := range 100_000 {
		fmt.Fprintf(&document, "k%d-%d: 1\n", n, i)
	}
	return attest.ControlStatement(attest.PolicyType, "policy", document.Bytes())
}

// junk uploads what looks like an SBOM.
func (h *hostile) junk(token, want string, document func(n int64) []byte) func(context.Context) (string, error) {
	return func(ctx context.Context) (string, error) {
		ctx, cancel := patient(ctx, token)
		defer cancel()
		n := h.serial.Add(1)
		_, err := sekishov1.NewSbomServiceClient(h.large).UploadSbom(ctx, &sekishov1.UploadSbomRequest{
			Artifact: &sekishov1.Artifact{Digest: artifact("junk", n).Set()}, Document: document(n)})
		return expected(want, outcome(err))
	}
}

// brackets are components within components, as deep as there is room for.
func brackets(int64) []byte {
	return []byte(`{"bomFormat":"CycloneDX","specVersion":"1.6","components":[` + strings.Repeat(`{"type":"file","name":"a","components":[`, 100_000))
}

// repeated is a document of many components that says one of them twice.
func repeated(n int64) []byte {
	var doc strings.Builder
	doc.WriteString(`{"bomFormat":"CycloneDX","specVersion":"1.6","components":[`)
	for i := range 40_000 {
		fmt.Fprintf(&doc, `{"type":"file","bom-ref":"r%d","name":"junk-%d","hashes":[{"alg":"SHA-256","content":"%s"}]},`, i, n, artifact(i).Hex())
	}
	doc.WriteString(`{"type":"file","name":"a","name":"b"}]}`)
	return []byte(doc.String())
}

// bigBody posts a statement of 22 MiB.
func (h *hostile) bigBody(token string) func(context.Context) (string, error) {
	body := []byte(`{"statement":"` + strings.Repeat("AAAA", 22<<18) + `"}`)
	return func(ctx context.Context) (string, error) {
		_, how := send(ctx, h.json, http.MethodPost, "http://"+h.s.http+"/v1/attestations", token, bytes.NewReader(body))
		return expected("an error", how)
	}
}

// body posts a question that cannot be read.
func (h *hostile) body(text, want string) func(context.Context) (string, error) {
	return func(ctx context.Context) (string, error) {
		_, how := send(ctx, h.json, http.MethodPost, "http://"+h.s.http+"/v1/deployments:evaluate", h.deployer, strings.NewReader(text))
		return expected(want, how)
	}
}

func (h *hostile) aheadJSON(ctx context.Context) (string, error) {
	question := fmt.Sprintf(`{"artifact":{"digest":{"sha256":"%s"}},"minLogSize":"%d"}`, target(0).Hex(), int64(far))
	_, how := send(ctx, h.json, http.MethodPost, "http://"+h.s.http+"/v1/deployments:evaluate", h.deployer, strings.NewReader(question))
	return expected("STALE_INDEX", how)
}

// nowhere asks for paths that there are not, and by methods that they do not take.
func (h *hostile) nowhere(ctx context.Context) (string, error) {
	n := h.serial.Add(1)
	method := []string{"GET", "POST", "DELETE", "PATCH", "TRACE", "OPTIONS", "SEKISHO"}[n%7]
	path := []string{"/v1/nothing", "/v1/deployments:evaluate/x", "/tile/9/x999", "/v1/%2e%2e/%2e%2e/keys", "/" + strings.Repeat("p", 4000), "/v1/policy?x=" + fmt.Sprint(n)}[n%6]
	_, how := send(ctx, h.json, method, "http://"+h.s.http+path, "", nil)
	return expected("an error", how)
}

// noMethod calls what no service has.
func (h *hostile) noMethod(ctx context.Context) (string, error) {
	ctx, cancel := patient(ctx, h.builder)
	defer cancel()
	method := []string{"/sekisho.v1.AttestationService/Nothing", "/nothing.v1.Nothing/At", "/" + strings.Repeat("m", 8000), "/grpc.health.v1.Health/Nothing"}[h.serial.Add(1)%4]
	err := h.small.Invoke(ctx, method, &sekishov1.GetCheckpointRequest{}, &sekishov1.GetCheckpointResponse{})
	return expected("an error", outcome(err))
}

func publicPEM(spki []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: spki}))
}
