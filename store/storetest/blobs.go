package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/sekisho-dev/sekisho/store"
)

// OpenBlobs opens the blobs kept in a directory, or named by it. If they are an
// [io.Closer] they are closed after each test.
type OpenBlobs func(dir string) (store.Blobs, error)

// sizes are on both sides of the places where a driver might change its ways.
var sizes = []int{0, 1, 100, 4095, 4096, 65535, 65536, 65537, 1 << 20}

// RunBlobs runs the conformance suite of [store.Blobs].
func RunBlobs(t *testing.T, open OpenBlobs) {
	tests := map[string]func(*testing.T, store.Blobs){
		"PutGet":                              testPutGet,
		"PutIsIdempotent":                     testPutAgain,
		"WrongSize":                           testWrongSize,
		"ReaderFails":                         testReaderFails,
		"AdvisoryE3_NamesAreNotPaths":         testBlobKeys,
		"BlobsCancelled":                      testBlobsCancelled,
		"ConcurrentPutsOfOneKey":              testConcurrentPuts,
		"ConcurrentPutsOfManyKeysAndReadBack": testManyPuts,
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) { test(t, openBlobs(t, open, t.TempDir())) })
	}
}

// RunBlobsReopen runs the suite for blobs that outlive their process, which
// must be an [io.Closer].
func RunBlobsReopen(t *testing.T, open OpenBlobs) {
	t.Run("Reopen", func(t *testing.T) {
		dir := t.TempDir()
		for round := range 3 {
			b := openBlobs(t, open, dir)
			for r := range round {
				for _, n := range sizes {
					wantBlob(t, b, fmt.Sprintf("round/%d/%d", r, n), content(n))
				}
			}
			for _, n := range sizes {
				mustPut(t, b, fmt.Sprintf("round/%d/%d", round, n), content(n))
			}
			if err := b.(io.Closer).Close(); err != nil {
				t.Fatal(err)
			}
		}
	})
	t.Run("Closed", func(t *testing.T) {
		b := openBlobs(t, open, t.TempDir())
		mustPut(t, b, "a", content(10))
		if err := b.(io.Closer).Close(); err != nil {
			t.Fatal(err)
		}
		for _, n := range []int{10, 1 << 20} {
			if err := b.Put(t.Context(), "b", int64(n), bytes.NewReader(content(n))); !errors.Is(err, store.ErrClosed) {
				t.Errorf("Put of %d bytes = %v, want ErrClosed", n, err)
			}
		}
		if _, err := b.Get(t.Context(), "a"); !errors.Is(err, store.ErrClosed) {
			t.Errorf("Get = %v, want ErrClosed", err)
		}
	})
}

func openBlobs(t *testing.T, open OpenBlobs, dir string) store.Blobs {
	t.Helper()
	b, err := open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if c, ok := b.(io.Closer); ok {
		t.Cleanup(func() { c.Close() }) //nolint:errcheck // some tests close it themselves
	}
	return b
}

func testPutGet(t *testing.T, b store.Blobs) {
	if _, err := b.Get(t.Context(), "nothing"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("Get = %v, want ErrNotFound", err)
	}
	for _, n := range sizes {
		mustPut(t, b, fmt.Sprintf("size/%d", n), content(n))
	}
	mustPut(t, b, "payload/sha256:"+strings.Repeat("0a", 32), content(5))
	// A reader may give its bytes one at a time, and the last with io.EOF.
	if err := b.Put(t.Context(), "slow", 5000, iotest.OneByteReader(bytes.NewReader(content(5000)))); err != nil {
		t.Error(err)
	}
	if err := b.Put(t.Context(), "eof", 70000, iotest.DataErrReader(bytes.NewReader(content(70000)))); err != nil {
		t.Error(err)
	}
	for _, n := range sizes {
		wantBlob(t, b, fmt.Sprintf("size/%d", n), content(n))
	}
	wantBlob(t, b, "slow", content(5000))
	wantBlob(t, b, "eof", content(70000))
}

func testPutAgain(t *testing.T, b store.Blobs) {
	for _, n := range []int{10, 100_000} {
		key := fmt.Sprintf("size/%d", n)
		mustPut(t, b, key, content(n))
		unread := iotest.ErrReader(errors.New("read although the key was there"))
		for _, other := range []int{n, 20, 200_000} {
			if err := b.Put(t.Context(), key, int64(other), unread); err != nil {
				t.Errorf("second Put = %v", err)
			}
		}
		wantBlob(t, b, key, content(n))
	}
}

func testWrongSize(t *testing.T, b store.Blobs) {
	for _, c := range []struct{ declared, given int }{{0, 1}, {1, 0}, {10, 9}, {10, 11}, {65536, 65537}, {65537, 65536}, {200_000, 199_999}, {200_000, 200_001}, {10, 1 << 20}, {1 << 20, 10}} {
		key := fmt.Sprintf("size/%d/%d", c.declared, c.given)
		if err := b.Put(t.Context(), key, int64(c.declared), bytes.NewReader(content(c.given))); !errors.Is(err, store.ErrSize) {
			t.Errorf("Put of %d bytes declared as %d = %v, want ErrSize", c.given, c.declared, err)
		}
		if _, err := b.Get(t.Context(), key); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("Get after that = %v, want ErrNotFound", err)
		}
		mustPut(t, b, key, content(c.declared))
		wantBlob(t, b, key, content(c.declared))
	}
	if err := b.Put(t.Context(), "negative", -1, strings.NewReader("")); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("Put of -1 bytes = %v, want ErrInvalid", err)
	}
}

func testReaderFails(t *testing.T, b store.Blobs) {
	broken := errors.New("broken")
	for _, n := range []int{10, 200_000} {
		r := io.MultiReader(bytes.NewReader(content(n-1)), iotest.ErrReader(broken))
		if err := b.Put(t.Context(), "a", int64(n), r); !errors.Is(err, broken) {
			t.Errorf("Put = %v, want the reader's error", err)
		}
		if _, err := b.Get(t.Context(), "a"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("Get after that = %v, want ErrNotFound", err)
		}
	}
}

// testBlobKeys: names that were used as paths have been the way out of many a
// directory (CVE-2026-24137, CVE-2026-24686, PYSEC-2021-376).
func testBlobKeys(t *testing.T, b store.Blobs) {
	for _, key := range []string{
		"", ".", "..", "../a", "a/../b", "a/..", "/a", "/etc/passwd", "//a", "a//b", "a/", "a\x00b", "a\\b", `..\a`, "A", "a b", "a.b",
		"%2e%2e/a", "a\n", "é", "a\xff", "~", "c:\\a", strings.Repeat("a", store.MaxBlobKey+1),
	} {
		if err := b.Put(t.Context(), key, 1, strings.NewReader("x")); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("Put(%.40q) = %v, want ErrInvalid", key, err)
		}
		if _, err := b.Get(t.Context(), key); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("Get(%.40q) = %v, want ErrInvalid", key, err)
		}
	}
	for i, key := range []string{"a", "a/b", "a/b/c", "a:b", "a_b", "a-b", "0", "-", ":", "lock", "tmp/a", "large/a", strings.Repeat("a", store.MaxBlobKey)} {
		mustPut(t, b, key, content(i))
		mustPut(t, b, "l"+key[1:], content(70000+i))
	}
	wantBlob(t, b, "a/b/c", content(2))
	wantBlob(t, b, strings.Repeat("a", store.MaxBlobKey), content(12))
}

func testBlobsCancelled(t *testing.T, b store.Blobs) {
	for _, n := range []int{10, 200_000} {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := b.Put(ctx, "a", int64(n), bytes.NewReader(content(n))); !errors.Is(err, context.Canceled) {
			t.Errorf("Put of %d bytes = %v, want the context's error", n, err)
		}
		if _, err := b.Get(ctx, "a"); !errors.Is(err, context.Canceled) {
			t.Errorf("Get = %v, want the context's error", err)
		}
	}
}

func testConcurrentPuts(t *testing.T, b store.Blobs) {
	for _, n := range []int{100, 100_000} {
		key := fmt.Sprintf("size/%d", n)
		done := make(chan error, 16)
		for range cap(done) {
			go func() { done <- b.Put(context.Background(), key, int64(n), bytes.NewReader(content(n))) }()
		}
		for range cap(done) {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		wantBlob(t, b, key, content(n))
	}
}

func testManyPuts(t *testing.T, b store.Blobs) {
	done := make(chan error, 64)
	for i := range cap(done) {
		go func() {
			body := content(i * i * 30) // up to 119 kB
			key := fmt.Sprintf("many/%d", i)
			err := b.Put(context.Background(), key, int64(len(body)), bytes.NewReader(body))
			if err == nil {
				err = compareBlob(context.Background(), b, key, body)
			}
			done <- err
		}()
	}
	for range cap(done) {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// content returns n bytes that are the same for equal n and unlike for others.
func content(n int) []byte {
	body := make([]byte, n)
	rand.NewChaCha8([32]byte{byte(n), byte(n >> 8), byte(n >> 16)}).Read(body) //nolint:errcheck // it does not fail
	return body
}

func mustPut(t *testing.T, b store.Blobs, key string, body []byte) {
	t.Helper()
	if err := b.Put(t.Context(), key, int64(len(body)), bytes.NewReader(body)); err != nil {
		t.Fatalf("Put(%.40q): %v", key, err)
	}
}

func wantBlob(t *testing.T, b store.Blobs, key string, want []byte) {
	t.Helper()
	if err := compareBlob(t.Context(), b, key, want); err != nil {
		t.Error(err)
	}
}

func compareBlob(ctx context.Context, b store.Blobs, key string, want []byte) error {
	r, err := b.Get(ctx, key)
	if err != nil {
		return fmt.Errorf("Get(%.40q): %w", key, err)
	}
	defer r.Close() //nolint:errcheck // read to its end
	got, err := io.ReadAll(r)
	if err != nil {
		return fmt.Errorf("reading %.40q: %w", key, err)
	}
	if !bytes.Equal(got, want) {
		return fmt.Errorf("blob %.40q is %d other bytes than the %d that were put", key, len(got), len(want))
	}
	return nil
}
