package dir

import (
	"errors"
	"path/filepath"
	"testing"

	"github.com/sekisho-dev/sekisho/store"
	"github.com/sekisho-dev/sekisho/store/storetest"
)

func openBlobs(dir string) (store.Blobs, error) { return Open(filepath.Join(dir, "blobs")) }

func TestBlobs(t *testing.T) {
	storetest.RunBlobs(t, openBlobs)
	storetest.RunBlobsReopen(t, openBlobs)
}

func TestBlobsInTinySegments(t *testing.T) {
	open := func(path string) (store.Blobs, error) { return open(path, realDisk(), 1000) }
	storetest.RunBlobs(t, open)
	storetest.RunBlobsReopen(t, open)
}

func TestLocked(t *testing.T) {
	path := t.TempDir()
	b := mustOpen(t, path)
	if _, err := Open(path); !errors.Is(err, store.ErrLocked) {
		t.Errorf("second Open = %v, want ErrLocked", err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	mustOpen(t, path)
}

func mustOpen(t testing.TB, path string) *Blobs {
	t.Helper()
	b, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() }) // some tests close it themselves
	return b
}
