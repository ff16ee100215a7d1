package attest

import (
	"bytes"
	"fmt"
)

// The predicate types of Sekisho's own statements.
const (
	// TrustRootType: a trust root, signed by root keys.
	TrustRootType = "https://sekisho.dev/trust-root/v1"
	// PolicyType: a policy, signed by policy keys.
	PolicyType = "https://sekisho.dev/policy/v1"
)

// IsControl reports whether a predicate type is one that decides: a statement
// that only root or policy keys may sign, and that is never signed for a caller.
func IsControl(predicateType string) bool {
	return predicateType == TrustRootType || predicateType == PolicyType
}

// ControlStatement returns the statement that carries a control document: its
// subject is the document itself, by SHA-256, and its predicate
// {"document": "<the YAML, verbatim>"}. The bytes are the JCS form, so that
// everybody who signs the same document signs the same statement.
func ControlStatement(predicateType, name string, document []byte) []byte {
	var b bytes.Buffer
	b.WriteString(`{"_type":"` + StatementV1 + `","predicate":{"document":`)
	b.Write(quote(string(document)))
	b.WriteString(`},"predicateType":`)
	b.Write(quote(predicateType))
	b.WriteString(`,"subject":[{"digest":{"sha256":"` + SHA256(document).Hex() + `"},"name":`)
	b.Write(quote(name))
	b.WriteString(`}]}`)
	return b.Bytes()
}

// Document returns the control document that a control statement carries, after
// checking that the subject's digest is the document's.
// Errors: [ErrPredicateType], [ErrMalformed], [ErrDigest].
func (s *Statement) Document() ([]byte, error) {
	if !IsControl(s.PredicateType) {
		return nil, fmt.Errorf("%w: %.100q carries no control document", ErrPredicateType, s.PredicateType)
	}
	var wire struct {
		Document *string `json:"document"`
	}
	if err := decodeStrict(s.Predicate, &wire); err != nil {
		return nil, fmt.Errorf("reading control document: %w", err)
	}
	if wire.Document == nil {
		return nil, fmt.Errorf("reading control document: %w: no document", ErrMalformed)
	}
	document := []byte(*wire.Document)
	if len(s.Subjects) != 1 || s.Subjects[0].Digest["sha256"] != SHA256(document).Hex() {
		return nil, fmt.Errorf("reading control document: %w: the subject is not the document", ErrDigest)
	}
	return document, nil
}
