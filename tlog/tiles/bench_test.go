package tiles_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/transparency-dev/tessera"
	"github.com/transparency-dev/tessera/storage/posix"
)

// BenchmarkAppend compares Append with Tessera's own awaited append, without
// proofs, under the same settings: with 512 entries in flight, and one at a time.
// Compare the entries/s of one run.
func BenchmarkAppend(b *testing.B) {
	for _, inFlight := range []int{512, 1} {
		b.Run(fmt.Sprintf("tessera/inflight=%d", inFlight), func(b *testing.B) {
			add := rawTessera(b)
			run(b, inFlight, add)
		})
		b.Run(fmt.Sprintf("sekisho/inflight=%d", inFlight), func(b *testing.B) {
			l := open(b, config(b))
			run(b, inFlight, func(ctx context.Context, entry []byte) error {
				_, err := l.Append(ctx, entry)
				return err
			})
		})
	}
}

func rawTessera(b *testing.B) func(context.Context, []byte) error {
	ctx, cancel := context.WithCancel(context.Background())
	cfg := config(b)
	driver, err := posix.New(ctx, posix.Config{Path: cfg.Dir})
	if err != nil {
		b.Fatal(err)
	}
	appender, shutdown, reader, err := tessera.NewAppender(ctx, driver, tessera.NewAppendOptions().
		WithCheckpointSigner(cfg.Signer).
		WithBatching(64, 5*time.Millisecond).
		WithCheckpointInterval(100*time.Millisecond))
	if err != nil {
		b.Fatal(err)
	}
	awaiter := tessera.NewPublicationAwaiter(ctx, reader.ReadCheckpoint, 10*time.Millisecond)
	b.Cleanup(func() {
		if err := shutdown(ctx); err != nil {
			b.Error(err)
		}
		cancel()
	})
	return func(ctx context.Context, entry []byte) error {
		_, _, err := awaiter.Await(ctx, appender.Add(ctx, tessera.NewEntry(entry)))
		return err
	}
}

// run appends b.N different entries of 1 KB, inFlight at a time.
func run(b *testing.B, inFlight int, add func(context.Context, []byte) error) {
	var next atomic.Int64
	var wg sync.WaitGroup
	b.ResetTimer()
	for range inFlight {
		wg.Go(func() {
			entry := make([]byte, 1024)
			for i := next.Add(1); i <= int64(b.N); i = next.Add(1) {
				copy(entry, fmt.Sprintf("entry %d", i))
				if err := add(b.Context(), entry); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "entries/s")
}
