package hammer

import (
	"context"
	"fmt"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	sekishov1 "github.com/sekisho-dev/sekisho/proto/sekisho/v1"
)

// uploadSBOM has a document of some 3 MiB signed, and looks at what is read from it. Most
// of its components are in every such document, as it is with builds of one product.
func (h *honest) uploadSBOM(ctx context.Context) (string, error) {
	const components, changed = 8000, 500
	ctx, cancel := patient(ctx, h.s.token)
	defer cancel()
	n := h.serial.Add(1)
	var doc strings.Builder
	doc.WriteString(`{"bomFormat":"CycloneDX","specVersion":"1.6","version":1,"components":[`)
	for i := range components {
		version := "1.0.0"
		if i < changed {
			version = fmt.Sprintf("1.%d.0", n)
		}
		if i > 0 {
			doc.WriteByte(',')
		}
		fmt.Fprintf(&doc, `{"type":"library","name":"part-%d","version":"%s","purl":"pkg:npm/part-%[1]d@%[2]s","description":"%[3]s"}`, i, version, strings.Repeat("d", 280))
	}
	doc.WriteString(`]}`)
	resp, err := sekishov1.NewSbomServiceClient(h.s.conn).UploadSbom(ctx, &sekishov1.UploadSbomRequest{
		Artifact: &sekishov1.Artifact{Digest: artifact("bill", n).Set()}, Document: []byte(doc.String())})
	if err != nil {
		return outcome(err), nil
	}
	if resp.GetComponentCount() != components {
		return "", fmt.Errorf("%d components were read, want %d", resp.GetComponentCount(), components)
	}
	return ok, h.acknowledge(resp.GetReceipt(), resp.GetAttestation())
}

// explain reads everything that is known about an artifact; about the one of which
// strangers say very much, the first page.
func (h *honest) explain(ctx context.Context) (string, error) {
	ctx, cancel := patient(ctx, h.auditor)
	defer cancel()
	q := h.anything()
	resp, err := sekishov1.NewAdmissionServiceClient(h.asking).ExplainArtifact(ctx, &sekishov1.ExplainArtifactRequest{Question: q.ask, PageSize: 100})
	if err != nil {
		return outcome(err), nil
	}
	if q.verdict == sekishov1.Verdict_VERDICT_ALLOW && len(resp.GetFindings()) == 0 {
		return "", fmt.Errorf("%v is allowed, and nothing is known about it", q.ask.GetArtifact().GetDigest())
	}
	return ok, q.check(resp.GetDecision())
}

// list finds an attestation by its subject.
func (h *honest) list(ctx context.Context) (string, error) {
	ctx, cancel := patient(ctx, h.auditor)
	defer cancel()
	e := h.some()
	client, req := sekishov1.NewAttestationServiceClient(h.asking), &sekishov1.ListAttestationsRequest{Subject: string(e.artifact)}
	resp, err := client.ListAttestations(ctx, req)
	if err != nil {
		return outcome(err), nil
	}
	got := resp.GetAttestations()
	if len(got) == 0 {
		// A list is of the index, which may be a moment behind the log, and says nothing of it.
		if how, err := h.indexed(ctx, e); how != ok || err != nil {
			return how, err
		}
		if resp, err = client.ListAttestations(ctx, req); err != nil {
			return outcome(err), nil
		}
		got = resp.GetAttestations()
	}
	if len(got) != 1 || got[0].GetDigest() != e.digest || got[0].GetLogIndex() != e.index {
		return "", fmt.Errorf("the list of %s: want entry %d, %s; got %v", e.artifact, e.index, e.digest, got)
	}
	return ok, nil
}

// indexed asks a question that waits for the index to have an entry. Where that takes
// long, it is STALE_INDEX.
func (h *honest) indexed(ctx context.Context, e entry) (string, error) {
	q := allowed(e)
	resp, err := sekishov1.NewAdmissionServiceClient(h.asking).EvaluateDeployment(ctx, q.ask)
	if err != nil {
		return outcome(err), nil
	}
	return ok, q.check(resp)
}

// get reads an attestation again, and verifies its receipt.
func (h *honest) get(ctx context.Context) (string, error) {
	ctx, cancel := patient(ctx, h.auditor)
	defer cancel()
	e := h.some()
	client, req := sekishov1.NewAttestationServiceClient(h.asking), &sekishov1.GetAttestationRequest{Attestation: fmt.Sprint(e.index)}
	resp, err := client.GetAttestation(ctx, req)
	if status.Code(err) == codes.NotFound { // likewise
		if how, err := h.indexed(ctx, e); how != ok || err != nil {
			return how, err
		}
		resp, err = client.GetAttestation(ctx, req)
	}
	if err != nil {
		return outcome(err), nil
	}
	if resp.GetAttestation().GetDigest() != e.digest {
		return "", fmt.Errorf("entry %d was %s and is %s", e.index, e.digest, resp.GetAttestation().GetDigest())
	}
	if _, err := h.included(resp.GetReceipt()); err != nil {
		return "", fmt.Errorf("entry %d has %w", e.index, err)
	}
	return ok, nil
}
