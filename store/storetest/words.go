package storetest

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/sekisho-dev/sekisho/attest"
	"github.com/sekisho-dev/sekisho/store"
)

// checkpoint returns a checkpoint of the test log at a size.
func checkpoint(size uint64) attest.Checkpoint {
	note := fmt.Sprintf("test log\n%d\n", size)
	return attest.Checkpoint{Origin: "test log", Size: size, Root: attest.LeafHash([]byte(note)), Note: []byte(note)}
}

func subject(s string) store.Key { return store.Key{Kind: store.Subject, Value: s} }

func record(index uint64, keys ...store.Key) store.Record {
	return store.Record{Index: index, Keys: keys, Value: fmt.Appendf(nil, "record %d", index)}
}

func mustApply(t *testing.T, x store.Index, from, to uint64, recs ...store.Record) {
	t.Helper()
	if err := x.Apply(t.Context(), from, checkpoint(to), recs); err != nil {
		t.Fatal(err)
	}
}

func view(t *testing.T, x store.Index, f func(store.Snapshot)) {
	t.Helper()
	if err := x.View(t.Context(), func(s store.Snapshot) error { f(s); return nil }); err != nil {
		t.Fatal(err)
	}
}

func wantCheckpoint(t *testing.T, s store.Snapshot, want attest.Checkpoint) {
	t.Helper()
	got := s.Checkpoint()
	if got.Origin != want.Origin || got.Size != want.Size || got.Root != want.Root || !bytes.Equal(got.Note, want.Note) {
		t.Errorf("checkpoint is %+v, want %+v", got, want)
	}
}

// wantFound expects Find to return the records of these log indexes.
func wantFound(t *testing.T, s store.Snapshot, k store.Key, from uint64, want ...uint64) {
	t.Helper()
	var got []uint64
	for r, err := range s.Find(k, from) {
		if err != nil {
			t.Fatalf("Find(%v %.40q): %v", k.Kind, k.Value, err)
		}
		if value := fmt.Sprintf("record %d", r.Index); strings.HasPrefix(string(r.Value), "record ") && string(r.Value) != value {
			t.Errorf("record %d has the value %q", r.Index, r.Value)
		}
		got = append(got, r.Index)
	}
	if !slices.Equal(got, want) {
		t.Errorf("Find(%v %.40q, %d) = records %d, want %d", k.Kind, k.Value, from, got, want)
	}
}

// wantRecord compares records, whose keys are a set.
func wantRecord(t *testing.T, got, want store.Record) {
	t.Helper()
	order := func(a, b store.Key) int { return bytes.Compare(a.AppendTo(nil), b.AppendTo(nil)) }
	a, b := slices.SortedFunc(slices.Values(got.Keys), order), slices.SortedFunc(slices.Values(want.Keys), order)
	if got.Index != want.Index || !slices.Equal(a, b) || !bytes.Equal(got.Value, want.Value) {
		t.Errorf("record is %+v, want %+v", got, want)
	}
}

// findError returns the error that ends a Find.
func findError(s store.Snapshot, k store.Key) error {
	for _, err := range s.Find(k, 0) {
		if err != nil {
			return err
		}
	}
	return nil
}
