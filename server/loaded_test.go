package server

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"

	sekishov1 "github.com/sekisho-dev/sekisho/proto/sekisho/v1"
	"github.com/sekisho-dev/sekisho/server/identity"
	"github.com/sekisho-dev/sekisho/store"
)

// oneBlob is a blob of so many bytes, under every key.
type oneBlob struct {
	store.Blobs
	size int
}

func (o oneBlob) Get(context.Context, string) (io.ReadCloser, error) {
	return io.NopCloser(bytes.NewReader(make([]byte, o.size))), nil
}

// TestLoaded: a document that turns out to be large has its part of the budget before
// it is in memory, or is not read; a small one does not ask, and neither does what is
// no answer with a document.
func TestLoaded(t *testing.T) {
	reader := identity.Caller{Issuer: "token:x", Subject: "auditor"}
	for name, c := range map[string]struct {
		method string
		size   int
		full   bool
		held   int64
		busy   bool
	}{
		"small":                 {sekishov1.AttestationService_GetAttestation_FullMethodName, smallMessage, true, 0, false},
		"middling":              {sekishov1.AttestationService_GetAttestation_FullMethodName, smallMessage + 1, false, timesLoaded * middling, false},
		"large":                 {sekishov1.AttestationService_GetAttestation_FullMethodName, 5 * middling, false, timesLoaded * maxMessage, false},
		"a large SBOM":          {sekishov1.SbomService_GetSbom_FullMethodName, 5 * middling, false, 512 << 20, false},
		"large, and no room":    {sekishov1.SbomService_GetSbom_FullMethodName, 5 * middling, true, 0, true},
		"not of a document":     {sekishov1.AttestationService_ListAttestations_FullMethodName, 5 * middling, true, 0, false},
		"middling, and no room": {sekishov1.SbomService_ListComponents_FullMethodName, smallMessage + 1, true, 0, true},
		"of one who only asks":  {sekishov1.AdmissionService_ExplainArtifact_FullMethodName, 5 * middling, true, 0, false},
	} {
		b := newBudget(1<<30, 2)
		if c.full {
			b.working.all.TryAcquire(b.working.size)
		}
		s := &call{Context: soon(t), method: c.method, caller: reader}
		r, err := weighedBlobs{oneBlob{size: c.size}, b}.Get(s, "record/x")
		if err != nil {
			t.Fatal(err)
		}
		n, err := io.Copy(io.Discard, r)
		switch {
		case c.busy && (err == nil || n > 2*middling):
			t.Errorf("%s: %d bytes were read: %v", name, n, err)
		case c.busy && !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, errBusy):
			t.Errorf("%s: %v", name, err)
		case !c.busy && (err != nil || n != int64(c.size) || s.work.size() != c.held):
			t.Errorf("%s: %d bytes, %d held, want %d: %v", name, n, s.work.size(), c.held, err)
		}
	}
}
