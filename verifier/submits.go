package verifier

import "fmt"

// Submits reports whether a caller may have statements signed by the service at all:
// of which type and for which builders, [TrustRoot.SpeaksFor] says, who has to read
// them. The default is no: [ErrNotAllowed].
func (t *TrustRoot) Submits(caller Caller) error {
	for _, m := range t.submitters {
		if m.issuer == caller.Issuer && m.subject.matches(caller.Subject, "") {
			return nil
		}
	}
	return fmt.Errorf("%w: %s is no submitter in trust root version %d; add it under submitters", ErrNotAllowed, caller, t.Version())
}
