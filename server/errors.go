package server

import (
	"context"
	"errors"
	"log/slog"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/sekisho-dev/sekisho/attest"
	"github.com/sekisho-dev/sekisho/internal/strictyaml"
	"github.com/sekisho-dev/sekisho/sbom"
	"github.com/sekisho-dev/sekisho/server/decide"
	"github.com/sekisho-dev/sekisho/server/follow"
	"github.com/sekisho-dev/sekisho/server/identity"
	"github.com/sekisho-dev/sekisho/server/register"
	"github.com/sekisho-dev/sekisho/sign"
	"github.com/sekisho-dev/sekisho/store"
	"github.com/sekisho-dev/sekisho/tlog"
	"github.com/sekisho-dev/sekisho/verifier"
)

// ErrorDomain is the domain of every google.rpc.ErrorInfo of this service.
const ErrorDomain = "sekisho.dev"

// An outcome is how a sentinel error crosses the wire.
type outcome struct {
	err    error
	code   codes.Code
	reason string
}

// outcomes is *the* table from sentinel errors to canonical codes and reasons, of
// both ports: there is no reason that is not in it. The first row that matches
// decides, so that causes stand above what wraps them. An error that is not listed
// is Internal: logged with its request id, and not sent.
var outcomes = []outcome{
	{errBusy, codes.ResourceExhausted, "BUSY"},
	// What was handed in.
	{register.ErrTooLarge, codes.ResourceExhausted, "DOCUMENT_TOO_LARGE"},
	{register.ErrQuota, codes.ResourceExhausted, "QUOTA_EXCEEDED"},
	{register.ErrBadRequest, codes.InvalidArgument, "BAD_REQUEST"},
	{errBadRequest, codes.InvalidArgument, "BAD_REQUEST"},
	{attest.ErrPayloadType, codes.InvalidArgument, "UNSUPPORTED_PAYLOAD_TYPE"},
	{attest.ErrStatementType, codes.InvalidArgument, "UNSUPPORTED_STATEMENT_TYPE"},
	{attest.ErrPredicateType, codes.InvalidArgument, "WRONG_PREDICATE_TYPE"},
	{attest.ErrNoDigest, codes.InvalidArgument, "NO_DIGEST"},
	{attest.ErrDigest, codes.InvalidArgument, "MALFORMED_DIGEST"},
	{attest.ErrLevel, codes.InvalidArgument, "UNKNOWN_LEVEL"},
	{attest.ErrNotLoggable, codes.InvalidArgument, "NOT_LOGGABLE"},
	{attest.ErrTooLarge, codes.InvalidArgument, "OVER_LIMIT"},
	{attest.ErrMalformed, codes.InvalidArgument, "MALFORMED"},
	{tlog.ErrTooLarge, codes.InvalidArgument, "NOT_LOGGABLE"},
	{verifier.ErrTrustRoot, codes.InvalidArgument, "INVALID_TRUST_ROOT"},
	{strictyaml.ErrInvalid, codes.InvalidArgument, "INVALID_POLICY"},
	{sbom.ErrTooLarge, codes.ResourceExhausted, "DOCUMENT_TOO_LARGE"},
	{sbom.ErrVersion, codes.InvalidArgument, "UNSUPPORTED_SBOM_VERSION"},
	{sbom.ErrFormat, codes.InvalidArgument, "UNSUPPORTED_SBOM_FORMAT"},
	{sbom.ErrPURL, codes.InvalidArgument, "MALFORMED_PURL"},
	{sbom.ErrMalformed, codes.InvalidArgument, "MALFORMED_SBOM"},
	// Whether it is what it says it is.
	{verifier.ErrNotAttestation, codes.InvalidArgument, "NOT_AN_ATTESTATION"},
	{verifier.ErrNoTransparency, codes.InvalidArgument, "NO_TRANSPARENCY_EVIDENCE"},
	{verifier.ErrNoTrustedTime, codes.InvalidArgument, "NO_TRUSTED_TIME"},
	{verifier.ErrLogEntryMismatch, codes.InvalidArgument, "LOG_ENTRY_MISMATCH"},
	{verifier.ErrUntrustedRoot, codes.InvalidArgument, "UNTRUSTED_ROOT"},
	{verifier.ErrUnknownKey, codes.InvalidArgument, "UNKNOWN_KEY"},
	{verifier.ErrSignature, codes.InvalidArgument, "BAD_SIGNATURE"},
	{verifier.ErrBundle, codes.InvalidArgument, "MALFORMED_BUNDLE"},
	// Who may.
	{identity.ErrUnauthenticated, codes.Unauthenticated, "UNAUTHENTICATED"},
	{errForbidden, codes.PermissionDenied, "FORBIDDEN"},
	{verifier.ErrControlStatement, codes.PermissionDenied, "CONTROL_STATEMENT"},
	{verifier.ErrNotAllowed, codes.PermissionDenied, "SUBMITTER_NOT_ALLOWED"},
	{verifier.ErrThreshold, codes.PermissionDenied, "THRESHOLD_NOT_MET"},
	{verifier.ErrRollback, codes.FailedPrecondition, "NOT_NEXT_VERSION"},
	{follow.ErrNotNext, codes.FailedPrecondition, "NOT_NEXT_VERSION"},
	// What the service stands on.
	{follow.ErrDamaged, codes.FailedPrecondition, "LOG_DAMAGED"},
	{follow.ErrRollback, codes.FailedPrecondition, "LOG_ROLLED_BACK"},
	{follow.ErrStale, codes.Unavailable, "STALE_INDEX"},
	{tlog.ErrInconsistent, codes.FailedPrecondition, "LOG_ROLLED_BACK"},
	{tlog.ErrCorrupt, codes.FailedPrecondition, "LOG_DAMAGED"},
	{tlog.ErrCheckpoint, codes.FailedPrecondition, "LOG_DAMAGED"},
	{store.ErrCorrupt, codes.FailedPrecondition, "INDEX_DAMAGED"},
	{verifier.ErrFacts, codes.FailedPrecondition, "INDEX_DAMAGED"},
	{decide.ErrNoArtifact, codes.InvalidArgument, "NO_ARTIFACT"},
	{store.ErrFull, codes.ResourceExhausted, "STORAGE_FULL"},
	{tlog.ErrPushback, codes.Unavailable, "LOG_BUSY"},
	{tlog.ErrClosed, codes.Unavailable, "SHUTTING_DOWN"},
	{store.ErrClosed, codes.Unavailable, "SHUTTING_DOWN"},
	{errShuttingDown, codes.Unavailable, "SHUTTING_DOWN"},
	{tlog.ErrProof, codes.InvalidArgument, "NO_SUCH_PROOF"},
	{sign.ErrUnavailable, codes.Unavailable, "KEY_UNAVAILABLE"},
	{sign.ErrDenied, codes.FailedPrecondition, "KEY_DENIED"},
	{sign.ErrKey, codes.FailedPrecondition, "KEY_UNUSABLE"},
	{sign.ErrBadSignature, codes.FailedPrecondition, "KEY_UNUSABLE"},
	{register.ErrUncommitted, codes.Unavailable, "NOT_REGISTERED"},
	{errNotFound, codes.NotFound, "NOT_FOUND"},
	{store.ErrNotFound, codes.NotFound, "NOT_FOUND"},
	{tlog.ErrNotFound, codes.NotFound, "NOT_FOUND"},
	{context.DeadlineExceeded, codes.DeadlineExceeded, "DEADLINE_EXCEEDED"},
	{context.Canceled, codes.Canceled, "CANCELLED"},
	// What is no matter of the request's content.
	{errMethodNotAllowed, codes.Unimplemented, "METHOD_NOT_ALLOWED"},
	{errMediaType, codes.InvalidArgument, "UNSUPPORTED_MEDIA_TYPE"},
	{errUnimplemented, codes.Unimplemented, "UNIMPLEMENTED"},
	{errConnectionLost, codes.Unavailable, "CONNECTION_LOST"},
	{errInternal, codes.Internal, "INTERNAL"},
}

// remedies end the text of errors whose causes do not know what is to be done.
var remedies = map[string]string{
	"STORAGE_FULL":    "; nothing acknowledged is lost: make room, and hand it in again",
	"KEY_UNAVAILABLE": "; nothing was registered: hand it in again when the key's keeper answers",
	"LOG_DAMAGED":     "; whoever runs the service finds all of it with sekishod fsck, and mends the log with sekishod repair",
	"INDEX_DAMAGED":   "; whoever runs the service makes it anew with: sekishod reindex",
	"CONNECTION_LOST": "; ask again: a registration that was done is found and not done twice",
	"UNIMPLEMENTED":   "; the service may be older than its caller",
	"INTERNAL":        "; quote the request id to whoever runs the service",
}

var (
	errForbidden        = errors.New("not allowed for this caller")
	errNotFound         = errors.New("not found")
	errBadRequest       = errors.New("bad request")
	errMethodNotAllowed = errors.New("not a method of this path")
	errMediaType        = errors.New("not a form that is read")
	errUnimplemented    = errors.New("no such method")
	errConnectionLost   = errors.New("a connection within the service broke")
	errShuttingDown     = errors.New("the service is shutting down")
	errInternal         = errors.New("internal error")
)

// rowOf returns the row of the table by which an error crosses the wire.
func rowOf(err error) (outcome, bool) {
	for _, o := range outcomes {
		if errors.Is(err, o.err) {
			return o, true
		}
	}
	return outcome{}, false
}

// toStatus maps an error to what the caller may know of it, in at most [maxText]
// bytes. The whole of what is held back goes to the log, with the request id.
func toStatus(ctx context.Context, log *slog.Logger, err error) error {
	if err == nil {
		return nil
	}
	// Made by grpc itself, or by a handler that was here already. A status that
	// something of ours wraps is another server's, and no answer of ours.
	if made, ok := err.(interface{ GRPCStatus() *status.Status }); ok {
		return complete(made.GRPCStatus(), requestID(ctx)).Err()
	}
	o, listed := rowOf(err)
	text := err.Error()
	switch {
	case !listed || errors.Is(err, errInternal):
		log.ErrorContext(ctx, "internal error", "error", err, "request", requestID(ctx))
		o, _ = rowOf(errInternal)
		text = o.err.Error()
	case ofThisHost(o, err):
		log.ErrorContext(ctx, "answered without the cause", "reason", o.reason, "error", err, "request", requestID(ctx))
		text = o.err.Error() + "; whoever runs the service finds the cause in its log, by the request id"
	}
	return withReason(o.code, o.reason, ending(text, remedies[o.reason]), requestID(ctx)).Err()
}

// complete gives a status that was made by grpc, or by the gateway, the reason that
// ours have, and the bounds.
func complete(s *status.Status, requestID string) *status.Status {
	if info := infoOf(s); info != nil {
		return bounded(s, info)
	}
	o, _ := rowOf(ofCode(s))
	text := s.Message()
	if o.code != s.Code() || text == "" {
		text = o.err.Error() + ": " + text
	}
	return withReason(o.code, o.reason, ending(text, remedies[o.reason]), requestID)
}

// ofCode returns the sentinel of a status that none of ours made. What has no row,
// because grpc never makes it, is internal.
func ofCode(s *status.Status) error {
	switch s.Code() {
	case codes.Canceled:
		return context.Canceled
	case codes.DeadlineExceeded:
		return context.DeadlineExceeded
	case codes.InvalidArgument:
		return errBadRequest
	case codes.NotFound:
		return errNotFound
	case codes.PermissionDenied:
		return errForbidden
	case codes.Unauthenticated:
		return identity.ErrUnauthenticated
	case codes.Unimplemented:
		return errUnimplemented
	case codes.ResourceExhausted: // the only resource that grpc itself knows is the message
		return register.ErrTooLarge
	case codes.Unavailable:
		return errConnectionLost
	}
	return errInternal
}

// infoOf returns the ErrorInfo of a status of ours; nil for another's.
func infoOf(s *status.Status) *errdetails.ErrorInfo {
	for _, d := range s.Details() {
		if info, ok := d.(*errdetails.ErrorInfo); ok && info.GetDomain() == ErrorDomain {
			return info
		}
	}
	return nil
}

// details are what a status of ours carries: why, and when to come again where that
// is to be said.
func details(info *errdetails.ErrorInfo) []protoadapt.MessageV1 {
	if info.GetReason() == "BUSY" {
		return []protoadapt.MessageV1{info, &errdetails.RetryInfo{RetryDelay: durationpb.New(retryAfter)}}
	}
	return []protoadapt.MessageV1{info}
}

func withReason(code codes.Code, reason, message, requestID string) *status.Status {
	s := status.New(code, cut(message, maxText))
	info := &errdetails.ErrorInfo{Reason: reason, Domain: ErrorDomain}
	if requestID != "" { // the JSON port has none before it asks
		info.Metadata = map[string]string{"requestId": requestID}
	}
	detailed, err := s.WithDetails(details(info)...)
	if err != nil {
		return s
	}
	return detailed
}
