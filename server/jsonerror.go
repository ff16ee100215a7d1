package server

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/genproto/googleapis/rpc/code"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// An errorBody is an error on the JSON port and in the command line's JSON.
type errorBody struct {
	Error struct {
		Code     string            `json:"code"`
		Reason   string            `json:"reason"`
		Message  string            `json:"message"`
		Metadata map[string]string `json:"metadata"`
	} `json:"error"`
}

// writeError answers an error of the gRPC server in JSON.
func writeError(_ context.Context, _ *runtime.ServeMux, _ runtime.Marshaler, w http.ResponseWriter, _ *http.Request, err error) {
	var body errorBody
	s := status.Convert(err)
	body.Error.Code, body.Error.Message = code.Code(s.Code()).String(), s.Message()
	for _, d := range s.Details() {
		if info, ok := d.(*errdetails.ErrorInfo); ok {
			body.Error.Reason, body.Error.Metadata = info.GetReason(), info.GetMetadata()
		}
	}
	if s.Code() == codes.Unauthenticated {
		w.Header().Set("WWW-Authenticate", "Bearer")
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(runtime.HTTPStatusFromCode(s.Code()))
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false) // it is JSON, and read by people
	enc.Encode(body)         //nolint:errcheck // the caller is gone
}
