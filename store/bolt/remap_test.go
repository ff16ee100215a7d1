package bolt

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/sekisho-dev/sekisho/store"
)

// TestGrowsBesideAReader: an index that grows to many times its size is applied to, and
// read from, while somebody reads: it need not be mapped again, for which bbolt would
// wait for the reader, and have every other reader wait behind it.
func TestGrowsBesideAReader(t *testing.T) {
	x := mustOpen(t, filepath.Join(t.TempDir(), "index.bolt"))
	mustApply(t, x, 0, 10)
	fat := store.Record{Index: 10, Value: make([]byte, store.MaxValue)}
	err := x.View(t.Context(), func(slow store.Snapshot) error {
		for i := range uint64(8) { // 128 MiB
			fat.Index = 10 + i
			if err := x.Apply(t.Context(), 10+i, checkpoint(11+i), []store.Record{fat}); err != nil {
				return err
			}
			if err := x.View(context.Background(), func(s store.Snapshot) error { _, err := s.Record(10 + i); return err }); err != nil {
				return err
			}
		}
		_, err := slow.Record(3)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
