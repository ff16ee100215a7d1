package attest

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// statementsIn reads the statements of a real document: bare, in envelopes, in
// bundles, or as Google Cloud Build hands them out.
func statementsIn(t testing.TB, name string) []*Statement {
	t.Helper()
	data, err := os.ReadFile("../testdata/provenance/" + name)
	if err != nil {
		t.Fatal(err)
	}
	var all []*Statement
	for dec := json.NewDecoder(bytes.NewReader(data)); ; {
		var raw json.RawMessage
		if err := dec.Decode(&raw); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		var doc struct {
			Type     string          `json:"_type"`
			Envelope json.RawMessage `json:"dsseEnvelope"`
			Summary  struct {
				Provenance []struct {
					Envelope json.RawMessage `json:"envelope"`
				} `json:"provenance"`
			} `json:"provenance_summary"`
		}
		if err := json.Unmarshal(raw, &doc); err != nil {
			t.Fatal(err)
		}
		if doc.Type != "" {
			s, err := ParseStatement(raw)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			all = append(all, s)
			continue
		}
		envelopes := []json.RawMessage{doc.Envelope}
		if doc.Summary.Provenance != nil {
			envelopes = nil
			for _, p := range doc.Summary.Provenance {
				envelopes = append(envelopes, p.Envelope)
			}
		} else if doc.Envelope == nil {
			envelopes[0] = raw
		}
		for _, envelope := range envelopes {
			e, err := ParseEnvelope(envelope)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			s, err := e.Statement()
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			all = append(all, s)
		}
	}
}

// What builders really write, and where: the types, the spelling and the place of
// the source are theirs.
func TestRealProvenance(t *testing.T) {
	const generator = "https://github.com/slsa-framework/slsa-github-generator"
	for _, c := range []struct {
		file            string
		at              int // which statement of the file
		typ, predicate  string
		builder, build  string
		source          SourceRef
		complete        bool
		parameters      string
		dependencies    int
		invocation      string
		started, finish string
	}{
		{file: "MODULE.bazel.intoto.jsonl", typ: StatementV1, predicate: ProvenanceV1,
			builder:  "https://github.com/bazel-contrib/publish-to-bcr/.github/workflows/publish.yaml@refs/tags/v0.0.1",
			build:    "https://actions.github.io/buildtypes/workflow/v1",
			source:   SourceRef{"git+https://github.com/aspect-build/rules_lint", "refs/heads/publish-to-bcr", "8f70009fde0c94ade6ce2a054b94718c819126ec"},
			complete: true, parameters: "workflow", dependencies: 1,
			invocation: "https://github.com/aspect-build/rules_lint/actions/runs/14095611671/attempts/1"},
		{file: "sigstore-js-2.1.0-bundle.json", typ: StatementV1, predicate: ProvenanceV1,
			builder: "https://github.com/actions/runner/github-hosted", build: "https://slsa-framework.github.io/github-actions-buildtypes/workflow/v1",
			source:   SourceRef{"git+https://github.com/sigstore/sigstore-js", "refs/heads/main", "26d16513386ffaa790b1c32f927544f1322e4194"},
			complete: true, parameters: "workflow", dependencies: 1,
			invocation: "https://github.com/sigstore/sigstore-js/actions/runs/6014488666/attempts/1"},
		{file: "container-based-v2.1.0.build.slsa", typ: StatementV01, predicate: ProvenanceV1, // v1 in a v0.1 statement
			builder: generator + "/.github/workflows/builder_container-based_slsa3.yml@refs/tags/v2.1.0", build: "https://slsa.dev/container-based-build/v0.1?draft",
			source:   SourceRef{"git+https://github.com/slsa-framework/example-package", "refs/heads/main", "4d329c75e7ec1725f7c9ce917a8799d408d06be3"},
			complete: true, parameters: "buildConfig builderImage configPath source", dependencies: 2, // the second is the builder's own source
			invocation: "https://github.com/slsa-framework/example-package/actions/runs/13531731005/attempts/1"},
		{file: "bazel-delegator-v1.8.0.build.slsa", typ: StatementV01, predicate: ProvenanceV1, // the source is a dependency only
			builder: generator + "/.github/workflows/builder_bazel_slsa3.yml@refs/tags/v1.8.0", build: generator + "/delegator-generic@v0",
			source:   SourceRef{"git+https://github.com/enteraga6/slsa-lvl3-generic-provenance-with-bazel-example", "refs/heads/main", "7f23ac4783cb702a68c55f7955cc296fdd425dbb"},
			complete: true, parameters: "inputs vars", dependencies: 1,
			invocation: "https://github.com/enteraga6/slsa-lvl3-generic-provenance-with-bazel-example/actions/runs/5792108748/attempts/1"},
		{file: "gcb-github.json", typ: StatementV1, predicate: ProvenanceV1,
			builder: "https://cloudbuild.googleapis.com/GoogleHostedWorker", build: "https://cloud.google.com/build/gcb-buildtypes/google-worker/v1",
			source:   SourceRef{"git+https://github.com/khalkie/gcb-prod-prov", "refs/heads/main", "2ce3f90facdb51aeb950d5bc641e981be61fdf48"},
			complete: true, parameters: "buildConfigSource substitutions", dependencies: 2,
			invocation: "https://cloudbuild.googleapis.com/v1/projects/argo-local-khalk/locations/us-west2/builds/9c11d255-0469-4a6a-b7d0-d510c6697c54",
			started:    "2023-08-08T18:40:21.016140505Z", finish: "2023-08-08T18:40:29.055034Z"},
		{file: "gcb-github.json", at: 1, typ: StatementV01, predicate: ProvenanceV01, // the same build
			builder: "https://cloudbuild.googleapis.com/GoogleHostedWorker@v0.3", build: "https://cloudbuild.googleapis.com/CloudBuildYaml@v0.1",
			source:     SourceRef{"git+https://github.com/khalkie/gcb-prod-prov", "", "2ce3f90facdb51aeb950d5bc641e981be61fdf48"},
			parameters: "entryPoint parameters source", dependencies: 1, invocation: "9c11d255-0469-4a6a-b7d0-d510c6697c54",
			started: "2023-08-08T18:40:21.016140505Z", finish: "2023-08-08T18:40:29.055034Z"},
		{file: "gcb-storage.json", typ: StatementV01, predicate: ProvenanceV01, // "definedInMaterial":"-1", and MD5 only
			builder: "https://cloudbuild.googleapis.com/GoogleHostedWorker@v0.3", build: "https://cloudbuild.googleapis.com/CloudBuildSteps@v0.1",
			source:     SourceRef{"gs://damith-sds_cloudbuild/source/1665165360.279777-955d1904741e4bbeb3461080299e929a.tgz#1665165361152729", "", ""},
			parameters: "parameters source", dependencies: 1, invocation: "565456b1-0394-4c71-8c18-79f9057483df",
			started: "2022-10-07T17:56:01.814040892Z", finish: "2022-10-07T17:57:16.595464Z"},
		{file: "bundle-provenance.json", typ: StatementV01, predicate: ProvenanceV02, // npm
			builder: "https://github.com/actions/runner", build: "https://github.com/npm/cli/gha/v2",
			source:     SourceRef{"git+https://github.com/sigstore/sigstore-js", "refs/heads/main", "dae8bd8eb433a4147b4655c00fe73e0f22bc0fb1"},
			parameters: "entryPoint source", dependencies: 1, invocation: "4735384265-1"},
		{file: "bare-dsse.intoto.jsonl", typ: StatementV01, predicate: ProvenanceV02, // "buildInvocationID", and complete
			builder: generator + "/.github/workflows/generator_generic_slsa3.yml@refs/tags/v1.2.2", build: generator + "/generic@v1",
			source:   SourceRef{"git+https://github.com/asraa/slsa-on-github-test", "refs/tags/v1.5.0", "f24af35a7c714f1b4eeb53afefb57fa11bd5c95c"},
			complete: true, parameters: "entryPoint source", dependencies: 1, invocation: "4069568961-1"},
	} {
		t.Run(c.file, func(t *testing.T) {
			s := statementsIn(t, c.file)[c.at]
			if s.Type != c.typ || s.PredicateType != c.predicate || !IsProvenance(s.PredicateType) {
				t.Errorf("%s in %s", s.PredicateType, s.Type)
			}
			p, err := s.Provenance()
			if err != nil {
				t.Fatal(err)
			}
			if p.BuilderID != c.builder || p.BuildType != c.build || p.InvocationID != c.invocation {
				t.Errorf("built by %s, type %s, invocation %s", p.BuilderID, p.BuildType, p.InvocationID)
			}
			if p.Source != c.source {
				t.Errorf("source %+v, want %+v", p.Source, c.source)
			}
			if got := parameterNames(p); got != c.parameters || p.Complete != c.complete || len(p.Dependencies) != c.dependencies {
				t.Errorf("parameters %s, complete %v, %d dependencies", got, p.Complete, len(p.Dependencies))
			}
			if spell(p.StartedOn) != c.started || spell(p.FinishedOn) != c.finish {
				t.Errorf("from %s to %s", spell(p.StartedOn), spell(p.FinishedOn))
			}
		})
	}
	// BuildKit on its own knows no builder; nothing decides without one.
	if _, err := statementsIn(t, "buildkit-without-builder.json")[0].Provenance(); !errors.Is(err, ErrMalformed) {
		t.Errorf("no builder: %v", err)
	}
	// What a registry says of a package is no provenance, whoever signs it.
	if _, err := statementsIn(t, "bundle-publish.json")[0].Provenance(); !errors.Is(err, ErrPredicateType) {
		t.Errorf("publish attestation: %v", err)
	}
}

func parameterNames(p *Provenance) string {
	return strings.Join(slices.Sorted(maps.Keys(p.ExternalParameters)), " ")
}

func spell(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Format(time.RFC3339Nano)
}

func provenanceIn(t *testing.T, predicateType, predicate string) *Provenance {
	t.Helper()
	s, err := ParseStatement([]byte(provenanceStatement(predicateType, predicate)))
	if err != nil {
		t.Fatal(err)
	}
	p, err := s.Provenance()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// The three versions say one thing, in the words of v1.
func TestProvenanceOfEveryVersion(t *testing.T) {
	for _, c := range []struct {
		typ, predicate, name string
		ref, parameters      string
		dependencies         int
	}{
		{ProvenanceV1, predicateV1, "v1", "refs/heads/main", "level workflow", 1},
		{ProvenanceV02, predicateV02, "v02", "refs/tags/v1", "entryPoint parameters source", 1},
		{ProvenanceV01, predicateV01, "v01", "refs/heads/main", "entryPoint parameters source", 2},
		{ProvenanceV01InToto, predicateV01, "v01", "refs/heads/main", "entryPoint parameters source", 2},
	} {
		p := provenanceIn(t, c.typ, c.predicate)
		if p.BuilderID != "https://builder.example/"+c.name || p.BuildType != "https://example.com/build/"+c.name {
			t.Errorf("%s: built by %s, type %s", c.typ, p.BuilderID, p.BuildType)
		}
		if want := (SourceRef{"git+https://github.com/owner/repo", c.ref, commit}); p.Source != want {
			t.Errorf("%s: source %+v, want %+v", c.typ, p.Source, want)
		}
		if got := parameterNames(p); got != c.parameters || !p.Complete || len(p.Dependencies) != c.dependencies {
			t.Errorf("%s: parameters %s, complete %v, %d dependencies", c.typ, got, p.Complete, len(p.Dependencies))
		}
		if spell(p.StartedOn) != "2026-01-02T03:04:05Z" || spell(p.FinishedOn) != "2026-01-02T03:05:06Z" || p.InvocationID == "" {
			t.Errorf("%s: %s from %s to %s", c.typ, p.InvocationID, spell(p.StartedOn), spell(p.FinishedOn))
		}
	}
	if p := provenanceIn(t, ProvenanceV02, predicateV02); string(p.ExternalParameters["source"]) != `"git+https://github.com/owner/repo@refs/tags/v1"` ||
		string(p.ExternalParameters["entryPoint"]) != `"build.yml"` || string(p.ExternalParameters["parameters"]) != `{"p":"q"}` {
		t.Errorf("parameters %s", p.ExternalParameters)
	}
	// v0.2 and v0.1 are complete only where they say so.
	for typ, predicate := range map[string]string{
		ProvenanceV02: strings.Replace(predicateV02, `"parameters":true`, `"parameters":false`, 1),
		ProvenanceV01: strings.Replace(predicateV01, `"arguments":true`, `"environment":true`, 1),
	} {
		if provenanceIn(t, typ, strings.Replace(predicate, `"environment":false,`, "", 1)).Complete {
			t.Errorf("%s: complete, and does not claim it", typ)
		}
	}
	// Unset, null and empty are one in v1, so none of them is a parameter of v0.2.
	for _, empty := range []string{"null", `""`, "{}", "[]", "{ }", "[\n]"} {
		p := provenanceIn(t, ProvenanceV02, strings.Replace(predicateV02, `{"p":"q"}`, empty, 1))
		if got := parameterNames(p); got != "entryPoint source" {
			t.Errorf("parameters %q become %s", empty, got)
		}
	}
	for _, value := range []string{"0", "false", `{"":null}`, "[null]", `" "`} {
		p := provenanceIn(t, ProvenanceV02, strings.Replace(predicateV02, `{"p":"q"}`, value, 1))
		if string(p.ExternalParameters["parameters"]) != value {
			t.Errorf("parameters %q are lost", value)
		}
	}
	// v1's own are kept as they stand: policy compares them.
	p := provenanceIn(t, ProvenanceV1, strings.Replace(predicateV1, `"level":3`, `"level":3.00,"empty":{},"nothing":null`, 1))
	if string(p.ExternalParameters["level"]) != "3.00" || parameterNames(p) != "empty level nothing workflow" {
		t.Errorf("parameters %s", p.ExternalParameters)
	}
}

// Where each build type puts the source.
func TestProvenanceSource(t *testing.T) {
	const (
		other = "fedcba9876543210fedcba9876543210fedcba98"
		repo  = "git+https://github.com/owner/repo"
	)
	v1 := func(parameters, dependencies string) string {
		return `{"buildDefinition":{"buildType":"t","externalParameters":{` + parameters + `},"resolvedDependencies":[` + dependencies + `]},"runDetails":{"builder":{"id":"b"}}}`
	}
	dep := func(uri, sha string) string { return `{"uri":"` + uri + `","digest":{"gitCommit":"` + sha + `"}}` }
	for _, c := range []struct {
		name, parameters, dependencies string
		want                           SourceRef
	}{
		{"workflow", `"workflow":{"repository":"https://github.com/owner/repo","ref":"refs/heads/main"}`, dep(repo+"@refs/heads/main", commit), SourceRef{repo, "refs/heads/main", commit}},
		{"workflow, another repository built with", `"workflow":{"repository":"https://github.com/owner/repo","ref":"refs/heads/main"}`, dep("git+https://github.com/evil/repo@refs/heads/main", other), SourceRef{repo, "refs/heads/main", ""}},
		{"workflow, another ref", `"workflow":{"repository":"https://github.com/owner/repo","ref":"refs/heads/main"}`, dep(repo+"@refs/heads/evil", other) + "," + dep(repo+"@refs/heads/main", commit), SourceRef{repo, "refs/heads/main", commit}},
		{"workflow, a ref that begins alike", `"workflow":{"repository":"https://github.com/owner/repo","ref":"refs/tags/v1"}`, dep(repo+"@refs/tags/v1-evil", other), SourceRef{repo, "refs/tags/v1", ""}},
		{"workflow without a repository", `"workflow":{"ref":"refs/heads/main"}`, "", SourceRef{}},
		{"workflow as a string", `"workflow":"https://github.com/owner/repo"`, "", SourceRef{}},
		{"source as a string", `"source":"` + repo + `@refs/tags/v1"`, "", SourceRef{repo, "refs/tags/v1", ""}},
		{"source as a descriptor", `"source":{"uri":"` + repo + `@refs/tags/v1","digest":{"sha1":"` + commit + `"}}`, dep(repo+"@refs/tags/v1", other), SourceRef{repo, "refs/tags/v1", commit}},
		{"source with a malformed digest", `"source":{"uri":"` + repo + `","digest":{"sha1":"abc"}}`, "", SourceRef{}},
		{"source as a number", `"source":1`, "", SourceRef{}},
		{"source of nothing", `"source":{}`, "", SourceRef{}},
		{"sourceToBuild before buildConfigSource", `"buildConfigSource":{"repository":"https://github.com/evil/config"},"sourceToBuild":{"repository":"https://github.com/owner/repo","ref":"refs/heads/main"}`, dep(repo+"@refs/heads/main", commit), SourceRef{repo, "refs/heads/main", commit}},
		{"buildConfigSource", `"buildConfigSource":{"repository":"` + repo + `","ref":"refs/heads/main"}`, dep(repo, commit), SourceRef{repo, "refs/heads/main", commit}},
		{"spelled with .git", `"source":"https://github.com/owner/repo.git"`, dep(repo+".git@refs/heads/main", commit), SourceRef{repo, "refs/heads/main", commit}},
		{"unknown type, one git dependency", `"x":1`, `{"uri":"pkg:npm/a@1"},` + dep(repo+".git@refs/heads/main", commit), SourceRef{repo, "refs/heads/main", commit}},
		{"unknown type, no git dependency", `"x":1`, `{"uri":"pkg:npm/a@1"},{"uri":"https://github.com/owner/repo"},{}`, SourceRef{}},
		// Which of them is the source, only the type could say: a submodule is no less a dependency.
		{"unknown type, two git dependencies", `"x":1`, dep(repo, commit) + "," + dep("git+https://github.com/other/lib", other), SourceRef{}},
		// A doubled "@" was once written by Google Cloud Build; it names nothing.
		{"doubled @", `"buildConfigSource":{"repository":"` + repo + `","ref":"refs/heads/main"}`, dep(repo+"@@refs/heads/main", commit), SourceRef{repo, "refs/heads/main", ""}},
	} {
		if p := provenanceIn(t, ProvenanceV1, v1(c.parameters, c.dependencies)); p.Source != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, p.Source, c.want)
		}
	}
	// v0.1 points at a material.
	for index, want := range map[string]string{
		"1": repo, `"1"`: repo, "0": "https://example.com/make.tar", `"-1"`: "https://example.com/make.tar", "-1": "https://example.com/make.tar",
		"null": "https://example.com/make.tar", "2": "", "2147483647": "",
	} {
		p := provenanceIn(t, ProvenanceV01, strings.Replace(predicateV01, `"definedInMaterial":1`, `"definedInMaterial":`+index, 1))
		if got := strings.TrimPrefix(p.Source.Repository, "git+"); got != strings.TrimPrefix(want, "git+") {
			t.Errorf("definedInMaterial %s: %q, want %q", index, got, want)
		}
	}
}

func TestSplitRef(t *testing.T) {
	for uri, want := range map[string][2]string{
		"git+https://github.com/o/r":                          {"git+https://github.com/o/r", ""},
		"git+https://github.com/o/r@refs/heads/main":          {"git+https://github.com/o/r", "refs/heads/main"},
		"git+https://github.com/o/r@refs/heads/a@b":           {"git+https://github.com/o/r", "refs/heads/a@b"},
		"git+https://github.com/o/r@v1":                       {"git+https://github.com/o/r", "v1"},
		"git+ssh://git@github.com/o/r":                        {"git+ssh://git@github.com/o/r", ""},
		"git+ssh://git@github.com/o/r@refs/tags/v1":           {"git+ssh://git@github.com/o/r", "refs/tags/v1"},
		"git+https://h/o/@scope/r@refs/tags/@scope/r@1.0":     {"git+https://h/o/@scope/r", "refs/tags/@scope/r@1.0"},
		"git+https://github.com/o/r@refs/heads/a@refs/tags/b": {"git+https://github.com/o/r@refs/heads/a", "refs/tags/b"}, // of no repository that anybody expects
		"": {"", ""}, "@": {"", ""},
	} {
		if repo, ref := splitRef(uri); repo != want[0] || ref != want[1] {
			t.Errorf("%s: %q at %q", uri, repo, ref)
		}
	}
}

func TestProvenanceRefusals(t *testing.T) {
	replace := func(typ, predicate, old, new string) string {
		if !strings.Contains(predicate, old) {
			t.Fatalf("no %s in %s", old, predicate)
		}
		return provenanceStatement(typ, strings.Replace(predicate, old, new, 1))
	}
	many := func(n int) string { return "[" + strings.Repeat("{},", n) + "{}]" }
	list := func(predicate, name string) string {
		_, after, _ := strings.Cut(predicate, `"`+name+`":[`)
		before, _, _ := strings.Cut(after, "}]")
		return "[" + before + "}]"
	}
	dependencies, materials := list(predicateV1, "resolvedDependencies"), list(predicateV02, "materials")
	for _, c := range []struct {
		name, in string
		want     error
	}{
		{"no predicate", statementOf(StatementV1, theSubject, ProvenanceV1, "null"), ErrMalformed},
		{"empty predicate", statementOf(StatementV1, theSubject, ProvenanceV1, "{}"), ErrMalformed},
		{"v0.2 as v1", statementOf(StatementV1, theSubject, ProvenanceV1, predicateV02), ErrMalformed},
		{"v1 as v0.2", statementOf(StatementV01, theSubject, ProvenanceV02, predicateV1), ErrMalformed},
		{"v0.2 as v0.1", statementOf(StatementV01, theSubject, ProvenanceV01, predicateV02), ErrMalformed},
		{"a predicate of another type", statementOf(StatementV1, theSubject, "https://slsa.dev/verification_summary/v1", predicateV1), ErrPredicateType},
		{"no builder", replace(ProvenanceV1, predicateV1, `"id":`, `"ID":`), ErrMalformed},
		{"empty builder", replace(ProvenanceV02, predicateV02, "https://builder.example/v02", ""), ErrMalformed},
		{"builder as a string", replace(ProvenanceV01, predicateV01, `{"id":"https://builder.example/v01"}`, `"https://builder.example/v01"`), ErrMalformed},
		{"no build type", replace(ProvenanceV1, predicateV1, `"buildType"`, `"buildtype"`), ErrMalformed},
		{"empty recipe type", replace(ProvenanceV01, predicateV01, "https://example.com/build/v01", ""), ErrMalformed},
		{"parameters as a list", replace(ProvenanceV1, predicateV1, `"externalParameters":{`, `"externalParameters":[],"x":{`), ErrMalformed},
		{"a date for a time", replace(ProvenanceV1, predicateV1, "2026-01-02T03:04:05Z", "2026-01-02"), ErrMalformed},
		{"a number for a time", replace(ProvenanceV1, predicateV1, `"2026-01-02T03:04:05Z"`, "1767323045"), ErrMalformed},
		{"a thirteenth month", replace(ProvenanceV02, predicateV02, "2026-01-02T03:04:05Z", "2026-13-02T03:04:05Z"), ErrMalformed},
		{"a time of no zone", replace(ProvenanceV01, predicateV01, "2026-01-02T03:04:05Z", "2026-01-02T03:04:05"), ErrMalformed},
		{"completeness as a word", replace(ProvenanceV02, predicateV02, `"parameters":true`, `"parameters":"true"`), ErrMalformed},
		{"null dependency", replace(ProvenanceV1, predicateV1, dependencies, "[null]"), ErrMalformed},
		{"dependency as a string", replace(ProvenanceV1, predicateV1, dependencies, `["a"]`), ErrMalformed},
		{"dependencies as an object", replace(ProvenanceV1, predicateV1, dependencies, `{}`), ErrMalformed},
		{"short commit", replace(ProvenanceV1, predicateV1, commit, commit[1:]), ErrDigest},
		{"short commit of the source", replace(ProvenanceV02, predicateV02, commit, commit[1:]), ErrDigest},
		{"index as a word", replace(ProvenanceV01, predicateV01, `"definedInMaterial":1`, `"definedInMaterial":"one"`), ErrMalformed},
		{"index as a fraction", replace(ProvenanceV01, predicateV01, `"definedInMaterial":1`, `"definedInMaterial":1.0`), ErrMalformed},
		{"index beyond 32 bits", replace(ProvenanceV01, predicateV01, `"definedInMaterial":1`, `"definedInMaterial":2147483648`), ErrMalformed},
		{"index as a list", replace(ProvenanceV01, predicateV01, `"definedInMaterial":1`, `"definedInMaterial":[1]`), ErrMalformed},
		{"index as true", replace(ProvenanceV01, predicateV01, `"definedInMaterial":1`, `"definedInMaterial":true`), ErrMalformed},
		{"too many dependencies", replace(ProvenanceV1, predicateV1, dependencies, many(MaxDependencies)), ErrTooLarge},
		{"too many materials", replace(ProvenanceV02, predicateV02, materials, many(MaxDependencies)), ErrTooLarge},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := ParseStatement([]byte(c.in))
			if err != nil {
				t.Fatal(err)
			}
			if p, err := s.Provenance(); p != nil || !errors.Is(err, c.want) || !isSentinel(err) {
				t.Errorf("%+v, error %v, want %v", p, err, c.want)
			}
		})
	}
	// A predicate that came by another way than ParseStatement is read no less strictly.
	for _, twice := range []string{`{"builder":{"id":"x"},` + predicateV02[1:], predicateV02 + "{}", strings.Replace(predicateV02, "run-2", "\xff", 1)} {
		s := &Statement{PredicateType: ProvenanceV02, Predicate: []byte(twice)}
		if p, err := s.Provenance(); p != nil || !errors.Is(err, ErrMalformed) {
			t.Errorf("%+v, %v", p, err)
		}
	}
	if p := provenanceIn(t, ProvenanceV1, strings.Replace(predicateV1, dependencies, many(MaxDependencies-1), 1)); len(p.Dependencies) != MaxDependencies {
		t.Errorf("%d dependencies", len(p.Dependencies))
	}
}
