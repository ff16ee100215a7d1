package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strconv"
	"strings"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/genproto/googleapis/rpc/code"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/sekisho-dev/sekisho/server/register"
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

// fail answers an error of the gRPC server, or of the gateway on the way there, in JSON.
func (g *gateway) fail(_ context.Context, _ *runtime.ServeMux, _ runtime.Marshaler, w http.ResponseWriter, _ *http.Request, err error) {
	if unrouted := (*runtime.HTTPStatusError)(nil); errors.As(err, &unrouted) { // a path that cannot be unescaped
		refuse(w, errBadRequest, "the path cannot be read: "+unrouted.Err.Error())
		return
	}
	s := status.Convert(err)
	if infoOf(s) == nil {
		s = g.ofGateway(s)
	}
	writeStatus(w, s)
}

// refuse answers one of the errors of the table, with a text of its own.
func refuse(w http.ResponseWriter, err error, text string) {
	o, _ := rowOf(err)
	writeStatus(w, withReason(o.code, o.reason, text, ""))
}

// writeStatus writes a status in JSON.
func writeStatus(w http.ResponseWriter, s *status.Status) {
	s = complete(s, "")
	if s.Code() == codes.Unauthenticated {
		w.Header().Set("WWW-Authenticate", "Bearer")
	}
	for _, d := range s.Details() {
		if later, ok := d.(*errdetails.RetryInfo); ok {
			w.Header().Set("Retry-After", strconv.FormatFloat(later.GetRetryDelay().AsDuration().Seconds(), 'f', 0, 64))
		}
	}
	info := infoOf(s)
	body := NewErrorBody(s.Code(), info.GetReason(), s.Message())
	maps.Copy(body.Error.Metadata, info.GetMetadata())
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store") // also where a path's answers may be kept
	w.WriteHeader(httpStatus(s.Code(), info.GetReason()))
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false) // it is JSON, and read by people
	enc.Encode(body)         //nolint:errcheck // the caller is gone
}

// httpStatus is the usual one of a code, but where that would say something else: a
// document that is too large is not to be sent again later, and what is wrong with the
// service is not the caller's fault.
func httpStatus(code codes.Code, reason string) int {
	switch reason {
	case "DOCUMENT_TOO_LARGE":
		return http.StatusRequestEntityTooLarge
	case "METHOD_NOT_ALLOWED":
		return http.StatusMethodNotAllowed
	case "UNSUPPORTED_MEDIA_TYPE":
		return http.StatusUnsupportedMediaType
	case "STORAGE_FULL":
		return http.StatusInsufficientStorage
	case "LOG_DAMAGED", "LOG_ROLLED_BACK", "INDEX_DAMAGED", "KEY_DENIED", "KEY_UNUSABLE":
		return http.StatusServiceUnavailable
	}
	return runtime.HTTPStatusFromCode(code)
}

// tooLarge is what net/http says of a request that is.
var tooLarge = (&http.MaxBytesError{}).Error()

// ofGateway gives a status that was made by the gateway, or by grpc under it, the
// words that ours have.
func (g *gateway) ofGateway(s *status.Status) *status.Status {
	err, text := ofCode(s), s.Message()
	switch {
	case strings.HasSuffix(text, tooLarge):
		err, text = register.ErrTooLarge, fmt.Sprintf("the request has more than %d MiB; documents have at most 16 MiB", maxMessage>>20)
	case s.Code() == codes.InvalidArgument:
		text = ending("the request cannot be read: "+text, "; /openapi.json says what it may hold")
	case g.closed.Load() && (s.Code() == codes.Unavailable || s.Code() == codes.Canceled): // cut off by ourselves
		err, text = errShuttingDown, errShuttingDown.Error()
	default:
		return s // its reason is that of its code
	}
	o, _ := rowOf(err)
	return withReason(o.code, o.reason, text, "")
}

// NewErrorBody makes an error's body. Its metadata is an object, also where there is
// none.
func NewErrorBody(c codes.Code, reason, message string) *ErrorBody {
	b := &ErrorBody{}
	b.Error.Code, b.Error.Reason, b.Error.Message = code.Code(c).String(), reason, message
	b.Error.Metadata = map[string]string{}
	return b
}
