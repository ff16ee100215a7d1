package decide_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/sekisho-dev/sekisho/attest"
	"github.com/sekisho-dev/sekisho/internal/testhouse"
	"github.com/sekisho-dev/sekisho/policy"
	"github.com/sekisho-dev/sekisho/server/decide"
	"github.com/sekisho-dev/sekisho/server/follow"
)

var moduleBazel = attest.Digest("sha256:06ce330900a7d6403bc8d88e5dfad6aeeb8ae40179f66bb89e69c8bf6f6b1a0b")

func house(t *testing.T) *testhouse.House {
	h := testhouse.New(t, testhouse.Options{})
	h.Bundle(t, bytes.TrimSpace(testhouse.Testdata(t, "provenance", "MODULE.bazel.intoto.jsonl")))
	return h
}

func ask(t *testing.T, h *testhouse.House, q policy.Question) decide.Answer {
	t.Helper()
	answers, err := h.Decide.Decide(t.Context(), decide.Question{Question: q})
	if err != nil {
		t.Fatal(err)
	}
	return answers[0]
}

func TestDecideRealProvenance(t *testing.T) {
	h := house(t)
	for name, c := range map[string]struct {
		q    policy.Question
		want policy.Code // Unspecified: allowed
	}{
		"level 2":            {policy.Question{MinLevel: attest.L2}, policy.Unspecified},
		"its repository":     {policy.Question{MinLevel: attest.L2, Source: "git+https://github.com/aspect-build/rules_lint"}, policy.Unspecified},
		"its builder":        {policy.Question{MinLevel: attest.L2, Builder: "github-actions-any"}, policy.Unspecified},
		"its branch":         {policy.Question{MinLevel: attest.L2, Branch: "publish-to-bcr"}, policy.Unspecified},
		"level 3":            {policy.Question{MinLevel: attest.L3}, policy.LevelTooLow},
		"another repository": {policy.Question{MinLevel: attest.L2, Source: "git+https://github.com/acme/rules_lint"}, policy.SourceMismatch},
		"another branch":     {policy.Question{MinLevel: attest.L2, Branch: "main"}, policy.RefMismatch},
		"another builder":    {policy.Question{MinLevel: attest.L2, Builder: "https://localhost/x"}, policy.BuilderMismatch},
		"another place":      {policy.Question{MinLevel: attest.L2, Environment: "production"}, policy.NoPolicy},
		"sha512 besides that is wrong": {policy.Question{MinLevel: attest.L2, Artifact: attest.DigestSet{"sha256": moduleBazel.Hex(), "sha512": strings.Repeat("0", 128)}},
			policy.Unspecified}, // the statement has no sha512, so that nothing contradicts it
		"another artifact": {policy.Question{MinLevel: attest.L2, Artifact: attest.SHA256(nil).Set()}, policy.NoEvidence},
	} {
		if c.q.Artifact == nil {
			c.q.Artifact = moduleBazel.Set()
		}
		a := ask(t, h, c.q)
		if c.want == policy.Unspecified {
			if a.Verdict != policy.Allow || len(a.Used) != 1 || a.Level < attest.L2 {
				t.Errorf("%s: %+v, want allowed at level 2", name, a.Decision)
			}
			continue
		}
		if a.Verdict != policy.Deny || len(a.Reasons) == 0 || a.Reasons[0].Code != c.want {
			t.Errorf("%s: %+v, want %v", name, a.Decision, c.want)
		}
		for _, r := range a.Reasons {
			if r.Expected == "" || r.Found == "" || r.Remedy == "" {
				t.Errorf("%s: a reason that leaves somebody alone: %+v", name, r)
			}
		}
	}
}

// TestDecideCites: the answer names everything that it stands on.
func TestDecideCites(t *testing.T) {
	h := house(t)
	a := ask(t, h, policy.Question{Artifact: moduleBazel.Set(), MinLevel: attest.L2})
	if a.TrustRoot.Digest == "" || a.PolicyRef.Digest == "" || a.Checkpoint.Size != 3 || !a.Expires.After(a.EvaluatedAt) {
		t.Errorf("answer cites %+v", a)
	}
	if cp, err := h.Log.Verifier().Open(a.Checkpoint.Note); err != nil || cp.Size != a.Checkpoint.Size {
		t.Errorf("checkpoint: %v", err)
	}
}

// TestDecideErrs: what is no answer is an error, never a verdict.
func TestDecideErrs(t *testing.T) {
	h := house(t)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	for name, c := range map[string]struct {
		q    decide.Question
		want error
	}{
		"no digest":          {decide.Question{}, decide.ErrNoArtifact},
		"md5 only":           {decide.Question{Question: policy.Question{Artifact: attest.DigestSet{"md5": strings.Repeat("0", 32)}}}, decide.ErrNoArtifact},
		"malformed digest":   {decide.Question{Question: policy.Question{Artifact: attest.DigestSet{"sha256": "00"}}}, attest.ErrDigest},
		"ahead of the index": {decide.Question{Question: policy.Question{Artifact: moduleBazel.Set()}, MinLogSize: 99}, follow.ErrStale},
	} {
		if answers, err := h.Decide.Decide(ctx, c.q); !errors.Is(err, c.want) || answers != nil {
			t.Errorf("%s: %v, %v; want %v", name, answers, err, c.want)
		}
	}
}

// TestDecideWithoutPolicy: no policy refuses everything.
func TestDecideWithoutPolicy(t *testing.T) {
	h := testhouse.New(t, testhouse.Options{Bare: true, Still: true})
	if err := h.Follow.CatchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	a := ask(t, h, policy.Question{Artifact: moduleBazel.Set()})
	if a.Verdict != policy.Deny || a.Reasons[0].Code != policy.NoPolicy {
		t.Errorf("%+v, want NO_POLICY", a.Decision)
	}
}

// TestTrustIsAppliedWhenAsked: a signer taken out of the trust root tomorrow
// changes tomorrow's answers, and not the facts.
func TestTrustIsAppliedWhenAsked(t *testing.T) {
	h := house(t)
	q := policy.Question{Artifact: moduleBazel.Set(), MinLevel: attest.L2}
	if a := ask(t, h, q); a.Verdict != policy.Allow {
		t.Fatalf("%+v", a.Decision)
	}
	c := h.Follow.Control()
	doc := strings.Replace(string(c.Trust.Bytes()), "version: 1\n", "version: 2\nprevious: "+string(c.TrustRef.Digest)+"\n", 1)
	doc = strings.ReplaceAll(doc, "signers: [github-actions, github-actions-private]", "signers: [github-actions-private]")
	h.Control(t, attest.TrustRootType, []byte(doc))
	a := ask(t, h, q)
	if a.Verdict != policy.Deny || a.Reasons[0].Code != policy.SignerBuilderMismatch {
		t.Errorf("%+v, want SIGNER_BUILDER_MISMATCH", a.Decision)
	}
}

// TestMinimumLogSizeWaits: a question that has seen more than the index waits
// for it, and is answered from there.
func TestMinimumLogSizeWaits(t *testing.T) {
	h := house(t)
	go func() {
		time.Sleep(20 * time.Millisecond)
		h.Log.Append(context.Background(), []byte("not an entry of ours")) // it only has to damage what follows
	}()
	_, err := h.Decide.Decide(t.Context(), decide.Question{Question: policy.Question{Artifact: moduleBazel.Set()}, MinLogSize: 4})
	if !errors.Is(err, follow.ErrDamaged) {
		t.Errorf("err = %v: an entry without a record must stop every answer", err)
	}
}

func BenchmarkDecide(b *testing.B) {
	h := testhouse.New(b, testhouse.Options{})
	h.Bundle(b, bytes.TrimSpace(testhouse.Testdata(b, "provenance", "MODULE.bazel.intoto.jsonl")))
	q := decide.Question{Question: policy.Question{Artifact: moduleBazel.Set(), MinLevel: attest.L2}}
	b.ReportAllocs()
	for b.Loop() {
		h.Clock.Advance(0)
		if _, err := h.Decide.Decide(context.Background(), q); err != nil && !errors.Is(err, follow.ErrStale) {
			b.Fatal(err)
		}
	}
}
