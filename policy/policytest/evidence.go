package policytest

import (
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/sekisho-dev/sekisho/attest"
	"github.com/sekisho-dev/sekisho/policy"
)

// Evidence is one attestation: what it says, and what the trust root makes of it.
// Whoever tests more than the policy signs a statement that says so, and writes
// a trust root that makes so much of it.
type Evidence struct {
	Name   string `yaml:"name"`
	Type   string `yaml:"type"`   // predicate type
	Signer string `yaml:"signer"` // its name in the trust root; absent is one that the trust root does not know
	Index  int    `yaml:"index"`  // in the log; absent is its place in the list

	Match   string `yaml:"match"`   // "conflict" or "none"; absent is a subject that matches
	Refusal string `yaml:"refusal"` // a reason code
	Detail  string `yaml:"detail"`  // of the refusal
	Revoked bool   `yaml:"revoked"`

	// Of provenance.
	Level             int               `yaml:"level"`
	Builder           string            `yaml:"builder"`   // in the trust root
	BuilderID         string            `yaml:"builderId"` // as signed
	BuildType         string            `yaml:"buildType"`
	Repository        string            `yaml:"repository"`
	Ref               string            `yaml:"ref"`
	CertificateSource string            `yaml:"certificateSource"`
	Parameters        map[string]string `yaml:"parameters"` // values in JSON
	Incomplete        bool              `yaml:"incomplete"` // there may be other parameters

	Proven  *time.Duration `yaml:"proven"`  // before the decision; absent is no trusted time
	Claimed *time.Duration `yaml:"claimed"` // likewise; absent is no time in the predicate
	Result  string         `yaml:"result"`
}

// Digest returns what stands for the digest of the attestation of this name.
func Digest(name string) attest.Digest { return attest.SHA256([]byte("attestation " + name)) }

// Attestation returns the evidence in the words of a policy, for a decision at now.
// place is where it stands in the list.
func (e *Evidence) Attestation(place int, now time.Time) policy.Attestation {
	a := policy.Attestation{
		Digest: Digest(e.Name), LogIndex: uint64(place), PredicateType: e.Type, Match: attest.Matched,
		Signer: e.Signer, Refusal: Code(e.Refusal), RefusalDetail: e.Detail, Revoked: e.Revoked,
		Level: attest.Level(e.Level), Builder: e.Builder, BuilderID: e.BuilderID, BuildType: e.BuildType,
		Source: attest.SourceRef{Repository: e.Repository, Ref: e.Ref}, CertificateSource: e.CertificateSource,
		ParametersComplete: !e.Incomplete, Result: e.Result,
	}
	if e.Index != 0 {
		a.LogIndex = uint64(e.Index)
	}
	switch e.Match {
	case "conflict":
		a.Match = attest.Conflict
	case "none":
		a.Match = attest.NoMatch
	}
	for name, value := range e.Parameters {
		if a.ExternalParameters == nil {
			a.ExternalParameters = map[string]jsontext.Value{}
		}
		a.ExternalParameters[name] = jsontext.Value(value)
	}
	if e.Proven != nil {
		a.ProvenBy = now.Add(-*e.Proven)
	}
	if e.Claimed != nil {
		a.ClaimedAt = now.Add(-*e.Claimed)
	}
	return a
}

// Code returns the code of a wire name; [policy.Unspecified] for "", and a code
// that there is not for a name that there is not.
func Code(name string) policy.Code {
	if name == "" {
		return policy.Unspecified
	}
	for c := policy.NoPolicy; c.String() != policy.Unspecified.String(); c++ {
		if c.String() == name {
			return c
		}
	}
	return -1
}
