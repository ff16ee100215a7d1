package dir

import (
	"context"
	"fmt"
	"io"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/sekisho-dev/sekisho/store"
)

// Each reads everything that is stored and iterates over the keys, each with nil if
// its bytes are as they were written, else with [store.ErrCorrupt]. Damage whose key
// cannot be read comes with the key "" and an error that says where it is. Any other
// error is the last pair. It is for checking the store, in no order that means
// anything, and sees what was stored before it began.
func (b *Blobs) Each(ctx context.Context) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		if err := b.begin(ctx); err != nil {
			yield("", fmt.Errorf("reading blobs: %w", err))
			return
		}
		defer b.ops.Done()
		b.mu.RLock()
		segments := maps.Clone(b.segments)
		b.mu.RUnlock()
		var buf []byte
		for _, no := range slices.Sorted(maps.Keys(segments)) {
			var more bool
			if buf, more = b.eachInSegment(ctx, segments[no], buf, yield); !more {
				return
			}
		}
		b.eachLarge(ctx, yield)
	}
}

func (b *Blobs) eachInSegment(ctx context.Context, s *segment, buf []byte, yield func(string, error) bool) ([]byte, bool) {
	if s.fault != nil {
		return buf, yield("", fmt.Errorf("%s: %w", segmentName(s.no), s.fault))
	}
	b.mu.RLock()
	size := s.size
	b.mu.RUnlock()
	if size == int64(fileHead) {
		return buf, true // nothing in it yet, and it may be gone by now
	}
	buf, err := readSegment(s.f, size, buf)
	if err != nil {
		yield("", fmt.Errorf("reading %s: %w", segmentName(s.no), err))
		return buf, false
	}
	for p := range scan(buf, s.marker) {
		if err := ctx.Err(); err != nil {
			yield("", err)
			return buf, false
		}
		if p.key != "" && !b.isAt(p.key, s.no, p.off) {
			continue // mended by a later entry
		}
		if !yield(p.key, pieceError(s, p)) {
			return buf, false
		}
	}
	return buf, true
}

// isAt reports whether an entry is the one that its key is read from.
func (b *Blobs) isAt(key string, segment uint32, off int) bool {
	b.mu.RLock()
	defer b.mu.RUnlock()
	at, ok := b.at[nameOf(key)]
	return ok && at.segment == segment && (segment == 0 || at.offset == uint32(off))
}

func pieceError(s *segment, p piece) error {
	switch {
	case p.state == sound:
		return nil
	case p.key == "":
		return fmt.Errorf("%w: %s, bytes %d to %d: no entry can be read", store.ErrCorrupt, segmentName(s.no), p.off, p.end)
	}
	return fmt.Errorf("%w: %s, bytes %d to %d: blob %s is not as it was written", store.ErrCorrupt, segmentName(s.no), p.off, p.end, p.key)
}

func (b *Blobs) eachLarge(ctx context.Context, yield func(string, error) bool) {
	entries, err := os.ReadDir(filepath.Join(b.path, "large"))
	if err != nil {
		yield("", fmt.Errorf("reading blobs: %w", err))
		return
	}
	for _, e := range entries {
		if err := ctx.Err(); err != nil {
			yield("", err)
			return
		}
		key, err := b.checkLarge(ctx, e.Name())
		if key != "" && !b.isAt(key, 0, 0) {
			continue // a small blob of the same key came first, or it is still being stored
		}
		if !yield(key, err) {
			return
		}
	}
}

// checkLarge reads one large file to its end.
func (b *Blobs) checkLarge(ctx context.Context, file string) (key string, err error) {
	f, err := os.Open(filepath.Join(b.path, "large", file))
	if err != nil {
		return "", fmt.Errorf("reading blobs: %w", err)
	}
	h, err := readLargeHead(f)
	f.Close() //nolint:errcheck // only read
	if err == nil && filepath.Base(b.largePath(nameOf(h.key))) != file {
		err = fmt.Errorf("%w: it holds blob %s, whose name it does not have", store.ErrCorrupt, h.key)
	}
	if err != nil {
		return "", fmt.Errorf("large/%s: %w", file, err)
	}
	r, err := b.getLarge(nameOf(h.key), h.key)
	if err != nil {
		return h.key, err
	}
	defer r.Close() //nolint:errcheck // only read
	_, err = io.Copy(io.Discard, readerContext{ctx, r})
	return h.key, err
}
