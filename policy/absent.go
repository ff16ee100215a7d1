package policy

import (
	"cmp"
	"slices"

	"github.com/sekisho-dev/sekisho/attest"
)

// maxListed is how many things a reason lists, and how many disbelieved
// attestations are explained: anybody may register more of them.
const maxListed = 8

// An absence is what was looked for and not found among what is believed.
type absence struct {
	code   Code
	rule   string
	what   string
	admits func(predicateType string) bool
}

// absent explains an absence from all the evidence, believed or not, and reports
// whether anything at all is known about the artifact.
func (c *count) absent(n absence) bool {
	var about, ofType []*Attestation
	for i := range c.evidence {
		a := &c.evidence[i]
		if a.Match == attest.NoMatch {
			continue
		}
		about = append(about, a)
		if n.admits(a.PredicateType) {
			ofType = append(ofType, a)
		}
	}
	switch {
	case len(about) == 0:
		c.Reasons = append(c.Reasons, Reason{Code: NoEvidence, Rule: n.rule, Expected: n.what, Found: "nothing about this artifact", Remedy: remedy(NoEvidence)})
	case len(ofType) == 0:
		c.Reasons = append(c.Reasons, Reason{Code: n.code, Rule: n.rule, Expected: n.what, Found: "only " + spread(about, predicateType), Remedy: remedy(n.code)})
	default:
		c.disbelieved(n, ofType)
	}
	return len(about) > 0
}

// disbelieved says of each attestation of the right type why it does not count,
// the same reason once.
func (c *count) disbelieved(n absence, ofType []*Attestation) {
	slices.SortFunc(ofType, func(a, b *Attestation) int { return cmp.Or(byIndex(a, b), cmp.Compare(a.Refusal, b.Refusal)) })
	var all []Reason
	for _, a := range ofType {
		r := Reason{Code: cmp.Or(a.Refusal, UnknownSigner), Rule: n.rule, Expected: n.what + " by a signer that the trust root believes",
			Found: clip(cmp.Or(a.RefusalDetail, "a signer that is not believed")), Nearest: &Nearest{Attestation: a.Digest, Field: "signature"}}
		if a.believed() { // but not asked for
			r.Code, r.Expected, r.Found = n.code, n.what, "one signed by "+a.Signer
			r.Nearest.Field = "signer"
		}
		r.Expected, r.Remedy = clip(r.Expected), remedy(r.Code)
		if !slices.ContainsFunc(all, func(have Reason) bool { return have.Code == r.Code && have.Found == r.Found }) {
			all = append(all, r)
		}
		if len(all) == maxListed {
			break
		}
	}
	c.Reasons = append(c.Reasons, all...)
}

func predicateType(a *Attestation) string { return a.PredicateType }

// spread lists the different values of a field, sorted, the first few of them.
func spread(as []*Attestation, field func(*Attestation) string) string {
	var values []string
	for _, a := range as {
		values = append(values, clip(field(a)))
	}
	slices.Sort(values)
	values = slices.Compact(values)
	if len(values) > maxListed {
		values = append(values[:maxListed], "others")
	}
	return list(values)
}
