package policy

// faults are the demands that one attestation does not meet. While it meets them
// nothing is allocated: texts are made for refusals only.
type faults struct {
	of      *Attestation
	reasons []Reason
}

// maxFaults is how many are counted: a document may have any number of parameters,
// and each reason is compared with those before it.
const maxFaults = 64

// add adds a reason about a field. The same said by rule and question counts once.
func (f *faults) add(r Reason, field string) {
	if len(f.reasons) == maxFaults {
		return
	}
	r.Expected, r.Found, r.Remedy = clip(r.Expected), clip(r.Found), clip(r.Remedy)
	for _, have := range f.reasons {
		if have.Code == r.Code && have.Expected == r.Expected && have.Found == r.Found && have.Nearest.Field == field {
			return
		}
	}
	r.Nearest = &Nearest{Attestation: f.of.Digest, Field: field}
	f.reasons = append(f.reasons, r)
}

// nearer reports whether f is a nearer miss than g: fewer faults, then the lower
// log index.
func (f *faults) nearer(g *faults) bool {
	if g.of == nil || len(f.reasons) != len(g.reasons) {
		return g.of == nil || len(f.reasons) < len(g.reasons)
	}
	return byIndex(f.of, g.of) < 0
}
