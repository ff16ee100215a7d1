package attest

import "errors"

// The ways in which a document can be refused by the readers of this package.
// Every error they return wraps exactly one of these.
var (
	// ErrMalformed: not the JSON (or the base64, or the hex) that the format
	// requires, or a required member is absent or of the wrong kind.
	ErrMalformed = errors.New("malformed document")
	// ErrTooLarge: a size, count or nesting depth is over its limit.
	ErrTooLarge = errors.New("document exceeds a limit")
	// ErrPayloadType: the envelope does not hold an in-toto statement.
	ErrPayloadType = errors.New("unsupported payload type")
	// ErrStatementType: `_type` is not a statement version that we read.
	ErrStatementType = errors.New("unsupported statement type")
	// ErrPredicateType: the predicate is not of the type that was asked for.
	ErrPredicateType = errors.New("unexpected predicate type")
	// ErrNoDigest: no subject names its artifact by a digest that may be trusted.
	ErrNoDigest = errors.New("no acceptable digest")
	// ErrDigest: a digest is malformed, of the wrong length, or not lower-case hex.
	ErrDigest = errors.New("malformed digest")
	// ErrLevel: not a SLSA level that this edition knows.
	ErrLevel = errors.New("unknown SLSA level")
	// ErrNotLoggable: the signature cannot be a leaf of a Rekor v2 log.
	ErrNotLoggable = errors.New("signature cannot be logged")
)
