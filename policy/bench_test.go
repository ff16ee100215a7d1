package policy_test

import (
	"testing"

	"github.com/sekisho-dev/sekisho/attest"
	"github.com/sekisho-dev/sekisho/policy"
)

// BenchmarkDecide measures the rules alone: what is known is in memory, and the
// policy has been read.
func BenchmarkDecide(b *testing.B) {
	many := evidence()
	for i := range 100 { // of a shared builder: none of them is good
		a := many.Attestations[0]
		a.LogIndex, a.Digest = uint64(100+i), attest.SHA256([]byte{byte(i)})
		a.Source.Repository = "git+https://github.com/other/app"
		many.Attestations = append(many.Attestations, a)
	}
	provenance := evidence()
	provenance.Attestations = provenance.Attestations[:1]
	for _, c := range []struct {
		name, document string
		known          policy.Evidence
		want           policy.Verdict
	}{
		{"provenance", base("source: {repository: git+https://github.com/acme/app}"), provenance, policy.Allow},
		{"everything", whole, evidence(), policy.Allow},
		{"refusal", base("build: {minLevel: 3}"), provenance, policy.Deny},
		{"of a hundred", whole, many, policy.Allow},
	} {
		b.Run(c.name, func(b *testing.B) {
			p, q := parse(b, c.document), question()
			b.ReportAllocs()
			for b.Loop() {
				if d := policy.Decide(p, q, c.known); d.Verdict != c.want {
					b.Fatalf("%+v", d)
				}
			}
		})
	}
}

func BenchmarkParse(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		parse(b, whole)
	}
}
