package client_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"testing"

	"google.golang.org/grpc"

	"github.com/sekisho-dev/sekisho/attest"
	"github.com/sekisho-dev/sekisho/client"
	"github.com/sekisho-dev/sekisho/internal/testhouse"
	"github.com/sekisho-dev/sekisho/policy"
	sekishov1 "github.com/sekisho-dev/sekisho/proto/sekisho/v1"
	"github.com/sekisho-dev/sekisho/sign"
)

var (
	app   = attest.SHA256([]byte("app"))
	other = attest.SHA256([]byte("other"))
	bom   = []byte(`{"bomFormat":"CycloneDX","specVersion":"1.6","version":1,"components":[{"type":"library","name":"left-pad","version":"1.3.0","purl":"pkg:npm/left-pad@1.3.0"}]}`)
)

// TestRegister: each kind of document, twice, and what comes back for it.
func TestRegister(t *testing.T) {
	s := serve(t)
	c := s.ask(t)
	statement := testhouse.Provenance(app, "https://localhost/ci")
	e, err := sign.Envelope(t.Context(), s.Root, attest.PayloadTypeInToto, testhouse.Provenance(other, "https://localhost/ci"))
	if err != nil {
		t.Fatal(err)
	}
	bundle := bytes.TrimSpace(testhouse.Testdata(t, "provenance", "MODULE.bazel.intoto.jsonl"))
	for name, req := range map[string]*sekishov1.CreateAttestationRequest{
		"statement": {Document: &sekishov1.CreateAttestationRequest_Statement{Statement: statement}},
		"envelope":  {Document: &sekishov1.CreateAttestationRequest_Envelope{Envelope: e.JSON()}, PublicKey: testhouse.PublicPEM(s.Root)},
		"bundle":    {Document: &sekishov1.CreateAttestationRequest_Bundle{Bundle: bundle}},
	} {
		req.ValidateOnly = true
		if resp, err := c.Register(t.Context(), req); err != nil || resp.GetReceipt() != nil {
			t.Errorf("%s, validate only: %v, %v", name, resp, err)
		}
		req.ValidateOnly = false
		for again := range 2 {
			resp, err := c.Register(t.Context(), req)
			if err != nil || resp.GetAlreadyRegistered() != (again == 1) || resp.GetReceipt() == nil {
				t.Fatalf("%s, time %d: %v, %v", name, again, resp, err)
			}
			got, err := c.Get(t.Context(), resp.GetAttestation().GetDigest())
			if err != nil || got.GetAttestation().GetLogIndex() != resp.GetAttestation().GetLogIndex() {
				t.Errorf("%s: %v, %v", name, got, err)
			}
			if name == "bundle" && !bytes.Equal(got.GetBundle(), bundle) {
				t.Error("the bundle is not returned byte for byte")
			}
		}
	}
}

// count counts what a sequence yields.
func count[T any](t *testing.T, seq iter.Seq2[T, error]) (n int) {
	t.Helper()
	for _, err := range seq {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	return n
}

// TestList: every page, and only what was asked for.
func TestList(t *testing.T) {
	s := serve(t)
	for i := range 5 {
		s.built(t, attest.SHA256([]byte{byte(i)}))
	}
	c := s.ask(t)
	for size := range int32(8) {
		if n := count(t, c.List(t.Context(), &sekishov1.ListAttestationsRequest{PageSize: size})); n != 7 {
			t.Errorf("%d attestations in pages of %d, want 7", n, size)
		}
	}
	if n := count(t, c.List(t.Context(), &sekishov1.ListAttestationsRequest{Subject: string(attest.SHA256([]byte{3}))})); n != 1 {
		t.Errorf("%d attestations about one artifact, want 1", n)
	}
	for a, err := range c.List(t.Context(), &sekishov1.ListAttestationsRequest{PageSize: 1}) {
		if err != nil || a.GetLogIndex() != 0 {
			t.Errorf("first: %v, %v", a, err)
		}
		break // nobody asks for the second page
	}
}

// TestEvaluate: allow and deny, alone, in a batch and explained.
func TestEvaluate(t *testing.T) {
	s := serve(t)
	s.built(t, app)
	c := s.ask(t)
	const allow, deny = sekishov1.Verdict_VERDICT_ALLOW, sekishov1.Verdict_VERDICT_DENY
	for artifact, want := range map[attest.Digest]sekishov1.Verdict{app: allow, other: deny} {
		resp, err := c.Evaluate(t.Context(), question(artifact))
		if err != nil || resp.GetVerdict() != want {
			t.Errorf("%s: %v, %v", artifact, resp, err)
		}
		explained, err := c.Explain(t.Context(), question(artifact))
		if err != nil || explained.GetDecision().GetVerdict() != want {
			t.Errorf("%s explained: %v, %v", artifact, explained, err)
		}
	}
	batch, err := c.EvaluateBatch(t.Context(), []*sekishov1.EvaluateDeploymentRequest{question(other), question(app)})
	if err != nil || batch[0].GetVerdict() != deny || batch[1].GetVerdict() != allow {
		t.Errorf("batch: %v, %v", batch, err)
	}
}

// TestExplainInPages: what is known is told whole, on however many pages the server
// sends it, each of them an answer that is checked.
func TestExplainInPages(t *testing.T) {
	s := serve(t)
	for i := range 5 {
		s.Statement(t, testhouse.Provenance(app, fmt.Sprintf("https://localhost/%d", i)))
	}
	var lie func(*sekishov1.ExplainArtifactResponse)
	pages := 0
	c := s.ask(t, between(func(ctx context.Context, method string, req, resp any, conn *grpc.ClientConn, next grpc.UnaryInvoker, o ...grpc.CallOption) error {
		if r, ok := req.(*sekishov1.ExplainArtifactRequest); ok {
			r.PageSize = 2
			pages++
		}
		err := next(ctx, method, req, resp, conn, o...)
		if r, ok := resp.(*sekishov1.ExplainArtifactResponse); ok && lie != nil {
			lie(r)
		}
		return err
	}))
	resp, err := c.Explain(t.Context(), question(app))
	if err != nil || len(resp.GetFindings()) != 5 || pages != 3 || resp.GetDecision().GetVerdict() != sekishov1.Verdict_VERDICT_ALLOW || resp.GetNextPageToken() != "" {
		t.Errorf("%d findings on %d pages, %v, %v", len(resp.GetFindings()), pages, resp.GetDecision(), err)
	}
	lie = func(r *sekishov1.ExplainArtifactResponse) {
		if len(r.GetFindings()) == 1 { // the last page
			r.Decision.Artifact = question(other).Artifact
		}
	}
	if _, err := c.Explain(t.Context(), question(app)); !errors.Is(err, client.ErrBadAnswer) {
		t.Errorf("a page about another artifact: %v", err)
	}
	lie = func(r *sekishov1.ExplainArtifactResponse) { r.NextPageToken = "2" }
	if _, err := c.Explain(t.Context(), question(app)); !errors.Is(err, client.ErrBadAnswer) {
		t.Errorf("the same page for ever: %v", err)
	}
}

// TestEvaluateIsCheap: an answer costs one call while the log stands still, and one
// more, for one consistency proof, when it has grown.
func TestEvaluateIsCheap(t *testing.T) {
	s := serve(t)
	s.built(t, app)
	var calls []string
	c := s.ask(t, state(t.TempDir()), between(func(ctx context.Context, method string, req, resp any, conn *grpc.ClientConn, next grpc.UnaryInvoker, o ...grpc.CallOption) error {
		calls = append(calls, method[len("/sekisho.v1."):])
		return next(ctx, method, req, resp, conn, o...)
	}))
	met(t, c)
	for _, step := range []struct {
		grow bool
		want []string
	}{
		{false, []string{"AdmissionService/EvaluateDeployment"}},
		{true, []string{"AdmissionService/EvaluateDeployment", "LogService/GetConsistencyProof"}},
		{false, []string{"AdmissionService/EvaluateDeployment"}},
	} {
		if step.grow {
			s.built(t, other)
		}
		calls = nil
		if _, err := c.Evaluate(t.Context(), question(app)); err != nil {
			t.Fatal(err)
		}
		if fmt.Sprint(calls) != fmt.Sprint(step.want) {
			t.Errorf("grown %t: %v, want %v", step.grow, calls, step.want)
		}
	}
}

// TestSBOM: up, down, into components and back.
func TestSBOM(t *testing.T) {
	s := serve(t)
	c := s.ask(t)
	up, err := c.UploadSBOM(t.Context(), &sekishov1.UploadSbomRequest{Artifact: &sekishov1.Artifact{Digest: app.Set()}, Document: bom})
	if err != nil || up.GetReceipt() == nil {
		t.Fatalf("%v, %v", up, err)
	}
	down, err := c.GetSBOM(t.Context(), app)
	if err != nil || down.GetAttestation().GetDigest() != up.GetAttestation().GetDigest() {
		t.Errorf("%v, %v", down, err)
	}
	if n := count(t, c.Components(t.Context(), string(app))); n != 1 {
		t.Errorf("%d components, want 1", n)
	}
	if n := count(t, c.Dependents(t.Context(), "pkg:npm/left-pad")); n != 1 {
		t.Errorf("%d dependents, want 1", n)
	}
}

// TestLog: the checkpoint, a proof for each entry, and a checkpoint from elsewhere.
func TestLog(t *testing.T) {
	s := serve(t)
	s.built(t, app)
	c := s.ask(t)
	cp, err := c.Checkpoint(t.Context())
	if err != nil || cp.GetTreeSize() != 3 {
		t.Fatalf("%v, %v", cp, err)
	}
	for i := range cp.GetTreeSize() {
		if _, err := c.Prove(t.Context(), i); err != nil {
			t.Error(err)
		}
	}
	old := s.checkpoint(t)
	s.built(t, other)
	for _, cp := range []attest.Checkpoint{s.checkpoint(t), old} { // the newer first: an old one is no rollback here
		if err := c.Witness(t.Context(), cp); err != nil {
			t.Error(err)
		}
	}
	if v, cp := met(t, c); cp.Size != 4 || v.String() != s.Log.Verifier().String() {
		t.Errorf("%s with %d entries, want %s with 4", v, cp.Size, s.Log.Verifier())
	}
}

func (s *service) checkpoint(t *testing.T) attest.Checkpoint {
	t.Helper()
	cp, err := s.Log.Checkpoint(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return cp
}

// TestTrust: what is in force, and the keys.
func TestTrust(t *testing.T) {
	s := serve(t)
	c := s.ask(t)
	root, err := c.TrustRoot(t.Context())
	if err != nil || !bytes.Equal(root.GetDocument(), s.Initial.Bytes()) {
		t.Errorf("trust root: %v", err)
	}
	p, err := c.Policy(t.Context())
	if err != nil || !bytes.Equal(p.GetDocument(), policy.Starter()) {
		t.Errorf("policy: %v", err)
	}
	keys, err := c.Keys(t.Context())
	if err != nil || len(keys) != 1 {
		t.Errorf("keys: %v, %v", keys, err)
	}
	if raw, err := c.TrustedRoot(t.Context()); err != nil || string(raw) != "{}" {
		t.Errorf("trusted root: %s, %v", raw, err)
	}
}
