package client

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// errorDomain is the domain of every google.rpc.ErrorInfo of the service.
const errorDomain = "sekisho.dev"

// A Reason is why there is no answer, or none that can be believed. The constants
// of this type are for errors.Is.
type Reason string

func (r Reason) Error() string { return string(r) }

// Why the service refused: the reasons of its google.rpc.ErrorInfo.
const (
	// What was handed in.
	ErrDocumentTooLarge         Reason = "DOCUMENT_TOO_LARGE"
	ErrQuotaExceeded            Reason = "QUOTA_EXCEEDED"
	ErrBadRequest               Reason = "BAD_REQUEST"
	ErrUnsupportedPayloadType   Reason = "UNSUPPORTED_PAYLOAD_TYPE"
	ErrUnsupportedStatementType Reason = "UNSUPPORTED_STATEMENT_TYPE"
	ErrWrongPredicateType       Reason = "WRONG_PREDICATE_TYPE"
	ErrNoDigest                 Reason = "NO_DIGEST"
	ErrMalformedDigest          Reason = "MALFORMED_DIGEST"
	ErrUnknownLevel             Reason = "UNKNOWN_LEVEL"
	ErrNotLoggable              Reason = "NOT_LOGGABLE"
	ErrOverLimit                Reason = "OVER_LIMIT"
	ErrMalformed                Reason = "MALFORMED"
	ErrInvalidTrustRoot         Reason = "INVALID_TRUST_ROOT"
	ErrInvalidPolicy            Reason = "INVALID_POLICY"
	ErrUnsupportedSBOMVersion   Reason = "UNSUPPORTED_SBOM_VERSION"
	ErrUnsupportedSBOMFormat    Reason = "UNSUPPORTED_SBOM_FORMAT"
	ErrMalformedPURL            Reason = "MALFORMED_PURL"
	ErrMalformedSBOM            Reason = "MALFORMED_SBOM"
	// Whether it is what it says it is.
	ErrNotAnAttestation Reason = "NOT_AN_ATTESTATION"
	ErrNoTransparency   Reason = "NO_TRANSPARENCY_EVIDENCE"
	ErrNoTrustedTime    Reason = "NO_TRUSTED_TIME"
	ErrLogEntryMismatch Reason = "LOG_ENTRY_MISMATCH"
	ErrUntrustedRoot    Reason = "UNTRUSTED_ROOT"
	ErrUnknownKey       Reason = "UNKNOWN_KEY"
	ErrBadSignature     Reason = "BAD_SIGNATURE"
	ErrMalformedBundle  Reason = "MALFORMED_BUNDLE"
	// Who may.
	ErrUnauthenticated     Reason = "UNAUTHENTICATED"
	ErrForbidden           Reason = "FORBIDDEN"
	ErrControlStatement    Reason = "CONTROL_STATEMENT"
	ErrSubmitterNotAllowed Reason = "SUBMITTER_NOT_ALLOWED"
	ErrThresholdNotMet     Reason = "THRESHOLD_NOT_MET"
	ErrNotNextVersion      Reason = "NOT_NEXT_VERSION"
	// What the service stands on.
	ErrLogDamaged       Reason = "LOG_DAMAGED"
	ErrLogRolledBack    Reason = "LOG_ROLLED_BACK"
	ErrIndexDamaged     Reason = "INDEX_DAMAGED"
	ErrStaleIndex       Reason = "STALE_INDEX"
	ErrNoArtifact       Reason = "NO_ARTIFACT"
	ErrBusy             Reason = "BUSY"
	ErrStorageFull      Reason = "STORAGE_FULL"
	ErrLogBusy          Reason = "LOG_BUSY"
	ErrShuttingDown     Reason = "SHUTTING_DOWN"
	ErrNoSuchProof      Reason = "NO_SUCH_PROOF"
	ErrKeyUnavailable   Reason = "KEY_UNAVAILABLE"
	ErrKeyDenied        Reason = "KEY_DENIED"
	ErrKeyUnusable      Reason = "KEY_UNUSABLE"
	ErrNotRegistered    Reason = "NOT_REGISTERED"
	ErrNotFound         Reason = "NOT_FOUND"
	ErrDeadlineExceeded Reason = "DEADLINE_EXCEEDED"
	ErrCancelled        Reason = "CANCELLED"
	// What is no matter of the request's content.
	ErrMethodNotAllowed     Reason = "METHOD_NOT_ALLOWED"
	ErrUnsupportedMediaType Reason = "UNSUPPORTED_MEDIA_TYPE"
	ErrUnimplemented        Reason = "UNIMPLEMENTED"
	ErrConnectionLost       Reason = "CONNECTION_LOST"
	ErrInternal             Reason = "INTERNAL"
)

// Reasons returns every reason that the service gives, in the order of its own
// table. (A newer service may give others; they are errors all the same.)
func Reasons() []Reason { return slices.Clone(reasons) }

var reasons = []Reason{
	ErrBusy, ErrDocumentTooLarge, ErrQuotaExceeded, ErrBadRequest, ErrUnsupportedPayloadType, ErrUnsupportedStatementType, ErrWrongPredicateType,
	ErrNoDigest, ErrMalformedDigest, ErrUnknownLevel, ErrNotLoggable, ErrOverLimit, ErrMalformed, ErrInvalidTrustRoot, ErrInvalidPolicy,
	ErrUnsupportedSBOMVersion, ErrUnsupportedSBOMFormat, ErrMalformedPURL, ErrMalformedSBOM,
	ErrNotAnAttestation, ErrNoTransparency, ErrNoTrustedTime, ErrLogEntryMismatch, ErrUntrustedRoot, ErrUnknownKey, ErrBadSignature, ErrMalformedBundle,
	ErrUnauthenticated, ErrForbidden, ErrControlStatement, ErrSubmitterNotAllowed, ErrThresholdNotMet, ErrNotNextVersion,
	ErrLogDamaged, ErrLogRolledBack, ErrStaleIndex, ErrIndexDamaged, ErrNoArtifact, ErrStorageFull, ErrLogBusy, ErrShuttingDown, ErrNoSuchProof,
	ErrKeyUnavailable, ErrKeyDenied, ErrKeyUnusable, ErrNotRegistered, ErrNotFound, ErrDeadlineExceeded, ErrCancelled,
	ErrMethodNotAllowed, ErrUnsupportedMediaType, ErrUnimplemented, ErrConnectionLost, ErrInternal,
}

// Why the client did not believe what the service answered. Every [Refusal] is an
// ErrBadProof, and one of the others where one fits better.
const (
	ErrBadProof         Reason = "BAD_PROOF"         // a signature, receipt or proof that does not verify, or is missing
	ErrRollback         Reason = "LOG_ROLLBACK"      // a checkpoint smaller than one that was seen
	ErrInconsistent     Reason = "LOG_INCONSISTENT"  // two checkpoints that are not of one history
	ErrLogKeyChanged    Reason = "LOG_KEY_CHANGED"   // not the log that was met there, or that was pinned
	ErrWrongAttestation Reason = "WRONG_ATTESTATION" // not what was handed in or asked for, or not what its leaf commits to
	ErrBadAnswer        Reason = "BAD_ANSWER"        // an answer to another question, or one that contradicts itself
	ErrExpired          Reason = "EXPIRED_ANSWER"    // an answer that must not be used any more
)

// Why there was no answer at all.
const (
	ErrUnreachable Reason = "UNREACHABLE"   // nobody answers at the address
	ErrInsecure    Reason = "INSECURE"      // the token would travel in plain text
	ErrState       Reason = "DAMAGED_STATE" // a file of what is remembered cannot be read
)

// An Error is the service's refusal to answer.
type Error struct {
	Code     codes.Code
	Reason   Reason            // why, if the service said so
	Message  string            // what was expected, what was found, what to do
	Metadata map[string]string // "requestId" and the like
}

func (e *Error) Error() string {
	if e.Reason == "" {
		return fmt.Sprintf("%s (%s)", e.Message, e.Code)
	}
	return e.Message
}

// Is makes errors.Is(err, ErrNotFound) hold across the wire. A server cannot name a
// reason that is the client's own ([fromWire]).
func (e *Error) Is(target error) bool { return target == e.Reason }

// A Refusal is an answer that the client did not believe.
type Refusal struct {
	Reason Reason
	Detail string // what was expected, what was found, what to do
	Err    error  // what did not verify, if something of package tlog or attest did not
}

func (r *Refusal) Error() string {
	if r.Err != nil {
		return r.Detail + ": " + r.Err.Error()
	}
	return r.Detail
}

// Is makes every refusal an [ErrBadProof], beside its own reason.
func (r *Refusal) Is(target error) bool { return target == r.Reason || target == ErrBadProof }

func (r *Refusal) Unwrap() error { return r.Err }

// refuse makes a refusal. err may be nil.
func refuse(reason Reason, err error, format string, args ...any) error {
	return &Refusal{Reason: reason, Detail: fmt.Sprintf(format, args...), Err: err}
}

// own are the reasons that only the client itself has.
var own = []Reason{
	ErrBadProof, ErrRollback, ErrInconsistent, ErrLogKeyChanged, ErrWrongAttestation, ErrBadAnswer, ErrExpired,
	ErrUnreachable, ErrInsecure, ErrState,
}

// fromWire gives an error of gRPC the reason that the service attached to it. The
// token is taken out of whatever the other side says, because what it says ends in
// logs that others read.
func fromWire(err error, server, token string) error {
	if err == nil {
		return nil
	}
	s, ok := status.FromError(err)
	if !ok {
		return err
	}
	e := &Error{Code: s.Code(), Message: without(token, exhausted.ReplaceAllString(s.Message(), ""))}
	for _, d := range s.Details() {
		if info, ok := d.(*errdetails.ErrorInfo); ok && info.GetDomain() == errorDomain {
			if r := Reason(without(token, info.GetReason())); !slices.Contains(own, r) {
				e.Reason = r
			}
			e.Metadata = info.GetMetadata()
			for k, v := range e.Metadata {
				e.Metadata[k] = without(token, v)
			}
			return e
		}
	}
	switch e.Code { // made by grpc, on this side or before the service saw the call
	case codes.Unavailable:
		e.Reason, e.Message = ErrUnreachable, unreachable(server, e.Message)
	case codes.DeadlineExceeded:
		e.Reason, e.Message = ErrDeadlineExceeded, fmt.Sprintf("%s did not answer in the time allowed: %s", server, e.Message)
	case codes.Canceled:
		e.Reason = ErrCancelled
	case codes.Unimplemented:
		e.Reason, e.Message = ErrUnimplemented, e.Message+"; the service is older than this client, or another one"
	case codes.ResourceExhausted:
		if strings.Contains(e.Message, "message larger than max") {
			e.Reason, e.Message = ErrDocumentTooLarge, "the document is too large to be sent: "+e.Message
		}
	}
	return e
}

// exhausted is what grpc puts before the last of several errors.
var exhausted = regexp.MustCompile(`^max retries exhausted: failed after \d+ attempts: rpc error: code = \w+ desc = `)

// dialing is what grpc puts around the cause.
var dialing = regexp.MustCompile(`^connection error: desc = "(?:transport: )?(.*)"$`)

// unreachable says who does not answer, why, and what to do about it.
func unreachable(server, message string) string {
	if m := dialing.FindStringSubmatch(message); m != nil {
		message = strings.ReplaceAll(m[1], `\"`, `"`)
	}
	message = strings.TrimPrefix(message, "Error while dialing: ")
	for _, hint := range []struct{ found, remedy string }{
		{"certificate signed by unknown authority", "name who issued its certificate (--ca-file)"},
		{"failed to verify certificate", "ask it by a name in its certificate, or renew that"},
		{"first record does not look like a TLS handshake", "it speaks plain text (--plaintext)"},
		{"looked like an HTTP/1.1 header", "it is not a gRPC port; the service's other port is for HTTP"},
		{"error reading server preface", "it speaks TLS (--ca-file), or something else"},
		{"name resolver error", "is the host's name right?"},
	} {
		if strings.Contains(message, hint.found) {
			return fmt.Sprintf("no answer from %s: %s; %s", server, message, hint.remedy)
		}
	}
	return fmt.Sprintf("no answer from %s: %s; is sekishod running, and is this its gRPC address?", server, message)
}

func without(token, text string) string {
	if token == "" {
		return text
	}
	return strings.ReplaceAll(text, token, "(the token)")
}
