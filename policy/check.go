package policy

import (
	"fmt"
	"strings"

	"github.com/sekisho-dev/sekisho/attest"
	"github.com/sekisho-dev/sekisho/internal/strictyaml"
)

// checker collects faults in what a policy says, and where they are.
type checker struct{ faults *strictyaml.Faults }

func (c *checker) fault(at strictyaml.Pos, format string, args ...any) {
	c.faults.Addf(at, format, args...)
}

// check collects what is wrong with the policy's meaning, and prepares its rules.
func (p *Policy) check(faults *strictyaml.Faults) {
	c := checker{faults}
	c.name(p.Pos, "the policy's name", p.Name)
	if p.Version == 0 {
		c.fault(p.Pos, "a policy needs a version of 1 or more: a newer one replaces an older one, never the reverse")
	}
	if len(p.Environments) == 0 {
		c.fault(p.Pos, "a policy without environments allows nothing and loads as nothing; it needs one named %q", DefaultEnvironment)
	}
	seen := map[string]bool{}
	for i := range p.Environments {
		e := &p.Environments[i]
		if seen[e.Name] {
			c.fault(e.Pos, "environment %.80q is there twice", e.Name)
		}
		seen[e.Name] = true
		c.environment(e)
	}
}

func (c *checker) environment(e *Environment) {
	c.name(e.Pos, "an environment's name", e.Name)
	if e.Mode != "" && e.Mode != Enforce && e.Mode != Audit {
		c.fault(e.Pos, "mode is %.80q, want %s or %s", e.Mode, Enforce, Audit)
	}
	if len(e.Rules) == 0 {
		c.fault(e.Pos, "environment %.80q has no rules", e.Name)
	}
	for i := range e.Rules {
		r := &e.Rules[i]
		r.path = fmt.Sprintf("environments[%.64s].rules[%d]", e.Name, i)
		c.rule(r)
	}
}

func (c *checker) rule(r *Rule) {
	if len(r.Artifacts) == 0 {
		c.fault(r.Pos, `a rule needs artifacts, such as ["pkg:oci/app"], or ["*"] for everything`)
	}
	c.distinct(r.Pos, "artifacts", r.Artifacts)
	for _, pattern := range r.Artifacts {
		if err := checkPattern(pattern); err != nil {
			c.fault(r.Pos, "artifacts: %v", err)
		}
	}
	if !r.Build.MinLevel.Valid() {
		c.fault(r.Build.Pos, "minLevel is %d, want 1 to 3", int(r.Build.MinLevel))
	}
	c.distinct(r.Build.Pos, "builders", r.Build.Builders)
	c.distinct(r.Build.Pos, "buildTypes", r.Build.BuildTypes)
	c.source(&r.Source)
	for i := range r.Require {
		c.requirement(&r.Require[i])
		r.needs = append(r.needs, r.Require[i].need(fmt.Sprintf("%s.require[%d]", r.path, i)))
	}
	r.wants = r.demands()
	r.wants.levelAt, r.wants.buildersAt, r.wants.buildTypesAt = r.path+".build.minLevel", r.path+".build.builders", r.path+".build.buildTypes"
	r.wants.sourceAt, r.parametersAt = r.path+".source", r.path+".externalParameters"
	c.sbom(&r.SBOM)
	if r.SBOM.Required {
		r.needs = append(r.needs, r.SBOM.need(r.path+".sbom"))
	}
}

func (c *checker) source(s *Source) {
	if s.Pos == (strictyaml.Pos{}) {
		return // absent
	}
	if *s == (Source{Pos: s.Pos}) {
		c.fault(s.Pos, "source says nothing: give repository, branch, tag or semver, or fromQuestion: true")
	}
	if s.FromQuestion && (s.Repository != "" || s.refs() > 0) {
		c.fault(s.Pos, "fromQuestion leaves the source to the caller, and what is beside it does not; a question narrows anyway, so leave it out")
	}
	if s.Repository != "" && !strings.Contains(s.Repository, "://") {
		c.fault(s.Pos, "repository %.200q is no URI; write it as git+https://host/owner/name", s.Repository)
	}
	if s.refs() > 1 {
		c.fault(s.Pos, "give one of branch, tag and semver: a ref cannot be two of them")
	}
	if strings.HasPrefix(s.Branch, "refs/") || strings.HasPrefix(s.Tag, "refs/") {
		c.fault(s.Pos, "give the short name, such as main or v1.2.3; refs/heads/ or refs/tags/ is put before it")
	}
	if s.Semver != "" {
		var err error
		if s.versions, err = parseRange(s.Semver); err != nil {
			c.fault(s.Pos, "%v", err)
		}
	}
}

func (c *checker) requirement(r *Requirement) {
	switch {
	case r.PredicateType == "":
		c.fault(r.Pos, "a requirement needs a predicateType")
	case attest.IsProvenance(r.PredicateType):
		c.fault(r.Pos, "provenance is demanded by every rule; say what is expected of it under build and source")
	}
	if len(r.Signers) == 0 {
		// Else anybody whom the trust root believes about anything, such as every
		// workflow of a public forge, could supply the attestation.
		c.fault(r.Pos, "a requirement needs signers, by their names in the trust root")
	}
	c.distinct(r.Pos, "signers", r.Signers)
	if r.MaxAge != nil && *r.MaxAge <= 0 {
		c.fault(r.Pos, "maxAge is %v, want more than nothing, such as 168h", *r.MaxAge)
	}
}

func (c *checker) sbom(s *SBOM) {
	if !s.Required && (len(s.Formats) > 0 || len(s.Signers) > 0) {
		c.fault(s.Pos, "sbom says which, and not that one is required; say required: true")
	}
	for _, f := range s.Formats {
		if sbomTypes(f) == nil {
			c.fault(s.Pos, "SBOM format %.80q is unknown, want spdx or cyclonedx", f)
		}
	}
	c.distinct(s.Pos, "formats", s.Formats)
	c.distinct(s.Pos, "signers", s.Signers)
}

// name checks a name of the policy's own. It appears in paths, logs and reasons, so
// it holds nothing that means something there (CVE-2022-36085: a policy id that
// ended the path it was put into).
func (c *checker) name(at strictyaml.Pos, what, name string) {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	if name == "" || len(name) > 64 || strings.Trim(name, letters+"-_.") != "" || !strings.Contains(letters, name[:1]) {
		c.fault(at, "%s is %.80q, want 1 to 64 letters, digits, hyphens, dots and underscores, beginning with a letter or digit", what, name)
	}
}

func (c *checker) distinct(at strictyaml.Pos, what string, list []string) {
	seen := map[string]bool{}
	for _, s := range list {
		if seen[s] {
			c.fault(at, "%s: %.80q is there twice", what, s)
		}
		seen[s] = true
	}
}
