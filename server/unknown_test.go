package server

import (
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/sekisho-dev/sekisho/internal/testhouse"
	sekishov1 "github.com/sekisho-dev/sekisho/proto/sekisho/v1"
)

// TestUnknownMethods: a method that is not there is refused with a reason, in a few
// words, however long its name.
func TestUnknownMethods(t *testing.T) {
	addr, _, _ := start(t, testhouse.New(t, testhouse.Options{}))
	conn := dial(t, addr)
	for _, method := range []string{"/sekisho.v1.AdmissionService/Allow", "/sekisho.v2.AdmissionService/EvaluateDeployment", "/x/" + strings.Repeat("y", 10_000)} {
		s := status.Convert(conn.Invoke(as(t.Context(), adminToken), method, &emptypb.Empty{}, &emptypb.Empty{}))
		if s.Code() != codes.Unimplemented || infoOf(s).GetReason() != "UNIMPLEMENTED" || len(s.Message()) > 300 {
			t.Errorf("%.60s: %v %s %.400s", method, s.Code(), infoOf(s).GetReason(), s.Message())
		}
	}
}

// TestLoggedIsNotNotFound: an entry that the log has and the index does not have yet is
// not one that was never there.
func TestLoggedIsNotNotFound(t *testing.T) {
	h := testhouse.New(t, testhouse.Options{Still: true, Bare: true})
	if err := h.Follow.CatchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Log.Append(t.Context(), []byte("an entry that nobody has followed")); err != nil {
		t.Fatal(err)
	}
	addr, _, _ := start(t, h)
	get := func(name string) *status.Status {
		_, err := sekishov1.NewAttestationServiceClient(dial(t, addr)).GetAttestation(as(t.Context(), adminToken), &sekishov1.GetAttestationRequest{Attestation: name})
		return status.Convert(err)
	}
	if s := get("0"); infoOf(s).GetReason() != "STALE_INDEX" {
		t.Errorf("what is logged: %v", s)
	}
	if s := get("1"); infoOf(s).GetReason() != "NOT_FOUND" {
		t.Errorf("what is not: %v", s)
	}
}
