package follow_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"testing"

	"github.com/sekisho-dev/sekisho/attest"
	"github.com/sekisho-dev/sekisho/internal/testhouse"
	"github.com/sekisho-dev/sekisho/server/follow"
	"github.com/sekisho-dev/sekisho/sign"
	"github.com/sekisho-dev/sekisho/store"
	"github.com/sekisho-dev/sekisho/verifier"
)

// logged writes an entry into the log as Register does, without asking whether what it
// says may be there: as an edition of another time may have.
func logged(t *testing.T, h *testhouse.House, payload []byte) attest.Receipt {
	t.Helper()
	e, err := sign.Envelope(t.Context(), h.Signer, attest.PayloadTypeInToto, payload)
	if err != nil {
		t.Fatal(err)
	}
	key := h.Signer.Key()
	rec := &attest.Record{
		PayloadType: e.PayloadType, PayloadDigest: attest.SHA256(payload), PayloadSize: int64(len(payload)), Payload: payload,
		Signature: e.Signatures[0], KeyDetails: key.Details, PublicKey: key.SPKI,
	}
	leaf, err := rec.Leaf(payload)
	if err != nil {
		t.Fatal(err)
	}
	entry, err := leaf.Entry()
	if err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(rec)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Blobs.Put(t.Context(), follow.RecordKey(attest.LeafHash(entry)), int64(len(raw)), bytes.NewReader(raw)); err != nil {
		t.Fatal(err)
	}
	receipt, err := h.Log.Append(t.Context(), entry)
	if err != nil {
		t.Fatal(err)
	}
	return receipt
}

// TestNothingLoggedStopsTheIndex: an entry of which nobody can read the statement is a
// row that counts for nothing and is found by what the log commits to; what comes after
// it is followed, and Check lists it as no damage.
func TestNothingLoggedStopsTheIndex(t *testing.T) {
	h := testhouse.New(t, testhouse.Options{})
	payloads := []string{
		"no JSON", "{}", "[]", "null", `{"_type":"https://in-toto.io/Statement/v1"}`,
		`{"_type":"https://in-toto.io/Statement/v9","predicateType":"x","subject":[{"digest":{"sha256":"` + digest(1).Hex() + `"}}]}`,
		`{"_type":"https://in-toto.io/Statement/v1","predicateType":"https://slsa.dev/provenance/v1","subject":[{"digest":{"sha256":"` + digest(1).Hex() + `"}}],"predicate":{}}`,
		`{"_type":"https://in-toto.io/Statement/v1","predicateType":"https://sekisho.dev/policy/v1","subject":[{"digest":{"sha256":"` + digest(1).Hex() + `"}}],"predicate":{"document":"x"}}`,
	}
	unreadable := map[uint64]string{}
	for _, p := range payloads {
		unreadable[logged(t, h, []byte(p)).Index] = p
	}
	after := h.Statement(t, testhouse.Provenance(digest(2), localBuilder))
	if err := h.Follow.Wait(t.Context(), after.Receipt.Index+1); err != nil {
		t.Fatal(err)
	}
	if h.Follow.Control().Policy == nil {
		t.Error("the policy is gone")
	}
	err := h.Follow.View(t.Context(), func(s store.Snapshot, c *follow.Control) error {
		for index, p := range unreadable {
			rec, err := s.Record(index)
			if err != nil {
				return err
			}
			facts, err := verifier.RestoreFacts(rec.Value)
			if err != nil {
				return err
			}
			if b := c.Trust.Believe(facts); b.Signer != "" && facts.Unreadable() != "" || b.Level != attest.L0 {
				t.Errorf("%s: believed to be of %q at %v", p, b.Signer, b.Level)
			}
			if n, err := s.Count(store.Key{Kind: store.Payload, Value: string(attest.SHA256([]byte(p)))}); n != 1 || err != nil {
				t.Errorf("%s: not found by its payload: %d, %v", p, n, err)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	listed := 0
	for p, err := range h.Follow.Check(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if listed++; unreadable[p.Entry] == "" || !p.Harmless || !errors.Is(p.Err, verifier.ErrUnreadable) {
			t.Errorf("entry %d: %v, harmless %v", p.Entry, p.Err, p.Harmless)
		}
	}
	if listed != len(payloads)-1 { // the last is a statement, and no policy
		t.Errorf("%d entries are listed, want %d", listed, len(payloads)-1)
	}
}

// TestViewsEnd: no reader holds a snapshot for as long as it likes.
func TestViewsEnd(t *testing.T) {
	h := testhouse.New(t, testhouse.Options{})
	err := h.Follow.View(context.Background(), func(s store.Snapshot, _ *follow.Control) error {
		for {
			for _, err := range s.Find(store.Key{}, 0) {
				if err != nil {
					return err
				}
			}
		}
	})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a view without an end ends with %v", err)
	}
}
