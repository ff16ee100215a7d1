package bolt

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/sekisho-dev/sekisho/store"
)

// grow applies records of 16 MiB each, and reads each, on new Views.
func grow(t *testing.T, x *Index, times int) {
	t.Helper()
	for i := range uint64(times) {
		fat := store.Record{Index: 10 + i, Value: make([]byte, store.MaxValue)}
		if err := x.Apply(t.Context(), 10+i, checkpoint(11+i), []store.Record{fat}); err != nil {
			t.Fatal(err)
		}
		if err := x.View(context.Background(), func(s store.Snapshot) error { _, err := s.Record(10 + i); return err }); err != nil {
			t.Fatal(err)
		}
	}
}

// TestGrowsBesideAReader: an index grows, and answers, while somebody reads. To map the
// file anew, when it outgrows what is mapped, bbolt waits for every reader, and has new
// ones wait behind it; so that it is mapped far ahead, and stays where it is.
func TestGrowsBesideAReader(t *testing.T) {
	x := mustOpen(t, filepath.Join(t.TempDir(), "index.bolt"))
	mustApply(t, x, 0, 10)
	mapped := x.db.Info().Data
	err := x.View(t.Context(), func(slow store.Snapshot) error {
		grow(t, x, 6)
		_, err := slow.Record(3)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if x.db.Info().Data != mapped {
		t.Error("it was mapped anew")
	}

	// With less of a map, the same growth has it mapped anew: here nobody reads.
	path := filepath.Join(t.TempDir(), "index.bolt")
	db, err := openFile(path, 1<<25)
	if err != nil {
		t.Fatal(err)
	}
	small := &Index{db: db}
	defer small.Close()
	if err := small.prepare(); err != nil {
		t.Fatal(err)
	}
	mustApply(t, small, 0, 10)
	mapped = small.db.Info().Data
	grow(t, small, 6)
	if small.db.Info().Data == mapped {
		t.Error("a map of 32 MiB held 96 MiB: this test shows nothing")
	}
	if mapSizes[0] < 1<<36 {
		t.Errorf("%d bytes are mapped ahead, which an index may outgrow while it is read", mapSizes[0])
	}
}
