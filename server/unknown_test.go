package server

import (
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/sekisho-dev/sekisho/internal/testhouse"
)

// TestUnknownMethods: a method that is not there is refused with a reason, in a few
// words, however long its name.
func TestUnknownMethods(t *testing.T) {
	addr, _, _ := start(t, testhouse.New(t, testhouse.Options{}))
	conn := dial(t, addr)
	for _, method := range []string{"/sekisho.v1.AdmissionService/Allow", "/sekisho.v2.AdmissionService/EvaluateDeployment", "/x/" + strings.Repeat("y", 5_000)} {
		s := status.Convert(conn.Invoke(as(t.Context(), adminToken), method, &emptypb.Empty{}, &emptypb.Empty{}))
		if s.Code() != codes.Unimplemented || infoOf(s).GetReason() != "UNIMPLEMENTED" || len(s.Message()) > 300 {
			t.Errorf("%.60s: %v %s %.400s", method, s.Code(), infoOf(s).GetReason(), s.Message())
		}
	}
}
