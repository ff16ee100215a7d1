package verifier

import "errors"

// The ways in which a document is not believed mathematically. Each has a
// remedy of its own.
var (
	// ErrSignature: a signature does not verify under its key.
	ErrSignature = errors.New("signature does not verify")
	// ErrUnknownKey: no key of the trust root, nor one presented, made a signature.
	ErrUnknownKey = errors.New("signed by no known key")
	// ErrUntrustedRoot: a certificate or its evidence verifies under no Sigstore root that the trust root names.
	ErrUntrustedRoot = errors.New("verifies under no trusted Sigstore root")
	// ErrNoTransparency: a short-lived certificate without evidence of when it signed.
	ErrNoTransparency = errors.New("no transparency evidence")
	// ErrNoTrustedTime: nothing that may be believed says when it was signed.
	ErrNoTrustedTime = errors.New("no trusted time")
	// ErrLogEntryMismatch: a log entry that came along is of something else.
	ErrLogEntryMismatch = errors.New("log entry of something else")
	// ErrTimestamp: a timestamp is malformed, or not over this signature.
	ErrTimestamp = errors.New("timestamp refused")
	// ErrNotAttestation: signed, but no statement: a signature over a file, say.
	ErrNotAttestation = errors.New("not an attestation")
	// ErrBundle: not a Sigstore bundle that may be read.
	ErrBundle = errors.New("malformed bundle")
	// ErrFacts: facts that were not written by this edition.
	ErrFacts = errors.New("unreadable facts")
)

// The ways in which what verifies is not believed, or for less than it says.
var (
	// ErrUnreadable: the log holds it, and nobody can read it as a statement.
	ErrUnreadable = errors.New("the statement cannot be read")
	// ErrUnknownSigner: no signer of the trust root.
	ErrUnknownSigner = errors.New("signer not in the trust root")
	// ErrSignerBuilderMismatch: the signer may not speak for the builder.
	ErrSignerBuilderMismatch = errors.New("signer may not speak for this builder")
	// ErrKeyWindow: signed outside the time in which key, certificate or builder counted.
	ErrKeyWindow = errors.New("signed outside the window of its key")
	// ErrBuildType: the builder is not rated for this build type.
	ErrBuildType = errors.New("build type not rated for this builder")
	// ErrSourceMismatch: the certificate names another source than the document.
	ErrSourceMismatch = errors.New("certificate and document name different sources")
)

// The ways in which a trust root refuses.
var (
	// ErrTrustRoot: a trust root that does not load.
	ErrTrustRoot = errors.New("invalid trust root")
	// ErrThreshold: signed by too few of the keys that may.
	ErrThreshold = errors.New("too few signatures")
	// ErrRollback: not the next version of the one in force.
	ErrRollback = errors.New("not the next version")
	// ErrNotAllowed: the caller may not have this signed.
	ErrNotAllowed = errors.New("submitter not allowed")
	// ErrControlStatement: a statement that decides is never signed for a caller.
	ErrControlStatement = errors.New("control statements are not signed for callers")
)
