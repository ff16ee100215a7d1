// Package storetest is the contract of package store as tests: every driver of
// an index runs [RunIndex], every driver of blobs [RunBlobs], and those that
// outlive their process the suites for reopening as well. It also has faults
// ([Fault]) for the tests of whoever uses a store.
package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/sekisho-dev/sekisho/attest"
	"github.com/sekisho-dev/sekisho/store"
)

// OpenIndex opens the index kept in a directory, or named by it: empty the
// first time, and what it was when the same directory is opened again.
type OpenIndex func(dir string) (store.Index, error)

// RunIndex runs the conformance suite of [store.Index].
func RunIndex(t *testing.T, open OpenIndex) {
	tests := map[string]func(*testing.T, store.Index){
		"Empty":          testEmpty,
		"Apply":          testApply,
		"Position":       testPosition,
		"Invalid":        testInvalid,
		"FindPages":      testFindPages,
		"FindKeys":       testFindKeys,
		"Values":         testValues,
		"Snapshot":       testSnapshot,
		"SnapshotEnds":   testSnapshotEnds,
		"NothingShared":  testNothingShared,
		"Cancelled":      testCancelled,
		"Closed":         testClosed,
		"ConcurrentSwap": testConcurrentApply,
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) { test(t, openIndex(t, open, t.TempDir())) })
	}
}

// RunIndexReopen runs the suite for an index that outlives its process.
func RunIndexReopen(t *testing.T, open OpenIndex) {
	t.Run("Reopen", func(t *testing.T) {
		dir := t.TempDir()
		x := openIndex(t, open, dir)
		mustApply(t, x, 0, 2, record(1, subject("a")))
		if err := x.Close(); err != nil {
			t.Fatal(err)
		}
		x = openIndex(t, open, dir)
		mustApply(t, x, 2, 3, record(2, subject("a")))
		view(t, x, func(s store.Snapshot) {
			wantFound(t, s, subject("a"), 0, 1, 2)
			wantCheckpoint(t, s, checkpoint(3))
		})
	})
}

func openIndex(t *testing.T, open OpenIndex, dir string) store.Index {
	t.Helper()
	x, err := open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { x.Close() }) //nolint:errcheck // some tests close it themselves
	return x
}

func testEmpty(t *testing.T, x store.Index) {
	view(t, x, func(s store.Snapshot) {
		wantCheckpoint(t, s, attest.Checkpoint{})
		wantFound(t, s, store.Key{}, 0)
		wantFound(t, s, subject("a"), 0)
		if _, err := s.Record(0); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("Record(0) = %v, want ErrNotFound", err)
		}
	})
}

func testApply(t *testing.T, x store.Index) {
	want := store.Record{Index: 5, Keys: []store.Key{subject("b"), subject("a"), {Kind: store.Signer, Value: "s"}}, Value: []byte("value\x00\xff")}
	mustApply(t, x, 0, 4, record(0), record(3, subject("a")))
	mustApply(t, x, 4, 10, want)
	mustApply(t, x, 10, 10) // a later checkpoint of the same tree
	mustApply(t, x, 10, 11) // entries without records
	view(t, x, func(s store.Snapshot) {
		wantCheckpoint(t, s, checkpoint(11))
		got, err := s.Record(5)
		if err != nil {
			t.Fatal(err)
		}
		wantRecord(t, got, want)
		if _, err := s.Record(4); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("Record(4) = %v, want ErrNotFound", err)
		}
		wantFound(t, s, store.Key{}, 0, 0, 3, 5)
		wantFound(t, s, store.Key{}, 1, 3, 5)
		wantFound(t, s, subject("a"), 0, 3, 5)
	})
}

func testPosition(t *testing.T, x store.Index) {
	ctx := t.Context()
	mustApply(t, x, 0, 4, record(0, subject("a")))
	fork, other := checkpoint(4), checkpoint(8)
	fork.Root[0] ^= 1
	other.Origin = "another log"
	for _, c := range []struct {
		name string
		from uint64
		to   attest.Checkpoint
	}{
		{"again", 0, checkpoint(4)},
		{"behind", 3, checkpoint(8)},
		{"ahead", 5, checkpoint(8)},
		{"fork of the same size", 4, fork},
		{"other log", 4, other},
	} {
		if err := x.Apply(ctx, c.from, c.to, nil); !errors.Is(err, store.ErrPosition) {
			t.Errorf("%s: Apply = %v, want ErrPosition", c.name, err)
		}
	}
	view(t, x, func(s store.Snapshot) {
		wantCheckpoint(t, s, checkpoint(4))
		wantFound(t, s, store.Key{}, 0, 0)
	})
}

func testInvalid(t *testing.T, x store.Index) {
	long := strings.Repeat("x", store.MaxKeyValue)
	mustApply(t, x, 0, 4, record(0, subject(long)))
	for name, recs := range map[string][]store.Record{
		"before the range":   {record(3)},
		"after the range":    {record(8)},
		"descending":         {record(6), record(5)},
		"twice":              {record(5), record(5)},
		"key of kind all":    {record(4, store.Key{Kind: store.All, Value: "x"})},
		"key without value":  {record(4, subject(""))},
		"key too long":       {record(4, subject(long+"x"))},
		"unknown kind":       {record(4, store.Key{Kind: 200, Value: "x"})},
		"good, then invalid": {record(4, subject("a")), record(5, subject(""))},
		"value too large":    {{Index: 4, Value: make([]byte, store.MaxValue+1)}},
	} {
		if err := x.Apply(t.Context(), 4, checkpoint(8), recs); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("%s: Apply = %v, want ErrInvalid", name, err)
		}
	}
	if err := x.Apply(t.Context(), 4, checkpoint(3), nil); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("Apply to a smaller tree = %v, want ErrInvalid", err)
	}
	view(t, x, func(s store.Snapshot) {
		wantCheckpoint(t, s, checkpoint(4))
		wantFound(t, s, store.Key{}, 0, 0)
		for _, k := range []store.Key{{Kind: 200}, subject(long + "x"), {Kind: store.All, Value: "x"}} {
			if err := findError(s, k); !errors.Is(err, store.ErrInvalid) {
				t.Errorf("Find(%v) = %v, want ErrInvalid", k.Kind, err)
			}
		}
	})
}

// testFindPages reads every page size, across the byte boundaries of the index.
func testFindPages(t *testing.T, x store.Index) {
	var want []uint64
	for i := range uint64(600) {
		if i%2 == 0 {
			want = append(want, i)
			mustApply(t, x, i, i+1, record(i, subject("a"), subject("b")))
		} else {
			mustApply(t, x, i, i+1, record(i, subject("b")))
		}
	}
	high := uint64(math.MaxUint32) + 7
	want = append(want, high)
	mustApply(t, x, 600, high+1, record(high, subject("a")))
	view(t, x, func(s store.Snapshot) {
		for _, size := range []int{1, 7, 256, 1000} {
			if got := pages(t, s, subject("a"), size); !slices.Equal(got, want) {
				t.Errorf("pages of %d: got %d records, want %d in order", size, len(got), len(want))
			}
		}
		wantFound(t, s, subject("a"), math.MaxUint64)
		wantFound(t, s, subject("a"), 599, high)
		wantFound(t, s, store.Key{}, 600, high)
	})
}

// testValues lists and counts keys whose values begin alike.
func testValues(t *testing.T, x store.Index) {
	values := []string{"", "\x00", "a", "a\x00", "a\x00b", "a\x00b\x00c", "a\x00\xff", "a\xff", "aa\x00", "a\x01\x00", "b"}
	for i, v := range values {
		mustApply(t, x, uint64(2*i), uint64(2*i)+2,
			record(uint64(2*i), subject("s"+v), store.Key{Kind: store.Builder, Value: "sa\x00other"}), record(uint64(2*i)+1, subject("s"+v), subject("everything")))
	}
	end := uint64(2 * len(values))
	mustApply(t, x, end, end+2, record(end, store.Key{Kind: store.Component, Value: "c"}), record(end+1, store.Key{Kind: store.Component, Value: "c"}))
	view(t, x, func(s store.Snapshot) {
		for first, want := range map[string][]string{
			"sa": {"sa\x00", "sa\x00b", "sa\x00b\x00c", "sa\x00\xff"}, "s": {"s\x00"}, "saa": {"saa\x00"}, "sa\x01": {"sa\x01\x00"}, "sb": nil, "nothing": nil,
		} {
			var got []string
			for v, err := range s.Values(store.Subject, first) {
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, v)
			}
			if !slices.Equal(got, want) {
				t.Errorf("Values(%q) = %q, want %q", first, got, want)
			}
		}
		for k, want := range map[store.Key]uint64{
			{}: end + 2, subject("everything"): uint64(len(values)), subject("sa\x00b"): 2, subject("nothing"): 0,
			{Kind: store.Signer, Value: "sa"}: 0, {Kind: store.Component, Value: "c"}: 2,
		} {
			if got, err := s.Count(k); err != nil || got != want {
				t.Errorf("Count(%v %q) = %d, %v, want %d", k.Kind, k.Value, got, err, want)
			}
			var indexes, records []uint64
			for i, err := range s.Indexes(k, 3) {
				if err != nil {
					t.Fatal(err)
				}
				indexes = append(indexes, i)
			}
			for r, err := range s.Find(k, 3) {
				if err != nil || r.Keys != nil {
					t.Fatalf("Find gives %+v, %v", r, err)
				}
				records = append(records, r.Index)
			}
			if !slices.Equal(indexes, records) {
				t.Errorf("Indexes(%v %q) = %d, and Find = %d", k.Kind, k.Value, indexes, records)
			}
		}
		for v, err := range s.Values(200, "") {
			if !errors.Is(err, store.ErrInvalid) {
				t.Errorf("Values of an unknown kind = %q, %v, want ErrInvalid", v, err)
			}
		}
		if _, err := s.Count(store.Key{Kind: 200}); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("Count of an unknown kind = %v, want ErrInvalid", err)
		}
	})
}

func pages(t *testing.T, s store.Snapshot, k store.Key, size int) (got []uint64) {
	from, n := uint64(0), size
	for n == size {
		n = 0
		for r, err := range s.Find(k, from) {
			if err != nil {
				t.Fatal(err)
			}
			got, from = append(got, r.Index), r.Index+1
			if n++; n == size {
				break
			}
		}
	}
	return got
}

// testFindKeys gives keys that a careless encoding would take for one another.
func testFindKeys(t *testing.T, x store.Index) {
	keys := []store.Key{
		subject("a"), subject("aa"), subject("a\x00"), subject("\x00"), subject("\x00\x00"), subject("\xff"), subject("\xff\xff"),
		subject("a\x00\x00\x00\x00\x00\x00\x00\x00"), subject("a\x00\x00\x00\x00\x00\x00\x00\x01"),
		subject("\x00\x01a"), subject("\x01a"), subject("A"), subject("é"), subject("e\u0301"),
		subject(strings.Repeat("k", store.MaxKeyValue)), subject(strings.Repeat("k", store.MaxKeyValue-1) + "l"),
		{Kind: store.Component, Value: "a"}, {Kind: store.Control, Value: "a"}, {Kind: store.PredicateType, Value: "\x01a"},
	}
	for i, k := range keys {
		mustApply(t, x, uint64(i), uint64(i)+1, record(uint64(i), k, k)) // twice in one record is once
	}
	view(t, x, func(s store.Snapshot) {
		for i, k := range keys {
			wantFound(t, s, k, 0, uint64(i))
			r, err := s.Record(uint64(i))
			if err != nil || !slices.Equal(r.Keys, []store.Key{k}) {
				t.Errorf("record %d = keys %.40q, %v", i, r.Keys, err)
			}
		}
	})
}

// testSnapshot applies while a view is open, and expects it not to notice.
func testSnapshot(t *testing.T, x store.Index) {
	mustApply(t, x, 0, 2, record(0, subject("a")), record(1, subject("a")))
	applied := make(chan error, 1)
	view(t, x, func(s store.Snapshot) {
		for r, err := range s.Find(subject("a"), 0) {
			if err != nil {
				t.Fatal(err)
			}
			if r.Index == 0 {
				go func() {
					applied <- x.Apply(context.Background(), 2, checkpoint(3), []store.Record{record(2, subject("a"))})
				}()
			}
		}
		wantCheckpoint(t, s, checkpoint(2))
		wantFound(t, s, subject("a"), 0, 0, 1)
	})
	if err := <-applied; err != nil {
		t.Fatal(err)
	}
	view(t, x, func(s store.Snapshot) { wantFound(t, s, subject("a"), 0, 0, 1, 2) })
	broken := errors.New("broken")
	if err := x.View(t.Context(), func(store.Snapshot) error { return broken }); !errors.Is(err, broken) {
		t.Errorf("View = %v, want f's error", err)
	}
}

func testSnapshotEnds(t *testing.T, x store.Index) {
	mustApply(t, x, 0, 1, record(0, subject("a")))
	var kept store.Snapshot
	view(t, x, func(s store.Snapshot) { kept = s })
	if _, err := kept.Record(0); !errors.Is(err, store.ErrClosed) {
		t.Errorf("Record after View = %v, want ErrClosed", err)
	}
	if err := findError(kept, subject("a")); !errors.Is(err, store.ErrClosed) {
		t.Errorf("Find after View = %v, want ErrClosed", err)
	}
	if _, err := kept.Count(subject("a")); !errors.Is(err, store.ErrClosed) {
		t.Errorf("Count after View = %v, want ErrClosed", err)
	}
	for _, err := range kept.Values(store.Subject, "") {
		if !errors.Is(err, store.ErrClosed) {
			t.Errorf("Values after View = %v, want ErrClosed", err)
		}
	}
}

// testNothingShared changes what it gave and what it got.
func testNothingShared(t *testing.T, x store.Index) {
	want := store.Record{Index: 0, Keys: []store.Key{subject("a")}, Value: []byte("value")}
	given := []store.Record{{Index: 0, Keys: slices.Clone(want.Keys), Value: bytes.Clone(want.Value)}}
	to := checkpoint(1)
	if err := x.Apply(t.Context(), 0, to, given); err != nil {
		t.Fatal(err)
	}
	given[0].Value[0], given[0].Keys[0], to.Note[0] = 'X', subject("X"), 'X'
	var kept store.Record
	view(t, x, func(s store.Snapshot) {
		kept, _ = s.Record(0)
		kept.Keys[0] = subject("Y")
		s.Checkpoint().Note[0] = 'Y'
	})
	if string(kept.Value) != "value" {
		t.Errorf("value kept from a View reads %q", kept.Value)
	}
	kept.Value[0] = 'Y'
	view(t, x, func(s store.Snapshot) {
		got, err := s.Record(0)
		if err != nil {
			t.Fatal(err)
		}
		wantRecord(t, got, want)
		wantFound(t, s, subject("a"), 0, 0)
		wantCheckpoint(t, s, checkpoint(1))
	})
}

func testCancelled(t *testing.T, x store.Index) {
	mustApply(t, x, 0, 2, record(0), record(1))
	ctx, cancel := context.WithCancel(t.Context())
	err := x.View(ctx, func(s store.Snapshot) error {
		for r, err := range s.Find(store.Key{}, 0) {
			if err != nil {
				return err
			}
			if r.Index > 0 {
				t.Error("Find went on after its context was cancelled")
			}
			cancel()
		}
		return nil
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("Find = %v, want the context's error", err)
	}
	if err := x.Apply(ctx, 2, checkpoint(3), nil); !errors.Is(err, context.Canceled) {
		t.Errorf("Apply = %v, want the context's error", err)
	}
	if err := x.View(ctx, func(store.Snapshot) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("View = %v, want the context's error", err)
	}
}

func testClosed(t *testing.T, x store.Index) {
	if err := x.Close(); err != nil {
		t.Fatal(err)
	}
	if err := x.Apply(t.Context(), 0, checkpoint(1), nil); !errors.Is(err, store.ErrClosed) {
		t.Errorf("Apply = %v, want ErrClosed", err)
	}
	if err := x.View(t.Context(), func(store.Snapshot) error { return nil }); !errors.Is(err, store.ErrClosed) {
		t.Errorf("View = %v, want ErrClosed", err)
	}
	if err := x.Close(); err != nil {
		t.Errorf("second Close = %v", err)
	}
}

// testConcurrentApply lets many build on one position: one may win, each time.
func testConcurrentApply(t *testing.T, x store.Index) {
	for from := range uint64(5) {
		won := make(chan error, 8)
		for i := range cap(won) {
			go func() {
				won <- x.Apply(context.Background(), from, checkpoint(from+1), []store.Record{record(from, subject(fmt.Sprint(i)))})
			}()
		}
		wins := 0
		for range cap(won) {
			if err := <-won; err == nil {
				wins++
			} else if !errors.Is(err, store.ErrPosition) {
				t.Errorf("Apply = %v, want ErrPosition", err)
			}
		}
		if wins != 1 {
			t.Fatalf("%d of the Applies from %d succeeded, want 1", wins, from)
		}
	}
	view(t, x, func(s store.Snapshot) { wantFound(t, s, store.Key{}, 0, 0, 1, 2, 3, 4) })
}
