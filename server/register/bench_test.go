package register_test

import (
	"context"
	"fmt"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/transparency-dev/tessera"
	"github.com/transparency-dev/tessera/storage/posix"

	"github.com/sekisho-dev/sekisho/attest"
	"github.com/sekisho-dev/sekisho/internal/testhouse"
	"github.com/sekisho-dev/sekisho/server/follow"
	"github.com/sekisho-dev/sekisho/server/register"
	"github.com/sekisho-dev/sekisho/store"
	"github.com/sekisho-dev/sekisho/store/bolt"
	"github.com/sekisho-dev/sekisho/store/dir"
	"github.com/sekisho-dev/sekisho/tlog"
	"github.com/sekisho-dev/sekisho/tlog/tiles"
)

// inFlight is how many registrations, or appends, are under way at once.
const inFlight = 512

// BenchmarkRegister registers 2 KB of provenance on disk: checked, signed,
// timestamped, durable, logged, indexed. Beside it, a bare Tessera append of the
// same leaf, awaited to publication. Compare ns/op within one run.
func BenchmarkRegister(b *testing.B) {
	defer debug.SetGCPercent(debug.SetGCPercent(400)) // as sekishod does; Tessera has it too
	b.Run("register", func(b *testing.B) {
		h := testhouse.New(b, testhouse.Options{Still: true, Bare: true})
		r := onDisk(b, h)
		padding := strings.Repeat("x", 1600)
		var n atomic.Int64
		parallel(b, func(ctx context.Context) error {
			statement := testhouse.Provenance(attest.SHA256(fmt.Append(nil, n.Add(1))), "https://localhost/"+padding)
			_, err := r.Register(ctx, register.Submission{Caller: testhouse.Admin, Statement: statement})
			return err
		})
	})
	b.Run("tessera", func(b *testing.B) {
		add := bareTessera(b)
		entry := make([]byte, 490) // as long as a leaf of ours
		var n atomic.Int64
		parallel(b, func(ctx context.Context) error {
			return add(ctx, fmt.Appendf(nil, "%d%s", n.Add(1), entry))
		})
	})
}

func parallel(b *testing.B, work func(context.Context) error) {
	b.SetParallelism(inFlight / 2) // times two processors
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := work(context.Background()); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

// onDisk is a registrar of production parts: Tessera, segments, bolt.
func onDisk(b *testing.B, h *testhouse.House) *register.Registrar {
	b.Helper()
	data := b.TempDir()
	skey, _, err := tlog.GenerateKey("")
	if err != nil {
		b.Fatal(err)
	}
	signer, v, err := tlog.NewSigner(skey)
	if err != nil {
		b.Fatal(err)
	}
	log, err := tiles.Open(b.Context(), tiles.Config{Dir: filepath.Join(data, "log"), Signer: signer, Verifier: v})
	if err != nil {
		b.Fatal(err)
	}
	blobs, err := dir.Open(filepath.Join(data, "blobs"))
	if err != nil {
		b.Fatal(err)
	}
	idx, err := bolt.Open(filepath.Join(data, "index.bolt"))
	if err != nil {
		b.Fatal(err)
	}
	c := h.FollowConfig(idx)
	c.Log, c.Blobs, c.Now, c.Poll = log, blobs, time.Now, 50*time.Millisecond
	c.Fresh = func() (store.Index, func() error, error) { return nil, nil, store.ErrInvalid }
	f, err := follow.New(b.Context(), c)
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); f.Run(ctx) }() // the benchmark waits for what it does
	b.Cleanup(func() {
		cancel()
		<-done
		f.Close()
		log.Close()
		blobs.Close()
	})
	return register.New(register.Config{Log: log, Blobs: blobs, Follow: f, Signer: h.Signer, Time: h.Time, Now: time.Now})
}

// bareTessera is Tessera itself, with the settings of package tiles.
func bareTessera(b *testing.B) func(context.Context, []byte) error {
	b.Helper()
	skey, _, err := tlog.GenerateKey("")
	if err != nil {
		b.Fatal(err)
	}
	signer, _, err := tlog.NewSigner(skey)
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	driver, err := posix.New(ctx, posix.Config{Path: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	appender, shutdown, reader, err := tessera.NewAppender(ctx, driver, tessera.NewAppendOptions().
		WithCheckpointSigner(signer).WithBatching(64, 5*time.Millisecond).WithCheckpointInterval(100*time.Millisecond))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { shutdown(ctx); cancel() }) // nothing is under way
	awaiter := tessera.NewPublicationAwaiter(ctx, reader.ReadCheckpoint, 10*time.Millisecond)
	return func(ctx context.Context, entry []byte) error {
		_, _, err := awaiter.Await(ctx, appender.Add(ctx, tessera.NewEntry(entry)))
		return err
	}
}
