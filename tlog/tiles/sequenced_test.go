package tiles

import (
	"errors"
	"testing"

	"github.com/sekisho-dev/sekisho/attest"
	"github.com/sekisho-dev/sekisho/tlog"
	"github.com/transparency-dev/tessera"
)

func leaf(n byte) attest.Hash { return attest.Hash{n} }

func at(n uint64) tessera.Index { return tessera.Index{Index: n} }

// What failed may be in the tree all the same; what comes after it and has its index is,
// whichever of the two is told first.
func TestSequencedFailures(t *testing.T) {
	full := errors.New("disk full")
	for name, settle := range map[string]func(s *sequenced, failed, done uint64) error{
		"in order": func(s *sequenced, failed, done uint64) error {
			return errors.Join(s.settle(failed, leaf(1), at(7), full), s.settle(done, leaf(2), at(7), nil))
		},
		"out of order": func(s *sequenced, failed, done uint64) error {
			return errors.Join(s.settle(done, leaf(2), at(7), nil), s.settle(failed, leaf(1), at(7), full))
		},
	} {
		s := newSequenced(7)
		failed, done := s.hand(), s.hand()
		if err := settle(s, failed, done); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got, err := s.between(7, 8, done, true); err != nil || got[0] != leaf(2) {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	s := newSequenced(7)
	failed := s.hand()
	if err := s.settle(failed, leaf(1), at(7), full); err != nil {
		t.Fatal(err)
	}
	if got, err := s.between(7, 8, failed, false); err != nil || got[0] != leaf(1) {
		t.Errorf("failed, but done: %v, %v", got, err)
	}
}

// A tree with an entry that nobody handed over is not waited for, and an index that is
// signed for is not given again.
func TestSequencedRefuses(t *testing.T) {
	s := newSequenced(7)
	later := s.hand()
	if _, err := s.between(7, 8, later-1, false); !errors.Is(err, tlog.ErrInconsistent) {
		t.Errorf("an entry that nobody was given: %v", err)
	}
	if err := s.settle(later, leaf(1), at(6), nil); !errors.Is(err, tlog.ErrInconsistent) {
		t.Errorf("an index that is signed for: %v", err)
	}
	if err := s.settle(s.hand(), leaf(1), at(0), errors.New("no index")); err != nil {
		t.Errorf("a failure without an index: %v", err)
	}
}

// What is signed is forgotten: the memory is that of what is under way.
func TestSequencedForgets(t *testing.T) {
	s := newSequenced(0)
	for i := range uint64(1000) {
		if err := s.settle(s.hand(), leaf(byte(i)), at(i), nil); err != nil {
			t.Fatal(err)
		}
	}
	s.forget(0, 990)
	if len(s.leaves) != 10 || len(s.open) != 0 {
		t.Errorf("%d leaves and %d tickets are kept, want 10 and none", len(s.leaves), len(s.open))
	}
}
