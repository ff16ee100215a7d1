package tlog_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sekisho-dev/sekisho/attest"
	"github.com/sekisho-dev/sekisho/tlog"
	"github.com/sekisho-dev/sekisho/tlog/memlog"
)

// served is a log as somebody serves it: files, which a test may damage.
type served map[string][]byte

func (s served) fetch(_ context.Context, path string) ([]byte, error) {
	b, ok := s[path]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return bytes.Clone(b), nil
}

// copyOf serves what a log in memory serves for its newest checkpoint.
func copyOf(t testing.TB, l *memlog.Log) (served, attest.Checkpoint) {
	t.Helper()
	cp, err := l.Checkpoint(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s := served{"checkpoint": cp.Note}
	for level := tlog.Entries; level < 4; level++ {
		for index := range uint64(8) {
			for width := 1; width <= tlog.TileWidth; width++ {
				tile := tlog.Tile{Level: level, Index: index, Width: width}
				// Only the widest partial tile: the others belong to the past.
				if next := (tlog.Tile{Level: level, Index: index, Width: width + 1}); width < tlog.TileWidth && next.In(cp.Size) {
					continue
				}
				if b, err := l.Fetch(t.Context(), tile.Path()); err == nil {
					s[tile.Path()] = b
				}
			}
		}
	}
	return s, cp
}

// readAll reads the whole log in every way there is, and returns what it got
// before the first error.
func readAll(t testing.TB, v *tlog.Verifier, fetch tlog.Fetch, cp attest.Checkpoint) (got [][]byte, err error) {
	t.Helper()
	for e, err := range tlog.NewTileReader(v, fetch).Entries(t.Context(), cp, 0) {
		if err != nil {
			return got, err
		}
		got = append(got, bytes.Clone(e.Data))
	}
	return got, nil
}

func typed(err error) bool {
	return errors.Is(err, tlog.ErrCorrupt) || errors.Is(err, tlog.ErrCheckpoint) || errors.Is(err, tlog.ErrInconsistent)
}

// Advisory A15 (CVE-2026-56865), and 7 of the C2SP test list: whichever byte of
// whichever tile is altered, in the path of what is read or beside it, nothing
// wrong is ever read. 600 entries make two full tiles and partial ones on two levels.
func TestAdvisoryA15_EveryTileIsAuthenticated(t *testing.T) {
	l, entries, _ := filled(t, 600)
	s, cp := copyOf(t, l)
	names := slices.Sorted(maps.Keys(s))
	if want := "checkpoint tile/0/000 tile/0/001 tile/0/002.p/88 tile/1/000.p/2 tile/entries/000 tile/entries/001 tile/entries/002.p/88"; strings.Join(names, " ") != want {
		t.Fatalf("the log has %s", names)
	}
	for _, name := range names[1:] {
		good := s[name]
		for at := range good {
			bad := bytes.Clone(good)
			bad[at] ^= 1 << (at % 8)
			s[name] = bad
			if strings.HasPrefix(name, "tile/entries") || at%32 == at/32%32 {
				readDamaged(t, fmt.Sprintf("%s, byte %d", name, at), l.Verifier(), s, cp, entries)
			}
		}
		for what, bad := range map[string][]byte{
			"empty": {}, "cut by a byte": good[:len(good)-1], "cut by a hash": good[:len(good)-min(32, len(good))],
			"a byte longer": append(bytes.Clone(good), 0), "a hash longer": append(bytes.Clone(good), make([]byte, 32)...),
			"swapped": s[names[1]], "reversed": reversed(good),
		} {
			if !bytes.Equal(bad, good) {
				s[name] = bad
				readDamaged(t, name+" "+what, l.Verifier(), s, cp, entries)
			}
		}
		delete(s, name)
		readDamaged(t, name+" missing", l.Verifier(), s, cp, entries)
		s[name] = good
	}
	if got, err := readAll(t, l.Verifier(), s.fetch, cp); err != nil || len(got) != len(entries) {
		t.Errorf("undamaged: %d entries, %v", len(got), err)
	}
}

func reversed(b []byte) []byte {
	b = bytes.Clone(b)
	slices.Reverse(b)
	return b
}

// readDamaged wants a typed error from reading all, and proofs that are an error
// or right.
func readDamaged(t *testing.T, what string, v *tlog.Verifier, s served, cp attest.Checkpoint, entries [][]byte) {
	t.Helper()
	got, err := readAll(t, v, s.fetch, cp)
	if !typed(err) {
		t.Errorf("%s: read all: %d entries, %v", what, len(got), err)
	}
	for i := range got {
		if !bytes.Equal(got[i], entries[i]) {
			t.Errorf("%s: entry %d is %x, want %x", what, i, got[i], entries[i])
		}
	}
	r := tlog.NewTileReader(v, s.fetch)
	for _, index := range []uint64{0, 1, 255, 256, 511, 512, 599} {
		path, err := r.Inclusion(t.Context(), index, cp.Size)
		if err == nil {
			err = tlog.VerifyInclusion(cp, index, attest.LeafHash(entries[index]), path)
		}
		if err != nil && !typed(err) {
			t.Errorf("%s: inclusion of %d: %v", what, index, err)
		}
	}
}

// Advisory A16 (CVE-2026-56864): what a response holds beyond what was asked for
// and is proven is refused, and never yielded.
func TestAdvisoryA16_EntriesBeyondTheTree(t *testing.T) {
	l, entries, _ := filled(t, 3)
	s, cp := copyOf(t, l)
	const name = "tile/entries/000.p/3"
	s[name] = append(s[name], 0, 1, 'x')
	got, err := readAll(t, l.Verifier(), s.fetch, cp)
	if !errors.Is(err, tlog.ErrCorrupt) || len(got) > 0 {
		t.Errorf("%d entries, %v", len(got), err)
	}

	// In a full bundle, where there must be more than an old tree of 3 has, they
	// are not looked at.
	full, _, _ := filled(t, 256)
	s, _ = copyOf(t, full)
	b := s["tile/entries/000"]
	copy(b[len(b)-3:], "bad")
	three := attest.Checkpoint{Origin: full.Verifier().Origin(), Size: 3, Root: cp.Root}
	got, err = readAll(t, full.Verifier(), s.fetch, three)
	if err != nil || len(got) != 3 || !bytes.Equal(bytes.Join(got, nil), bytes.Join(entries, nil)) {
		t.Errorf("three of a full bundle: %x, %v", got, err)
	}
}

// A full tile or bundle does for a partial one, and only its beginning counts.
func TestPartialTileFallsBackToFull(t *testing.T) {
	l, entries, receipts := filled(t, 256)
	s, _ := copyOf(t, l)
	for _, size := range []int{1, 100, 255, 256} {
		got, err := readAll(t, l.Verifier(), s.fetch, receipts[size-1].Checkpoint)
		if err != nil || !bytes.Equal(bytes.Join(got, nil), bytes.Join(entries[:size], nil)) {
			t.Errorf("the first %d entries: %d, %v", size, len(got), err)
		}
	}
	s["tile/0/000"] = s["tile/0/000"][:8160]
	if _, err := readAll(t, l.Verifier(), s.fetch, receipts[0].Checkpoint); !errors.Is(err, tlog.ErrCorrupt) {
		t.Errorf("a full tile of 255 hashes: %v", err)
	}
}

// A tile that was right for one tree is not believed for another.
func TestKeptTileIsOfItsTree(t *testing.T) {
	_, v := key(t, origin)
	now := served{}
	r := tlog.NewTileReader(v, now.fetch)
	for _, name := range []string{"one", "other"} {
		l, err := memlog.New(memlog.Config{Origin: origin})
		if err != nil {
			t.Fatal(err)
		}
		for i := range 257 {
			if _, err := l.Append(t.Context(), fmt.Appendf(nil, "%s %d", name, i)); err != nil {
				t.Fatal(err)
			}
		}
		files, cp := copyOf(t, l)
		maps.Copy(now, files)
		n := 0
		for e, err := range r.Entries(t.Context(), cp, 0) {
			if n++; err != nil || string(e.Data) != fmt.Sprintf("%s %d", name, e.Index) {
				t.Fatalf("entry %d of the %s tree: %q, %v", e.Index, name, e.Data, err)
			}
		}
	}
}

// 12 and 13 of the C2SP test list, for a reader.
func TestRollbackAndSplitView(t *testing.T) {
	l, _, receipts := filled(t, 20)
	signer, v := key(t, origin)
	resigned := func(cp attest.Checkpoint) []byte {
		return sign(t, fmt.Sprintf("%s\n%d\n%s\n", origin, cp.Size, b64(cp.Root)), signer)
	}
	now, _ := copyOf(t, l)
	for _, r := range receipts { // every width that the log ever had
		for _, level := range []int{0, tlog.Entries} {
			name := tlog.Tile{Level: level, Width: int(r.Checkpoint.Size)}.Path()
			b, err := l.Fetch(t.Context(), name)
			if err != nil {
				t.Fatal(err)
			}
			now[name] = b
		}
	}
	now["checkpoint"] = resigned(receipts[19].Checkpoint)
	reader := tlog.NewTileReader(v, now.fetch)
	last, err := reader.Checkpoint(t.Context())
	if err != nil {
		t.Fatal(err)
	}

	now["checkpoint"] = resigned(receipts[18].Checkpoint)
	if cp, err := reader.Checkpoint(t.Context()); !errors.Is(err, tlog.ErrInconsistent) {
		t.Errorf("12 rolled back to 19: %d, %v", cp.Size, err)
	}
	if _, err := reader.Receipt(t.Context(), 19, receipts[19].LeafHash); err != nil {
		t.Errorf("what was seen is still provable: %v", err)
	}

	// The same key over another history, whole and internally right.
	fork, err := memlog.New(memlog.Config{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 21 {
		if _, err := fork.Append(t.Context(), fmt.Appendf(nil, "fork %d", i)); err != nil {
			t.Fatal(err)
		}
		if i < 19 {
			continue
		}
		forked, cp := copyOf(t, fork)
		maps.Copy(now, forked)
		now["checkpoint"] = resigned(cp)
		if cp, err := reader.Checkpoint(t.Context()); !errors.Is(err, tlog.ErrInconsistent) {
			t.Errorf("13 another tree of %d after one of %d: %d, %v", i+1, last.Size, cp.Size, err)
		}
	}
	if _, err := tlog.NewTileReader(v, now.fetch).Checkpoint(t.Context()); err != nil {
		t.Errorf("a reader without memory cannot know: %v", err)
	}
}

// Advisory A10, for a reader: what is served as a checkpoint is none.
func TestReaderRefusesCheckpoint(t *testing.T) {
	l, _, receipts := filled(t, 3)
	s, _ := copyOf(t, l)
	_, other := key(t, l.Verifier().Origin())
	if _, err := tlog.NewTileReader(other, s.fetch).Checkpoint(t.Context()); !errors.Is(err, tlog.ErrCheckpoint) {
		t.Errorf("another key: %v", err)
	}
	r := tlog.NewTileReader(l.Verifier(), s.fetch)
	if _, err := r.Receipt(t.Context(), 0, receipts[0].LeafHash); !errors.Is(err, tlog.ErrNotFound) {
		t.Errorf("a receipt before a checkpoint was read: %v", err)
	}
	if _, err := r.Checkpoint(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Receipt(t.Context(), 0, receipts[1].LeafHash); !errors.Is(err, tlog.ErrProof) {
		t.Errorf("a receipt for another leaf: %v", err)
	}
	s["checkpoint"] = []byte("<html>down for maintenance</html>\n")
	if _, err := r.Checkpoint(t.Context()); !errors.Is(err, tlog.ErrCheckpoint) {
		t.Errorf("not a checkpoint: %v", err)
	}
	delete(s, "checkpoint")
	if _, err := r.Checkpoint(t.Context()); !errors.Is(err, tlog.ErrNotFound) {
		t.Errorf("no checkpoint: %v", err)
	}
}

// Trees larger than anything that is stored cost a few fetches, not a hang.
func TestHugeTree(t *testing.T) {
	signer, v := key(t, origin)
	fetched := 0
	r := tlog.NewTileReader(v, func(_ context.Context, path string) ([]byte, error) {
		if fetched++; path == "checkpoint" {
			return sign(t, origin+"\n9223372036854775807\n"+someRoot+"\n", signer), nil
		}
		tile, err := tlog.ParseTile(path)
		return make([]byte, 32*tile.Width), err
	})
	if _, err := r.Checkpoint(t.Context()); !errors.Is(err, tlog.ErrCorrupt) || fetched > 9 {
		t.Errorf("%d fetches, %v", fetched, err)
	}
}

// The sample log of Tessera: its checkpoints at every size, read from its files.
func TestTesseraLog(t *testing.T) {
	v, err := tlog.NewVerifier("example.com/log/testdata+33d7b496+AeHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+oO5xCFkkSx")
	if err != nil {
		t.Fatal(err)
	}
	const dir = "../testdata/tlog/tessera"
	r := tlog.NewTileReader(v, func(_ context.Context, path string) ([]byte, error) {
		return os.ReadFile(filepath.Join(dir, path))
	})
	var past []attest.Checkpoint
	for size := range uint64(15) {
		raw, err := os.ReadFile(filepath.Join(dir, fmt.Sprintf("checkpoint.%d", size)))
		if err != nil {
			t.Fatal(err)
		}
		cp, err := v.Open(raw)
		if err != nil || cp.Size != size {
			t.Fatalf("checkpoint of %d: %d, %v", size, cp.Size, err)
		}
		past = append(past, cp)
	}
	last, err := r.Checkpoint(t.Context())
	if err != nil || last.Size != 15 {
		t.Fatalf("newest checkpoint: %d, %v", last.Size, err)
	}
	past = append(past, last)
	words := strings.Fields("one two three four five six seven eit nain ten ileven twelf threeten fourten fivten") //nolint:misspell // as Tessera wrote them
	for _, to := range past {
		got, err := readAll(t, v, func(ctx context.Context, path string) ([]byte, error) {
			return os.ReadFile(filepath.Join(dir, path))
		}, to)
		if want := strings.Join(words[:to.Size], " "); err != nil || string(bytes.Join(got, []byte(" "))) != want {
			t.Errorf("entries of %d: %q, %v", to.Size, got, err)
		}
		for _, from := range past[1:] {
			if from.Size > to.Size {
				continue
			}
			path, err := r.Consistency(t.Context(), from.Size, to.Size)
			if err == nil {
				err = tlog.VerifyConsistency(from, to, path)
			}
			if err != nil {
				t.Errorf("consistency of %d and %d: %v", from.Size, to.Size, err)
			}
		}
	}
}

// Whatever is served as a bundle, only the entries in the tree are yielded.
func FuzzBundle(f *testing.F) {
	l, entries, _ := filled(f, 3)
	s, cp := copyOf(f, l)
	const name = "tile/entries/000.p/3"
	f.Add(s[name])
	f.Add(binary.BigEndian.AppendUint16(nil, 65535))
	f.Fuzz(func(t *testing.T, raw []byte) {
		got, err := readAll(t, l.Verifier(), served{name: raw, "tile/0/000.p/3": s["tile/0/000.p/3"]}.fetch, cp)
		same := bytes.Equal(raw, s[name])
		if same != (err == nil) || err != nil && !errors.Is(err, tlog.ErrCorrupt) || same && len(got) != len(entries) {
			t.Fatalf("%x: %d entries, %v", raw, len(got), err)
		}
	})
}
