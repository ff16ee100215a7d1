package verifier

import (
	"fmt"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/sekisho-dev/sekisho/attest"
)

// claims takes over what the statement says. Provenance that cannot be read is
// an error: it could be registered only to count for nothing. Other predicates
// are theirs who wrote them, and are read for a time and a result if they have one.
func (f *Facts) claims(s *attest.Statement) error {
	f.limit("the predicate type", len(s.PredicateType), maxURI)
	f.predicateType = kept(s.PredicateType, keptText)
	f.about(s.Subjects)
	if attest.IsProvenance(s.PredicateType) {
		p, err := s.Provenance()
		if err != nil {
			return err
		}
		if f.claimed = p.FinishedOn; f.claimed.IsZero() {
			f.claimed = p.StartedOn
		}
		f.built(p)
		return nil
	}
	if len(s.Predicate) > 0 {
		var err error
		if f.claimed, f.result, err = claimsOf(s.PredicateType, s.Predicate); err != nil {
			return fmt.Errorf("reading the predicate: %w: %w", attest.ErrMalformed, err)
		}
		f.limit("the result", len(f.result), maxName)
		f.result = kept(f.result, maxName)
	}
	return nil
}

// claimsOf reads the time and the result of the predicate types that have them,
// where each type has them.
func claimsOf(predicateType string, predicate []byte) (claimed time.Time, result string, err error) {
	switch predicateType {
	case "https://in-toto.io/attestation/test-result/v0.1":
		var p struct {
			Result string `json:"result"`
		}
		err = json.Unmarshal(predicate, &p)
		return time.Time{}, p.Result, err
	case vsaType:
		var p struct {
			TimeVerified       time.Time `json:"timeVerified"`
			VerificationResult string    `json:"verificationResult"`
		}
		err = json.Unmarshal(predicate, &p)
		return p.TimeVerified.UTC(), p.VerificationResult, err
	case "https://in-toto.io/attestation/vulns/v0.1", "https://in-toto.io/attestation/vulns/v0.2", "https://in-toto.io/attestation/vulns",
		"https://cosign.sigstore.dev/attestation/vuln/v1":
		var p struct {
			Metadata struct {
				ScanFinishedOn time.Time `json:"scanFinishedOn"`
			} `json:"metadata"`
		}
		err = json.Unmarshal(predicate, &p)
		return p.Metadata.ScanFinishedOn.UTC(), "", err
	case "https://in-toto.io/attestation/svr/v0.1", "https://in-toto.io/attestation/svr/v0.2":
		var p struct {
			TimeCreated time.Time `json:"timeCreated"`
		}
		err = json.Unmarshal(predicate, &p)
		return p.TimeCreated.UTC(), "", err
	}
	return documentTime(predicate), "", nil
}

// documentTime reads when an SBOM says it was made: CycloneDX metadata.timestamp,
// SPDX creationInfo.created. What has neither, or something else there, has no time.
func documentTime(predicate []byte) time.Time {
	var p struct {
		Metadata struct {
			Timestamp time.Time `json:"timestamp"`
		} `json:"metadata"`
		CreationInfo struct {
			Created time.Time `json:"created"`
		} `json:"creationInfo"`
	}
	if json.Unmarshal(predicate, &p) != nil {
		return time.Time{}
	}
	if !p.Metadata.Timestamp.IsZero() {
		return p.Metadata.Timestamp.UTC()
	}
	return p.CreationInfo.Created.UTC()
}
