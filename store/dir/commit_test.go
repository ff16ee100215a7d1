package dir

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/sekisho-dev/sekisho/store"
)

// gate holds up the synchronising of segments, and counts it.
type gate struct {
	reached chan struct{}
	pass    chan struct{}
	synced  atomic.Int32
}

func openGate(t *testing.T) (*Blobs, *gate) {
	g := &gate{reached: make(chan struct{}, 1000), pass: make(chan struct{})}
	b, err := open(t.TempDir(), disk{
		write: (*os.File).Write,
		sync: func(f *os.File) error {
			if strings.Contains(f.Name(), "segment-") {
				g.synced.Add(1)
				g.reached <- struct{}{}
				<-g.pass
			}
			return f.Sync()
		},
	}, segmentSize)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b, g
}

func start(ctx context.Context, b *Blobs, key string, n int, done chan<- error) {
	go func() { done <- b.Put(ctx, key, int64(n), bytes.NewReader(make([]byte, n))) }()
}

// waitQueued waits until n blobs are in the queue.
func waitQueued(b *Blobs, n int) {
	for {
		b.mu.RLock()
		have := len(b.queue)
		b.mu.RUnlock()
		if have == n {
			return
		}
		runtime.Gosched()
	}
}

// TestGroupCommit: what arrives during one fsync shares the next, and until
// then nothing of it is acknowledged or found.
func TestGroupCommit(t *testing.T) {
	b, g := openGate(t)
	done := make(chan error, 300)
	start(t.Context(), b, "first", 10, done)
	<-g.reached
	for i := range 200 {
		start(t.Context(), b, fmt.Sprintf("key/%d", i), 1000, done)
	}
	waitQueued(b, 200)
	for i := range 50 { // keys that are on their way already
		start(t.Context(), b, fmt.Sprintf("key/%d", i), 1000, done)
	}
	wantError(t, b, "first", store.ErrNotFound)
	wantError(t, b, "key/7", store.ErrNotFound)
	if len(done) > 0 {
		t.Error("a Put returned before its fsync")
	}
	close(g.pass)
	for range 251 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	// Of the 50, those that were late find the key stored, or share a third.
	if n := g.synced.Load(); n > 3 {
		t.Errorf("251 Puts took %d fsyncs, want 2 or 3", n)
	}
	if sound, bad := each(t, b); len(sound) != 201 || bad != 0 {
		t.Errorf("%d sound and %d damaged, want 201 and none", len(sound), bad)
	}
}

// TestBatchIsBounded: a queue of more than one batch is taken in several.
func TestBatchIsBounded(t *testing.T) {
	b, g := openGate(t)
	const n = 2*batchSize/smallSize + 10
	done := make(chan error, n+1)
	start(t.Context(), b, "first", 10, done)
	<-g.reached
	for i := range n {
		start(t.Context(), b, fmt.Sprintf("key/%d", i), smallSize, done)
	}
	waitQueued(b, n)
	close(g.pass)
	for range n + 1 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if got := g.synced.Load(); got != 4 {
		t.Errorf("%d fsyncs, want 1 + 3", got)
	}
	for i := range n {
		wantBody(t, b, fmt.Sprintf("key/%d", i), make([]byte, smallSize))
	}
}

// TestPutIsLetGo: a caller whose context ends does not wait for the disk, and
// Close does, for what it left behind.
func TestPutIsLetGo(t *testing.T) {
	b, g := openGate(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 2)
	start(ctx, b, "first", 10, done)
	<-g.reached
	start(ctx, b, "second", 10, done)
	waitQueued(b, 1)
	cancel()
	for range 2 {
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("Put = %v, want the context's error", err)
		}
	}
	close(g.pass)
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	again := mustOpen(t, b.path)
	wantBody(t, again, "first", make([]byte, 10))
	wantBody(t, again, "second", make([]byte, 10))
}

// TestEachDuringPuts: checking a store in use finds no damage that is not there.
func TestEachDuringPuts(t *testing.T) {
	b, err := open(t.TempDir(), realDisk(), 20_000)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	done := make(chan error, 4)
	for i := range cap(done) {
		go func() {
			var err error
			for n := 0; n < 100 && err == nil; n++ {
				body := make([]byte, 1000+n*n*10)
				err = b.Put(context.Background(), fmt.Sprintf("key/%d/%d", i, n), int64(len(body)), bytes.NewReader(body))
			}
			done <- err
		}()
	}
	for left := cap(done); left > 0; {
		if _, bad := each(t, b); bad != 0 {
			t.Errorf("%d damaged, want none", bad)
		}
		select {
		case err := <-done:
			if err != nil {
				t.Error(err)
			}
			left--
		default:
		}
	}
	if sound, _ := each(t, b); len(sound) != 400 {
		t.Errorf("%d sound, want 400", len(sound))
	}
}
