package dir

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/sekisho-dev/sekisho/store"
)

// trouble is a disk whose writes or synchronisations fail as a test wants.
type trouble struct {
	room      int   // bytes that still fit; negative: any number
	syncError error // what synchronising says; nil: it works
}

func (d *trouble) disk() disk {
	return disk{
		write: func(f *os.File, p []byte) (int, error) {
			if d.room < 0 || len(p) <= d.room {
				d.room -= min(len(p), max(d.room, 0))
				return f.Write(p)
			}
			n, _ := f.Write(p[:d.room]) // as a full disk does, what fits is written
			d.room = 0
			return n, &os.PathError{Op: "write", Path: f.Name(), Err: syscall.ENOSPC}
		},
		sync: func(f *os.File) error {
			if d.syncError != nil {
				return d.syncError
			}
			return f.Sync()
		},
	}
}

func openTrouble(t *testing.T, path string, d *trouble) *Blobs {
	t.Helper()
	b, err := open(path, d.disk(), segmentSize)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

// TestDiskFull runs out of space at many a byte of a Put, of which the store
// may be new or not, and the blob small or large.
func TestDiskFull(t *testing.T) {
	for _, before := range []bool{false, true} {
		for _, size := range []int{300, 70_000} {
			t.Run(fmt.Sprintf("%d bytes after others %v", size, before), func(t *testing.T) {
				need := entryHead + len("key") + size
				if !before || size > smallSize {
					need += fileHead
				}
				for room := 0; room < need; room += max(7, size/20) {
					diskFull(t, before, size, room)
				}
			})
		}
	}
}

func diskFull(t *testing.T, before bool, size, room int) {
	d := &trouble{room: -1}
	path := t.TempDir()
	b := openTrouble(t, path, d)
	if before {
		mustPut(t, b, "before", body(1))
	}
	d.room = room
	for range 2 {
		if err := b.Put(t.Context(), "key", int64(size), bytes.NewReader(make([]byte, size))); !errors.Is(err, store.ErrFull) {
			t.Fatalf("Put with room for %d bytes = %v, want ErrFull", room, err)
		}
		wantError(t, b, "key", store.ErrNotFound)
	}
	d.room = -1
	mustPut(t, b, "key", make([]byte, size))
	wantBody(t, b, "key", make([]byte, size))
	b.Close()
	b = mustOpen(t, path)
	wantBody(t, b, "key", make([]byte, size))
	want := 1
	if before {
		wantBody(t, b, "before", body(1))
		want = 2
	}
	if sound, bad := each(t, b); len(sound) != want || bad != 0 {
		t.Fatalf("with room for %d bytes: %d sound and %d damaged, want %d and none", room, len(sound), bad, want)
	}
	if left, _ := os.ReadDir(filepath.Join(path, "tmp")); len(left) != 0 {
		t.Errorf("%d files left in tmp", len(left))
	}
	b.Close()
}

// TestSyncFails: what could not be synchronised was not stored, and the
// segment it was in is not used again.
func TestSyncFails(t *testing.T) {
	for name, size := range map[string]int{"small": 300, "large": 70_000} {
		t.Run(name, func(t *testing.T) {
			d := &trouble{room: -1}
			path := t.TempDir()
			b := openTrouble(t, path, d)
			mustPut(t, b, "before", body(1))
			d.syncError = syscall.EIO
			if err := b.Put(t.Context(), "key", int64(size), bytes.NewReader(make([]byte, size))); !errors.Is(err, syscall.EIO) {
				t.Fatalf("Put = %v, want EIO", err)
			}
			wantError(t, b, "key", store.ErrNotFound)
			d.syncError = nil
			mustPut(t, b, "key", make([]byte, size))
			mustPut(t, b, "after", body(2))
			b.Close()
			b = mustOpen(t, path)
			wantBody(t, b, "before", body(1))
			wantBody(t, b, "after", body(2))
			wantBody(t, b, "key", make([]byte, size))
			if at := b.at[nameOf("after")]; name == "small" && at.segment != 2 {
				t.Errorf("the segment that failed was used again: %+v", at)
			}
			if sound, bad := each(t, b); len(sound) != 3 || bad != 0 {
				t.Errorf("%d sound and %d damaged, want 3 and none", len(sound), bad)
			}
		})
	}
}

// TestTmpIsEmptied: what a crash left half written is not kept for ever.
func TestTmpIsEmptied(t *testing.T) {
	path := t.TempDir()
	mustOpen(t, path).Close()
	left := filepath.Join(path, "tmp", "blob-1")
	if err := os.WriteFile(left, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	mustOpen(t, path)
	if _, err := os.Stat(left); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is still there: %v", left, err)
	}
}
