package policy_test

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"go.yaml.in/yaml/v3"

	"github.com/sekisho-dev/sekisho/internal/strictyaml"
	"github.com/sekisho-dev/sekisho/policy"
)

// whole is a policy that says everything that one can say and that the evidence of
// these tests satisfies, but for fromQuestion and a second way of naming the ref.
const whole = `name: acme
version: 7
environments:
  - name: default
    mode: enforce
    rules:
      - artifacts: ["pkg:oci/app"]
        build: {minLevel: 2, builders: [acme-ci], buildTypes: ["https://ci.acme.example/make@v1"]}
        source: {repository: git+https://github.com/acme/app, tag: v1.2.3}
        externalParameters: {target: app}
        require:
          - {predicateType: https://in-toto.io/attestation/test-result/v0.1, signers: [qa], result: PASSED, maxAge: 168h}
        sbom: {required: true, formats: [cyclonedx], signers: [ci]}
`

func TestParse(t *testing.T) {
	p := parse(t, whole)
	if p.Name != "acme" || p.Version != 7 || len(p.Environments) != 1 || string(p.Bytes()) != whole {
		t.Errorf("read %+v", p)
	}
	r := p.Environments[0].Rules[0]
	if r.Build.MinLevel != 2 || r.Source.Tag != "v1.2.3" || *r.Require[0].MaxAge != 168*time.Hour || r.Pos != (strictyaml.Pos{Line: 7, Column: 9}) {
		t.Errorf("read %+v", r)
	}
	if d := policy.Decide(p, question(), evidence()); d.Verdict != policy.Allow || len(d.Used) != 3 {
		t.Errorf("%+v", d)
	}
	if p := parse(t, string(policy.Starter())); p.Name != "starter" || p.Environments[0].Name != policy.DefaultEnvironment {
		t.Errorf("starter: %+v", p)
	}
}

// TestParseKeepsItsOwnBytes: whoever handed the document in may change it afterwards.
func TestParseKeepsItsOwnBytes(t *testing.T) {
	document := []byte(whole)
	p, err := policy.Parse(document)
	if err != nil {
		t.Fatal(err)
	}
	clear(document)
	if string(p.Bytes()) != whole {
		t.Error("the policy changed with the caller's bytes")
	}
}

// change replaces a part of the whole policy.
func change(t *testing.T, from, to string) string {
	t.Helper()
	if strings.Count(whole, from) != 1 {
		t.Fatalf("%q is not there once", from)
	}
	return strings.Replace(whole, from, to, 1)
}

func TestParseRefuses(t *testing.T) {
	for _, c := range []struct{ name, from, to, want string }{
		{"no version", "version: 7\n", "", "line 1, column 1: a policy needs a version"},
		{"version 0", "version: 7", "version: 0", "needs a version of 1 or more"},
		{"a negative version", "version: 7", "version: -1", "line 2, column 10: want a uint64"},
		{"a version in quotes", "version: 7", `version: "7"`, "line 2, column 10: want a uint64"},
		{"a version that is no whole number", "version: 7", "version: 7.5", "line 2, column 10"},
		{"a version beyond all", "version: 7", "version: 18446744073709551616", "line 2, column 10"},
		{"no name", "name: acme\n", "", "the policy's name"},
		{"an unknown key at the top", "version: 7", "version: 7\nwersion: 8", `line 3, column 1: unknown key "wersion"`},
		{"an unknown key in an environment", "    mode: enforce", "    moode: enforce", `line 5, column 5: unknown key "moode"`},
		{"an unknown key in a rule", "        sbom:", "        sboom:", `line 13, column 9: unknown key "sboom"`},
		{"an unknown key in a requirement", "maxAge: 168h", "maxage: 168h", `unknown key "maxage"`},
		{"a key twice at the top", "version: 7", "version: 7\nversion: 8", `line 3, column 1: key "version" occurs twice`},
		{"a key twice in a rule", "        sbom:", "        build: {minLevel: 1}\n        sbom:", `line 13, column 9: key "build" occurs twice`},
		{"a parameter twice", "{target: app}", "{target: app, target: evil}", "line 10, column 43"},
		{"a mode that there is not", "mode: enforce", "mode: off", `line 4, column 5: mode is "off"`},
		{"an empty mode", "mode: enforce", `mode: ""`, "line 5, column 11: an empty value"},
		{"an environment twice", "    mode: enforce", "    mode: enforce\n    rules: [{artifacts: [\"*\"]}]\n  - name: default", `environment "default" is there twice`},
		{"an environment without a name", "  - name: default\n    mode", "  - mode", "an environment's name"},
		{"a pattern of another language", "pkg:oci/app", "pkg:oci/[!a]*", "line 7, column 9: artifacts:"},
		{"an anchored pattern", "pkg:oci/app", "^pkg:oci/app$", "only * is special"},
		{"a pattern twice", `["pkg:oci/app"]`, `["*", "*"]`, "is there twice"},
		{"a builder twice", "[acme-ci]", "[acme-ci, acme-ci]", "line 8, column 16: builders"},
		{"a build type twice", `["https://ci.acme.example/make@v1"]`, `[x, x]`, "buildTypes"},
		{"a signer twice", "signers: [qa]", "signers: [qa, qa]", "line 12, column 13: signers"},
		{"level 4", "minLevel: 2", "minLevel: 4", "line 8, column 16: minLevel is 4"},
		{"a level below nothing", "minLevel: 2", "minLevel: -1", "minLevel is -1"},
		{"a level spelt out", "minLevel: 2", "minLevel: SLSA_BUILD_LEVEL_2", "line 8, column 27"},
		{"a repository without a scheme", "git+https://github.com/acme/app", "github.com/acme/app", "line 9, column 17: repository"},
		{"a branch and a tag", "tag: v1.2.3", "tag: v1.2.3, branch: main", "give one of branch, tag and semver"},
		{"a tag spelt as a ref", "tag: v1.2.3", "tag: refs/tags/v1.2.3", "give the short name"},
		{"a branch spelt as a ref", "tag: v1.2.3", "branch: refs/heads/main", "give the short name"},
		{"fromQuestion beside a repository", "tag: v1.2.3", "fromQuestion: true", "fromQuestion leaves the source to the caller"},
		{"a range that is none", "tag: v1.2.3", `semver: ">=1"`, "not a version range"},
		{"provenance as a requirement", "https://in-toto.io/attestation/test-result/v0.1", "https://slsa.dev/provenance/v1", "line 12, column 13: provenance is demanded by every rule"},
		{"an age in days", "maxAge: 168h", "maxAge: 7d", "want a duration such as 168h"},
		{"no age", "maxAge: 168h", "maxAge: 0s", "maxAge is 0s"},
		{"an age in the future", "maxAge: 168h", "maxAge: -1h", "maxAge is -1h"},
		{"a format that there is not", "[cyclonedx]", "[swid]", `line 13, column 15: SBOM format "swid"`},
		{"any with a value", "{target: app}", "{target: {any: true, or: x}}", "want {any: true} and nothing beside it"},
		{"any in quotes", "{target: app}", `{target: {any: "true"}}`, "want {any: true}"},
		{"any at the top beside a name", "{target: app}", "{any: true, target: app}", "line 10, column 30: want {any: true}"},
		{"parameters that are no mapping", "{target: app}", "any", "line 10, column 29: want a mapping"},
		{"a parameter that JSON cannot have", "{target: app}", "{target: .inf}", "not a value that JSON can have"},
		{"a parameter in octal", "{target: app}", "{target: 0o17}", "not a value that JSON can have"},
		{"a parameter with an alias", "{target: app}", "{target: &a app, other: *a}", "anchors and aliases"},
		{"a parameter with an anchored any", "{target: app}", "{target: {&a any: true}}", "want {any: true}"},
		{"a parameter without end", "{target: app}", "{target: " + strings.Repeat("[", 40) + strings.Repeat("]", 40) + "}", "nested deeper"},
		{"an anchor", "[acme-ci]", "&a [acme-ci]", "anchors and aliases"},
		{"a merge", "version: 7", "version: 7\n<<: {version: 8}", "plain string"},
		{"a second document", "version: 7", "version: 7\n---\nversion: 8", "line 1, column 1: more than one document"},
		{"no YAML", "version: 7", "version: [", "invalid YAML"},
	} {
		p, err := policy.Parse([]byte(change(t, c.from, c.to)))
		if p != nil || !errors.Is(err, strictyaml.ErrInvalid) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
	for _, binary := range []string{"\x00", "\xff\xfe", "- a\n", "a", "[]", "!!binary aGk="} {
		if _, err := policy.Parse([]byte(binary)); !errors.Is(err, strictyaml.ErrInvalid) {
			t.Errorf("%q: %v, want it refused", binary, err)
		}
	}
}

// TestParseTellsAll: all faults in one go, in the order of the document.
func TestParseTellsAll(t *testing.T) {
	document := change(t, "minLevel: 2", "minLevel: 9")
	for from, to := range map[string]string{"mode: enforce": "mode: off", "signers: [qa]": "signers: []", "[cyclonedx]": "[swid]", "name: acme": "nam: acme"} {
		document = strings.Replace(document, from, to, 1)
	}
	_, err := policy.Parse([]byte(document))
	var lines []int
	for _, line := range strings.Split(fmt.Sprint(err), "\n")[1:] {
		var n int
		if _, err := fmt.Sscanf(line, "line %d,", &n); err != nil {
			t.Fatalf("%q has no place", line)
		}
		lines = append(lines, n)
	}
	if !slices.IsSorted(lines) || len(slices.Compact(slices.Clone(lines))) < 5 {
		t.Errorf("faults in lines %v, want five in order:\n%v", lines, err)
	}
}

// TestParseIsBounded: what is too large or too deep is refused before it is looked at.
func TestParseIsBounded(t *testing.T) {
	for name, document := range map[string]string{
		"large":   whole + "#" + strings.Repeat("x", strictyaml.MaxSize),
		"deep":    "name: " + strings.Repeat("{a: ", 5000) + strings.Repeat("}", 5000),
		"deeper":  "environments: " + strings.Repeat("[", 20_000),
		"aliases": "a: &a [x,x]\nb: &b [*a,*a]\nc: &c [*b,*b]\nd: [*c,*c]\n",
	} {
		if _, err := policy.Parse([]byte(document)); !errors.Is(err, strictyaml.ErrInvalid) {
			t.Errorf("%s: %v, want it refused", name, err)
		}
	}
}

// TestAdvisoryB5_NothingRequired: a policy, an environment or a rule whose list is
// empty asks for nothing, and everything would pass (go-witness GHSA-567m-4668-m656).
func TestAdvisoryB5_NothingRequired(t *testing.T) {
	for _, c := range []struct{ from, to, want string }{
		{whole[strings.Index(whole, "environments:"):], "environments: []\n", "line 3, column 15: an empty value"},
		{whole[strings.Index(whole, "    rules:"):], "    rules: []\n", "line 6, column 12: an empty value"},
		{whole[strings.Index(whole, "    rules:"):], "", `line 4, column 5: environment "default" has no rules`},
		{whole[strings.Index(whole, "    rules:"):], "    rules: [{}]\n", "line 6, column 13: an empty value"},
		{`["pkg:oci/app"]`, "[]", "line 7, column 20: an empty value"},
		{`["pkg:oci/app"]`, `[""]`, "line 7, column 21: an empty value"},
		{`["pkg:oci/app"]`, "null", "line 7, column 20: an empty value"},
		{"artifacts: [\"pkg:oci/app\"]\n        build", "build", "line 7, column 9: a rule needs artifacts"},
		{"[acme-ci]", "[]", "line 8, column 40: an empty value"},
		{`["https://ci.acme.example/make@v1"]`, "[]", "an empty value"},
		{"          - {predicateType: https://in-toto.io/attestation/test-result/v0.1, signers: [qa], result: PASSED, maxAge: 168h}", "          []", "line 12, column 11: an empty value"},
		{"signers: [qa]", "signers: []", "a requirement needs signers"},
		{", signers: [qa]", "", "line 12, column 13: a requirement needs signers"},
		{"predicateType: https://in-toto.io/attestation/test-result/v0.1, ", "", "line 12, column 13: a requirement needs a predicateType"},
		{"[cyclonedx]", "[]", "an empty value"},
		{"sbom: {required: true, ", "sbom: {", "line 13, column 15: sbom says which, and not that one is required"},
	} {
		p, err := policy.Parse([]byte(change(t, c.from, c.to)))
		if p != nil || !errors.Is(err, strictyaml.ErrInvalid) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.60q: %v, want %q", c.to, err, c.want)
		}
	}
}

// TestAdvisoryB5b_EmptyPolicy: an empty policy does not load, and if there were one it
// would refuse everything (go-witness GHSA-rgp5-33mp-jhfm).
func TestAdvisoryB5b_EmptyPolicy(t *testing.T) {
	for _, document := range []string{"", "\n", "#\n", "---\n", "null\n", "{}\n", "name: acme\nversion: 1\n", "name: acme\nversion: 1\nenvironments:\n"} {
		if p, err := policy.Parse([]byte(document)); p != nil || !errors.Is(err, strictyaml.ErrInvalid) {
			t.Errorf("%q: %v, want it refused", document, err)
		}
	}
	for name, p := range map[string]*policy.Policy{
		"none": nil, "empty": {}, "no rules": {Environments: []policy.Environment{{Name: "default"}}},
		"an empty rule":            {Environments: []policy.Environment{{Name: "default", Rules: make([]policy.Rule, 1)}}},
		"a rule that says nothing": {Environments: []policy.Environment{{Name: "default", Rules: []policy.Rule{{Artifacts: []string{"*"}}}}}},
	} {
		if d := policy.Decide(p, question(), evidence()); d.Verdict != policy.Deny || len(d.Reasons) == 0 {
			t.Errorf("%s: %+v", name, d)
		}
	}
}

// A mutant is a policy in which one field alone does not fit what there is.
type mutant struct {
	field  string // what is said under a rule; "" where document says it
	edit   func(*policy.Question)
	want   policy.Code
	broken string // it does not even load, and says so
}

// mutants has a row for every field of the policy schema, by its path in YAML.
var mutants = map[string]mutant{
	"name":                                     {broken: "the policy's name"}, // it names, and demands nothing: only a bad one refuses
	"version":                                  {broken: "needs a version"},   // which counts is for whoever puts a policy in force
	"environments":                             {broken: "without environments"},
	"environments.name":                        {edit: func(q *policy.Question) { q.Environment = "production" }, want: policy.NoPolicy},
	"environments.mode":                        {broken: "mode is"}, // it cannot be stricter than its default
	"environments.rules":                       {broken: "no rules"},
	"environments.rules.artifacts":             {edit: func(q *policy.Question) { q.Names = []string{"pkg:oci/other"} }, want: policy.NoPolicy},
	"environments.rules.build":                 {field: "build: {minLevel: 3}", want: policy.LevelTooLow},
	"environments.rules.build.minLevel":        {field: "build: {minLevel: 3}", want: policy.LevelTooLow},
	"environments.rules.build.builders":        {field: "build: {builders: [other]}", want: policy.BuilderMismatch},
	"environments.rules.build.buildTypes":      {field: "build: {buildTypes: [other]}", want: policy.BuildTypeMismatch},
	"environments.rules.source":                {field: "source: {branch: main}", want: policy.RefMismatch},
	"environments.rules.source.repository":     {field: "source: {repository: git+https://github.com/acme/other}", want: policy.SourceMismatch},
	"environments.rules.source.branch":         {field: "source: {branch: v1.2.3}", want: policy.RefMismatch},
	"environments.rules.source.tag":            {field: "source: {tag: v1.2.4}", want: policy.RefMismatch},
	"environments.rules.source.semver":         {field: "source: {semver: \"2\"}", want: policy.RefMismatch},
	"environments.rules.source.fromQuestion":   {field: "source: {fromQuestion: true}", edit: func(q *policy.Question) { q.Tag = "v1.2.4" }, want: policy.RefMismatch},
	"environments.rules.externalParameters":    {field: "externalParameters: {target: other}", want: policy.UnexpectedParameter},
	"environments.rules.require":               {field: "require: [{predicateType: other, signers: [qa]}]", want: policy.NoMatchingPredicate},
	"environments.rules.require.predicateType": {field: "require: [{predicateType: other, signers: [qa]}]", want: policy.NoMatchingPredicate},
	"environments.rules.require.signers":       {field: "require: [{predicateType: " + testResult + ", signers: [other]}]", want: policy.NoMatchingPredicate},
	"environments.rules.require.result":        {field: "require: [{predicateType: " + testResult + ", signers: [qa], result: FAILED}]", want: policy.ResultMismatch},
	"environments.rules.require.maxAge":        {field: "require: [{predicateType: " + testResult + ", signers: [qa], maxAge: 1m}]", want: policy.EvidenceTooOld},
	"environments.rules.sbom":                  {field: "sbom: {required: true, formats: [spdx]}", want: policy.NoSBOM},
	"environments.rules.sbom.required":         {field: "sbom: {required: true}", want: policy.NoSBOM},
	"environments.rules.sbom.formats":          {field: "sbom: {required: true, formats: [spdx]}", want: policy.NoSBOM},
	"environments.rules.sbom.signers":          {field: "sbom: {required: true, signers: [qa]}", want: policy.NoSBOM},
}

// schema returns the path of every field that a policy can have, in YAML.
func schema(of reflect.Type, path string) (paths []string) {
	for of.Kind() == reflect.Slice || of.Kind() == reflect.Pointer {
		of = of.Elem()
	}
	if of.Kind() != reflect.Struct || reflect.PointerTo(of).Implements(reflect.TypeFor[yaml.Unmarshaler]()) {
		return nil
	}
	for i := range of.NumField() {
		if name := of.Field(i).Tag.Get("yaml"); name != "" && name != "-" {
			at := strings.TrimPrefix(path+"."+name, ".")
			paths = append(append(paths, at), schema(of.Field(i).Type, at)...)
		}
	}
	return paths
}

// TestAdvisoryC18_EveryFieldCounts: a policy that sets one field only, to what does not
// fit, refuses, whatever the field (CVE-2026-48815: a constraint that the API accepted
// never reached the verifier). A field that is new has no row, and fails.
func TestAdvisoryC18_EveryFieldCounts(t *testing.T) {
	paths := schema(reflect.TypeFor[policy.Policy](), "")
	if rows := slices.Sorted(maps.Keys(mutants)); !slices.Equal(rows, slices.Sorted(slices.Values(paths))) {
		t.Errorf("the schema has the fields\n%q\nand the table\n%q", slices.Sorted(slices.Values(paths)), rows)
	}
	for _, path := range paths {
		m := mutants[path]
		if m.broken != "" {
			broken := map[string]string{
				"name":               change(t, "name: acme", "name: a/b"),
				"version":            change(t, "version: 7", "version: 0"),
				"environments":       "name: acme\nversion: 1\n",
				"environments.mode":  change(t, "mode: enforce", "mode: allow"),
				"environments.rules": whole[:strings.Index(whole, "    rules:")],
			}[path]
			if _, err := policy.Parse([]byte(broken)); err == nil || !strings.Contains(err.Error(), m.broken) {
				t.Errorf("%s: %v, want %q", path, err, m.broken)
			}
			continue
		}
		document := whole
		if m.field != "" {
			document = base(m.field)
		}
		known, q := evidence(), question()
		if path == "environments.rules.sbom.required" {
			known.Attestations = known.Attestations[:2]
		}
		// With the field as it fits, or without it, the same is allowed.
		fits := whole
		if m.field != "" {
			fits = base("externalParameters: {any: true}")
		}
		if d := policy.Decide(parse(t, fits), q, known); d.Verdict != policy.Allow {
			t.Errorf("%s: refused before the field does not fit: %+v", path, d.Reasons)
		}
		if m.edit != nil {
			m.edit(&q)
		}
		d := policy.Decide(parse(t, document), q, known)
		if d.Verdict != policy.Deny || len(d.Reasons) != 1 || d.Reasons[0].Code != m.want {
			t.Errorf("%s: %v %+v, want %v alone", path, d.Verdict, d.Reasons, m.want)
		}
	}
}

// TestEveryQuestionCounts is the same of the question: each field that is set and does
// not fit refuses.
func TestEveryQuestionCounts(t *testing.T) {
	p := parse(t, whole)
	rows := map[string]struct {
		edit func(*policy.Question)
		want policy.Code
	}{
		"Artifact":    {func(q *policy.Question) { q.Artifact = nil }, policy.BadQuestion},
		"Names":       {func(q *policy.Question) { q.Names = nil }, policy.NoPolicy},
		"Environment": {func(q *policy.Question) { q.Environment = "production" }, policy.NoPolicy},
		"MinLevel":    {func(q *policy.Question) { q.MinLevel = 3 }, policy.LevelTooLow},
		"Source":      {func(q *policy.Question) { q.Source = "git+https://github.com/acme/other" }, policy.SourceMismatch},
		"Branch":      {func(q *policy.Question) { q.Branch = "main" }, policy.RefMismatch},
		"Tag":         {func(q *policy.Question) { q.Tag = "v1.2.4" }, policy.RefMismatch},
		"Semver":      {func(q *policy.Question) { q.Semver = "~1.1" }, policy.RefMismatch},
		"Builder":     {func(q *policy.Question) { q.Builder = "other" }, policy.BuilderMismatch},
	}
	of := reflect.TypeFor[policy.Question]()
	for i := range of.NumField() {
		name := of.Field(i).Name
		row, ok := rows[name]
		if !ok {
			t.Errorf("%s has no row", name)
			continue
		}
		q := question()
		row.edit(&q)
		if d := policy.Decide(p, q, evidence()); d.Verdict != policy.Deny || len(d.Reasons) != 1 || d.Reasons[0].Code != row.want {
			t.Errorf("%s: %v %+v, want %v alone", name, d.Verdict, d.Reasons, row.want)
		}
	}
}

// TestSemver: a range holds the releases that its spelling promises, in full.
func TestSemver(t *testing.T) {
	for _, c := range []struct {
		semver  string
		in, out []string
	}{
		{"1.2.3", []string{"v1.2.3"}, []string{"1.2.3", "v1.2.4", "v1.2.3-rc.1", "v1.2.3+b", "v1.2", "v01.2.3"}},
		{"v1.2.3", []string{"v1.2.3"}, []string{"v1.2.2"}},
		{"1.2.3-rc.1", []string{"v1.2.3-rc.1"}, []string{"v1.2.3", "v1.2.3-rc.2"}},
		{"1.2", []string{"v1.2.0", "v1.2.99"}, []string{"v1.3.0", "v1.1.9", "v1.2.3-rc.1", "v1.2", "v1.20.0"}},
		{"1", []string{"v1.0.0", "v1.99.0"}, []string{"v2.0.0", "v0.9.0", "v10.0.0"}},
		{"0", []string{"v0.1.0"}, []string{"v1.0.0", "v0.1.0-a"}},
		{"~1.2.3", []string{"v1.2.3", "v1.2.4"}, []string{"v1.2.2", "v1.3.0"}},
		{"~1.2", []string{"v1.2.0"}, []string{"v1.3.0"}},
		{"~1", []string{"v1.9.0"}, []string{"v2.0.0"}},
		{"^1.2.3", []string{"v1.2.3", "v1.9.0"}, []string{"v1.2.2", "v2.0.0", "v2.0.0-rc.1"}},
		{"^0.2.3", []string{"v0.2.3", "v0.2.9"}, []string{"v0.3.0", "v0.2.2", "v1.0.0"}},
		{"^0.0.3", []string{"v0.0.3"}, []string{"v0.0.4"}},
		{"^0.0", []string{"v0.0.9"}, []string{"v0.1.0"}},
		{"^0", []string{"v0.9.0"}, []string{"v1.0.0"}},
		{"^v1.2", []string{"v1.2.0"}, []string{"v1.1.0"}},
	} {
		p := parse(t, base(fmt.Sprintf("source: {semver: %q}", c.semver)))
		for _, tags := range []struct {
			tags []string
			want policy.Verdict
		}{{c.in, policy.Allow}, {c.out, policy.Deny}} {
			for _, tag := range tags.tags {
				known := evidence()
				known.Attestations[0].Source.Ref = "refs/tags/" + tag
				if d := policy.Decide(p, question(), known); d.Verdict != tags.want {
					t.Errorf("%s in %s: %v", tag, c.semver, d.Verdict)
				}
			}
		}
	}
	for _, bad := range []string{"*", "x", "1.x", "1.2.3.4", "1.2.*", ">1", "1 - 2", "1.2 || 2", "~", "^", "v", "01", "1.02", "-1", "1.2.3+b", "^1.2.3-rc.1", "~1.2.3.4", "4294967296", "1..2", " 1", "^^1"} {
		if _, err := policy.Parse([]byte(base(fmt.Sprintf("source: {semver: %q}", bad)))); !errors.Is(err, strictyaml.ErrInvalid) {
			t.Errorf("semver %q: %v, want it refused", bad, err)
		}
	}
}

// TestParameterValues: values are equal as JSON values and not as what a reader of
// floating point makes of them.
func TestParameterValues(t *testing.T) {
	for _, c := range []struct {
		yaml, json string
		want       policy.Verdict
	}{
		{`{x: 1}`, `1`, policy.Allow},
		{`{x: 1}`, `1.0`, policy.Deny},
		{`{x: 9007199254740992}`, `9007199254740993`, policy.Deny},
		{`{x: true}`, `true`, policy.Allow},
		{`{x: True}`, `true`, policy.Allow},
		{`{x: "true"}`, `true`, policy.Deny},
		{`{x: 2026-01-01}`, `"2026-01-01"`, policy.Allow},
		{`{x: [a, {b: null}]}`, ` [ "a", { "b" : null } ] `, policy.Allow},
		{`{x: [a, b]}`, `["b","a"]`, policy.Deny},
		{`{x: "ä"}`, `"\u00e4"`, policy.Allow},
		{`{x: null}`, `""`, policy.Allow},
		{`{x: {}}`, `[]`, policy.Allow},
		{`{x: []}`, `false`, policy.Deny},
		{`{x: ""}`, `0`, policy.Deny},
		{`{x: {any: true}}`, `{"a":1}`, policy.Allow},
		{`{x: {any: true}}`, `{"a":1,"a":2}`, policy.Deny}, // not JSON that everybody reads alike
		{`{x: {any: true}}`, `{`, policy.Deny},
		{`{any: {any: true}, x: 1}`, `1`, policy.Allow},   // a parameter that is called any
		{`{x: {y: {any: true}}}`, `{"y":2}`, policy.Deny}, // any is for whole parameters
		{`{x: {y: {any: true}}}`, `{"y":{"any":true}}`, policy.Allow},
	} {
		known := evidence()
		known.Attestations[0].ExternalParameters = map[string]jsontext.Value{"x": jsontext.Value(c.json)}
		d := policy.Decide(parse(t, base("externalParameters: "+c.yaml)), question(), known)
		if d.Verdict != c.want || complete(d) != nil {
			t.Errorf("%s for %s: %+v, want %v", c.yaml, c.json, d, c.want)
		}
	}
}
