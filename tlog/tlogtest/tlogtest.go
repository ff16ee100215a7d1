// Package tlogtest holds what every driver of package tlog must do, as one test
// suite: a driver is done when [Run] passes. The suite believes nothing that a
// log says; it keeps the entries that it appended, hashes the tree of them
// itself, and compares.
package tlogtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"

	"github.com/sekisho-dev/sekisho/attest"
	"github.com/sekisho-dev/sekisho/tlog"
)

// A Driver is an open, empty log, and what a test must know of it. The opener
// arranges that it is closed when the test ends; closing twice must be harmless.
type Driver struct {
	Log interface {
		tlog.Log
		io.Closer
	}
	Verifier *tlog.Verifier

	// Reopen closes the log and opens it again; nil for a driver that forgets.
	Reopen func() Driver
}

// Run runs the suite. open is called at least once for each subtest.
func Run(t *testing.T, open func(t *testing.T) Driver) {
	for _, c := range []struct {
		name string
		test func(*testing.T, Driver)
	}{
		{"Empty", testEmpty},
		{"Receipts", testReceipts},
		{"EntrySizes", testEntrySizes},
		{"Duplicates", testDuplicates},
		{"CallersBuffer", testCallersBuffer},
		{"Concurrent", testConcurrent},
		{"ProofsBetweenSizes", testProofs},
		{"EntriesRange", testEntriesRange},
		{"EntriesOfForgedCheckpoint", testForgedCheckpoint},
		{"CancelledContext", testCancelled},
		{"Closed", testClosed},
		{"Reopen", testReopen},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, open(t)) })
	}
}

func testEmpty(t *testing.T, d Driver) {
	cp := checkpoint(t, d, 0)
	if cp.Root != root(nil) {
		t.Errorf("root of the empty log is %x, want SHA-256 of nothing", cp.Root)
	}
	wantEntries(t, d, cp, 0, nil)
	_, err := d.Log.Inclusion(t.Context(), 0, 0)
	wantError(t, "inclusion of entry 0 in the empty tree", err, tlog.ErrProof)
	_, err = d.Log.Inclusion(t.Context(), 0, 1)
	wantError(t, "inclusion in a tree that is not there yet", err, tlog.ErrNotFound)
	_, err = d.Log.Consistency(t.Context(), 0, 1)
	wantError(t, "consistency with a tree that is not there yet", err, tlog.ErrNotFound)
	if p, err := d.Log.Consistency(t.Context(), 0, 0); err != nil || len(p) != 0 {
		t.Errorf("consistency of the empty tree with itself = %x, %v", p, err)
	}
}

func testReceipts(t *testing.T, d Driver) {
	var logged [][]byte
	for i := range 5 {
		entry := fmt.Appendf(nil, "entry %d", i)
		r := appendOne(t, d, entry)
		if r.Index != uint64(i) {
			t.Errorf("append %d got index %d", i, r.Index)
		}
		logged = append(logged, entry)
		wantError(t, "receipt with another entry", tlog.VerifyReceipt(d.Verifier, []byte("other"), r), tlog.ErrProof)
		wantEntries(t, d, checkpoint(t, d, uint64(i+1)), 0, logged)
	}
}

func testEntrySizes(t *testing.T, d Driver) {
	var logged [][]byte
	for _, size := range []int{0, 1, 4096, tlog.MaxEntry} {
		entry := make([]byte, size)
		appendOne(t, d, entry)
		logged = append(logged, entry)
	}
	_, err := d.Log.Append(t.Context(), make([]byte, tlog.MaxEntry+1))
	wantError(t, "append of MaxEntry+1 bytes", err, tlog.ErrTooLarge)
	wantEntries(t, d, checkpoint(t, d, 4), 0, logged)
}

func testDuplicates(t *testing.T, d Driver) {
	a, b := appendOne(t, d, []byte("twice")), appendOne(t, d, []byte("twice"))
	if a.Index != 0 || b.Index != 1 || a.LeafHash != b.LeafHash {
		t.Errorf("an entry appended twice is at %d and %d, want 0 and 1", a.Index, b.Index)
	}
}

// A log keeps its own copy: it commits to a hash of what Append was given.
func testCallersBuffer(t *testing.T, d Driver) {
	entry := []byte("mine")
	appendOne(t, d, entry)
	copy(entry, "your")
	wantEntries(t, d, checkpoint(t, d, 1), 0, [][]byte{[]byte("mine")})
}

func testConcurrent(t *testing.T, d Driver) {
	const n = 600 // three bundles
	logged, receipts := appendMany(t, d, n)
	last := checkpoint(t, d, n)
	wantEntries(t, d, last, 0, logged)
	if last.Root != root(logged) {
		t.Errorf("root of %d entries is %x, they hash to %x", n, last.Root, root(logged))
	}
	checked := map[uint64]attest.Hash{}
	for _, r := range receipts {
		older := r.Checkpoint
		if seen, ok := checked[older.Size]; ok {
			if seen != older.Root {
				t.Fatalf("two roots for size %d", older.Size)
			}
			continue
		}
		checked[older.Size] = older.Root
		if older.Root != root(logged[:older.Size]) {
			t.Errorf("a receipt's checkpoint of %d has another root than the first %d entries", older.Size, older.Size)
		}
		// What was published stays readable when the log has grown.
		wantEntries(t, d, older, 0, logged[:older.Size])
	}
}

func testProofs(t *testing.T, d Driver) {
	logged, _ := appendMany(t, d, 520)
	checkpoint(t, d, 520)
	sizes := []uint64{1, 2, 3, 4, 5, 7, 8, 9, 31, 32, 33, 63, 64, 65, 254, 255, 256, 257, 258, 500, 511, 512, 513, 519, 520}
	at := map[uint64]attest.Checkpoint{}
	for _, s := range sizes {
		at[s] = attest.Checkpoint{Origin: d.Verifier.Origin(), Size: s, Root: root(logged[:s])}
	}
	for i, to := range sizes {
		for _, from := range sizes[:i+1] {
			p, err := d.Log.Consistency(t.Context(), from, to)
			if err == nil {
				err = tlog.VerifyConsistency(at[from], at[to], p)
			}
			if err != nil {
				t.Errorf("consistency %d to %d: %v", from, to, err)
			}
		}
		for _, index := range []uint64{0, 1, 2, 6, 30, 64, 255, 256, 257, 511, 512, to - 1} {
			p, err := d.Log.Inclusion(t.Context(), index, to)
			if index >= to {
				wantError(t, fmt.Sprintf("inclusion of %d in %d", index, to), err, tlog.ErrProof)
				continue
			}
			if err == nil {
				err = tlog.VerifyInclusion(at[to], index, attest.LeafHash(logged[index]), p)
			}
			if err != nil {
				t.Errorf("inclusion of %d in %d: %v", index, to, err)
			}
		}
	}
	_, err := d.Log.Consistency(t.Context(), 8, 7)
	wantError(t, "consistency from 8 to 7", err, tlog.ErrProof)
	_, err = d.Log.Consistency(t.Context(), 0, 7)
	wantError(t, "consistency from the empty tree", err, tlog.ErrProof)
	_, err = d.Log.Consistency(t.Context(), 7, 521)
	wantError(t, "consistency beyond the log", err, tlog.ErrNotFound)
	_, err = d.Log.Inclusion(t.Context(), 7, 521)
	wantError(t, "inclusion beyond the log", err, tlog.ErrNotFound)
}

func testEntriesRange(t *testing.T, d Driver) {
	logged, _ := appendMany(t, d, 300)
	cp := checkpoint(t, d, 300)
	for _, from := range []uint64{0, 1, 255, 256, 257, 299, 300} {
		wantEntries(t, d, cp, from, logged[from:])
	}
	_, err := entries(t.Context(), d, cp, 301)
	wantError(t, "entries from 301 of 300", err, tlog.ErrNotFound)
	for e, err := range d.Log.Entries(t.Context(), cp, 0) {
		if err != nil || e.Index > 1 {
			t.Fatalf("after the loop should have ended: entry %d, %v", e.Index, err)
		}
		if e.Index == 1 {
			break
		}
	}
}

func testForgedCheckpoint(t *testing.T, d Driver) {
	appendOne(t, d, []byte("one"))
	good := checkpoint(t, d, 1)

	forged := good
	forged.Root[0] ^= 1
	got, err := entries(t.Context(), d, forged, 0)
	wantError(t, "entries under a root that is not the log's", err, tlog.ErrCorrupt)
	longer := good
	longer.Size = 2
	more, err := entries(t.Context(), d, longer, 0)
	wantError(t, "entries of a larger tree than there is", err, tlog.ErrCorrupt)
	if len(got)+len(more) > 0 {
		t.Errorf("a forged checkpoint yielded %q and %q", got, more)
	}
	other := good
	other.Origin = "other.example/log"
	_, err = entries(t.Context(), d, other, 0)
	wantError(t, "entries of another log", err, tlog.ErrCheckpoint)
}

func testCancelled(t *testing.T, d Driver) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := d.Log.Append(ctx, []byte("late"))
	wantError(t, "append with a cancelled context", err, context.Canceled)
	appendOne(t, d, []byte("next"))
}

func testClosed(t *testing.T, d Driver) {
	appendOne(t, d, []byte("before"))
	if err := errors.Join(d.Log.Close(), d.Log.Close()); err != nil {
		t.Fatalf("closing, twice: %v", err)
	}
	_, err := d.Log.Append(t.Context(), []byte("after"))
	wantError(t, "append to a closed log", err, tlog.ErrClosed)
}

func testReopen(t *testing.T, d Driver) {
	if d.Reopen == nil {
		return // it has no yesterday
	}
	var logged [][]byte
	var older attest.Checkpoint
	for round := range 3 {
		more, _ := appendMany(t, d, 150)
		logged = append(logged, more...)
		d = d.Reopen()
		cp := checkpoint(t, d, uint64(len(logged)))
		wantEntries(t, d, cp, 0, logged)
		if round > 0 {
			p, err := d.Log.Consistency(t.Context(), older.Size, cp.Size)
			if err == nil {
				err = tlog.VerifyConsistency(older, cp, p)
			}
			if err != nil {
				t.Errorf("the log before reopening and after: %v", err)
			}
		}
		older = cp
	}
}

// appendOne appends an entry and verifies its receipt.
func appendOne(t *testing.T, d Driver, entry []byte) attest.Receipt {
	t.Helper()
	r, err := d.Log.Append(t.Context(), entry)
	if err != nil {
		t.Fatalf("appending %d bytes: %v", len(entry), err)
	}
	if err := tlog.VerifyReceipt(d.Verifier, entry, r); err != nil {
		t.Fatalf("receipt of %d bytes: %v", len(entry), err)
	}
	return r
}

// appendMany appends n different entries, many at a time, and returns them and
// their receipts in the log's order, from the first of them on.
func appendMany(t *testing.T, d Driver, n int) ([][]byte, []attest.Receipt) {
	t.Helper()
	before, err := d.Log.Checkpoint(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	logged, receipts := make([][]byte, n), make([]attest.Receipt, n)
	var mu sync.Mutex
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			entry := fmt.Appendf(nil, "entry %d after %d", i, before.Size)
			r, err := d.Log.Append(t.Context(), entry)
			if err == nil {
				err = tlog.VerifyReceipt(d.Verifier, entry, r)
			}
			mu.Lock()
			defer mu.Unlock()
			at := r.Index - before.Size
			if err != nil || at >= uint64(n) || logged[at] != nil {
				t.Errorf("append %d after %d: index %d, %v", i, before.Size, r.Index, err)
				return
			}
			logged[at], receipts[at] = entry, r
		})
	}
	wg.Wait()
	if t.Failed() {
		t.FailNow()
	}
	return logged, receipts
}

// checkpoint returns the newest checkpoint, which must be of that size, signed,
// and say what its note says.
func checkpoint(t *testing.T, d Driver, size uint64) attest.Checkpoint {
	t.Helper()
	cp, err := d.Log.Checkpoint(t.Context())
	if err != nil {
		t.Fatalf("checkpoint: %v", err)
	}
	signed, err := d.Verifier.Open(cp.Note)
	if err != nil {
		t.Fatalf("checkpoint's note: %v", err)
	}
	if cp.Size != size || signed.Size != size || signed.Root != cp.Root || signed.Origin != cp.Origin {
		t.Fatalf("checkpoint of %d says %s %d %x and is signed for %s %d %x", size,
			cp.Origin, cp.Size, cp.Root, signed.Origin, signed.Size, signed.Root)
	}
	return cp
}

// entries collects copies of what Entries yields.
func entries(ctx context.Context, d Driver, cp attest.Checkpoint, from uint64) ([][]byte, error) {
	var got [][]byte
	for e, err := range d.Log.Entries(ctx, cp, from) {
		if err != nil {
			return got, err
		}
		if e.Index != from+uint64(len(got)) {
			return got, fmt.Errorf("entry %d yielded, want %d", e.Index, from+uint64(len(got)))
		}
		got = append(got, append([]byte{}, e.Data...))
	}
	return got, nil
}

func wantEntries(t *testing.T, d Driver, cp attest.Checkpoint, from uint64, want [][]byte) {
	t.Helper()
	got, err := entries(t.Context(), d, cp, from)
	if err != nil || len(got) != len(want) {
		t.Fatalf("entries of %d from %d: %d, %v; want %d", cp.Size, from, len(got), err, len(want))
	}
	for i := range want {
		if string(got[i]) != string(want[i]) {
			t.Fatalf("entry %d is %.40q, want %.40q", from+uint64(i), got[i], want[i])
		}
	}
}

func wantError(t *testing.T, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: %v, want %q", what, err, want)
	}
}

// root hashes a tree as RFC 6962 section 2.1 defines it, independently of the
// code under test.
func root(list [][]byte) attest.Hash {
	switch len(list) {
	case 0:
		return attest.Hash(attest.SHA256(nil).Bytes())
	case 1:
		return attest.LeafHash(list[0])
	}
	k := 1
	for k*2 < len(list) {
		k *= 2
	}
	left, right := root(list[:k]), root(list[k:])
	return attest.Hash(attest.SHA256(append(append([]byte{1}, left[:]...), right[:]...)).Bytes())
}
