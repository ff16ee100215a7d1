package server

import (
	"testing"

	"google.golang.org/grpc/codes"

	"github.com/sekisho-dev/sekisho/attest"
	"github.com/sekisho-dev/sekisho/internal/testhouse"
	sekishov1 "github.com/sekisho-dev/sekisho/proto/sekisho/v1"
)

// TestSBOMIsNotReadForNobody: whether a caller may have anything signed is asked before
// the document is read, so that one that cannot be read says the same.
func TestSBOMIsNotReadForNobody(t *testing.T) {
	addr, _, _ := start(t, testhouse.New(t, testhouse.Options{}))
	boms := sekishov1.NewSbomServiceClient(dial(t, addr))
	req := &sekishov1.UploadSbomRequest{Artifact: &sekishov1.Artifact{Digest: attest.SHA256(nil).Set()}, Document: []byte("no SBOM")}
	_, err := boms.UploadSbom(as(t.Context(), builderToken), req)
	if code, reason := reasonOf(err); code != codes.PermissionDenied || reason != "SUBMITTER_NOT_ALLOWED" {
		t.Errorf("a builder who is no submitter: %v", err)
	}
	_, err = boms.UploadSbom(as(t.Context(), adminToken), req)
	if code, _ := reasonOf(err); code != codes.InvalidArgument {
		t.Errorf("a submitter: %v", err)
	}
}
