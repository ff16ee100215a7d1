package policy

import (
	"slices"
	"time"

	"github.com/sekisho-dev/sekisho/attest"
)

// Decide answers a question. It has no effects and cannot fail: what goes wrong
// inside it, a panic included, is a denial for the reason [Internal]. p may be nil,
// which is no policy, and denies.
func Decide(p *Policy, q Question, e Evidence) (d Decision) {
	defer refusePanic(&d)
	d.Expires = e.Now.Add(Lease)
	asked, fault := q.demands()
	if fault == "" && e.Now.IsZero() {
		return Decision{Reasons: []Reason{internal("no time of the decision")}}
	}
	if fault != "" {
		d.Reasons = []Reason{{Code: BadQuestion, Rule: "question", Expected: "a question that can be answered", Found: clip(fault), Remedy: remedy(BadQuestion)}}
		return d
	}
	env := p.environment(q.Environment)
	if env == nil {
		d.Reasons = []Reason{p.noEnvironment(q.Environment)}
		return d
	}
	if rule := env.rule(q.Names); rule == nil {
		d.Reasons = []Reason{env.noRule(q.Names)}
	} else {
		d.Rule = rule.path
		c := count{Decision: &d, now: e.Now, evidence: e.Attestations, about: arrange(e.Attestations)}
		if c.provenance(rule, &asked) {
			for i := range rule.needs {
				c.need(&rule.needs[i])
			}
		}
		d.Used = c.inLogOrder()
	}
	d.Audit = env.Mode == Audit
	if len(d.Reasons) == 0 || d.Audit {
		d.Verdict = Allow
	}
	return d
}

// refusePanic turns a panic into a denial, and forgets what was decided so far.
func refusePanic(d *Decision) {
	if recover() != nil {
		*d = Decision{Reasons: []Reason{internal("a panic while deciding")}}
	}
}

func internal(found string) Reason {
	return Reason{Code: Internal, Expected: "a decision", Found: found, Remedy: remedy(Internal)}
}

// demands returns what the question adds to the rule, or what is wrong with it.
func (q *Question) demands() (d demands, fault string) {
	switch {
	case !acceptable(q.Artifact):
		return d, "no digest of the artifact that may identify it; sha256, sha384, sha512 and gitCommit may"
	case !q.MinLevel.Valid():
		return d, "the build level is not one of 0 to 3"
	}
	if err := q.Artifact.Validate(); err != nil {
		return d, "a digest of the artifact: " + err.Error()
	}
	d.level, d.levelAt = q.MinLevel, "question.minBuildLevel"
	d.source, d.sourceAt = Source{Repository: q.Source, Branch: q.Branch, Tag: q.Tag, Semver: q.Semver}, "question.source"
	if q.Builder != "" {
		d.builders, d.buildersAt = []string{q.Builder}, "question.builder"
	}
	if d.source.refs() > 1 {
		return d, "more than one of branch, tag and semver, and a ref cannot be two of them"
	}
	if q.Semver != "" {
		var err error
		if d.source.versions, err = parseRange(q.Semver); err != nil {
			return d, err.Error()
		}
	}
	return d, ""
}

func acceptable(artifact attest.DigestSet) bool {
	for algorithm := range artifact {
		if attest.Acceptable(algorithm) {
			return true
		}
	}
	return false
}

// environment returns the environment that a question names, or nil.
func (p *Policy) environment(name string) *Environment {
	if p == nil {
		return nil
	}
	if name == "" {
		name = DefaultEnvironment
	}
	for i := range p.Environments {
		if p.Environments[i].Name == name {
			return &p.Environments[i]
		}
	}
	return nil
}

// rule returns the first rule for an artifact of these names, or nil.
func (e *Environment) rule(names []string) *Rule {
	for i := range e.Rules {
		if e.Rules[i].Covers(names) {
			return &e.Rules[i]
		}
	}
	return nil
}

// A count is one decision in the making.
type count struct {
	*Decision
	now      time.Time
	evidence []Attestation  // all of it, in any order
	about    []*Attestation // what is believed of it, arranged
	used     []*Attestation
}

// weigh looks among the standing statements that are admitted for a group of which
// each satisfies judge, and takes the one of the highest level. If there is none it adds the
// reasons of the nearest miss: the statement with the fewest faults, then the
// lowest log index. It reports whether anything was admitted.
func (c *count) weigh(admits func(*Attestation) bool, judge func(*faults)) (group []*Attestation, any bool) {
	var miss faults
	var best attest.Level
	for g := range standing(c.about) {
		if !admits(g[0]) {
			continue
		}
		any = true
		level, good := attest.L3, true
		for _, a := range g {
			f := faults{of: a}
			judge(&f)
			level = min(level, a.Level)
			if len(f.reasons) == 0 {
				continue
			}
			good = false
			if f.nearer(&miss) {
				miss = f
			}
		}
		if good && (group == nil || level > best || level == best && byIndex(g[0], group[0]) < 0) {
			group, best = g, level
		}
	}
	if group == nil {
		c.Reasons = append(c.Reasons, miss.reasons...)
	}
	c.used = append(c.used, group...)
	return group, any
}

// inLogOrder returns what was used, each once.
func (c *count) inLogOrder() []attest.Digest {
	slices.SortFunc(c.used, byIndex)
	var digests []attest.Digest
	for _, a := range c.used {
		if len(digests) == 0 || digests[len(digests)-1] != a.Digest {
			digests = append(digests, a.Digest)
		}
	}
	return digests
}
