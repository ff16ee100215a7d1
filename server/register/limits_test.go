package register_test

import (
	"context"
	"crypto"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sekisho-dev/sekisho/attest"
	"github.com/sekisho-dev/sekisho/internal/testhouse"
	"github.com/sekisho-dev/sekisho/policy"
	"github.com/sekisho-dev/sekisho/server/decide"
	"github.com/sekisho-dev/sekisho/server/follow"
	"github.com/sekisho-dev/sekisho/server/register"
	"github.com/sekisho-dev/sekisho/sign"
	"github.com/sekisho-dev/sekisho/sign/keyfile"
	"github.com/sekisho-dev/sekisho/store"
	"github.com/sekisho-dev/sekisho/store/memory"
	"github.com/sekisho-dev/sekisho/verifier"
)

var bot = verifier.Caller{Issuer: "token:ci", Subject: "build-bot"}

// handIn registers a statement under somebody's own key.
func handIn(t testing.TB, h *testhouse.House, key *keyfile.Signer, statement []byte) error {
	t.Helper()
	e, err := sign.Envelope(t.Context(), key, attest.PayloadTypeInToto, statement)
	if err != nil {
		t.Fatal(err)
	}
	_, err = h.Register.Register(t.Context(), register.Submission{Caller: bot, Envelope: e.JSON(), PublicKey: key.Key().Public})
	return err
}

func key(t testing.TB) *keyfile.Signer {
	t.Helper()
	k, err := keyfile.Create(filepath.Join(t.TempDir(), "key.pem"), attest.ECDSAP256SHA256)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// rebuild makes the index again from nothing, under the newest authorities.
func rebuild(t testing.TB, h *testhouse.House) *follow.Follower {
	t.Helper()
	ctx := context.WithoutCancel(t.Context()) // a test's cleanup needs it too
	f, err := follow.New(ctx, h.FollowConfig(memory.NewIndex()))
	if err == nil {
		err = f.CatchUp(ctx)
	}
	if err != nil {
		t.Fatalf("what was registered cannot be followed: %v", err)
	}
	return f
}

// long are statements that have something in them that is long, or many of something.
func long(n int) map[string]string {
	a := strings.Repeat("a", n)
	sub := func(name, digests string) string {
		return fmt.Sprintf(`[{"name":%q,"digest":{"sha256":%q%s}}]`, name, artifact.Hex(), digests)
	}
	st := func(predicateType, subjects, predicate string) string {
		return `{"_type":"https://in-toto.io/Statement/v1","predicateType":"` + predicateType + `","subject":` + subjects + `,"predicate":` + predicate + `}`
	}
	build := func(buildType, builder, parameters string) string {
		return st(attest.ProvenanceV1, sub("a", ""), `{"buildDefinition":{"buildType":"`+buildType+`","externalParameters":`+parameters+`},"runDetails":{"builder":{"id":"`+builder+`"},"metadata":{"invocationId":"`+a[:min(n, 3000)]+`"}}}`)
	}
	var subjects, parameters, components []string
	for i := range min(n, 1023) {
		subjects = append(subjects, fmt.Sprintf(`{"name":"%d%s","digest":{"sha256":"%064x","sha384":"%096x","sha512":"%0128x","gitCommit":"%040x"}}`, i, a[:min(n, 1000)], i, i, i, i))
		parameters = append(parameters, fmt.Sprintf(`"%d":"%d"`, i, i))
		components = append(components, fmt.Sprintf(`{"type":"library","name":"a","purl":"pkg:npm/%d%s@1"}`, i, a[:min(n, 3000)]))
	}
	parameters = append(parameters, fmt.Sprintf(`"of":%d`, n))
	subjects = append(subjects, fmt.Sprintf(`{"name":"of %d","digest":{"sha256":%q}}`, n, artifact.Hex()))
	components = append(components, fmt.Sprintf(`{"type":"library","name":"of %d"}`, n))
	return map[string]string{
		"predicate type": st("https://x.example/"+a, sub("a", ""), `{}`),
		"name":           st("https://x.example/y", sub(a, ""), `{}`),
		"digest":         st("https://x.example/y", sub("a", `,"thing":"`+a+`"`), `{}`),
		"algorithm":      st("https://x.example/y", sub("a", `,"`+a+`":"x"`), `{}`),
		"builder":        build("x", "https://x.example/"+a, `{}`),
		"build type":     build("https://x.example/"+a, "https://x.example/b", `{}`),
		"value":          build("x", "https://x.example/b", `{"n":"`+a+`"}`),
		"parameter":      build("x", "https://x.example/b", `{"`+a+`":1}`),
		"parameters":     build("x", "https://x.example/b", `{`+strings.Join(parameters, ",")+`}`),
		"repository":     build("x", "https://x.example/b", `{"workflow":{"repository":"https://x.example/`+a+`"}}`),
		"ref":            build("x", "https://x.example/b", `{"workflow":{"repository":"https://x.example/r","ref":"refs/heads/`+a+`"}}`),
		"result":         st("https://in-toto.io/attestation/test-result/v0.1", sub("a", ""), `{"result":"`+a+`"}`),
		"subjects":       st("https://x.example/y", `[`+strings.Join(subjects, ",")+`]`, `{}`),
		"components":     st("https://cyclonedx.org/bom", sub("a", ""), `{"bomFormat":"CycloneDX","specVersion":"1.6","version":1,"components":[`+strings.Join(components, ",")+`]}`),
	}
}

// TestAdvisoryD1_LimitsBeforeTheAppend: whatever is over a limit of the index is refused
// before it is logged, with a size, or is kept by its hash; and whatever is registered
// can be followed, now and when the index is made again.
func TestAdvisoryD1_LimitsBeforeTheAppend(t *testing.T) {
	h := testhouse.New(t, testhouse.Options{})
	k := key(t)
	refused := map[string]bool{}
	for _, n := range []int{10, 1000, 1025, 2100, 5000, 70_000, 9 << 20} {
		for name, st := range long(n) {
			size := logSize(t, h)
			err := handIn(t, h, k, []byte(st))
			if err != nil && (!errors.Is(err, attest.ErrTooLarge) || len(err.Error()) > 500) {
				t.Errorf("%s of %d: %v, want it registered or ErrTooLarge", name, n, err)
			}
			if grew := logSize(t, h) > size; grew != (err == nil) {
				t.Errorf("%s of %d: %v, and the log grew: %v", name, n, err, grew)
			}
			if err := h.Follow.Wait(t.Context(), logSize(t, h)); err != nil {
				t.Fatalf("%s of %d stops the index: %v", name, n, err)
			}
			refused[name] = refused[name] || err != nil
		}
	}
	for _, name := range []string{"predicate type", "name", "digest", "algorithm", "builder", "build type", "parameter", "repository", "ref", "result"} {
		if !refused[name] {
			t.Errorf("a %s of any length is registered", name)
		}
	}
	for _, name := range []string{"value", "parameters", "subjects", "components"} {
		if refused[name] {
			t.Errorf("%s are refused, and could be kept by their hash, or as they are", name)
		}
	}
	f := rebuild(t, h)
	if a, b := dump(t, h.Follow), dump(t, f); a != b {
		t.Errorf("made again, the index differs:\n%s\n%s", a, b)
	}
	err := f.View(t.Context(), func(s store.Snapshot, _ *follow.Control) error {
		for rec, err := range s.Find(store.Key{}, 0) {
			if err != nil {
				return err
			}
			if len(rec.Value) > 1<<20 {
				t.Errorf("the facts of entry %d have %d bytes", rec.Index, len(rec.Value))
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func logSize(t testing.TB, h *testhouse.House) uint64 {
	t.Helper()
	cp, err := h.Log.Checkpoint(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return cp.Size
}

// FuzzRegisterFits: whatever Register accepts, the index applies, at once and when it
// is made again.
func FuzzRegisterFits(f *testing.F) {
	documents, err := filepath.Glob(filepath.Join("..", "..", "testdata", "provenance", "*"))
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range documents {
		raw, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		for line := range strings.Lines(string(raw)) {
			var b struct {
				DSSE struct{ Payload []byte } `json:"dsseEnvelope"`
				Bare []byte                   `json:"payload"`
			}
			if json.Unmarshal([]byte(line), &b) == nil {
				f.Add(append(b.DSSE.Payload, b.Bare...))
			}
		}
	}
	boms, err := filepath.Glob(filepath.Join("..", "..", "testdata", "sbom", "*", "*.json"))
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range boms {
		raw, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		for _, kind := range []string{"https://cyclonedx.org/bom", "https://spdx.dev/Document"} {
			f.Add([]byte(`{"_type":"https://in-toto.io/Statement/v1","predicateType":"` + kind + `","subject":[{"digest":{"sha256":"` + artifact.Hex() + `"}}],"predicate":` + string(raw) + `}`))
		}
	}
	for _, n := range []int{1, 3000} {
		for _, st := range long(n) {
			f.Add([]byte(st))
		}
	}
	f.Add(testhouse.Provenance(artifact, localBuilder))
	h := testhouse.New(f, testhouse.Options{PerArtifact: 1 << 30})
	k := key(f)
	f.Fuzz(func(t *testing.T, statement []byte) {
		if handIn(t, h, k, statement) != nil {
			return
		}
		if err := h.Follow.Wait(t.Context(), logSize(t, h)); err != nil {
			t.Fatalf("the index stops: %v", err)
		}
	})
	f.Cleanup(func() { rebuild(f, h) })
}

// TestEverySequenceOfTrustRoots: what was registered under one trust root fits under
// every later one, in whatever order they come: facts depend on which authorities there
// are, and whether their row fits does not.
func TestEverySequenceOfTrustRoots(t *testing.T) {
	edits := map[string]func(string) string{
		"many roots": func(s string) string {
			return repeat(s, "  - name: public-good\n", "  - name: github\n", 12)
		},
		"stricter": func(s string) string {
			return strings.ReplaceAll(s, "{log: 1, timestamps: 1, sct: 1}", "{log: 1, timestamps: 2, sct: 1}")
		},
		"many time authorities": func(s string) string { return repeat(s, "  - name: sekisho\n    certificate:", "\n# Who may", 70) },
	}
	for _, order := range permutations([]string{"many roots", "stricter", "many time authorities"}) {
		h := testhouse.New(t, testhouse.Options{})
		h.Bundle(t, []byte(strings.TrimSpace(string(testhouse.Testdata(t, "provenance", "MODULE.bazel.intoto.jsonl")))))
		k := key(t)
		for _, st := range long(500) {
			if err := handIn(t, h, k, []byte(st)); err != nil {
				t.Fatal(err)
			}
		}
		for _, name := range order {
			c := h.Follow.Control()
			next := nextVersion(string(c.Trust.Bytes()), c.Trust.Version()+1, string(c.TrustRef.Digest))
			edited := edits[name](next)
			if edited == next {
				t.Fatalf("%s changes nothing", name)
			}
			h.Control(t, attest.TrustRootType, []byte(edited))
			h.Statement(t, testhouse.Provenance(attest.SHA256([]byte(name)), localBuilder))
			if err := h.Follow.Wait(t.Context(), logSize(t, h)); err != nil {
				t.Fatalf("%v: %s: %v", order, name, err)
			}
		}
		f := rebuild(t, h)
		if a, b := dump(t, h.Follow), dump(t, f); a != b {
			t.Errorf("%v: made again, the index differs:\n%s\n%s", order, a, b)
		}
	}
}

// nextVersion is a trust root with another version and predecessor.
func nextVersion(s string, version uint64, previous string) string {
	s = strings.Replace(s, fmt.Sprintf("version: %d\n", version-1), fmt.Sprintf("version: %d\nprevious: %s\n", version, previous), 1)
	if lines := strings.SplitAfter(s, "\n"); strings.Count(s, "\nprevious: ") > 1 {
		at := 0
		for i, l := range lines {
			if strings.HasPrefix(l, "previous: ") {
				at = i // the last one is the older
			}
		}
		lines[at] = ""
		s = strings.Join(lines, "")
	}
	return s
}

// repeat repeats a block of a document under other names.
func repeat(s, from, to string, n int) string {
	i := strings.Index(s, from)
	j := i + strings.Index(s[i:], to)
	block := s[i:j]
	var b strings.Builder
	for k := range n {
		b.WriteString(strings.Replace(block, "name: ", fmt.Sprintf("name: %s%d-", strings.Repeat("n", 2000), k), 1))
		if !strings.HasSuffix(block, "\n") {
			b.WriteString("\n")
		}
	}
	return s[:i] + b.String() + s[i:]
}

func permutations(of []string) (all [][]string) {
	if len(of) == 1 {
		return [][]string{of}
	}
	for i := range of {
		rest := append(append([]string{}, of[:i]...), of[i+1:]...)
		for _, p := range permutations(rest) {
			all = append(all, append([]string{of[i]}, p...))
		}
	}
	return all
}

// TestQuota: a caller may register so much about one artifact and no more; others may
// go on, and so may the caller about another artifact, and again what was registered.
func TestQuota(t *testing.T) {
	h := testhouse.New(t, testhouse.Options{PerArtifact: 3})
	k := key(t)
	about := func(d attest.Digest, n int) []byte { return testhouse.Provenance(d, fmt.Sprint(localBuilder, n)) }
	for n := range 3 {
		if err := handIn(t, h, k, about(artifact, n)); err != nil {
			t.Fatal(err)
		}
	}
	for name, again := range map[string]error{
		"one more":       handIn(t, h, k, about(artifact, 3)),
		"by another key": handIn(t, h, key(t), about(artifact, 4)),
		"with a subject more": handIn(t, h, k, []byte(strings.Replace(string(about(attest.SHA256(nil), 5)), `"subject":[`,
			`"subject":[{"name":"b","digest":{"sha256":"`+artifact.Hex()+`"}},`, 1))),
	} {
		if !errors.Is(again, register.ErrQuota) {
			t.Errorf("%s: %v, want ErrQuota", name, again)
		}
	}
	if err := handIn(t, h, k, about(artifact, 1)); err != nil {
		t.Errorf("what was registered already: %v", err)
	}
	if err := handIn(t, h, k, about(attest.SHA256([]byte("other")), 3)); err != nil {
		t.Errorf("about another artifact: %v", err)
	}
	for n := range 3 { // by another caller, who has them signed
		h.Statement(t, about(artifact, 3+n))
	}
	_, err := h.Register.Register(t.Context(), register.Submission{Caller: testhouse.Admin, Statement: about(artifact, 6)})
	if !errors.Is(err, register.ErrQuota) {
		t.Errorf("a listed submitter: %v, want ErrQuota", err)
	}
}

// TestFirstIsFoundByItsSigner: the registrations of others of one statement cost whoever
// registers it nothing.
func TestFirstIsFoundByItsSigner(t *testing.T) {
	h := testhouse.New(t, testhouse.Options{})
	st := testhouse.Provenance(artifact, localBuilder)
	for range 20 {
		if err := handIn(t, h, key(t), st); err != nil {
			t.Fatal(err)
		}
	}
	first := h.Statement(t, st)
	if again := h.Statement(t, st); !again.AlreadyRegistered || again.Receipt.Index != first.Receipt.Index {
		t.Errorf("registered again: %+v", again)
	}
	err := h.Follow.View(t.Context(), func(s store.Snapshot, _ *follow.Control) error {
		n, err := s.Count(follow.KeyStatement(attest.SHA256(st), h.Signer.Key().ID))
		if n != 1 {
			t.Errorf("%d records are looked through, want 1", n)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// TestSomebodyElsesRegistrationIsNotMine: an envelope under a certificate's own key says
// nothing of what the certificate has signed, and must not keep its bundle out.
func TestSomebodyElsesRegistrationIsNotMine(t *testing.T) {
	h := testhouse.New(t, testhouse.Options{})
	raw := []byte(strings.TrimSpace(string(testhouse.Testdata(t, "provenance", "MODULE.bazel.intoto.jsonl"))))
	record, _, err := verifier.ReadBundle(raw)
	if err != nil {
		t.Fatal(err)
	}
	var b struct {
		DSSE json.RawMessage `json:"dsseEnvelope"`
	}
	if err := json.Unmarshal(raw, &b); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Register.Register(t.Context(), register.Submission{Caller: bot, Envelope: b.DSSE, PublicKey: certificateKey(t, record.Certificate)}); err != nil {
		t.Fatal(err)
	}
	r := h.Bundle(t, raw)
	if r.AlreadyRegistered {
		t.Error("the bundle is taken for the bare envelope that somebody registered under its certificate's key")
	}
	// Both have one digest, for an envelope does not say who signed it. What is cited is
	// what counted.
	answers, err := h.Decide.Decide(t.Context(), decide.Question{Question: policy.Question{Artifact: r.Facts.Subjects()[0].Digest, MinLevel: attest.L2}})
	if err != nil {
		t.Fatal(err)
	}
	if a := answers[0]; a.Verdict != policy.Allow || len(a.Evidence) != 1 || a.Evidence[0].LogIndex != r.Receipt.Index || a.Evidence[0].Signer == "" {
		t.Errorf("decided %+v on %+v, want the bundle of entry %d", a.Decision, a.Evidence, r.Receipt.Index)
	}
}

func certificateKey(t *testing.T, der []byte) crypto.PublicKey {
	t.Helper()
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c.PublicKey
}

// TestMayIsAskedFirst: whether this caller may have a statement of a type signed is
// asked before the statement is read, so that one that cannot be read says the same.
func TestMayIsAskedFirst(t *testing.T) {
	h := testhouse.New(t, testhouse.Options{})
	for name, c := range map[string]struct {
		caller    verifier.Caller
		statement string
		want      error
	}{
		"no submitter":          {bot, `{"predicateType":"https://slsa.dev/provenance/v1","predicate":{,`, verifier.ErrNotAllowed},
		"of another type":       {testhouse.Admin, `{"predicateType":"https://example.com/x","predicate":{,`, verifier.ErrNotAllowed},
		"a control statement":   {testhouse.Admin, `{"predicateType":"HTTPS://sekisho.dev/policy/v1","predicate":{,`, verifier.ErrControlStatement},
		"who may":               {testhouse.Admin, `{"predicateType":"https://slsa.dev/provenance/v1","predicate":{,`, attest.ErrMalformed},
		"a type behind nothing": {testhouse.Admin, `{"predicate":{,`, attest.ErrMalformed},
	} {
		_, err := h.Register.Register(t.Context(), register.Submission{Caller: c.caller, Statement: []byte(c.statement)})
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}
