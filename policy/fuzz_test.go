package policy_test

import (
	"errors"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/sekisho-dev/sekisho/attest"
	"github.com/sekisho-dev/sekisho/internal/strictyaml"
	"github.com/sekisho-dev/sekisho/policy"
	"github.com/sekisho-dev/sekisho/policy/policytest"
)

// FuzzParse: whatever the document, there is a policy or a fault with its place and
// no panic; what loads is read the same again, and asks for something.
func FuzzParse(f *testing.F) {
	f.Add([]byte(whole))
	f.Add(policy.Starter())
	f.Add([]byte(base("source: {semver: ~1.2}", "sbom: {required: true}")))
	f.Add([]byte(base(`externalParameters: {a: {any: true}, b: [1, {c: null}], "any": {any: true}}`)))
	f.Add([]byte("name: a\nversion: 1\nenvironments: &a [*a]\n"))
	f.Add([]byte("environments: [{rules: [{artifacts: [\"\"], build: {builders: []}}]}]"))
	f.Fuzz(func(t *testing.T, document []byte) {
		p, err := policy.Parse(document)
		if err != nil {
			if p != nil || !errors.Is(err, strictyaml.ErrInvalid) {
				t.Fatalf("%v beside %v", err, p)
			}
			return
		}
		again, err := policy.Parse(p.Bytes())
		if err != nil || !reflect.DeepEqual(again, p) {
			t.Fatalf("read again: %v\n%+v\n%+v", err, p, again)
		}
		if p.Name == "" || p.Version == 0 || len(p.Environments) == 0 {
			t.Fatalf("an empty policy loads: %+v", p)
		}
		for _, e := range p.Environments {
			if e.Name == "" || len(e.Rules) == 0 {
				t.Fatalf("an empty environment loads: %+v", e)
			}
			for _, r := range e.Rules {
				if len(r.Artifacts) == 0 || slices.Contains(r.Artifacts, "") || r.Build.Builders != nil && len(r.Build.Builders) == 0 {
					t.Fatalf("an empty rule loads: %+v", r)
				}
				for _, q := range r.Require {
					if q.PredicateType == "" || len(q.Signers) == 0 {
						t.Fatalf("an empty requirement loads: %+v", q)
					}
				}
			}
			q := question()
			q.Environment = e.Name
			if d := policy.Decide(p, q, policy.Evidence{Now: policytest.Now}); len(d.Reasons) == 0 || d.Verdict == policy.Allow && !d.Audit {
				t.Fatalf("nothing is enough: %+v", d)
			}
		}
	})
}

// fuzzed are policies that ask for different things of the same evidence.
var fuzzed = []string{
	base(),
	base("build: {minLevel: 2, builders: [acme-ci]}", "source: {repository: git+https://github.com/acme/app}"),
	base("source: {semver: \"1\"}", "externalParameters: {target: app}"),
	base("require: [{predicateType: " + testResult + ", signers: [qa, ci], result: PASSED}]"),
	base("require: [{predicateType: "+testResult+", signers: [qa], maxAge: 2h}]", "sbom: {required: true}"),
	base("require: [{predicateType: https://cyclonedx.org/bom, signers: [ci, qa], maxAge: 3h}]"),
	whole,
}

// stream hands out the fuzzer's bytes; zeros once they are used up.
type stream []byte

// of returns a number below n.
func (s *stream) of(n int) int {
	if len(*s) == 0 {
		return 0
	}
	b := (*s)[0]
	*s = (*s)[1:]
	return int(b) % n
}

func pick[T any](s *stream, of ...T) T { return of[s.of(len(of))] }

// attestation makes one out of what matters to the policies above: so few values
// that ties, misses and matches are all likely.
func (s *stream) attestation(index int) policy.Attestation {
	ago := func(hours int) time.Time {
		if hours == 0 {
			return time.Time{}
		}
		return policytest.Now.Add(time.Hour - time.Duration(hours)*time.Hour)
	}
	return policy.Attestation{
		Digest: attest.SHA256([]byte{byte(index)}), LogIndex: uint64(index),
		PredicateType: pick(s, attest.ProvenanceV1, testResult, "https://cyclonedx.org/bom", attest.ProvenanceV02),
		Match:         pick(s, attest.Matched, attest.Matched, attest.Matched, attest.Conflict, attest.NoMatch),
		Signer:        pick(s, "ci", "qa", "ci", ""), Refusal: pick(s, policy.Unspecified, policy.Unspecified, policy.Unspecified, policy.UnknownSigner),
		Revoked: s.of(5) == 4, Level: attest.Level(s.of(4)), Builder: pick(s, "acme-ci", "other"), BuilderID: pick(s, "https://ci.acme.example/builder", "https://other.example/"),
		BuildType:          "https://ci.acme.example/make@v1",
		Source:             attest.SourceRef{Repository: pick(s, "git+https://github.com/acme/app", "https://github.com/acme/app.git", "git+https://github.com/mallory/app"), Ref: pick(s, "refs/tags/v1.2.3", "refs/heads/main", "")},
		CertificateSource:  pick(s, "", "", "https://github.com/acme/app", "https://github.com/mallory/app"),
		ExternalParameters: map[string]jsontext.Value{"target": jsontext.Value(pick(s, `"app"`, `"app"`, `{`, `""`))},
		ParametersComplete: s.of(4) != 3, ProvenBy: ago(s.of(4)), ClaimedAt: ago(s.of(5)), Result: pick(s, "PASSED", "PASSED", "FAILED", ""),
	}
}

func (s *stream) question() policy.Question {
	q := question()
	q.MinLevel = attest.Level(s.of(4))
	q.Source = pick(s, "", "", "https://github.com/acme/app")
	q.Builder = pick(s, "", "", "acme-ci", "https://other.example/")
	switch s.of(5) {
	case 1:
		q.Tag = "v1.2.3"
	case 2:
		q.Semver = "^1.2"
	case 3:
		q.Branch = "main"
	}
	return q
}

// FuzzDecide: a revocation, a stricter question or a worse document never turns a
// refusal into an allowance; order and repetition change nothing; what nobody
// believes, and other provenance, take nothing away; and every refusal says why.
func FuzzDecide(f *testing.F) {
	var policies []*policy.Policy
	for _, document := range fuzzed {
		policies = append(policies, parse(f, document))
	}
	for i := range fuzzed {
		f.Add([]byte{byte(i)})
		f.Add([]byte{byte(i), 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 2, 2, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 2, 0})
	}
	r := rand.New(rand.NewPCG(3, 4))
	for range 64 { // some that are long enough for several attestations
		seed := make([]byte, 120)
		for i := range seed {
			seed[i] = byte(r.Uint32())
		}
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		s := stream(data)
		p, q := policies[s.of(len(policies))], s.question()
		known := policy.Evidence{Now: policytest.Now}
		for len(s) > 0 && len(known.Attestations) < 12 {
			known.Attestations = append(known.Attestations, s.attestation(len(known.Attestations)))
		}
		before := policy.Decide(p, q, known)
		if err := complete(before); err != nil {
			t.Fatal(err)
		}
		if before.Verdict == policy.Allow && (before.Level < attest.L1 || before.Level < q.MinLevel || len(before.Used) == 0) {
			t.Fatalf("allowed for less than is asked: %+v", before)
		}

		r := rand.New(rand.NewPCG(uint64(len(data)), 5))
		if d := policy.Decide(p, q, shuffled(known, r)); !reflect.DeepEqual(d, before) {
			t.Fatalf("in another order\n%+v\nand not\n%+v", d, before)
		}

		never := func(what string, q policy.Question, e policy.Evidence) {
			if d := policy.Decide(p, q, e); d.Verdict == policy.Allow && before.Verdict != policy.Allow {
				t.Fatalf("%s allows what was refused for\n%+v\n%+v", what, before.Reasons, d)
			}
		}
		for what, edit := range map[string]func(*policy.Question){
			"a higher level": func(q *policy.Question) { q.MinLevel = min(q.MinLevel+1, attest.L3) },
			"a source": func(q *policy.Question) {
				if q.Source == "" {
					q.Source = "git+https://github.com/acme/app"
				}
			},
			"a builder": func(q *policy.Question) {
				if q.Builder == "" {
					q.Builder = "acme-ci"
				}
			},
			"a ref": func(q *policy.Question) {
				if q.Tag+q.Branch+q.Semver == "" {
					q.Semver = "1.2"
				}
			},
		} {
			narrower := q
			edit(&narrower)
			never(what, narrower, known)
		}
		for i, a := range known.Attestations {
			for what, edit := range map[string]func(*policy.Attestation){
				"a revocation":    func(a *policy.Attestation) { a.Revoked = true },
				"a lower level":   func(a *policy.Attestation) { a.Level = max(a.Level-1, attest.L0) },
				"another builder": func(a *policy.Attestation) { a.Level, a.Builder, a.BuilderID = attest.L0, "", "https://evil.example/" },
				"a contradiction": func(a *policy.Attestation) {
					if a.Match == attest.Matched {
						a.Match = attest.Conflict
					}
				},
			} {
				worse := a
				edit(&worse)
				e := policy.Evidence{Now: known.Now, Attestations: slices.Clone(known.Attestations)}
				e.Attestations[i] = worse
				never(what, q, e)
			}
		}

		stranger := stream(slices.Clone(data)).more(len(known.Attestations))
		stranger.Signer = ""
		tenant := stream(slices.Clone(data)).more(len(known.Attestations))
		tenant.PredicateType, tenant.Level = attest.ProvenanceV1, attest.L0
		for _, more := range []policy.Attestation{stranger, tenant} {
			e := policy.Evidence{Now: known.Now, Attestations: append(slices.Clone(known.Attestations), more)}
			if d := policy.Decide(p, q, e); before.Verdict == policy.Allow && !reflect.DeepEqual(d, before) {
				t.Fatalf("%+v changes what was allowed to\n%+v", more, d)
			}
		}
	})
}

// more is one more attestation, made from the bytes backwards.
func (s stream) more(index int) policy.Attestation {
	slices.Reverse(s)
	return s.attestation(index)
}
