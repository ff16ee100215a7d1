package dir

import (
	"crypto/sha256"
	"fmt"
	"io"
	"runtime"
	"testing"
)

// pattern is a reader of n bytes that exist nowhere.
type pattern struct{ n, at int }

func (p *pattern) Read(b []byte) (int, error) {
	if p.at == p.n {
		return 0, io.EOF
	}
	n := min(len(b), p.n-p.at)
	for i := range b[:n] {
		b[i] = byte((p.at + i) * 7)
	}
	p.at += n
	return n, nil
}

// TestLargeIsStreamed puts 64 MiB and reads it back, and allows for no more
// than a few copying buffers.
func TestLargeIsStreamed(t *testing.T) {
	const size = 64 << 20
	const most = 2 << 20
	b := mustOpen(t, t.TempDir())
	if got := allocated(func() {
		if err := b.Put(t.Context(), "large", size, &pattern{n: size}); err != nil {
			t.Fatal(err)
		}
	}); got > most {
		t.Errorf("Put of %d bytes allocated %d, want at most %d", size, got, most)
	}
	if got := allocated(func() {
		r, err := b.Get(t.Context(), "large")
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		got, want := sha256.New(), sha256.New()
		io.Copy(want, &pattern{n: size})
		if n, err := io.Copy(got, r); err != nil || n != size || string(got.Sum(nil)) != string(want.Sum(nil)) {
			t.Errorf("read %d bytes, %v, which may be others", n, err)
		}
	}); got > most {
		t.Errorf("Get of %d bytes allocated %d, want at most %d", size, got, most)
	}
}

// allocated returns how many bytes f allocates, freed or not.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// TestSegmentsRoll fills several segments, and finds everything after reopening.
func TestSegmentsRoll(t *testing.T) {
	path := t.TempDir()
	b, err := open(path, realDisk(), 4096)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 100 {
		mustPut(t, b, fmt.Sprintf("key-%d", i), body(i))
	}
	b.Close()
	b = mustOpen(t, path)
	for i := range 100 {
		wantBody(t, b, fmt.Sprintf("key-%d", i), body(i))
	}
	nos, err := b.segmentNumbers()
	if err != nil || len(nos) < 8 || len(nos) > 12 {
		t.Errorf("%d segments, %v, want about 9", len(nos), err)
	}
}
