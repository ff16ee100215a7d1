package policy

import (
	"time"

	"github.com/sekisho-dev/sekisho/attest"
)

// A Verdict is the answer. Anything but [Allow] is a refusal.
type Verdict int

// The verdicts.
const (
	Deny Verdict = iota
	Allow
)

// String returns "DENY" or "ALLOW".
func (v Verdict) String() string {
	if v == Allow {
		return "ALLOW"
	}
	return "DENY"
}

// Lease is for how long a decision may be used at most.
const Lease = 5 * time.Minute

// A Decision is an answer and its reasons. The zero value is a denial.
type Decision struct {
	Verdict Verdict
	// Level is the build level of the provenance that met every demand; L0 if none did.
	Level   attest.Level
	Reasons []Reason // empty exactly when every demand is met
	// Used are the attestations that met demands, in log order, each once.
	Used    []attest.Digest
	Rule    string    // the rule that was applied, such as "environments[default].rules[0]"; empty if none was
	Expires time.Time // do not use the decision later than this
	// Audit says that the environment only audits: the verdict allows, and the
	// reasons are those for which it would have been refused.
	Audit bool
}
