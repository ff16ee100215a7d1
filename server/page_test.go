package server

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/sekisho-dev/sekisho/attest"
	"github.com/sekisho-dev/sekisho/internal/testhouse"
	sekishov1 "github.com/sekisho-dev/sekisho/proto/sekisho/v1"
)

// TestPageBounds: a page ends by elements, bytes or rows, whichever is first, and never
// before it holds something.
func TestPageBounds(t *testing.T) {
	kib := &sekishov1.Subject{Name: strings.Repeat("n", 1<<10)}
	for name, c := range map[string]struct {
		asked int32
		each  *sekishov1.Subject
		want  int
	}{
		"usual":     {0, kib, 100},
		"asked":     {7, kib, 7},
		"negative":  {-1, kib, 100},
		"most":      {1 << 30, &sekishov1.Subject{}, 1000},
		"by bytes":  {1000, &sekishov1.Subject{Name: strings.Repeat("n", 1<<20)}, 2},
		"too large": {1000, &sekishov1.Subject{Name: strings.Repeat("n", 5<<20)}, 1},
	} {
		p, n := newPage(c.asked, 100, 1000), 0
		for take(p, c.each) {
			n++
		}
		if n != c.want {
			t.Errorf("%s: %d elements, want %d", name, n, c.want)
		}
	}
	for name, c := range map[string]struct{ size, want int }{"small": {10, pageRows}, "fat": {10 << 20, 6}, "fatter": {pageRead + 1, 1}} {
		p, n := newPage(0, 100, 1000), 0
		for p.look(c.size) {
			n++
		}
		if n != c.want {
			t.Errorf("%s rows: %d, want %d", name, n, c.want)
		}
	}
}

// crowded is a statement of about 1.1 MB about an artifact and a thousand others.
func crowded(artifact attest.Digest, i int) []byte {
	var subjects strings.Builder
	for n := range 999 {
		fmt.Fprintf(&subjects, `{"name":"%s-%d","digest":{"sha256":"%s"}},`, strings.Repeat("n", 1000), n, attest.SHA256([]byte(fmt.Sprint("other", n))).Hex())
	}
	return fmt.Appendf(nil, `{"_type":%q,"subject":[%s{"name":"app","digest":{"sha256":%q}}],"predicateType":"https://slsa.dev/provenance/v1",`+
		`"predicate":{"buildDefinition":{"buildType":"https://localhost/type","externalParameters":{"n":%d}},"runDetails":{"builder":{"id":%q}}}}`,
		attest.StatementV1, subjects.String(), artifact.Hex(), i, localBuilder)
}

// TestPagesAreCutAtBytes: however large what was registered, each page can be sent, none
// is missing, and a filter that passes over all of it ends.
func TestPagesAreCutAtBytes(t *testing.T) {
	const fat = 64
	h := testhouse.New(t, testhouse.Options{})
	app := attest.SHA256([]byte("app"))
	for i := range fat {
		h.Statement(t, crowded(app, i))
	}
	addr, _, _ := start(t, h)
	conn, ctx := dial(t, addr), as(t.Context(), adminToken)

	list := func(req *sekishov1.ListAttestationsRequest) (all []uint64, pages, empty int) {
		t.Helper()
		for {
			resp, err := sekishov1.NewAttestationServiceClient(conn).ListAttestations(ctx, req)
			if err != nil {
				t.Fatal(err)
			}
			if n := proto.Size(resp); n > pageBytes+64 {
				t.Errorf("a page of %d bytes", n)
			}
			for _, a := range resp.GetAttestations() {
				all = append(all, a.GetLogIndex())
			}
			if pages++; len(resp.GetAttestations()) == 0 {
				empty++
			}
			if req.PageToken = resp.GetNextPageToken(); req.PageToken == "" {
				return all, pages, empty
			}
		}
	}
	want := make([]uint64, fat)
	for i := range want {
		want[i] = uint64(i) + 2 // trust root and policy were first
	}
	if all, pages, _ := list(&sekishov1.ListAttestationsRequest{Subject: string(app), PageSize: 1000}); !slices.Equal(all, want) || pages < 3 {
		t.Errorf("%d of %d attestations on %d pages: %v", len(all), fat, pages, all)
	}
	if all, pages, empty := list(&sekishov1.ListAttestationsRequest{Subject: string(app), BuilderId: "https://localhost/nobody"}); len(all) != 0 || empty != pages {
		t.Errorf("nobody's: %v on %d pages, %d of them empty; want all empty", all, pages, empty)
	}

	var found []uint64
	req := &sekishov1.ExplainArtifactRequest{Question: &sekishov1.EvaluateDeploymentRequest{Artifact: &sekishov1.Artifact{Digest: app.Set()}}}
	for pages := 1; ; pages++ {
		resp, err := sekishov1.NewAdmissionServiceClient(conn).ExplainArtifact(ctx, req)
		if err != nil {
			t.Fatal(err)
		}
		if n := proto.Size(resp) - proto.Size(resp.GetDecision()); n > pageBytes+64 || resp.GetDecision() == nil {
			t.Errorf("a page of %d bytes, decision %v", n, resp.GetDecision())
		}
		for _, f := range resp.GetFindings() {
			found = append(found, f.GetAttestation().GetLogIndex())
		}
		if req.PageToken = resp.GetNextPageToken(); req.PageToken == "" {
			if pages < 3 {
				t.Errorf("explained on %d pages", pages)
			}
			break
		}
	}
	if !slices.Equal(found, want) {
		t.Errorf("explained %v", found)
	}
}

// TestSBOMPagesAreCutAtBytes: so can those of components and of dependents.
func TestSBOMPagesAreCutAtBytes(t *testing.T) {
	h := testhouse.New(t, testhouse.Options{})
	const boms = 40
	for i := range boms {
		var subjects, components strings.Builder
		for n := range 1024 {
			fmt.Fprintf(&subjects, `,{"name":"%s","digest":{"sha256":"%064x","sha512":"%0128x"}}`, strings.Repeat("n", 60), 1024*i+n, n)
			if i == 0 {
				fmt.Fprintf(&components, `,{"type":"library","name":"%s","version":"%d"}`, strings.Repeat("c", 8000), n)
			}
		}
		h.Statement(t, fmt.Appendf(nil, `{"_type":%q,"subject":[%s],"predicateType":"https://cyclonedx.org/bom","predicate":{"bomFormat":"CycloneDX","specVersion":"1.6","version":1,`+
			`"components":[{"type":"library","name":"left-pad","version":"%d","purl":"pkg:npm/left-pad@1.3.0"}%s]}}`, attest.StatementV1, subjects.String()[1:], i, components.String()))
	}
	addr, _, _ := start(t, h)
	conn, ctx := sekishov1.NewSbomServiceClient(dial(t, addr)), as(t.Context(), adminToken)
	all := func(page func(token string) (n, size int, next string)) (total, pages int) {
		for token := ""; pages == 0 || token != ""; pages++ {
			n, size, next := page(token)
			if size > pageBytes+(512<<10) { // and the attestation, or the dependents of one SBOM
				t.Errorf("a page of %d bytes", size)
			}
			total, token = total+n, next
		}
		return total, pages
	}
	total, pages := all(func(token string) (int, int, string) {
		resp, err := conn.ListComponents(ctx, &sekishov1.ListComponentsRequest{Artifact: "sha256:" + fmt.Sprintf("%064x", 5), PageSize: 10000, PageToken: token})
		if err != nil {
			t.Fatal(err)
		}
		return len(resp.GetComponents()), proto.Size(resp), resp.GetNextPageToken()
	})
	if total != 1025 || pages < 3 {
		t.Errorf("%d components on %d pages", total, pages)
	}
	total, pages = all(func(token string) (int, int, string) {
		resp, err := conn.ListDependents(ctx, &sekishov1.ListDependentsRequest{Purl: "pkg:npm/left-pad", PageSize: 1000, PageToken: token})
		if err != nil {
			t.Fatal(err)
		}
		return len(resp.GetDependents()), proto.Size(resp), resp.GetNextPageToken()
	})
	if total != 1024*boms || pages < 3 {
		t.Errorf("%d dependents on %d pages", total, pages)
	}
}

// TestExplainPages: pages of any size hold everything once, and a token that is none of
// ours is refused.
func TestExplainPages(t *testing.T) {
	h := testhouse.New(t, testhouse.Options{})
	app := attest.SHA256([]byte("app"))
	for i := range 5 {
		h.Statement(t, testhouse.Provenance(app, fmt.Sprintf("%s/%d", localBuilder, i)))
		h.Statement(t, testhouse.Provenance(attest.SHA256([]byte{byte(i)}), localBuilder))
	}
	addr, _, _ := start(t, h)
	explain, ctx := sekishov1.NewAdmissionServiceClient(dial(t, addr)).ExplainArtifact, as(t.Context(), deployerToken)
	question := &sekishov1.EvaluateDeploymentRequest{Artifact: &sekishov1.Artifact{Digest: app.Set()}}
	for size := range int32(7) {
		var all []uint64
		req := &sekishov1.ExplainArtifactRequest{Question: question, PageSize: size}
		for {
			resp, err := explain(ctx, req)
			if err != nil {
				t.Fatal(err)
			}
			if n := len(resp.GetFindings()); size > 0 && n > int(size) {
				t.Errorf("%d findings on a page of %d", n, size)
			}
			for _, f := range resp.GetFindings() {
				all = append(all, f.GetAttestation().GetLogIndex())
			}
			if req.PageToken = resp.GetNextPageToken(); req.PageToken == "" {
				break
			}
		}
		if !slices.Equal(all, []uint64{2, 4, 6, 8, 10}) {
			t.Errorf("in pages of %d: %v", size, all)
		}
	}
	_, err := explain(ctx, &sekishov1.ExplainArtifactRequest{Question: question, PageToken: "!"})
	if code, reason := reasonOf(err); code.String() != "InvalidArgument" || reason != "BAD_REQUEST" {
		t.Errorf("a strange token: %v", err)
	}
}
