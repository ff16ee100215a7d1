package server

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/sekisho-dev/sekisho/attest"
	"github.com/sekisho-dev/sekisho/internal/testhouse"
	sekishov1 "github.com/sekisho-dev/sekisho/proto/sekisho/v1"
)

// parts is a document of so many components, the first of them named so.
func parts(first string, n int) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, `{"bomFormat":"CycloneDX","specVersion":"1.6","components":[{"type":"file","name":%q,"purl":"pkg:npm/%[1]s@1"}`, first)
	for i := 1; i < n; i++ {
		fmt.Fprintf(&b, `,{"type":"file","name":"%s-%06d"}`, first, i)
	}
	return []byte(b.String() + "]}")
}

// TestSBOMPages: a list of components is of one document, whatever is registered
// while it is read, and one of dependents leaves nobody out.
func TestSBOMPages(t *testing.T) {
	h := testhouse.New(t, testhouse.Options{})
	addr, _, _ := start(t, h)
	boms, ctx := sekishov1.NewSbomServiceClient(dial(t, addr)), as(t.Context(), adminToken)
	upload := func(artifact attest.Digest, document []byte) *sekishov1.UploadSbomResponse {
		t.Helper()
		resp, err := boms.UploadSbom(ctx, &sekishov1.UploadSbomRequest{Artifact: &sekishov1.Artifact{Digest: artifact.Set()}, Document: document})
		if err != nil {
			t.Fatal(err)
		}
		return resp
	}
	app, other := attest.SHA256([]byte("app")), attest.SHA256([]byte("other"))
	upload(other, parts("other", 3))
	first := upload(app, parts("old", 1005)).GetAttestation().GetDigest()

	req := &sekishov1.ListComponentsRequest{Artifact: string(app), PageSize: 400}
	var names []string
	for {
		resp, err := boms.ListComponents(ctx, req)
		if err != nil {
			t.Fatal(err)
		}
		if resp.GetAttestation().GetDigest() != first {
			t.Errorf("a page is of %s, the first was of %s", resp.GetAttestation().GetDigest(), first)
		}
		for _, c := range resp.GetComponents() {
			names = append(names, c.GetName())
		}
		if len(names) == 400 {
			upload(app, parts("new", 1))
		}
		if req.PageToken = resp.GetNextPageToken(); req.PageToken == "" {
			break
		}
	}
	slices.Sort(names)
	if n := len(slices.Compact(names)); n != 1005 || slices.Contains(names, "new") {
		t.Errorf("%d components, want the 1005 of the first document", n)
	}
	if resp, err := boms.ListComponents(ctx, &sekishov1.ListComponentsRequest{Artifact: string(app)}); err != nil || len(resp.GetComponents()) != 1 {
		t.Errorf("asked anew: %v, %v; want the newer document", resp, err)
	}
	for name, token := range map[string]string{
		"a number": "5", "of another artifact": "2.1", "of what is no SBOM": "0.1", "of nothing": "zz.1", "no number": "3.!", "none before": ".1",
	} {
		_, err := boms.ListComponents(ctx, &sekishov1.ListComponentsRequest{Artifact: string(app), PageToken: token})
		if code := status.Code(err); code != codes.InvalidArgument && code != codes.NotFound {
			t.Errorf("page token %s: %v", name, err)
		}
	}

	for i := range 250 {
		h.Statement(t, bytes.ReplaceAll(sbomStatement(attest.SHA256(fmt.Append(nil, i))), []byte("PART"), []byte("shared")))
	}
	found, token := map[string]bool{}, ""
	for range 10 {
		resp, err := boms.ListDependents(ctx, &sekishov1.ListDependentsRequest{Purl: "pkg:npm/shared", PageToken: token})
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range resp.GetDependents() {
			found[d.GetArtifact().GetDigest()["sha256"]] = true
		}
		if token = resp.GetNextPageToken(); token == "" {
			break
		}
	}
	if len(found) != 250 {
		t.Errorf("%d dependents, want 250", len(found))
	}
}

func sbomStatement(artifact attest.Digest) []byte {
	return []byte(`{"_type":"` + attest.StatementV1 + `","subject":[{"digest":{"sha256":"` + artifact.Hex() + `"}}],"predicateType":"https://cyclonedx.org/bom",` +
		`"predicate":{"bomFormat":"CycloneDX","specVersion":"1.6","components":[{"type":"file","name":"PART","purl":"pkg:npm/PART@1"}]}}`)
}

// TestSBOMOfAStranger: an envelope that a stranger signed stands in the log, and says
// nothing of what is in an artifact.
func TestSBOMOfAStranger(t *testing.T) {
	h := testhouse.New(t, testhouse.Options{})
	addr, _, _ := start(t, h)
	conn, ctx := dial(t, addr), as(t.Context(), adminToken)
	stranger, app := newKey(t), attest.SHA256([]byte("app"))
	envelope := envelopeBy(t, stranger, attest.PayloadTypeInToto, sbomStatement(app)).JSON()
	created, err := sekishov1.NewAttestationServiceClient(conn).CreateAttestation(ctx, &sekishov1.CreateAttestationRequest{
		Document: &sekishov1.CreateAttestationRequest_Envelope{Envelope: envelope}, PublicKey: testhouse.PublicPEM(stranger),
	})
	if err != nil {
		t.Fatal(err)
	}
	boms := sekishov1.NewSbomServiceClient(conn)
	dependents := func(ctx context.Context) []*sekishov1.Dependent {
		t.Helper()
		resp, err := boms.ListDependents(ctx, &sekishov1.ListDependentsRequest{Purl: "pkg:npm/PART", PageSize: 1})
		if err != nil || resp.GetNextPageToken() != "" {
			t.Fatalf("%v, %v", resp, err)
		}
		return resp.GetDependents()
	}
	if found := dependents(ctx); len(found) != 0 {
		t.Errorf("found on a stranger's word: %v", found)
	}
	ours := h.Statement(t, sbomStatement(app))
	if found := dependents(ctx); len(found) != 1 || found[0].GetLogIndex() != ours.Receipt.Index || found[0].GetLogIndex() == created.GetAttestation().GetLogIndex() {
		t.Errorf("%v, want what stands at %d", found, ours.Receipt.Index)
	}
}

// TestSBOMByTheOtherDoor: what UploadSbom refuses is not signed as a statement
// either, and leaves nothing in the log.
func TestSBOMByTheOtherDoor(t *testing.T) {
	h := testhouse.New(t, testhouse.Options{})
	addr, _, _ := start(t, h)
	attestations, ctx := sekishov1.NewAttestationServiceClient(dial(t, addr)), as(t.Context(), adminToken)
	good, before := sbomStatement(attest.SHA256([]byte("app"))), h.Follow.Progress().Size
	for old, other := range map[string]string{
		`"type":"file",`: ``, `"1.6"`: `"1.3"`, `"bomFormat":"CycloneDX",`: ``, `https://cyclonedx.org/bom`: `https://spdx.dev/Document`, `"components":`: `"Components":`,
	} {
		bad := bytes.Replace(good, []byte(old), []byte(other), 1)
		_, err := attestations.CreateAttestation(ctx, &sekishov1.CreateAttestationRequest{Document: &sekishov1.CreateAttestationRequest_Statement{Statement: bad}})
		if status.Code(err) != codes.InvalidArgument || !strings.Contains(fmt.Sprint(err), "SBOM") {
			t.Errorf("%s for %s: %v", other, old, err)
		}
	}
	if after := h.Follow.Progress().Size; after != before {
		t.Errorf("the log grew from %d to %d entries", before, after)
	}
	h.Statement(t, good)
}

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
