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

// outcomes is *the* table from sentinel errors to canonical codes and reasons.
// The first row that matches decides, so that causes stand above what wraps
// them. An error that is not listed is Internal: logged with its request id,
// and not sent.
var outcomes = []outcome{
	{errBusy, codes.ResourceExhausted, "BUSY"},
	// What was handed in.
	{register.ErrTooLarge, codes.ResourceExhausted, "DOCUMENT_TOO_LARGE"},
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
}

// remedies end the text of errors whose causes do not know what is to be done.
var remedies = map[string]string{
	"STORAGE_FULL":    "; nothing acknowledged is lost: make room, and hand it in again",
	"KEY_UNAVAILABLE": "; nothing was registered: hand it in again when the key's keeper answers",
	"LOG_DAMAGED":     "; whoever runs the service finds all of it with: sekishod fsck",
	"INDEX_DAMAGED":   "; whoever runs the service makes it anew with: sekishod reindex",
}

var (
	errForbidden  = errors.New("not allowed for this caller")
	errNotFound   = errors.New("not found")
	errBadRequest = errors.New("bad request")
)

// toStatus maps an error to what the caller may know of it.
func toStatus(ctx context.Context, log *slog.Logger, err error) error {
	if err == nil {
		return nil
	}
	if _, ok := status.FromError(err); ok {
		return err // made by grpc itself, or by a handler that was here already
	}
	for _, o := range outcomes {
		if errors.Is(err, o.err) {
			return withReason(o.code, o.reason, err.Error()+remedies[o.reason], requestID(ctx))
		}
	}
	log.ErrorContext(ctx, "internal error", "error", err)
	return withReason(codes.Internal, "INTERNAL", "internal error; quote the request id to whoever runs the service", requestID(ctx))
}

func withReason(code codes.Code, reason, message, requestID string) error {
	s := status.New(code, message)
	details := []protoadapt.MessageV1{&errdetails.ErrorInfo{
		Reason:   reason,
		Domain:   ErrorDomain,
		Metadata: map[string]string{"requestId": requestID},
	}}
	if reason == "BUSY" {
		details = append(details, &errdetails.RetryInfo{RetryDelay: durationpb.New(retryAfter)})
	}
	detailed, err := s.WithDetails(details...)
	if err != nil {
		return s.Err()
	}
	return detailed.Err()
}
