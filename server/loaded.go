package server

import (
	"context"
	"fmt"
	"io"

	"github.com/sekisho-dev/sekisho/store"
)

// weighedBlobs are the blobs as calls read them: a document that turns out to be large
// waits for its part of the budget before it is read further. Nobody knows how large
// one is before, and most are small.
type weighedBlobs struct {
	store.Blobs
	budget *budget
}

// Get opens a blob.
func (b weighedBlobs) Get(ctx context.Context, key string) (io.ReadCloser, error) {
	r, err := b.Blobs.Get(ctx, key)
	c := callOf(ctx)
	if err != nil || c == nil || c.gateway || loading(c.method) == 0 {
		return r, err // the JSON port has taken its part already: it makes more of a document than we do
	}
	return &weighedReader{r, b.budget, ctx, c, 0}, nil
}

type weighedReader struct {
	io.ReadCloser
	budget *budget
	ctx    context.Context
	call   *call
	n      int64
}

// Read reads, and waits where what was read says that there is more to be taken.
func (r *weighedReader) Read(b []byte) (int, error) {
	n, err := r.ReadCloser.Read(b)
	r.n += int64(n)
	want := int64(0)
	switch {
	case r.n > middling:
		want = maxMessage
	case r.n > smallMessage:
		want = middling
	}
	want = min(want*loading(r.call.method), r.budget.working.share)
	if want <= r.call.work.size() {
		return n, err
	}
	// Not the one and then the other on top of it: if many had a little and waited for
	// more, none would get it.
	r.call.work.release()
	held, busy := r.budget.working.take(r.ctx, account(r.call.caller), want)
	if busy != nil {
		return 0, fmt.Errorf("reading a document: %w", busy)
	}
	r.call.work = held
	return n, err
}
