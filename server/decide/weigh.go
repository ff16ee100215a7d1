package decide

import (
	"errors"

	"github.com/sekisho-dev/sekisho/attest"
	"github.com/sekisho-dev/sekisho/policy"
	"github.com/sekisho-dev/sekisho/verifier"
)

// A Finding is one attestation about the artifact, and what the trust root in
// force makes of it.
type Finding struct {
	policy.Attestation
	Facts  *verifier.Facts
	Belief verifier.Belief
}

// weigh says in the policy's words what one attestation counts for under the
// trust root in force.
func weigh(index uint64, facts *verifier.Facts, trust *verifier.TrustRoot, artifact attest.DigestSet) Finding {
	belief := trust.Believe(facts)
	a := policy.Attestation{
		Digest:        facts.Attestation(),
		LogIndex:      index,
		PredicateType: facts.PredicateType(),
		PayloadDigest: facts.PayloadDigest(),
		Match:         match(facts.Subjects(), artifact),
		Signer:        belief.Signer,
		Builder:       belief.Builder,
		Level:         belief.Level,
		ProvenBy:      belief.ProvenBy,
		ClaimedAt:     facts.ClaimedAt(),
		Result:        facts.Result(),
	}
	if p := facts.Provenance(); p != nil {
		a.BuilderID, a.BuildType, a.Source = p.BuilderID, p.BuildType, p.Source
		a.ExternalParameters, a.ParametersComplete = p.ExternalParameters, p.Complete
		a.CertificateSource = facts.SourceRepository()
	}
	if belief.Err != nil {
		a.Refusal, a.RefusalDetail = refusal(belief.Err), belief.Err.Error()
	}
	return Finding{Attestation: a, Facts: facts, Belief: belief}
}

// match compares the artifact with all subjects; one contradiction outweighs
// every match.
func match(subjects []attest.Resource, artifact attest.DigestSet) attest.Match {
	s := attest.Statement{Subjects: subjects}
	m, _ := s.Subject(artifact)
	return m
}

// refusals is the table from what the verifier says to what the answer says.
var refusals = []struct {
	err  error
	code policy.Code
}{
	{verifier.ErrSignerBuilderMismatch, policy.SignerBuilderMismatch},
	{verifier.ErrNoTrustedTime, policy.NoTrustedTime},
	{verifier.ErrKeyWindow, policy.OutsideValidity},
	{verifier.ErrBuildType, policy.BuildTypeMismatch},
	{verifier.ErrSourceMismatch, policy.SourceMismatch},
	{verifier.ErrNoTransparency, policy.NoTransparencyEvidence},
	{verifier.ErrLogEntryMismatch, policy.LogEntryMismatch},
	{verifier.ErrUnknownSigner, policy.UnknownSigner},
}

func refusal(err error) policy.Code {
	for _, r := range refusals {
		if errors.Is(err, r.err) {
			return r.code
		}
	}
	return policy.UnknownSigner
}
