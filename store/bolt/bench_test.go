package bolt

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/sekisho-dev/sekisho/attest"
	"github.com/sekisho-dev/sekisho/store"
)

// BenchmarkApply applies to an index that grows, in the batches that a busy
// and an idle log make.
func BenchmarkApply(b *testing.B) {
	for _, batch := range []uint64{1, 64, 1024} {
		b.Run(fmt.Sprintf("batch=%d", batch), func(b *testing.B) {
			x := mustOpen(b, filepath.Join(b.TempDir(), "index.bolt"))
			for n := uint64(0); b.Loop(); n += batch {
				mustApply(b, x, n, n+batch)
			}
			b.ReportMetric(float64(b.N)*float64(batch)/b.Elapsed().Seconds(), "records/s")
		})
	}
}

// BenchmarkFind looks up what is known about one artifact (five records) and one page
// by a key that a fiftieth of all records have. A million records, which take minutes
// to make, are for when SEKISHO_BENCH_LARGE is set.
func BenchmarkFind(b *testing.B) {
	sizes := []uint64{10_000}
	if os.Getenv("SEKISHO_BENCH_LARGE") != "" {
		sizes = append(sizes, 1_000_000)
	}
	for _, size := range sizes {
		x := mustOpen(b, filepath.Join(b.TempDir(), "index.bolt"))
		for n := uint64(0); n < size; n += 2000 {
			mustApply(b, x, n, n+2000)
		}
		b.Run(fmt.Sprintf("subject/records=%d", size), func(b *testing.B) {
			b.ReportAllocs()
			for n := uint64(0); b.Loop(); n += 7919 {
				k := store.Key{Kind: store.Subject, Value: string(attest.SHA256(fmt.Append(nil, n%size/5)))}
				wantFound(b, x, k, 0, 5)
			}
		})
		b.Run(fmt.Sprintf("page/records=%d", size), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				wantFound(b, x, store.Key{Kind: store.Builder, Value: "https://ci.example/builder/7"}, size/2, 50)
			}
		})
	}
}

// wantFound reads up to n records by a key, and expects to.
func wantFound(b *testing.B, x *Index, k store.Key, from uint64, n int) {
	got := 0
	err := x.View(b.Context(), func(s store.Snapshot) error {
		for _, err := range s.Find(k, from) {
			if err != nil {
				return err
			}
			if got++; got == n {
				break
			}
		}
		return nil
	})
	if err != nil || got != n {
		b.Fatalf("found %d, %v, want %d", got, err, n)
	}
}
