package storetest

import (
	"context"
	"errors"
	"io"
	"sync"

	"github.com/sekisho-dev/sekisho/attest"
	"github.com/sekisho-dev/sekisho/store"
)

// ErrInjected is the error of a [Fault] that names none.
var ErrInjected = errors.New("injected fault")

// A Call is a method that a fault can strike.
type Call string

// The calls of an index and of blobs.
const (
	Apply Call = "Apply"
	View  Call = "View"
	Put   Call = "Put"
	Get   Call = "Get"
)

// A Fault makes one call fail: the Nth of its kind, counted from 1 over
// everything the fault is wrapped around. Faults come in pairs. Either the call
// fails and did nothing, or it was done and fails all the same, as when a machine
// stops between a write and its acknowledgement; a Get that is "done"
// gives a reader that fails after half of the bytes. Whoever uses a
// store has to survive both:
//
//	for _, done := range []bool{false, true} {
//		for n := 1; ; n++ {
//			f := &storetest.Fault{Call: storetest.Put, N: n, Done: done}
//			… use f.Blobs(blobs) …
//			if !f.Fired() {
//				break // there were not that many calls
//			}
//		}
//	}
type Fault struct {
	Call Call
	N    int
	Done bool
	Err  error // what the call returns; nil means ErrInjected

	mu    sync.Mutex
	calls int
}

// Index returns x with the fault in it.
func (f *Fault) Index(x store.Index) store.Index { return faultyIndex{x, f} }

// Blobs returns b with the fault in it.
func (f *Fault) Blobs(b store.Blobs) store.Blobs { return faultyBlobs{b, f} }

// Fired reports whether there was an Nth call.
func (f *Fault) Fired() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls >= f.N
}

// strikes counts a call and returns the error of the one that the fault is for.
func (f *Fault) strikes(c Call) error {
	if c != f.Call {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.calls++; f.calls != f.N {
		return nil
	}
	if f.Err != nil {
		return f.Err
	}
	return ErrInjected
}

// around makes the call do(), unless the fault is to fail without doing it.
func (f *Fault) around(c Call, do func() error) error {
	fault := f.strikes(c)
	if fault != nil && !f.Done {
		return fault
	}
	if err := do(); err != nil {
		return err
	}
	return fault
}

type faultyIndex struct {
	store.Index
	f *Fault
}

func (x faultyIndex) Apply(ctx context.Context, from uint64, to attest.Checkpoint, recs []store.Record) error {
	return x.f.around(Apply, func() error { return x.Index.Apply(ctx, from, to, recs) })
}

func (x faultyIndex) View(ctx context.Context, f func(store.Snapshot) error) error {
	return x.f.around(View, func() error { return x.Index.View(ctx, f) })
}

type faultyBlobs struct {
	store.Blobs
	f *Fault
}

func (b faultyBlobs) Put(ctx context.Context, key string, size int64, r io.Reader) error {
	return b.f.around(Put, func() error { return b.Blobs.Put(ctx, key, size, r) })
}

func (b faultyBlobs) Get(ctx context.Context, key string) (io.ReadCloser, error) {
	fault := b.f.strikes(Get)
	if fault != nil && !b.f.Done {
		return nil, fault
	}
	r, err := b.Blobs.Get(ctx, key)
	if err != nil || fault == nil {
		return r, err
	}
	defer r.Close() //nolint:errcheck // read to its end
	body, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	return &torn{rest: body[:len(body)/2], err: fault}, nil
}

// torn gives its bytes and then an error where io.EOF should be.
type torn struct {
	rest []byte
	err  error
}

func (t *torn) Read(p []byte) (int, error) {
	if len(t.rest) == 0 {
		return 0, t.err
	}
	n := copy(p, t.rest)
	t.rest = t.rest[n:]
	return n, nil
}

func (t *torn) Close() error { return nil }
