package memory

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"sync"

	"github.com/sekisho-dev/sekisho/store"
)

// Blobs is a [store.Blobs] in memory.
type Blobs struct {
	mu    sync.Mutex
	blobs map[string][]byte
}

var _ store.Blobs = (*Blobs)(nil)

// NewBlobs returns an empty store of blobs.
func NewBlobs() *Blobs { return &Blobs{blobs: map[string][]byte{}} }

// Put implements [store.Blobs].
func (b *Blobs) Put(ctx context.Context, key string, size int64, r io.Reader) error {
	if err := store.CheckBlobKey(key); err != nil {
		return err
	}
	if size < 0 {
		return fmt.Errorf("%w: size %d", store.ErrInvalid, size)
	}
	if _, ok := b.lookup(key); ok {
		return ctx.Err()
	}
	body, err := readOddly(ctx, size, r)
	if err != nil {
		return fmt.Errorf("storing %s: %w", key, err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, ok := b.blobs[key]; !ok {
		b.blobs[key] = body
	}
	return nil
}

// readOddly reads exactly size bytes, in pieces of every length from 1 to 509,
// because a reader that likes only round ones has a fault.
func readOddly(ctx context.Context, size int64, r io.Reader) ([]byte, error) {
	var body []byte
	piece := make([]byte, 509)
	for n := 1; ; n = n%len(piece) + 1 {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		got, err := r.Read(piece[:n])
		body = append(body, piece[:got]...)
		if int64(len(body)) > size || err == io.EOF && int64(len(body)) < size {
			return nil, fmt.Errorf("%w: declared %d bytes, got %d or more", store.ErrSize, size, len(body))
		}
		if err == io.EOF {
			return body, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

// Get implements [store.Blobs].
func (b *Blobs) Get(ctx context.Context, key string) (io.ReadCloser, error) {
	if err := store.CheckBlobKey(key); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	body, ok := b.lookup(key)
	if !ok {
		return nil, fmt.Errorf("%w: blob %s", store.ErrNotFound, key)
	}
	return &oddReader{rest: bytes.Clone(body), piece: 1}, nil
}

func (b *Blobs) lookup(key string) ([]byte, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	body, ok := b.blobs[key]
	return body, ok
}

// oddReader returns ever longer pieces, the last together with io.EOF, and
// nothing once closed.
type oddReader struct {
	rest   []byte
	piece  int
	closed bool
}

// Read implements [io.Reader].
func (r *oddReader) Read(p []byte) (int, error) {
	if r.closed {
		return 0, fmt.Errorf("%w: reading a blob after closing it", store.ErrClosed)
	}
	n := copy(p, r.rest[:min(r.piece, len(r.rest))])
	r.rest = r.rest[n:]
	r.piece = r.piece*2 + 1
	if len(r.rest) == 0 {
		return n, io.EOF
	}
	return n, nil
}

// Close implements [io.Closer].
func (r *oddReader) Close() error {
	r.closed = true
	return nil
}
