package policy

import (
	"cmp"
	"iter"
	"slices"

	"github.com/sekisho-dev/sekisho/attest"
)

// arrange returns what the trust root believes of the evidence, the statements
// that can supersede one another beside each other: by predicate type and signer;
// among them those without a believed time first, then the latest first.
func arrange(evidence []Attestation) []*Attestation {
	about := make([]*Attestation, 0, len(evidence))
	for i := range evidence {
		if a := &evidence[i]; a.Match != attest.NoMatch && a.believed() {
			about = append(about, a)
		}
	}
	slices.SortFunc(about, func(a, b *Attestation) int {
		if c := compareGroup(a, b); c != 0 {
			return c
		}
		ta, okA := a.claimed()
		tb, okB := b.claimed()
		if okA != okB {
			if okB {
				return -1
			}
			return 1
		}
		return cmp.Or(tb.Compare(ta), byIndex(a, b))
	})
	return about
}

// compareGroup is 0 for two statements of which only the later counts. A statement
// that contradicts the artifact's digests (Conflict) stands among those that match:
// to leave it out would let the one before it count again.
//
// Provenance supersedes nothing (decisions/0005): how bytes were built stays true
// whoever else builds them, and one signer (a forge's), one builder even, may
// speak for many who must not be able to withdraw what it said for another.
func compareGroup(a, b *Attestation) int {
	c := cmp.Or(cmp.Compare(a.PredicateType, b.PredicateType), cmp.Compare(a.Signer, b.Signer))
	if c == 0 && attest.IsProvenance(a.PredicateType) {
		c = byIndex(a, b)
	}
	return c
}

func byIndex(a, b *Attestation) int {
	return cmp.Or(cmp.Compare(a.LogIndex, b.LogIndex), cmp.Compare(a.Digest, b.Digest))
}

// standing yields, for each group of what arrange returned, the statements that
// count now: the latest, all that share its time, and all whose time is unknown.
func standing(arranged []*Attestation) iter.Seq[[]*Attestation] {
	return func(yield func([]*Attestation) bool) {
		for from := 0; from < len(arranged); {
			end := from + 1
			for end < len(arranged) && compareGroup(arranged[from], arranged[end]) == 0 {
				end++
			}
			if !yield(newest(arranged[from:end])) {
				return
			}
			from = end
		}
	}
}

// newest cuts a group, in arranged order, after the last statement that counts.
func newest(group []*Attestation) []*Attestation {
	n := 0
	for n < len(group) {
		if _, ok := group[n].claimed(); ok {
			break
		}
		n++
	}
	if n == len(group) {
		return group
	}
	latest, _ := group[n].claimed()
	for n < len(group) {
		if t, _ := group[n].claimed(); !t.Equal(latest) {
			break
		}
		n++
	}
	return group[:n]
}
