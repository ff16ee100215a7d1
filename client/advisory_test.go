package client_test

import (
	"errors"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/sekisho-dev/sekisho/client"
	sekishov1 "github.com/sekisho-dev/sekisho/proto/sekisho/v1"
)

// A5, CVE-2024-51746 (gitsign): of two entries by the same key the first that a
// search returned was taken. What is served is believed only as what was asked for.
func TestAdvisoryA5_TheOtherEntryOfTheSameKey(t *testing.T) {
	s := newStage(t)
	c := s.service.ask(t, between(s.liar.between))
	asked, err := c.Get(t.Context(), "2")
	if err != nil {
		t.Fatal(err)
	}
	byTheSame := s.serves(3)
	if asked.GetAttestation().GetKeyId() != byTheSame.GetAttestation().GetKeyId() {
		t.Fatal("the two are by different keys")
	}
	s.tell(func(_ string, _, resp proto.Message) error {
		if r, ok := resp.(*got); ok {
			become(r, byTheSame)
		}
		return nil
	}, nil)
	for _, name := range []string{"2", asked.GetAttestation().GetDigest()} {
		if _, err := c.Get(t.Context(), name); !errors.Is(err, client.ErrWrongAttestation) {
			t.Errorf("%s: %v, want WRONG_ATTESTATION", name, err)
		}
	}
}

// A6, CVE-2023-47122 (gitsign): the log's key was asked of the log. The key that was
// met first, or that is pinned, is the log's; another that the service shows is a
// refusal, however well it signs.
func TestAdvisoryA6_TheLogShowsANewKey(t *testing.T) {
	s := newStage(t)
	other := newLiar(t, s.key.Origin())
	dir := t.TempDir()
	met(t, s.service.ask(t, state(dir), between(s.liar.between)))
	pin := s.key.String()
	s.tell(func(_ string, _, resp proto.Message) error {
		if r, ok := resp.(*sekishov1.GetCheckpointResponse); ok {
			r.VerifierKey, r.Checkpoint = other.key.String(), other.sign(read(t, r.Checkpoint))
		}
		return nil
	}, nil)
	for name, option := range map[string]with{"met before": state(dir), "pinned": func(c *client.Config) { c.LogKey = pin }} {
		if err := evaluate(s, s.service.ask(t, option, between(s.liar.between))); !errors.Is(err, client.ErrLogKeyChanged) {
			t.Errorf("%s: %v, want LOG_KEY_CHANGED", name, err)
		}
	}
}
