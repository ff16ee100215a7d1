package policy_test

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/sekisho-dev/sekisho/attest"
	"github.com/sekisho-dev/sekisho/internal/strictyaml"
	"github.com/sekisho-dev/sekisho/policy"
	"github.com/sekisho-dev/sekisho/policy/policytest"
)

const testResult = "https://in-toto.io/attestation/test-result/v0.1"

// base returns a policy of one rule that covers everything, with more said in it.
// Parameters are any, unless it says otherwise.
func base(more ...string) string {
	if !slices.ContainsFunc(more, func(s string) bool { return strings.HasPrefix(s, "externalParameters:") }) {
		more = append(more, "externalParameters: {any: true}")
	}
	return "name: acme\nversion: 1\nenvironments:\n  - name: default\n    rules:\n      - artifacts: [\"*\"]\n        " + strings.Join(more, "\n        ") + "\n"
}

// question asks about the artifact of evidence.
func question() policy.Question {
	return policy.Question{Artifact: attest.SHA256([]byte(policytest.Artifact)).Set(), Names: []string{"pkg:oci/app"}}
}

// evidence is provenance of L2, a test that passed, and an SBOM.
func evidence() policy.Evidence {
	hour := policytest.Now.Add(-time.Hour)
	return policy.Evidence{Now: policytest.Now, Attestations: []policy.Attestation{
		{
			Digest: policytest.Digest("built"), LogIndex: 1, PredicateType: attest.ProvenanceV1, Match: attest.Matched, Signer: "ci",
			Level: attest.L2, Builder: "acme-ci", BuilderID: "https://ci.acme.example/builder", BuildType: "https://ci.acme.example/make@v1",
			Source:             attest.SourceRef{Repository: "git+https://github.com/acme/app", Ref: "refs/tags/v1.2.3"},
			ExternalParameters: map[string]jsontext.Value{"target": jsontext.Value(`"app"`)}, ParametersComplete: true, ProvenBy: hour, ClaimedAt: hour,
		},
		{Digest: policytest.Digest("tested"), LogIndex: 2, PredicateType: testResult, Match: attest.Matched, Signer: "qa", Result: "PASSED", ProvenBy: hour},
		{Digest: policytest.Digest("listed"), LogIndex: 3, PredicateType: "https://cyclonedx.org/bom", Match: attest.Matched, Signer: "ci", ProvenBy: hour, ClaimedAt: hour},
	}}
}

// TestAdvisoryB1_AnotherTypeIsNoMatch: some valid attestation is not the one that is
// asked for (CVE-2022-35929, CVE-2022-35930).
func TestAdvisoryB1_AnotherTypeIsNoMatch(t *testing.T) {
	known := evidence()
	known.Attestations = known.Attestations[2:]
	d := policy.Decide(parse(t, base()), question(), known)
	if d.Verdict != policy.Deny || len(d.Reasons) != 1 || d.Reasons[0].Code != policy.NoMatchingPredicate {
		t.Errorf("only an SBOM: %+v, want NO_MATCHING_PREDICATE", d)
	}
	known = evidence()
	known.Attestations = known.Attestations[:1]
	d = policy.Decide(parse(t, base("require: [{predicateType: "+testResult+", signers: [qa, ci]}]")), question(), known)
	if d.Verdict != policy.Deny || d.Reasons[0].Code != policy.NoMatchingPredicate {
		t.Errorf("only provenance: %+v, want NO_MATCHING_PREDICATE", d)
	}
}

// TestAdvisoryB6_EveryCandidateIsLookedAt: of two attestations of one type, the bad
// one first, last or twice, the answer is the same: the good provenance is enough,
// and the bad result is not hidden.
func TestAdvisoryB6_EveryCandidateIsLookedAt(t *testing.T) {
	p := parse(t, base("source: {repository: git+https://github.com/acme/app}", "require: [{predicateType: "+testResult+", signers: [qa], result: PASSED}]"))
	good := evidence().Attestations
	bad := good[0]
	bad.Digest, bad.LogIndex, bad.Source.Repository = policytest.Digest("bad"), 9, "git+https://github.com/mallory/app"
	failed := good[1]
	failed.Digest, failed.LogIndex, failed.Result = policytest.Digest("failed"), 10, "FAILED"
	for _, as := range [][]policy.Attestation{
		append(slices.Clone(good), bad), append([]policy.Attestation{bad}, good...), append([]policy.Attestation{bad, bad}, good...),
	} {
		if d := policy.Decide(p, question(), policy.Evidence{Now: policytest.Now, Attestations: as}); d.Verdict != policy.Allow || d.Used[0] != good[0].Digest {
			t.Errorf("bad provenance beside good: %+v", d)
		}
	}
	for _, as := range [][]policy.Attestation{
		append(slices.Clone(good), failed), append([]policy.Attestation{failed}, good...), append([]policy.Attestation{failed, good[1]}, good...),
	} {
		if d := policy.Decide(p, question(), policy.Evidence{Now: policytest.Now, Attestations: as}); d.Verdict != policy.Deny || d.Reasons[0].Nearest.Attestation != failed.Digest {
			t.Errorf("a failed test beside a passed one: %+v", d)
		}
	}
}

// TestAdvisoryB8_OneIsNotTwo: the same attestation twice, and one that is asked for
// twice, are one (go-witness GHSA-c346-qp3r-53vf).
func TestAdvisoryB8_OneIsNotTwo(t *testing.T) {
	known := evidence()
	known.Attestations = append(known.Attestations, known.Attestations...)
	rule := "require: [{predicateType: " + testResult + ", signers: [qa]}, {predicateType: " + testResult + ", signers: [qa, ci]}]"
	d := policy.Decide(parse(t, base(rule)), question(), known)
	if want := []attest.Digest{policytest.Digest("built"), policytest.Digest("tested")}; d.Verdict != policy.Allow || !reflect.DeepEqual(d.Used, want) {
		t.Errorf("used %v, want each once", d.Used)
	}
}

// covers lets a rule say whether it covers a name.
func covers(t *testing.T, pattern, name string) bool {
	t.Helper()
	p := parse(t, strings.Replace(base(), `"*"`, fmt.Sprintf("%q", pattern), 1))
	return p.Environments[0].Rules[0].Covers([]string{name})
}

// TestAdvisoryB12_Patterns: a pattern means one thing, and nothing that a stranger
// chooses for a name climbs out of it (CVE-2021-41087, GHSA-pmwq-pjrm-6p5r).
func TestAdvisoryB12_Patterns(t *testing.T) {
	for _, c := range []struct {
		pattern, name string
		want          bool
	}{
		{"*", "", true},
		{"*", "a/b/../c", true},
		{"app", "app", true},
		{"app", "App", false},
		{"app", "app2", false},
		{"app", "my-app", false},
		{"app", "app/x", false},
		{"app*", "app", true},
		{"app*", "app-worker", true},
		{"app*", "app/worker", false},
		{"a*b*c", "a-b-b-c", true},
		{"a*b*c", "acb", false},
		{"a*b*c", "abc/abc", false},
		{"a*a", "a", false},
		{"*/app", "team/app", true},
		{"*/app", "x/team/app", false},
		{"team/*", "team/app", true},
		{"team/*", "team/a/b", false},
		{"team/*", "team", false},
		{"team/*", "team/..", false},
		{"team/*", "../team/app", false},
		{"team/**", "team/a/b/c", true},
		{"team/**", "team", false},
		{"team/**", "team/", false},
		{"team/**", "teams/a", false},
		{"team/**", "team/a/../../evil", false},
		{"team/**", "team/..a/b..", true},
		{"**", "a/b", true},
		{"**", "a", true},
		{"**", "", false},
		{"**", "a/../b", false},
		{"pkg:oci/app", "pkg:oci/app", true},
		{"pkg:oci/app", "pkg:oci/app@1.0", true},
		{"pkg:oci/app", "pkg:oci/app@sha256:ab?repository_url=r.example/x/app&tag=1#sub/path", true},
		{"pkg:oci/app", "pkg:oci/app/evil", false},
		{"pkg:oci/app", "pkg:oci/app2", false},
		{"pkg:oci/app", "pkg:oci/x?app", false},
		{"pkg:oci/*", "pkg:oci/x", true},
		{"pkg:oci/*", "pkg:npm/x", false},
		{"pkg:oci/*", "pkg:oci/..@1", false},
		{"pkg:oci/*", "pkg:oci/..?x=y", false},
		{"pkg:oci/*", "pkg:oci/a/b", false},
		{"pkg:oci/app@1.*", "pkg:oci/app@1.2", true},
		{"pkg:oci/app@1.*", "pkg:oci/app@2.1.2", false},
		{"pkg:oci/app@1.*", "pkg:oci/app", false},
		{"pkg:oci/app*", "pkg:oci/app-x@1", true},
		{"pkg:oci/app?arch=amd64", "pkg:oci/app@1?arch=amd64", true},
		{"pkg:oci/app?arch=amd64", "pkg:oci/app@1?arch=arm64", false},
		{"pkg:oci/app?arch=amd64", "pkg:oci/app", false},
		{"pkg:oci/app?repository_url=r.example/team/*", "pkg:oci/app@sha256:ab?repository_url=r.example/team/app", true},
		{"pkg:oci/app?repository_url=r.example/team/*", "pkg:oci/app?repository_url=r.example/evil/app", false},
		{"pkg:golang/m#cmd/x", "pkg:golang/m@v1?goos=linux#cmd/x", true},
		{"pkg:golang/m#cmd/x", "pkg:golang/m#cmd/y", false},
		{"pkg:npm/@acme/*", "pkg:npm/@acme/app@1.0", true},
		{"pkg:npm/@acme/*", "pkg:npm/@evil/app@1.0", false},
		{"pkg:npm/%40acme/app", "pkg:npm/%40acme/app@1", true},
	} {
		if got := covers(t, c.pattern, c.name); got != c.want {
			t.Errorf("%q covers %q: %v, want %v", c.pattern, c.name, got, c.want)
		}
	}
	for _, pattern := range []string{
		"[!a]*", "[^a]*", "a?", "{a,b}", `a\*`, "^app$", "app|evil", "!app", "(app)", "a b", "a\nb", "", "/app", "app/", "a//b", "a/../b", "./a",
		"**/app", "a/**/b", "a**", "pkg:oci/app@**",
	} {
		doc := strings.Replace(base(), `"*"`, fmt.Sprintf("%q", pattern), 1)
		if _, err := policy.Parse([]byte(doc)); !errors.Is(err, strictyaml.ErrInvalid) || !strings.Contains(err.Error(), "line 6, column") {
			t.Errorf("pattern %q: %v, want it refused in line 6", pattern, err)
		}
	}
}

// TestAdvisoryB16_PolicyNames: a name that means something in a path, a rule or a log
// does not load (CVE-2022-36085).
func TestAdvisoryB16_PolicyNames(t *testing.T) {
	for _, name := range []string{"a/b", "a]", `a"b`, "a b", "../a", ".a", "-a", "a\x00", "a\n", "ä", "a%2f", "", strings.Repeat("a", 65)} {
		quoted := fmt.Sprintf("%q", name)
		for what, doc := range map[string]string{
			"policy":      strings.Replace(base(), "name: acme", "name: "+quoted, 1),
			"environment": strings.Replace(base(), "name: default", "name: "+quoted, 1),
		} {
			if _, err := policy.Parse([]byte(doc)); !errors.Is(err, strictyaml.ErrInvalid) {
				t.Errorf("%s %s: %v, want it refused", what, quoted, err)
			}
		}
	}
	for _, name := range []string{"a", "acme-prod_2.1", strings.Repeat("a", 64)} {
		parse(t, strings.Replace(base(), "name: acme", "name: "+name, 1))
	}
}

// TestAdvisoryC6_EmptyIsNotAny: a constraint that is there and empty names nobody to
// its author, and must not name everybody to us (go-witness GHSA-mpvw-hw8p-7x27).
func TestAdvisoryC6_EmptyIsNotAny(t *testing.T) {
	for _, more := range []string{
		"build: {builders: []}", "build: {builders: [\"\"]}", "build: {builders: null}", "build: {buildTypes: []}", "build: {}", "build: null",
		"source: {}", `source: {repository: ""}`, `source: {branch: ""}`, "source: {tag: null}", "source: {fromQuestion: false}",
		"require: []", "require: [{}]", "require: [null]", "require: [{predicateType: " + testResult + ", signers: []}]",
		"require: [{predicateType: " + testResult + ", signers: [\"\"]}]", "require: [{predicateType: " + testResult + "}]",
		"require: [{predicateType: " + testResult + ", signers: [qa], result: \"\"}]", "require: [{predicateType: \"\", signers: [qa]}]",
		"require: [{predicateType: " + testResult + ", signers: [qa], maxAge: null}]", "require: [{predicateType: " + testResult + ", signers: [qa], maxAge: 0s}]",
		"sbom: {}", "sbom: {required: true, signers: []}", "sbom: {required: true, formats: []}", "sbom: {signers: [ci]}", "sbom: {required: false, formats: [spdx]}",
		"externalParameters: null", "externalParameters: []", `externalParameters: ""`, "externalParameters: {any: false}", "externalParameters: {x: {any: null}}",
	} {
		if p, err := policy.Parse([]byte(base(more))); !errors.Is(err, strictyaml.ErrInvalid) || p != nil || !strings.Contains(err.Error(), "column") {
			t.Errorf("%s: %v, want it refused with its place", more, err)
		}
	}
}

// TestAdvisoryC7_ConstraintsAreApplied: an identity that is given and does not match
// refuses, and one whose key is misspelt does not load (CVE-2025-29778: Kyverno read
// the regular expression and ignored it).
func TestAdvisoryC7_ConstraintsAreApplied(t *testing.T) {
	p := parse(t, base("require: [{predicateType: "+testResult+", signers: [release]}]"))
	if d := policy.Decide(p, question(), evidence()); d.Verdict != policy.Deny || d.Reasons[0].Code != policy.NoMatchingPredicate || d.Reasons[0].Nearest.Field != "signer" {
		t.Errorf("signed by somebody else: %+v", d)
	}
	for _, misspelt := range []string{
		"require: [{predicateType: " + testResult + ", signers: [qa], signer: qa}]", "require: [{predicateType: " + testResult + ", Signers: [qa]}]",
		"build: {builder: [acme-ci]}", "build: {minlevel: 3}", "source: {repo: git+https://github.com/acme/app}", "sbom: {require: true}", "requires: []",
	} {
		if _, err := policy.Parse([]byte(base(misspelt))); !errors.Is(err, strictyaml.ErrInvalid) || !strings.Contains(err.Error(), "unknown key") {
			t.Errorf("%s: %v, want an unknown key", misspelt, err)
		}
	}
}

// TestAdvisoryC8_NothingIsFoundWithin: what is expected is never only looked for
// somewhere within what is found, nor at its beginning or end (CVE-2026-22772).
func TestAdvisoryC8_NothingIsFoundWithin(t *testing.T) {
	for field, set := range map[string]struct {
		rule string
		is   func(*policy.Attestation) *string
	}{
		"repository": {"source: {repository: git+https://github.com/acme/app}", func(a *policy.Attestation) *string { return &a.Source.Repository }},
		"tag":        {"source: {tag: v1.2.3}", func(a *policy.Attestation) *string { return &a.Source.Ref }},
		"semver":     {"source: {semver: \"1.2.3\"}", func(a *policy.Attestation) *string { return &a.Source.Ref }},
		"range":      {"source: {semver: \"1\"}", func(a *policy.Attestation) *string { return &a.Source.Ref }},
		"builder":    {"build: {builders: [\"https://ci.acme.example/builder\"]}", func(a *policy.Attestation) *string { return &a.BuilderID }},
		"build type": {"build: {buildTypes: [\"https://ci.acme.example/make@v1\"]}", func(a *policy.Attestation) *string { return &a.BuildType }},
	} {
		p := parse(t, base(set.rule))
		if d := policy.Decide(p, question(), evidence()); d.Verdict != policy.Allow {
			t.Fatalf("%s: %+v", field, d.Reasons)
		}
		right := *set.is(&evidence().Attestations[0])
		for _, wrong := range []string{"https://evil.example/?x=" + right, right + "/evil", right + "-evil", right + "@evil", "x" + right, right + "\n", right + " ", "", right[:len(right)-1]} {
			known := evidence()
			known.Attestations[0].Builder = ""
			*set.is(&known.Attestations[0]) = wrong
			if d := policy.Decide(p, question(), known); d.Verdict != policy.Deny || complete(d) != nil {
				t.Errorf("%s %q passes for %q: %+v", field, wrong, right, d)
			}
		}
	}
}

// TestAdvisoryF3_NoEvidenceIsNoSuccess: nothing that fails is nothing that passes
// (CVE-2025-25204: gh attestation verify ended well where there was none).
func TestAdvisoryF3_NoEvidenceIsNoSuccess(t *testing.T) {
	unrelated := evidence()
	for i := range unrelated.Attestations {
		unrelated.Attestations[i].Match = attest.NoMatch
	}
	for name, known := range map[string][]policy.Attestation{"none": nil, "empty": {}, "about something else": unrelated.Attestations} {
		for _, more := range [][]string{nil, {"sbom: {required: true}"}, {"externalParameters: {}"}} {
			d := policy.Decide(parse(t, base(more...)), question(), policy.Evidence{Now: policytest.Now, Attestations: known})
			if d.Verdict != policy.Deny || len(d.Reasons) != 1 || d.Reasons[0].Code != policy.NoEvidence {
				t.Errorf("%s, %v: %+v, want NO_EVIDENCE", name, more, d)
			}
		}
	}
}

// TestAdvisoryB18_TheAskerHasNoClock: who asks cannot say at what time it is decided:
// there is no such field to set.
func TestAdvisoryB18_TheAskerHasNoClock(t *testing.T) {
	q := reflect.TypeFor[policy.Question]()
	for i := range q.NumField() {
		if f := q.Field(i); f.Type == reflect.TypeFor[time.Time]() || f.Type == reflect.TypeFor[*time.Time]() || f.Type == reflect.TypeFor[time.Duration]() {
			t.Errorf("%s is a time", f.Name)
		}
	}
}
