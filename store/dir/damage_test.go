package dir

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sekisho-dev/sekisho/store"
)

// entrySize is the length of the entry that fill makes for each key.
const entrySize = entryHead + 5 + 300

// fill puts the small blobs key0, key1, … and returns the segment's bytes.
func fill(t *testing.T, path string, n int) []byte {
	t.Helper()
	b := mustOpen(t, path)
	for i := range n {
		mustPut(t, b, fmt.Sprintf("key-%d", i), body(i))
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(path, segmentName(1)))
	if err != nil {
		t.Fatal(err)
	}
	if len(data) != fileHead+n*entrySize {
		t.Fatalf("segment is %d bytes, want %d", len(data), fileHead+n*entrySize)
	}
	return data
}

func body(i int) []byte { return bytes.Repeat([]byte{byte(i)}, 300) }

func mustPut(t testing.TB, b *Blobs, key string, body []byte) {
	t.Helper()
	if err := b.Put(t.Context(), key, int64(len(body)), bytes.NewReader(body)); err != nil {
		t.Fatal(err)
	}
}

func read(t testing.TB, b *Blobs, key string) ([]byte, error) {
	r, err := b.Get(t.Context(), key)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}

func wantBody(t testing.TB, b *Blobs, key string, want []byte) {
	t.Helper()
	if got, err := read(t, b, key); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s is %d bytes, %v, want %d bytes", key, len(got), err, len(want))
	}
}

func wantError(t testing.TB, b *Blobs, key string, want error) {
	t.Helper()
	if got, err := read(t, b, key); !errors.Is(err, want) {
		t.Errorf("%s is %d bytes, %v, want %v", key, len(got), err, want)
	}
}

// write makes a directory whose only segment has these bytes.
func write(t *testing.T, segment []byte) (path string) {
	t.Helper()
	path = t.TempDir()
	if err := os.WriteFile(filepath.Join(path, segmentName(1)), segment, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// each returns the keys that Each finds sound, and how much it finds damaged.
func each(t *testing.T, b *Blobs) (sound []string, bad int) {
	t.Helper()
	for key, err := range b.Each(t.Context()) {
		switch {
		case err == nil:
			sound = append(sound, key)
		case errors.Is(err, store.ErrCorrupt):
			bad++
		default:
			t.Fatal(err)
		}
	}
	slices.Sort(sound)
	return sound, bad
}

// TestTornTail cuts the last entry at every byte, as a crash may have.
func TestTornTail(t *testing.T) {
	whole := fill(t, t.TempDir(), 3)
	for cut := len(whole) - entrySize; cut < len(whole); cut++ {
		b := mustOpen(t, write(t, whole[:cut]))
		wantBody(t, b, "key-0", body(0))
		wantBody(t, b, "key-1", body(1))
		wantError(t, b, "key-2", store.ErrNotFound)
		if info, err := os.Stat(filepath.Join(b.path, segmentName(1))); err != nil || info.Size() != int64(len(whole)-entrySize) {
			t.Fatalf("cut at %d: segment is %d bytes, %v", cut, info.Size(), err)
		}
		mustPut(t, b, "key-2", body(2))
		wantBody(t, b, "key-2", body(2))
		if _, bad := each(t, b); bad != 0 {
			t.Errorf("cut at %d: %d damaged afterwards", cut, bad)
		}
		b.Close()
	}
}

// TestTornHead cuts a new segment before its first entry.
func TestTornHead(t *testing.T) {
	whole := fill(t, t.TempDir(), 1)
	for cut := range fileHead + 1 {
		b := mustOpen(t, write(t, whole[:cut]))
		wantError(t, b, "key-0", store.ErrNotFound)
		mustPut(t, b, "key-0", body(0))
		wantBody(t, b, "key-0", body(0))
		b.Close()
	}
}

// TestBlankTail: a power cut may leave a tail that was never written.
func TestBlankTail(t *testing.T) {
	whole := fill(t, t.TempDir(), 3)
	for _, tail := range [][]byte{make([]byte, 1), make([]byte, 10_000), bytes.Repeat([]byte{0xff}, 100), whole[len(magic):fileHead], []byte(magic)} {
		path := write(t, append(bytes.Clone(whole), tail...))
		b := mustOpen(t, path)
		if sound, bad := each(t, b); len(sound) != 3 || bad != 0 {
			t.Errorf("%d sound, %d damaged, want 3 and none", len(sound), bad)
		}
		b.Close()
		if data, _ := os.ReadFile(filepath.Join(path, segmentName(1))); !bytes.Equal(data, whole) {
			t.Error("the segment is not what it was before the tail")
		}
	}
}

// TestDamagedMiddle changes every byte of an entry that others follow: the
// rest stays readable, nothing is cut, and a Put mends what is damaged.
func TestDamagedMiddle(t *testing.T) {
	whole := fill(t, t.TempDir(), 3)
	for i := range entrySize {
		data := bytes.Clone(whole)
		data[fileHead+entrySize+i] ^= 0x20
		path := write(t, data)
		b := mustOpen(t, path)
		wantBody(t, b, "key-0", body(0))
		wantBody(t, b, "key-2", body(2))
		if i >= entryHead+5 { // in the body: the key can be read
			wantError(t, b, "key-1", store.ErrCorrupt)
		} else {
			wantError(t, b, "key-1", store.ErrNotFound)
		}
		if sound, bad := each(t, b); len(sound) != 2 || bad != 1 {
			t.Fatalf("byte %d: %d sound and %d damaged, want 2 and 1", i, len(sound), bad)
		}
		mustPut(t, b, "key-1", body(1))
		wantBody(t, b, "key-1", body(1))
		b.Close()
		b = mustOpen(t, path)
		wantBody(t, b, "key-1", body(1))
		b.Close()
		if after, _ := os.ReadFile(filepath.Join(path, segmentName(1))); !bytes.HasPrefix(after, data) {
			t.Fatalf("byte %d: the segment was changed before its end", i)
		}
	}
}

// TestDamagedLast changes every byte of the last entry: it is of full length,
// so it may have been acknowledged, and is no torn tail to be cut.
func TestDamagedLast(t *testing.T) {
	whole := fill(t, t.TempDir(), 2)
	for i := range entrySize {
		data := bytes.Clone(whole)
		data[fileHead+entrySize+i] ^= 1
		path := write(t, data)
		b := mustOpen(t, path)
		if sound, bad := each(t, b); len(sound) != 1 || bad != 1 {
			t.Fatalf("byte %d: %d sound and %d damaged, want 1 and 1", i, len(sound), bad)
		}
		mustPut(t, b, "key-1", body(1))
		b.Close()
		b = mustOpen(t, path)
		wantBody(t, b, "key-1", body(1))
		b.Close()
		if after, _ := os.ReadFile(filepath.Join(path, segmentName(1))); !bytes.HasPrefix(after, data) {
			t.Fatalf("byte %d: the segment was changed before its end", i)
		}
	}
}

// TestDamagedWhileOpen: a Get notices, and the next Put mends.
func TestDamagedWhileOpen(t *testing.T) {
	for name, n := range map[string]int{"small": 300, "large": 300_000} {
		t.Run(name, func(t *testing.T) {
			b := mustOpen(t, t.TempDir())
			want := bytes.Repeat([]byte("x"), n)
			mustPut(t, b, "key", want)
			file := filepath.Join(b.path, segmentName(1))
			if n > smallSize {
				file = b.largePath(nameOf("key"))
			}
			change(t, file, int64(fileHead+entryHead+3+n/2))
			wantError(t, b, "key", store.ErrCorrupt)
			if _, bad := each(t, b); bad != 1 {
				t.Errorf("Each finds %d damaged, want 1", bad)
			}
			mustPut(t, b, "key", want)
			wantBody(t, b, "key", want)
		})
	}
}

func change(t *testing.T, file string, at int64) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(file, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt([]byte{data[at] ^ 1}, at); err != nil {
		t.Fatal(err)
	}
}

// TestDamagedLarge damages a large file in every way its reader distinguishes.
func TestDamagedLarge(t *testing.T) {
	want := bytes.Repeat([]byte("x"), 100_000)
	for name, damage := range map[string]func(data []byte) []byte{
		"magic":     func(d []byte) []byte { d[0] ^= 1; return d },
		"marker":    func(d []byte) []byte { d[len(magic)] ^= 1; return d },
		"header":    func(d []byte) []byte { d[fileHead+markerSize+4] ^= 1; return d },
		"key":       func(d []byte) []byte { d[fileHead+entryHead] ^= 1; return d },
		"first":     func(d []byte) []byte { d[fileHead+entryHead+3] ^= 1; return d },
		"last":      func(d []byte) []byte { d[len(d)-1] ^= 1; return d },
		"cut short": func(d []byte) []byte { return d[:len(d)-1] },
		"longer":    func(d []byte) []byte { return append(d, 0) },
		"empty":     func([]byte) []byte { return nil },
	} {
		t.Run(name, func(t *testing.T) {
			b := mustOpen(t, t.TempDir())
			mustPut(t, b, "key", want)
			file := b.largePath(nameOf("key"))
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, damage(data), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, bad := each(t, b); bad != 1 {
				t.Errorf("Each finds %d damaged, want 1", bad)
			}
			wantError(t, b, "key", store.ErrCorrupt)
			mustPut(t, b, "key", want)
			wantBody(t, b, "key", want)
		})
	}
	t.Run("removed", func(t *testing.T) {
		b := mustOpen(t, t.TempDir())
		mustPut(t, b, "key", want)
		os.Remove(b.largePath(nameOf("key")))
		wantError(t, b, "key", store.ErrCorrupt)
		mustPut(t, b, "key", want)
		wantBody(t, b, "key", want)
	})
	t.Run("another's name", func(t *testing.T) {
		b := mustOpen(t, t.TempDir())
		mustPut(t, b, "key", want)
		mustPut(t, b, "other", bytes.ToUpper(want))
		if err := os.Rename(b.largePath(nameOf("other")), b.largePath(nameOf("key"))); err != nil {
			t.Fatal(err)
		}
		wantError(t, b, "key", store.ErrCorrupt)
		if _, bad := each(t, b); bad != 1 {
			t.Errorf("Each finds %d damaged, want 1", bad)
		}
	})
}

// TestDamagedFileHead: a segment that cannot be read takes nothing else with it.
func TestDamagedFileHead(t *testing.T) {
	data := fill(t, t.TempDir(), 2)
	data[0] ^= 1
	path := write(t, data)
	b := mustOpen(t, path)
	mustPut(t, b, "key-9", body(9))
	b.Close()
	b = mustOpen(t, path)
	wantBody(t, b, "key-9", body(9))
	if sound, bad := each(t, b); !slices.Equal(sound, []string{"key-9"}) || bad != 1 {
		t.Errorf("sound %q, %d damaged", sound, bad)
	}
	if after, _ := os.ReadFile(filepath.Join(path, segmentName(1))); !bytes.Equal(after, data) {
		t.Error("the damaged segment was changed")
	}
}

func TestOtherVersion(t *testing.T) {
	data := fill(t, t.TempDir(), 2)
	data[len(magic)-1]++
	path := write(t, data)
	if _, err := Open(path); !errors.Is(err, store.ErrVersion) {
		t.Errorf("Open = %v, want ErrVersion", err)
	}
	if after, _ := os.ReadFile(filepath.Join(path, segmentName(1))); !bytes.Equal(after, data) {
		t.Error("the segment was changed")
	}
}

// TestBodyCannotPoseAsEntry: a caller who knows the format, and even has seen
// a whole segment of another store, cannot plant an entry for a scan to find.
func TestBodyCannotPoseAsEntry(t *testing.T) {
	theirs := fill(t, t.TempDir(), 1)
	path := t.TempDir()
	b := mustOpen(t, path)
	mustPut(t, b, "theirs", theirs)
	mustPut(t, b, "ours", body(1))
	b.Close()
	change(t, filepath.Join(path, segmentName(1)), int64(fileHead+markerSize)) // the header of "theirs"
	b = mustOpen(t, path)
	wantError(t, b, "key-0", store.ErrNotFound)
	wantBody(t, b, "ours", body(1))
}

// TestAdvisoryE3_NamesNeverBecomePaths: whatever the key, the files are ours.
func TestAdvisoryE3_NamesNeverBecomePaths(t *testing.T) {
	b := mustOpen(t, t.TempDir())
	for _, key := range []string{"lock", "tmp/x", "large/x", "segment-00000001", strings.Repeat("a/", 99) + "a"} {
		mustPut(t, b, key, body(1))
		mustPut(t, b, "x"+key[1:], make([]byte, smallSize+1))
	}
	var files []string
	filepath.WalkDir(b.path, func(path string, d os.DirEntry, err error) error {
		if rel, _ := filepath.Rel(b.path, path); !d.IsDir() && filepath.Dir(rel) != "large" {
			files = append(files, rel)
		}
		return err
	})
	if want := []string{"lock", "segment-00000001"}; !slices.Equal(files, want) {
		t.Errorf("files beside large/ are %q, want %q", files, want)
	}
}
