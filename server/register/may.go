package register

import "github.com/sekisho-dev/sekisho/verifier"

// MaySubmit reports whether a caller may have anything at all signed by the service,
// under the trust root in force: it is asked before a document is read. Whether it is
// this document, [Registrar.Register] says. The error is [verifier.ErrNotAllowed].
func (r *Registrar) MaySubmit(caller verifier.Caller) error {
	return r.c.Follow.Control().Trust.Submits(caller)
}
