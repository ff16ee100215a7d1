package policy_test

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/sekisho-dev/sekisho/attest"
	"github.com/sekisho-dev/sekisho/policy"
	"github.com/sekisho-dev/sekisho/policy/policytest"
)

// decisions reads the decisions that are written down as data.
func decisions(t testing.TB) []policytest.Case {
	t.Helper()
	cases, err := policytest.Load(os.DirFS("../testdata/decisions"))
	if err != nil {
		t.Fatal(err)
	}
	return cases
}

// parse reads a policy that is right.
func parse(t testing.TB, document string) *policy.Policy {
	t.Helper()
	p, err := policy.Parse([]byte(document))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestDecisions(t *testing.T) {
	cases := decisions(t)
	if len(cases) < 150 {
		t.Errorf("%d decisions are written down, and there were more", len(cases))
	}
	seen := map[string]bool{}
	for _, c := range cases {
		if seen[c.Name] {
			t.Errorf("%s: there are two of that name", c.Name)
		}
		seen[c.Name] = true
		d, err := c.Decide(policytest.Now)
		if err != nil {
			t.Errorf("%s: %v", c.Name, err)
		} else if err := c.Want.Check(d, policytest.Now); err != nil {
			t.Errorf("%s:\n%v", c.Name, err)
		}
	}
}

// handedOn are the codes that this package does not find by itself: it hands on
// what the verifier says of a signature. Whatever is not among them comes of the
// package's own judgement.
var handedOn = map[policy.Code]string{
	policy.UnknownSigner:          "who signed is the trust root's to say",
	policy.SignerBuilderMismatch:  "who speaks for a builder is the trust root's to say",
	policy.OutsideValidity:        "the windows of keys and builders stand in the trust root",
	policy.NoTransparencyEvidence: "what a bundle proves is mathematics, and done at registration",
	policy.LogEntryMismatch:       "what a log entry is of is mathematics, and done at registration",
}

// TestDecisionsCoverEveryCode: no code can be added without a decision that says
// what it is for.
func TestDecisionsCoverEveryCode(t *testing.T) {
	found := map[policy.Code]bool{}
	for _, c := range decisions(t) {
		d, err := c.Decide(policytest.Now)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range d.Reasons {
			refused := slices.ContainsFunc(c.Evidence, func(e policytest.Evidence) bool { return e.Refusal == r.Code.String() })
			if why, ok := handedOn[r.Code]; ok && !refused && r.Found != "a signer that is not believed" {
				t.Errorf("%s: %v out of nothing, though %s", c.Name, r.Code, why)
			}
			found[r.Code] = true
		}
	}
	if found[policy.Unspecified] {
		t.Error("a refusal without a code")
	}
	for code := policy.NoPolicy; code.String() != policy.Unspecified.String(); code++ {
		if !found[code] {
			t.Errorf("no decision is refused for %v", code)
		}
	}
}

// shuffled returns the evidence in another order, some of it several times.
func shuffled(e policy.Evidence, r *rand.Rand) policy.Evidence {
	as := slices.Clone(e.Attestations)
	for range r.IntN(2*len(as) + 1) {
		as = append(as, as[r.IntN(len(as))])
	}
	r.Shuffle(len(as), func(i, j int) { as[i], as[j] = as[j], as[i] })
	return policy.Evidence{Now: e.Now, Attestations: as}
}

// TestAdvisoryB6_B8_OrderAndDuplication: a decision depends neither on the order of
// the evidence nor on repetition in it (go-witness GHSA-r4fv-8r9j-vgcg: only the last
// of a type was looked at; GHSA-c346-qp3r-53vf: one result counted twice).
func TestAdvisoryB6_B8_OrderAndDuplication(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, c := range decisions(t) {
		want, err := c.Decide(policytest.Now)
		if err != nil {
			t.Fatal(err)
		}
		var p *policy.Policy
		if c.Policy != nil {
			p = parse(t, string(c.Policy))
		}
		known := c.Known(policytest.Now)
		for range 30 {
			if got := policy.Decide(p, c.Question, shuffled(known, r)); !reflect.DeepEqual(got, want) {
				t.Errorf("%s: in another order\n%+v\nand not\n%+v", c.Name, got, want)
				break
			}
		}
	}
}

// complete returns what a decision leaves unsaid.
func complete(d policy.Decision) error {
	var missing []error
	if d.Verdict != policy.Allow && len(d.Reasons) == 0 {
		missing = append(missing, errors.New("a refusal without a reason"))
	}
	if d.Verdict == policy.Allow && len(d.Reasons) > 0 && !d.Audit {
		missing = append(missing, errors.New("allowed in spite of reasons"))
	}
	for i, r := range d.Reasons {
		for what, said := range map[string]bool{
			"code": r.Code != policy.Unspecified, "expected": r.Expected != "", "found": r.Found != "", "remedy": r.Remedy != "",
			// No place in a policy is to blame for there being none, nor for our own fault.
			"rule": r.Rule != "" || r.Code == policy.NoPolicy || r.Code == policy.Internal,
			// Where something was found that could have met the demand, it is named.
			"nearest": r.Nearest != nil || slices.Contains([]policy.Code{policy.NoPolicy, policy.NoEvidence, policy.BadQuestion, policy.Internal}, r.Code) ||
				strings.HasPrefix(r.Found, "only "),
			"nearest attestation and field": r.Nearest == nil || r.Nearest.Attestation != "" && r.Nearest.Field != "",
		} {
			if !said {
				missing = append(missing, fmt.Errorf("reason %d has no %s: %+v", i, what, r))
			}
		}
		if strings.ContainsAny(r.Expected+r.Found+r.Remedy, "\n\r\x1b") {
			missing = append(missing, fmt.Errorf("reason %d is not on one line: %+v", i, r))
		}
	}
	return errors.Join(missing...)
}

// TestRefusalsHelp: a refusal says what was expected, what was found, what came
// nearest and how to mend it.
func TestRefusalsHelp(t *testing.T) {
	for _, c := range decisions(t) {
		d, err := c.Decide(policytest.Now)
		if err != nil {
			t.Fatal(err)
		}
		if err := complete(d); err != nil {
			t.Errorf("%s: %v", c.Name, err)
		}
		for _, r := range d.Reasons {
			if strings.Contains(r.Remedy, "fault of the service") != (r.Code == policy.Internal) {
				t.Errorf("%s: %v is blamed on the wrong party: %s", c.Name, r.Code, r.Remedy)
			}
		}
	}
}

// TestDefaultDeny: whatever is not an allowance is a refusal.
func TestDefaultDeny(t *testing.T) {
	known := policy.Evidence{Now: policytest.Now}
	artifact := attest.SHA256([]byte(policytest.Artifact)).Set()
	for name, d := range map[string]policy.Decision{
		"the zero decision":  {},
		"nothing at all":     policy.Decide(nil, policy.Question{}, policy.Evidence{}),
		"no policy":          policy.Decide(nil, policy.Question{Artifact: artifact}, known),
		"the zero policy":    policy.Decide(&policy.Policy{}, policy.Question{Artifact: artifact}, known),
		"the starter policy": policy.Decide(parse(t, string(policy.Starter())), policy.Question{Artifact: artifact}, known),
	} {
		if d.Verdict != policy.Deny || d.Level != attest.L0 || len(d.Used) > 0 || d.Verdict.String() != "DENY" {
			t.Errorf("%s: %+v", name, d)
		}
		if err := complete(d); err != nil && name != "the zero decision" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestMonotony: what makes a question stricter, or evidence worse, allows nothing
// that was refused; evidence that nobody believes, and more provenance, refuse
// nothing that was allowed.
func TestMonotony(t *testing.T) {
	stricter := map[string]func(*policy.Question){
		"level": func(q *policy.Question) {
			if q.MinLevel.Valid() { // what is no level is not a low one
				q.MinLevel = min(q.MinLevel+1, attest.L3)
			}
		},
		"source":    func(q *policy.Question) { q.Source = "git+https://github.com/acme/other" },
		"builder":   func(q *policy.Question) { q.Builder = "https://ci.acme.example/other" },
		"no branch": func(q *policy.Question) { q.Branch = "refs/none" },
	}
	worse := map[string]func(*policy.Attestation){
		"revoked":     func(a *policy.Attestation) { a.Revoked = true },
		"conflicting": func(a *policy.Attestation) { a.Match = attest.Conflict },
		"unleveled":   func(a *policy.Attestation) { a.Level = attest.L0 },
	}
	for _, c := range decisions(t) {
		before, err := c.Decide(policytest.Now)
		if err != nil {
			t.Fatal(err)
		}
		var p *policy.Policy
		if c.Policy != nil {
			p = parse(t, string(c.Policy))
		}
		known := c.Known(policytest.Now)
		met := func(d policy.Decision) bool { return d.Verdict == policy.Allow && len(d.Reasons) == 0 }
		for how, edit := range stricter {
			q := c.Question
			edit(&q)
			if d := policy.Decide(p, q, known); met(d) && !met(before) {
				t.Errorf("%s: a stricter question (%s) is allowed", c.Name, how)
			}
		}
		for i := range known.Attestations {
			for how, edit := range worse {
				e := policy.Evidence{Now: known.Now, Attestations: slices.Clone(known.Attestations)}
				if edit(&e.Attestations[i]); e.Attestations[i].Match == attest.Conflict && known.Attestations[i].Match == attest.NoMatch {
					continue // nobody looks at what is about something else, and this makes it be about the artifact
				}
				if d := policy.Decide(p, c.Question, e); met(d) && !met(before) {
					t.Errorf("%s: worse evidence (%s) is allowed", c.Name, how)
				}
			}
		}
		stranger := policy.Attestation{Digest: policytest.Digest("stranger's"), LogIndex: 1 << 20, PredicateType: "https://in-toto.io/attestation/test-result/v0.1",
			Match: attest.Matched, Refusal: policy.UnknownSigner, Result: "FAILED", Revoked: true, ProvenBy: known.Now}
		tenant := policy.Attestation{Digest: policytest.Digest("tenant's"), LogIndex: 1<<20 + 1, PredicateType: attest.ProvenanceV1, Match: attest.Matched,
			Signer: "ci", Builder: "acme-ci", BuilderID: "https://ci.acme.example/builder", Source: attest.SourceRef{Repository: "git+https://github.com/mallory/x"},
			ExternalParameters: map[string]jsontext.Value{"x": jsontext.Value("1")}, ProvenBy: known.Now, ClaimedAt: known.Now}
		for _, more := range []policy.Attestation{stranger, tenant} {
			e := policy.Evidence{Now: known.Now, Attestations: append(slices.Clone(known.Attestations), more)}
			if d := policy.Decide(p, c.Question, e); met(before) && !reflect.DeepEqual(d, before) {
				t.Errorf("%s: the %s attestation changes what was allowed: %+v", c.Name, more.Digest, d)
			}
		}
	}
}

// TestManyFaults: whoever signs chooses how many parameters there are, and not how
// long a decision takes or how long its answer is.
func TestManyFaults(t *testing.T) {
	p := parse(t, base("externalParameters: {}"))
	known := evidence()
	known.Attestations[0].ExternalParameters = map[string]jsontext.Value{}
	for i := range 20_000 {
		known.Attestations[0].ExternalParameters["p"+strconv.Itoa(i)] = jsontext.Value("1")
	}
	d := policy.Decide(p, question(), known)
	if d.Verdict != policy.Deny || len(d.Reasons) == 0 || len(d.Reasons) > 100 {
		t.Errorf("%v with %d reasons", d.Verdict, len(d.Reasons))
	}
	known = evidence()
	one := known.Attestations[0]
	for i := range 2_000 { // anybody may register these
		a := one
		a.Digest, a.LogIndex = attest.SHA256(fmt.Append(nil, i)), uint64(100+i)
		a.Signer, a.Refusal, a.RefusalDetail = "", policy.UnknownSigner, strconv.Itoa(i)+strings.Repeat("x", 10_000)
		known.Attestations = append(known.Attestations, a)
	}
	known.Attestations = known.Attestations[1:]
	if d = policy.Decide(p, question(), known); d.Verdict != policy.Deny || len(d.Reasons) > 10 || len(fmt.Sprint(d)) > 1<<15 {
		t.Errorf("%v with %d reasons", d.Verdict, len(d.Reasons))
	}
}

// TestNames: the names are the API's, each once.
func TestNames(t *testing.T) {
	names := map[string]policy.Code{}
	for code := policy.Unspecified; code <= policy.Internal; code++ {
		if was, ok := names[code.String()]; ok {
			t.Errorf("%d and %d are both %v", was, code, code)
		}
		names[code.String()] = code
	}
	if names["REASON_CODE_UNSPECIFIED"] != policy.Unspecified || (policy.Internal+1).String() != "REASON_CODE_UNSPECIFIED" || policy.Code(-1).String() != "REASON_CODE_UNSPECIFIED" {
		t.Errorf("%v", slices.Sorted(maps.Keys(names)))
	}
	if policy.Allow.String() != "ALLOW" || policy.Verdict(7).String() != "DENY" {
		t.Error("a verdict that there is not must read as a refusal")
	}
}
