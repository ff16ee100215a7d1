package policy

import (
	"slices"
	"strings"

	"github.com/sekisho-dev/sekisho/attest"
)

// demands is what one party, the rule or the question, wants of provenance. They
// are judged alike, which is why a question can only narrow.
type demands struct {
	level      attest.Level
	builders   []string
	buildTypes []string
	source     Source

	// Where they stand: "environments[default].rules[0].build.minLevel" and so on.
	levelAt, buildersAt, buildTypesAt, sourceAt string
}

// demands returns what the rule wants of provenance. Every rule wants L1.
func (r *Rule) demands() demands {
	return demands{level: max(r.Build.MinLevel, attest.L1), builders: r.Build.Builders, buildTypes: r.Build.BuildTypes, source: r.Source}
}

// provenance counts the provenance, and reports whether anything at all is known
// about the artifact.
func (c *count) provenance(r *Rule, asked *demands) bool {
	level := &r.wants
	if asked.level > r.wants.level {
		level = asked
	}
	group, any := c.weigh(
		func(a *Attestation) bool { return attest.IsProvenance(a.PredicateType) },
		func(f *faults) {
			f.standing(r.path)
			f.level(level)
			f.demands(&r.wants)
			f.demands(asked)
			r.ExternalParameters.judge(f, r.parametersAt)
		})
	for i, a := range group {
		if i == 0 || a.Level < c.Level {
			c.Level = a.Level
		}
	}
	return any || c.absent(absence{code: NoMatchingPredicate, rule: r.path, what: "SLSA provenance", admits: attest.IsProvenance})
}

// standing judges whether a statement counts for the artifact at all.
func (f *faults) standing(rule string) {
	if f.of.Match != attest.Matched {
		f.add(Reason{Code: DigestConflict, Rule: rule, Expected: "a subject that agrees with every digest of the artifact",
			Found: "one digest that agrees and one that does not", Remedy: remedy(DigestConflict)}, "subject.digest")
	}
	if f.of.Revoked {
		f.add(Reason{Code: Revoked, Rule: rule, Expected: "an attestation that is not revoked", Found: "a revoked one",
			Remedy: remedy(Revoked)}, "attestation")
	}
}

func (f *faults) level(want *demands) {
	if l := f.of.Level; !l.Valid() || l < want.level {
		f.add(Reason{Code: LevelTooLow, Rule: want.levelAt, Expected: want.level.String(), Found: l.String() + " by " + orNone(f.of.BuilderID),
			Remedy: remedy(LevelTooLow)}, "builder.id")
	}
}

// demands judges everything but the level, which rule and question demand together.
func (f *faults) demands(want *demands) {
	a := f.of
	if len(want.builders) > 0 && !slices.Contains(want.builders, a.BuilderID) && !slices.Contains(want.builders, a.Builder) {
		f.add(Reason{Code: BuilderMismatch, Rule: want.buildersAt, Expected: list(want.builders), Found: orNone(a.BuilderID),
			Remedy: mend("build with an expected builder", a.BuilderID, want.buildersAt)}, "builder.id")
	}
	if len(want.buildTypes) > 0 && !slices.Contains(want.buildTypes, a.BuildType) {
		f.add(Reason{Code: BuildTypeMismatch, Rule: want.buildTypesAt, Expected: list(want.buildTypes), Found: orNone(a.BuildType),
			Remedy: mend("build with an expected build type", a.BuildType, want.buildTypesAt)}, "buildType")
	}
	if want.source.Repository != "" {
		f.repository(want, a.Source.Repository, "source.repository")
		// A certificate that names a repository must name the same: the
		// document alone is the builder's word for it. Where both name another
		// one, to say it once is enough.
		if a.CertificateSource != "" && !sameRepository(a.CertificateSource, a.Source.Repository) {
			f.repository(want, a.CertificateSource, "certificate.sourceRepository")
		}
	}
	if want.source.refs() > 0 && !want.source.matchesRef(a.Source.Ref) {
		f.add(Reason{Code: RefMismatch, Rule: want.sourceAt, Expected: want.source.ref(), Found: orNone(a.Source.Ref),
			Remedy: refRemedy(&want.source, a.Source.Ref, want.sourceAt)}, "source.ref")
	}
}

func (f *faults) repository(want *demands, found, field string) {
	if expected := want.source.Repository; !sameRepository(expected, found) {
		f.add(Reason{Code: SourceMismatch, Rule: want.sourceAt, Expected: expected, Found: orNone(found),
			Remedy: repositoryRemedy(expected, found, want.sourceAt)}, field)
	}
}

func orNone(s string) string {
	if s == "" {
		return "(none)"
	}
	return s
}

func list(of []string) string { return strings.Join(of, " or ") }
