package policy

import (
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/sekisho-dev/sekisho/attest"
)

// DefaultEnvironment is the environment of a question that names none.
const DefaultEnvironment = "default"

// A Question asks whether an artifact may pass. Apart from choosing environment
// and rule it can only narrow: every field that is set is one more demand beside
// the policy's. It deliberately cannot say when it is asked.
type Question struct {
	Artifact    attest.DigestSet // every digest given must be right; one at least must be acceptable
	Names       []string         // names or package URLs, in any order; they choose the rule and identify nothing
	Environment string           // empty for [DefaultEnvironment]
	MinLevel    attest.Level

	Source  string // repository, "git+https://github.com/acme/app"
	Branch  string // "main"; at most one of branch, tag and semver
	Tag     string // "v1.2.3"
	Semver  string // "1.2.3", "1.2", "^1.2" or "~1.2"
	Builder string // a builder's id, or its name in the trust root
}

// Evidence is what is known about an artifact at one moment. Neither the order of
// the attestations nor repetition among them changes a decision.
type Evidence struct {
	Now          time.Time // of the decision; the decider's clock, never the asker's
	Attestations []Attestation
}

// An Attestation is one attestation in the words of a policy: what it says, and
// what the trust root in force makes of it.
type Attestation struct {
	Digest        attest.Digest // of its envelope: its identity
	PayloadDigest attest.Digest
	LogIndex      uint64
	PredicateType string
	Match         attest.Match // of the artifact's digests with its subjects

	// Signer is the trust root's name for who signed it. It is believed only if
	// Signer is set and Refusal is not.
	Signer        string
	Refusal       Code   // why it is not believed
	RefusalDetail string // what was expected and found, in a sentence
	Revoked       bool

	// Of provenance. Level comes from the trust root, by signer and builder; the
	// rest is what the provenance says.
	Level              attest.Level
	Builder            string // the builder's name or id in the trust root
	BuilderID          string // as signed
	BuildType          string
	Source             attest.SourceRef
	CertificateSource  string // the repository in the signer's certificate; empty if it has none
	ExternalParameters map[string]jsontext.Value
	ParametersComplete bool // there are no other external parameters

	ProvenBy  time.Time // it existed by then, says a trusted authority; zero if none does
	ClaimedAt time.Time // the time in the signed predicate; zero if absent
	Result    string    // of a predicate that has one, such as "PASSED"
}

// believed reports whether the trust root believes who signed a.
func (a *Attestation) believed() bool { return a.Refusal == Unspecified && a.Signer != "" }

// claimed returns when a was made, as far as that is believed: what the signed
// predicate claims, but no later than proven. With either absent there is no such
// time: an unproven claim could lie in the future and would stay fresh for ever.
func (a *Attestation) claimed() (time.Time, bool) {
	switch {
	case a.ProvenBy.IsZero(), a.ClaimedAt.IsZero() && !timeless(a.PredicateType):
		return time.Time{}, false
	case a.ClaimedAt.IsZero() || a.ClaimedAt.After(a.ProvenBy):
		return a.ProvenBy, true
	}
	return a.ClaimedAt, true
}

// timeless reports whether the specification of a predicate type has no time. Such
// a statement counts from when its signature is proven to have existed, or no
// test result could ever be required to be fresh.
func timeless(predicateType string) bool {
	switch predicateType {
	case "https://in-toto.io/attestation/test-result/v0.1",
		"https://in-toto.io/attestation/release/v0.1",
		"https://in-toto.io/attestation/scai/v0.3":
		return true
	}
	return false
}
