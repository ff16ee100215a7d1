package policy

import "github.com/sekisho-dev/sekisho/attest"

// A Code names why an artifact may not pass. The list only grows; the names are
// those of the API's ReasonCode. The zero value is a refusal like every other.
type Code int

// The codes.
const (
	Unspecified Code = iota
	NoPolicy
	NoEvidence
	NoMatchingPredicate
	NoTransparencyEvidence
	NoTrustedTime
	LogEntryMismatch
	UnknownSigner
	SignerBuilderMismatch
	LevelTooLow
	SourceMismatch
	RefMismatch
	BuilderMismatch
	BuildTypeMismatch
	UnexpectedParameter
	DigestConflict
	EvidenceTooOld
	Revoked
	ResultMismatch
	NoSBOM
	OutsideValidity
	BadQuestion
	Internal
)

var codeNames = [...]string{
	"REASON_CODE_UNSPECIFIED", "NO_POLICY", "NO_EVIDENCE", "NO_MATCHING_PREDICATE", "NO_TRANSPARENCY_EVIDENCE",
	"NO_TRUSTED_TIME", "LOG_ENTRY_MISMATCH", "UNKNOWN_SIGNER", "SIGNER_BUILDER_MISMATCH", "LEVEL_TOO_LOW",
	"SOURCE_MISMATCH", "REF_MISMATCH", "BUILDER_MISMATCH", "BUILD_TYPE_MISMATCH", "UNEXPECTED_PARAMETER",
	"DIGEST_CONFLICT", "EVIDENCE_TOO_OLD", "REVOKED", "RESULT_MISMATCH", "NO_SBOM", "OUTSIDE_VALIDITY",
	"BAD_QUESTION", "INTERNAL",
}

// String returns the wire name, such as "SOURCE_MISMATCH".
func (c Code) String() string {
	if c < 0 || int(c) >= len(codeNames) {
		return codeNames[Unspecified]
	}
	return codeNames[c]
}

// A Reason says why an artifact may not pass and how to mend it. Every refusal
// has at least one, with all of its fields but Nearest, and but Rule where no place
// in the policy is to blame.
type Reason struct {
	Code     Code
	Rule     string // the place in the policy, such as "environments[default].rules[0].build.minLevel"
	Expected string
	Found    string
	Nearest  *Nearest // the attestation that came closest, where there is one
	Remedy   string   // one sentence
}

// Nearest is the attestation that came closest, and the field that missed.
type Nearest struct {
	Attestation attest.Digest
	Field       string
}
