package storetest_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/sekisho-dev/sekisho/attest"
	"github.com/sekisho-dev/sekisho/store"
	"github.com/sekisho-dev/sekisho/store/memory"
	"github.com/sekisho-dev/sekisho/store/storetest"
)

// TestFaultBlobs: of a pair, one did nothing and the other did it all.
func TestFaultBlobs(t *testing.T) {
	ctx := context.Background()
	for _, done := range []bool{false, true} {
		n := 1
		for ; ; n++ {
			f := &storetest.Fault{Call: storetest.Put, N: n, Done: done}
			blobs := memory.NewBlobs()
			faulty := f.Blobs(blobs)
			for i, key := range []string{"a", "b", "c"} {
				err := faulty.Put(ctx, key, 4, strings.NewReader("body"))
				if struck := i+1 == n; struck != errors.Is(err, storetest.ErrInjected) {
					t.Errorf("fault at %d: Put %d = %v", n, i+1, err)
				}
				_, err = blobs.Get(ctx, key)
				if want := i+1 != n || done; want != (err == nil) {
					t.Errorf("fault at %d, done %v: Get %d = %v", n, done, i+1, err)
				}
			}
			if !f.Fired() {
				break
			}
		}
		if n != 4 {
			t.Errorf("%d calls were counted, want 3", n-1)
		}
	}
}

func TestFaultGet(t *testing.T) {
	ctx := context.Background()
	mine := errors.New("mine")
	blobs := memory.NewBlobs()
	if err := blobs.Put(ctx, "a", 4, strings.NewReader("body")); err != nil {
		t.Fatal(err)
	}
	f := &storetest.Fault{Call: storetest.Get, N: 1, Err: mine}
	if _, err := f.Blobs(blobs).Get(ctx, "a"); !errors.Is(err, mine) {
		t.Errorf("Get = %v, want the fault's error", err)
	}
	f = &storetest.Fault{Call: storetest.Get, N: 1, Done: true, Err: mine}
	r, err := f.Blobs(blobs).Get(ctx, "a")
	if err != nil {
		t.Fatal(err)
	}
	if body, err := io.ReadAll(r); string(body) != "bo" || !errors.Is(err, mine) {
		t.Errorf("read %q, %v, want half and the fault's error", body, err)
	}
}

func TestFaultIndex(t *testing.T) {
	ctx := context.Background()
	to := attest.Checkpoint{Origin: "log", Size: 1}
	for _, done := range []bool{false, true} {
		x := memory.NewIndex()
		f := &storetest.Fault{Call: storetest.Apply, N: 1, Done: done}
		if err := f.Index(x).Apply(ctx, 0, to, nil); !errors.Is(err, storetest.ErrInjected) {
			t.Errorf("Apply = %v, want ErrInjected", err)
		}
		var size uint64
		f = &storetest.Fault{Call: storetest.View, N: 2, Done: done}
		faulty := f.Index(x)
		for want := range 2 {
			ran := false
			err := faulty.View(ctx, func(s store.Snapshot) error {
				ran, size = true, s.Checkpoint().Size
				return nil
			})
			if struck := want == 1; struck != errors.Is(err, storetest.ErrInjected) || ran != (!struck || done) {
				t.Errorf("View %d = %v, f ran: %v", want+1, err, ran)
			}
		}
		if want := map[bool]uint64{false: 0, true: 1}[done]; size != want {
			t.Errorf("index holds %d entries, want %d", size, want)
		}
	}
}
