package verifier

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/sekisho-dev/sekisho/attest"
)

// realFacts are the facts of every real document in testdata.
func realFacts(t testing.TB, w *world) map[string]*Facts {
	t.Helper()
	all := map[string]*Facts{}
	for _, name := range []string{
		"MODULE.bazel.intoto.jsonl", "sigstore-js-2.1.0-bundle.json", "sigstore-js-2.1.0-bundle-v0.1.json", "bundle-provenance.json",
		"container-based-v2.1.0.build.slsa", "gradle-v1.9.0.build.slsa", "github_provenance_demo-0.0.12-py3-none-any-bundle.jsonl", "bundle-publish.json",
	} {
		f, err := verifyBundle(w.TrustRoot, testdata(t, name))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		all[name] = f
	}
	return all
}

// TestRealProvenance: what real builders emitted verifies and rates as its
// builders are rated.
func TestRealProvenance(t *testing.T) {
	w := newWorld(t)
	facts := realFacts(t, w)
	for name, want := range map[string]struct {
		signer, builder, source string
		level                   attest.Level
	}{
		"MODULE.bazel.intoto.jsonl":          {"github-actions", "github-actions-any", "git+https://github.com/aspect-build/rules_lint", attest.L2},
		"sigstore-js-2.1.0-bundle.json":      {"github-workflow", "github-hosted", "git+https://github.com/sigstore/sigstore-js", attest.L2},
		"sigstore-js-2.1.0-bundle-v0.1.json": {"github-workflow", "github-hosted", "git+https://github.com/sigstore/sigstore-js", attest.L2},
		"bundle-provenance.json":             {"github-workflow", "github-runner", "git+https://github.com/sigstore/sigstore-js", attest.L2},
		"container-based-v2.1.0.build.slsa": {"github-actions", "https://github.com/slsa-framework/slsa-github-generator/.github/workflows/builder_container-based_slsa3.yml",
			"git+https://github.com/slsa-framework/example-package", attest.L3},
		// the delegator signs for a builder that the provenance names
		"gradle-v1.9.0.build.slsa": {"slsa-delegator", "https://github.com/slsa-framework/slsa-github-generator/.github/workflows/builder_gradle_slsa3.yml",
			"git+https://github.com/slsa-framework/example-package", attest.L3},
		"github_provenance_demo-0.0.12-py3-none-any-bundle.jsonl": {"github-workflow-private", "github-hosted", "git+https://github.com/actions/attest-demo", attest.L2},
		"bundle-publish.json": {"npm-registry", "", "", attest.L0},
	} {
		f := facts[name]
		b := w.Believe(f)
		if b.Err != nil || b.Signer != want.signer || b.Builder != want.builder || b.Level != want.level {
			t.Errorf("%s: %+v, want %+v", name, b, want)
		}
		if b.ProvenBy.IsZero() {
			t.Errorf("%s: nothing proves when it was signed", name)
		}
		if f.Provenance() != nil && f.Provenance().Source.Repository != want.source {
			t.Errorf("%s: source %q, want %q", name, f.Provenance().Source.Repository, want.source)
		}
	}
}

func TestFactsRoundTrip(t *testing.T) {
	w := newWorld(t)
	for name, f := range realFacts(t, w) {
		raw, err := f.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		again, err := RestoreFacts(raw)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if !reflect.DeepEqual(w.Believe(f), w.Believe(again)) || again.Attestation() != f.Attestation() || again.ClaimedAt() != f.ClaimedAt() ||
			!reflect.DeepEqual(again.Subjects(), f.Subjects()) || !reflect.DeepEqual(again.Provenance(), f.Provenance()) {
			t.Errorf("%s: %+v\nis not\n%+v", name, again, f)
		}
		for n := range raw {
			if _, err := RestoreFacts(raw[:n]); !errors.Is(err, ErrFacts) {
				t.Fatalf("%s: the first %d bytes: %v, want ErrFacts", name, n, err)
			}
		}
	}
}

func TestClaims(t *testing.T) {
	w := newWorld(t)
	at := time.Date(2026, 2, 3, 4, 5, 6, 0, time.UTC)
	statement := func(predicateType, predicate string) string {
		return `{"_type":"https://in-toto.io/Statement/v1","subject":[{"digest":{"sha256":"` + strings.Repeat("0", 64) + `"}}],"predicateType":"` + predicateType + `","predicate":` + predicate + `}`
	}
	for name, c := range map[string]struct {
		payload string
		claimed time.Time
		result  string
	}{
		"provenance, finished": {provenance, at, ""},
		"provenance, started":  {strings.Replace(provenance, "finishedOn", "startedOn", 1), at, ""},
		"test result":          {statement("https://in-toto.io/attestation/test-result/v0.1", `{"result":"FAILED"}`), time.Time{}, "FAILED"},
		"scan":                 {statement("https://in-toto.io/attestation/vulns/v0.2", `{"metadata":{"scanFinishedOn":"2026-02-03T04:05:06Z"}}`), at, ""},
		"VSA":                  {statement("https://slsa.dev/verification_summary/v1", `{"timeVerified":"2026-02-03T04:05:06Z","verificationResult":"PASSED"}`), at, "PASSED"},
		"CycloneDX":            {statement("https://cyclonedx.org/bom", `{"metadata":{"timestamp":"2026-02-03T04:05:06Z"}}`), at, ""},
		"SPDX":                 {statement("https://spdx.dev/Document", `{"creationInfo":{"created":"2026-02-03T04:05:06Z"}}`), at, ""},
		"something else":       {statement("https://example.com/x", `{"metadata":3}`), time.Time{}, ""},
		"nothing":              {statement("https://example.com/x", `null`), time.Time{}, ""},
	} {
		rec := record(t, w.TrustRoot, envelope(t, []byte(c.payload), w.statements))
		f, err := w.Verify(rec, []byte(c.payload))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if !f.ClaimedAt().Equal(c.claimed) || f.Result() != c.result {
			t.Errorf("%s: claimed %v result %q, want %v %q", name, f.ClaimedAt(), f.Result(), c.claimed, c.result)
		}
	}
}

// TestBuilderRefs: the ref of a builder counts as the trust root says.
func TestBuilderRefs(t *testing.T) {
	base := "https://github.com/o/r/.github/workflows/b.yml"
	for _, c := range []struct {
		ref, id string
		want    bool
	}{
		{refExact, base, true},
		{refExact, base + "@refs/tags/v1.2.3", false},
		{refSemver, base + "@refs/tags/v1.2.3", true},
		{refSemver, base + "@refs/tags/v1.2.3-rc.1", true},
		{refSemver, base + "@refs/tags/v1", false},
		{refSemver, base + "@refs/tags/v1.2", false},
		{refSemver, base + "@refs/heads/main", false},
		{refSemver, base + "@refs/heads/refs/tags/v1.2.3", false},
		{refSemver, base + "@refs/tags/v1.2.3@refs/tags/v1.2.3", false},
		{refSemver, base + "x@refs/tags/v1.2.3", false},
		{refSemver, base, false},
		{refAny, base + "@refs/heads/main", true},
		{refAny, base + "x@refs/heads/main", false},
	} {
		b := builder{id: base, ref: c.ref}
		if got := b.is(c.id); got != c.want {
			t.Errorf("%s %s: %v", c.ref, c.id, got)
		}
	}
}

// TestSpeaksFor: who may have what signed, and nobody else.
func TestSpeaksFor(t *testing.T) {
	w := newWorld(t)
	admin := Caller{"token:admin", "admin"}
	for name, c := range map[string]struct {
		caller  Caller
		payload string
		want    error
	}{
		"the admin":               {admin, provenance, nil},
		"another issuer":          {Caller{"token:ci", "admin"}, provenance, ErrNotAllowed},
		"another subject":         {Caller{"token:admin", "bot"}, provenance, ErrNotAllowed},
		"nobody":                  {Caller{}, provenance, ErrNotAllowed},
		"a prefix climbed out of": {admin, strings.Replace(provenance, "https://localhost/b", "https://localhost/../evil", 1), ErrNotAllowed},
		"another builder":         {admin, strings.Replace(provenance, "https://localhost/b", "https://localhost.evil/", 1), ErrNotAllowed},
		"a policy":                {admin, string(attest.ControlStatement(attest.PolicyType, "p", []byte("x"))), ErrControlStatement},
		"a received statement":    {admin, strings.Replace(provenance, attest.ProvenanceV1, "https://sekisho.dev/received/v1", 1), ErrControlStatement},
		"a VSA":                   {admin, strings.Replace(provenance, attest.ProvenanceV1, vsaType, 1), ErrControlStatement},
		"no builder":              {admin, strings.Replace(provenance, "https://localhost/b", "", 1), attest.ErrMalformed},
		"an unlisted type":        {admin, strings.Replace(provenance, attest.ProvenanceV1, "https://example.com/x", 1), ErrNotAllowed},
	} {
		s, err := attest.ParseStatement([]byte(c.payload))
		if err != nil {
			t.Fatal(err)
		}
		if err := w.SpeaksFor(c.caller, s); !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

// TestChain is J1 and J4: versions follow each other, signed by both.
func TestAdvisoryJ1_J4_Chain(t *testing.T) {
	w := newWorld(t)
	carrier := attest.SHA256([]byte("version 1's attestation"))
	next := func(version, previous string) *TrustRoot {
		return parse(t, w.edited(t, "version: 1\n", "version: "+version+"\nprevious: "+previous+"\n"))
	}
	other := newKey(t)
	quotedOther, _ := quoteJSON(other.pem)
	quotedRoot, _ := quoteJSON(w.root.pem)
	handover := parse(t, strings.ReplaceAll(w.edited(t, "version: 1\n", "version: 2\nprevious: "+string(carrier)+"\n"), "roots: {threshold: 1, keys: [{pem: "+quotedRoot+"}]}", "roots: {threshold: 1, keys: [{pem: "+quotedOther+"}]}"))
	for name, c := range map[string]struct {
		next *TrustRoot
		ids  []string
		want error
	}{
		"next":                      {next("2", string(carrier)), []string{w.root.id()}, nil},
		"a gap":                     {next("3", string(carrier)), []string{w.root.id()}, ErrRollback},
		"another predecessor":       {next("2", string(attest.SHA256(nil))), []string{w.root.id()}, ErrRollback},
		"the same again":            {w.TrustRoot, []string{w.root.id()}, ErrRollback},
		"nobody signed":             {next("2", string(carrier)), nil, ErrThreshold},
		"the statements key signed": {next("2", string(carrier)), []string{w.statements.id()}, ErrThreshold},
		"handed over, both signed":  {handover, []string{w.root.id(), other.id()}, nil},
		"handed over, only the old": {handover, []string{w.root.id()}, ErrThreshold},
		"handed over, only the new": {handover, []string{other.id()}, ErrThreshold},
	} {
		if err := w.Accepts(c.next, []attest.Digest{carrier}, c.ids); !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	if err := w.AcceptsPolicy([]string{w.statements.id()}); !errors.Is(err, ErrThreshold) {
		t.Errorf("a policy by the statements key: %v", err)
	}
}

// TestBelieveOfAnotherRoot: facts count under the very Sigstore root that they
// were verified under, and no other.
func TestBelieveOfAnotherRoot(t *testing.T) {
	w := newWorld(t)
	f, err := verifyBundle(w.TrustRoot, testdata(t, "MODULE.bazel.intoto.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	f.verifiedUnder = []string{string(attest.SHA256([]byte("another root")))}
	if b := w.Believe(f); b.Signer != "" || !errors.Is(b.Err, ErrUnknownSigner) {
		t.Errorf("%+v, want UNKNOWN_SIGNER", b)
	}
	if _, err := verifyBundle(parse(t, w.edited(t, "  - name: public-good\n", "  - name: elsewhere\n    trustedRoot: {\"mediaType\":\"application/vnd.dev.sigstore.trustedroot+json;version=0.1\"}\n    require: {log: 1, timestamps: 1, sct: 1}\n  - name: public-good\n")), testdata(t, "MODULE.bazel.intoto.jsonl")); err != nil {
		t.Errorf("one root that it verifies under is enough: %v", err)
	}
}

func FuzzReadBundle(f *testing.F) {
	w := newWorld(f)
	for _, name := range []string{"MODULE.bazel.intoto.jsonl", "bundle-provenance.json", "bundle-publish.json"} {
		f.Add(testdata(f, name))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if _, err := verifyBundle(w.TrustRoot, data); err != nil && !typed(err) {
			t.Errorf("an error without a sentinel: %v", err)
		}
	})
}

func FuzzParseTrustRoot(f *testing.F) {
	f.Add([]byte(newWorld(f).yaml))
	f.Add([]byte("version: 1\nroots: {threshold: 1, keys: []}\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if _, err := ParseTrustRoot(data); err != nil && !errors.Is(err, ErrTrustRoot) {
			t.Errorf("an error without a sentinel: %v", err)
		}
	})
}

func FuzzRestoreFacts(f *testing.F) {
	w := newWorld(f)
	for _, facts := range realFacts(f, w) {
		raw, err := facts.MarshalBinary()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		facts, err := RestoreFacts(data)
		if err != nil {
			if !errors.Is(err, ErrFacts) {
				t.Errorf("an error without a sentinel: %v", err)
			}
			return
		}
		w.Believe(facts)
	})
}

func BenchmarkRestoreFacts(b *testing.B) {
	f, err := verifyBundle(newWorld(b).TrustRoot, testdata(b, "MODULE.bazel.intoto.jsonl"))
	if err != nil {
		b.Fatal(err)
	}
	raw, err := f.MarshalBinary()
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := RestoreFacts(raw); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkBelieve(b *testing.B) {
	w := newWorld(b)
	f, err := verifyBundle(w.TrustRoot, testdata(b, "MODULE.bazel.intoto.jsonl"))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if belief := w.Believe(f); belief.Level != attest.L2 {
			b.Fatal(belief)
		}
	}
}
