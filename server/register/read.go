package register

import (
	"crypto"
	"fmt"

	"github.com/sekisho-dev/sekisho/attest"
	"github.com/sekisho-dev/sekisho/sbom"
	"github.com/sekisho-dev/sekisho/verifier"
)

// A candidate is one leaf to be: either a record that carries its signature, or
// a statement that we are to sign.
type candidate struct {
	record    *attest.Record // nil: to be signed
	payload   []byte
	statement *attest.Statement
}

// read parses the document and checks the caller's right to have it signed.
func (r *Registrar) read(trust *verifier.TrustRoot, s Submission) ([]candidate, error) {
	if err := wellFormed(s); err != nil {
		return nil, err
	}
	switch {
	case s.Statement != nil:
		statement, err := wanted(trust, s)
		return []candidate{{payload: s.Statement, statement: statement}}, err
	case s.Bundle != nil:
		record, payload, err := verifier.ReadBundle(s.Bundle)
		if err != nil {
			return nil, err
		}
		statement, err := record.Envelope(payload).Statement()
		if err != nil {
			return nil, err
		}
		if s.PublicKey != nil && len(record.Certificate) == 0 {
			err = trust.FindKey(record, payload, s.PublicKey)
		}
		return []candidate{{record, payload, statement}}, err
	}
	envelope, err := attest.ParseEnvelope(s.Envelope)
	if err != nil {
		return nil, err
	}
	statement, err := envelope.Statement()
	if err != nil {
		return nil, err
	}
	var presented []crypto.PublicKey
	if s.PublicKey != nil {
		presented = append(presented, s.PublicKey)
	}
	records, err := trust.Resolve(envelope, presented...)
	if err != nil {
		return nil, err
	}
	var cs []candidate
	for _, record := range records {
		cs = append(cs, candidate{record, envelope.Payload, statement})
	}
	return cs, nil
}

// MaySubmit reports whether a caller may have anything at all signed by the service,
// under the trust root in force: it is asked before a document is read. Whether it is
// this document, [Registrar.Register] says. The error is [verifier.ErrNotAllowed].
func (r *Registrar) MaySubmit(caller verifier.Caller) error {
	return r.c.Follow.Control().Trust.Submits(caller)
}

// wanted reads a statement that is to be signed. May this caller have one signed? is
// asked before it is read; what is over a limit is refused before it is signed.
func wanted(trust *verifier.TrustRoot, s Submission) (*attest.Statement, error) {
	if t := attest.PredicateTypeOf(s.Statement); t != "" {
		if err := trust.SpeaksForType(s.Caller, t); err != nil {
			return nil, err
		}
	}
	statement, err := attest.ParseStatement(s.Statement)
	if err != nil {
		return nil, err
	}
	if err := trust.SpeaksFor(s.Caller, statement); err != nil {
		return nil, err
	}
	if err := verifier.Admissible(statement); err != nil {
		return nil, err
	}
	if sbom.IsPredicateType(statement.PredicateType) { // what nobody can read must not count as an SBOM by our signature
		if _, err := sbom.ReadPredicate(statement); err != nil {
			return nil, err
		}
	}
	return statement, nil
}

func wellFormed(s Submission) error {
	given := 0
	for _, d := range [][]byte{s.Statement, s.Envelope, s.Bundle} {
		if len(d) > MaxDocument {
			return fmt.Errorf("%w: %d bytes, at most %d; register a reference statement over its digest instead", ErrTooLarge, len(d), MaxDocument)
		}
		if d != nil {
			given++
		}
	}
	if given != 1 {
		return fmt.Errorf("%w: a statement, an envelope or a bundle; found %d", ErrBadRequest, given)
	}
	return nil
}
