package server

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"strconv"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/genproto/googleapis/rpc/code"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// An ErrorBody is an error on the JSON port, and in the JSON of the commands.
type ErrorBody struct {
	Error struct {
		Code     string            `json:"code"`
		Reason   string            `json:"reason"`
		Message  string            `json:"message"`
		Metadata map[string]string `json:"metadata"`
	} `json:"error"`
}

// writeError answers an error of the gRPC server in JSON.
func writeError(_ context.Context, _ *runtime.ServeMux, _ runtime.Marshaler, w http.ResponseWriter, _ *http.Request, err error) {
	s := status.Convert(err)
	if s.Code() == codes.Unauthenticated {
		w.Header().Set("WWW-Authenticate", "Bearer")
	}
	for _, d := range s.Details() {
		if later, ok := d.(*errdetails.RetryInfo); ok {
			w.Header().Set("Retry-After", strconv.FormatFloat(later.GetRetryDelay().AsDuration().Seconds(), 'f', 0, 64))
		}
	}
	for _, d := range s.Details() {
		if info, ok := d.(*errdetails.ErrorInfo); ok {
			writeBody(w, httpStatus(s.Code(), info.GetReason()), s.Code(), info.GetReason(), s.Message(), info.GetMetadata())
			return
		}
	}
	s, reason := ofGateway(s)
	writeBody(w, httpStatus(s.Code(), reason), s.Code(), reason, s.Message())
}

// httpStatus is the usual one of a code, but where that would say something else: a
// document that is too large is not to be sent again later, and what is wrong with the
// service is not the caller's fault.
func httpStatus(code codes.Code, reason string) int {
	switch reason {
	case "DOCUMENT_TOO_LARGE":
		return http.StatusRequestEntityTooLarge
	case "STORAGE_FULL":
		return http.StatusInsufficientStorage
	case "LOG_DAMAGED", "LOG_ROLLED_BACK", "INDEX_DAMAGED", "KEY_DENIED", "KEY_UNUSABLE":
		return http.StatusServiceUnavailable
	}
	return runtime.HTTPStatusFromCode(code)
}

// NewErrorBody makes an error's body. Its metadata is an object, also where there is
// none.
func NewErrorBody(c codes.Code, reason, message string) *ErrorBody {
	b := &ErrorBody{}
	b.Error.Code, b.Error.Reason, b.Error.Message = code.Code(c).String(), reason, message
	b.Error.Metadata = map[string]string{}
	return b
}

// writeBody writes an error.
func writeBody(w http.ResponseWriter, httpStatus int, c codes.Code, reason, message string, metadata ...map[string]string) {
	body := NewErrorBody(c, reason, message)
	for _, m := range metadata {
		maps.Copy(body.Error.Metadata, m)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(httpStatus)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false) // it is JSON, and read by people
	enc.Encode(body)         //nolint:errcheck // the caller is gone
}
