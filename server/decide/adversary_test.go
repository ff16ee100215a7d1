package decide_test

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sekisho-dev/sekisho/attest"
	"github.com/sekisho-dev/sekisho/internal/testhouse"
	"github.com/sekisho-dev/sekisho/policy"
	"github.com/sekisho-dev/sekisho/server/register"
	"github.com/sekisho-dev/sekisho/sign"
)

// nextTrust registers the next trust root: the one in force, edited.
func nextTrust(t *testing.T, h *testhouse.House, from, to string) {
	t.Helper()
	c := h.Follow.Control()
	doc := strings.Replace(string(c.Trust.Bytes()), "version: 1\n", fmt.Sprintf("version: 2\nprevious: %s\n", c.TrustRef.Digest), 1)
	if !strings.Contains(doc, from) {
		t.Fatalf("the trust root does not hold %q", from)
	}
	h.Control(t, attest.TrustRootType, []byte(strings.Replace(doc, from, to, 1)))
}

// TestStolenKey: whoever has the statements key signs whatever they like, and cannot
// have it timestamped in the past. What the key signed before it was stolen stays
// good.
func TestStolenKey(t *testing.T) {
	h := testhouse.New(t, testhouse.Options{})
	before, after := attest.SHA256([]byte("before")), attest.SHA256([]byte("after"))
	h.Statement(t, testhouse.Provenance(before, "https://localhost/builder"))
	h.Clock.Advance(time.Hour)
	stolen := h.Clock.Now().UTC().Truncate(time.Second)
	h.Clock.Advance(time.Hour)
	e, err := sign.Envelope(t.Context(), h.Signer, attest.PayloadTypeInToto, testhouse.Provenance(after, "https://localhost/builder"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.Register.Register(t.Context(), register.Submission{Caller: testhouse.Admin, Envelope: e.JSON()}); err != nil {
		t.Fatal(err)
	}
	for _, artifact := range []attest.Digest{before, after} {
		if a := ask(t, h, policy.Question{Artifact: artifact.Set(), MinLevel: attest.L1}); a.Verdict != policy.Allow {
			t.Fatalf("before anybody knows of it: %+v", a.Decision)
		}
	}
	was := "keys: [{pem: " + strconv.Quote(testhouse.PublicPEM(h.Signer))
	nextTrust(t, h, was, was+", compromisedSince: "+stolen.Format(time.RFC3339))
	if a := ask(t, h, policy.Question{Artifact: before.Set(), MinLevel: attest.L1}); a.Verdict != policy.Allow {
		t.Errorf("signed before: %+v", a.Decision)
	}
	if a := ask(t, h, policy.Question{Artifact: after.Set(), MinLevel: attest.L1}); a.Verdict != policy.Deny || a.Reasons[0].Code != policy.OutsideValidity {
		t.Errorf("signed by the thief: %+v, want OUTSIDE_VALIDITY", a.Decision)
	}
}

// TestCompromisedBuilder: a builder says what it likes, up to its own level, until
// the trust root drops it.
func TestCompromisedBuilder(t *testing.T) {
	h := testhouse.New(t, testhouse.Options{})
	artifact := attest.SHA256([]byte("evil"))
	h.Statement(t, testhouse.Provenance(artifact, "https://localhost/builder"))
	q := policy.Question{Artifact: artifact.Set(), MinLevel: attest.L2}
	if a := ask(t, h, q); a.Verdict != policy.Deny || a.Reasons[0].Code != policy.LevelTooLow {
		t.Errorf("above its level: %+v", a.Decision)
	}
	q.MinLevel = attest.L1
	if a := ask(t, h, q); a.Verdict != policy.Allow {
		t.Errorf("at its level: %+v", a.Decision)
	}
	nextTrust(t, h, `'\Ahttps://localhost/.+\z'`, `'\Ahttps://localhost/other/.+\z'`)
	if a := ask(t, h, q); a.Verdict != policy.Deny || a.Reasons[0].Code != policy.SignerBuilderMismatch {
		t.Errorf("after it was dropped: %+v", a.Decision)
	}
}

// TestAnotherTenant: whoever shares a builder can attest somebody else's bytes, from
// their own repository. It does not pass where the source is named, and takes
// nothing away (decisions/0005).
func TestAnotherTenant(t *testing.T) {
	h := testhouse.New(t, testhouse.Options{})
	artifact := attest.SHA256([]byte("app"))
	evil := bytes.Replace(testhouse.Provenance(artifact, "https://localhost/builder"), []byte("acme/app"), []byte("evil/app"), 1)
	q := policy.Question{Artifact: artifact.Set(), MinLevel: attest.L1, Source: "git+https://github.com/acme/app"}
	h.Statement(t, evil)
	if a := ask(t, h, q); a.Verdict != policy.Deny || a.Reasons[0].Code != policy.SourceMismatch {
		t.Errorf("theirs alone: %+v", a.Decision)
	}
	h.Statement(t, testhouse.Provenance(artifact, "https://localhost/builder"))
	h.Statement(t, bytes.Replace(evil, []byte("evil/app"), []byte("evil/app2"), 1))
	if a := ask(t, h, q); a.Verdict != policy.Allow {
		t.Errorf("between two of theirs, ours: %+v", a.Decision)
	}
}
