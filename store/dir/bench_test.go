package dir

import (
	"bytes"
	"context"
	"fmt"
	"sync/atomic"
	"testing"
)

// BenchmarkPutSmall puts records of 2 kB with many callers in flight; each
// returns only when its blob is on the disk.
func BenchmarkPutSmall(b *testing.B) {
	for _, callers := range []int{1, 32, 512} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			blobs := mustOpen(b, b.TempDir())
			body := make([]byte, 2000)
			var next atomic.Int64
			done := make(chan error, callers)
			b.SetBytes(int64(len(body)))
			b.ResetTimer()
			for range callers {
				go func() { done <- putUntil(blobs, body, &next, int64(b.N)) }()
			}
			for range callers {
				if err := <-done; err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "puts/s")
		})
	}
}

func putUntil(blobs *Blobs, body []byte, next *atomic.Int64, end int64) error {
	for {
		n := next.Add(1)
		if n > end {
			return nil
		}
		if err := blobs.Put(context.Background(), fmt.Sprintf("record/%064x", n), int64(len(body)), bytes.NewReader(body)); err != nil {
			return err
		}
	}
}

func BenchmarkGetSmall(b *testing.B) {
	blobs := mustOpen(b, b.TempDir())
	mustPut(b, blobs, "key", make([]byte, 2000))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := read(b, blobs, "key"); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkOpen reads 100 000 blobs of 2 kB back into the map.
func BenchmarkOpen(b *testing.B) {
	path := b.TempDir()
	blobs := mustOpen(b, path)
	var next atomic.Int64
	done := make(chan error, 512)
	for range cap(done) {
		go func() { done <- putUntil(blobs, make([]byte, 2000), &next, 100_000) }()
	}
	for range cap(done) {
		if err := <-done; err != nil {
			b.Fatal(err)
		}
	}
	blobs.Close()
	b.ReportAllocs()
	for b.Loop() {
		mustOpen(b, path).Close()
	}
}
