package policy

import (
	"slices"
	"time"
)

// A need is a requirement as it is decided: any one of the signers (of all whom
// the trust root believes, if none is named) must have said this, with what each
// said last.
type need struct {
	path    string
	what    string // for people
	types   []string
	signers []string
	result  string
	maxAge  time.Duration // 0 is no limit
	missing Code
}

func (r *Requirement) need(path string) need {
	n := need{path: path, what: r.PredicateType, types: []string{r.PredicateType}, signers: r.Signers, result: r.Result, missing: NoMatchingPredicate}
	if r.MaxAge != nil {
		n.maxAge = *r.MaxAge
	}
	return n
}

func (s *SBOM) need(path string) need {
	formats := s.Formats
	if len(formats) == 0 {
		formats = []string{"cyclonedx", "spdx"}
	}
	n := need{path: path, what: "an SBOM in " + list(formats), signers: s.Signers, missing: NoSBOM}
	for _, f := range formats {
		n.types = append(n.types, sbomTypes(f)...)
	}
	return n
}

// sbomTypes returns the predicate types of an SBOM format, nil for an unknown one. They
// are listed, since tools add the version and a prefix would admit anything.
func sbomTypes(format string) []string {
	const cyclonedx, spdx = "https://cyclonedx.org/bom", "https://spdx.dev/Document"
	switch format {
	case "cyclonedx":
		return []string{cyclonedx, cyclonedx + "/v1.2", cyclonedx + "/v1.3", cyclonedx + "/v1.4", cyclonedx + "/v1.5", cyclonedx + "/v1.6", cyclonedx + "/v1.7"}
	case "spdx":
		return []string{spdx, spdx + "/v2.2", spdx + "/v2.3", spdx + "/v3", spdx + "/v3.0"}
	}
	return nil
}

func (n *need) admits(a *Attestation) bool {
	return slices.Contains(n.types, a.PredicateType) && (n.signers == nil || slices.Contains(n.signers, a.Signer))
}

// need counts one requirement. An answer is good for no longer than the evidence it used.
func (c *count) need(n *need) {
	group, any := c.weigh(n.admits, func(f *faults) {
		f.standing(n.path)
		f.result(n)
		f.age(n, c.now)
	})
	if !any {
		what := n.what
		if n.signers != nil {
			what += " signed by " + list(n.signers)
		}
		c.absent(absence{code: n.missing, rule: n.path, what: what,
			admits: func(predicateType string) bool { return slices.Contains(n.types, predicateType) }})
	}
	for _, a := range group {
		if t, ok := a.claimed(); ok && n.maxAge > 0 && t.Add(n.maxAge).Before(c.Expires) {
			c.Expires = t.Add(n.maxAge)
		}
	}
}

func (f *faults) result(n *need) {
	if n.result != "" && f.of.Result != n.result {
		f.add(Reason{Code: ResultMismatch, Rule: n.path + ".result", Expected: n.result, Found: orNone(f.of.Result), Remedy: remedy(ResultMismatch)}, "result")
	}
}

// age judges by the time the statement claims, as far as that is believed.
func (f *faults) age(n *need, now time.Time) {
	if n.maxAge == 0 {
		return
	}
	made, ok := f.of.claimed()
	switch {
	case !ok && !f.of.ProvenBy.IsZero():
		f.add(Reason{Code: NoTrustedTime, Rule: n.path + ".maxAge", Expected: "a time in the statement, at most " + n.maxAge.String() + " ago",
			Found: "no time in the statement", Remedy: remedy(NoTrustedTime)}, "claimedAt")
	case !ok:
		f.add(Reason{Code: NoTrustedTime, Rule: n.path + ".maxAge", Expected: "a claimed time with a timestamp of a trusted authority",
			Found: "no such timestamp", Remedy: remedy(NoTrustedTime)}, "provenBy")
	case now.Sub(made) > n.maxAge:
		f.add(Reason{Code: EvidenceTooOld, Rule: n.path + ".maxAge", Expected: "at most " + n.maxAge.String() + " old",
			Found: now.Sub(made).Round(time.Second).String() + " old", Remedy: remedy(EvidenceTooOld)}, "claimedAt")
	}
}
