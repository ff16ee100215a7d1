package dir

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/sekisho-dev/sekisho/store"
)

const (
	// batchSize is where a batch ends, in bytes, though more is waiting.
	batchSize = 16 << 20
	// writeSize is about how much goes to the file in one write, in bytes.
	writeSize = 1 << 20
)

// A put is a small blob on its way to the disk.
type put struct {
	name   name
	header header
	body   []byte
	at     place
	done   chan struct{} // closed once err is set
	err    error
}

// length is how many bytes the entry takes.
func (p *put) length() int { return entryHead + len(p.header.key) + len(p.body) }

// putSmall reads the blob, queues it, and waits for its commit. A caller whose
// context ends is let go, and the commit goes on without it.
func (b *Blobs) putSmall(ctx context.Context, n name, key string, size int64, r io.Reader) error {
	body := make([]byte, size)
	if got, err := io.ReadFull(r, body); err == io.EOF || err == io.ErrUnexpectedEOF {
		return fmt.Errorf("%w: declared %d bytes, got %d", store.ErrSize, size, got)
	} else if err != nil {
		return err
	}
	if err := atEnd(r, size); err != nil {
		return err
	}
	p := b.enqueue(n, header{key: key, size: size, sum: crc32.Checksum(body, castagnoli)}, body)
	select {
	case <-p.done:
		return p.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// enqueue adds a blob to the queue, or returns the put of the same key that is
// under way already.
func (b *Blobs) enqueue(n name, h header, body []byte) *put {
	b.mu.Lock()
	defer b.mu.Unlock()
	if p, ok := b.pending[n]; ok {
		return p
	}
	p := &put{name: n, header: h, body: body, done: make(chan struct{})}
	if _, ok := b.at[n]; ok && !b.spoilt[n] { // committed while this one was reading
		close(p.done)
		return p
	}
	b.pending[n] = p
	b.queue = append(b.queue, p)
	select {
	case b.wake <- struct{}{}:
	default: // it has been told
	}
	return p
}

// committer commits what is in the queue, batch by batch. While one is being
// synchronised the next gathers: the slower the disk, the larger the batches.
func (b *Blobs) committer() {
	defer close(b.committed)
	for range b.wake {
		b.commitQueue()
	}
	b.commitQueue() // of callers that did not wait for it
}

func (b *Blobs) commitQueue() {
	for {
		batch := b.dequeue()
		if len(batch) == 0 {
			return
		}
		err := b.commit(batch)
		b.mu.Lock()
		for _, p := range batch {
			delete(b.pending, p.name)
			if err == nil {
				b.at[p.name] = p.at
				delete(b.spoilt, p.name)
			}
			p.err = err
			close(p.done)
		}
		b.mu.Unlock()
	}
}

// dequeue takes the next batch from the queue.
func (b *Blobs) dequeue() []*put {
	b.mu.Lock()
	defer b.mu.Unlock()
	n, size := 0, 0
	for n < len(b.queue) && size < batchSize {
		size += b.queue[n].length()
		n++
	}
	batch := b.queue[:n:n]
	if b.queue = b.queue[n:]; len(b.queue) == 0 {
		b.queue = nil // lets go of the batch
	}
	return batch
}

// commit puts a batch on the disk: write → fsync → (fsync directory) → nil.
//
// After a failure the segment is given up, not tried again. What a disk holds
// after a failed fsync nobody knows, and a second fsync that succeeds says
// nothing about it; the next commit begins a segment of its own. The committed
// part of this one stays.
func (b *Blobs) commit(batch []*put) error {
	if b.current != nil && b.current.size >= b.limit {
		b.current = nil // full; all of it is on the disk
	}
	fresh := b.current == nil
	if fresh {
		s, err := b.newSegment()
		if err != nil {
			return fmt.Errorf("making a segment: %w", err)
		}
		b.current = s
	}
	s := b.current
	size, err := b.write(s, batch)
	if err == nil {
		err = b.disk.sync(s.f)
	}
	if err == nil && fresh {
		err = b.syncDir(b.path)
	}
	if err != nil {
		b.current = nil
		return cleanUp(fmt.Errorf("writing %s: %w", segmentName(s.no), err), b.giveUp(s))
	}
	b.mu.Lock()
	s.size = size
	b.mu.Unlock()
	return nil
}

// write appends the batch to the segment's file, and returns how long that makes it.
func (b *Blobs) write(s *segment, batch []*put) (size int64, err error) {
	if _, err := s.f.Seek(s.size, io.SeekStart); err != nil {
		return 0, err
	}
	size = s.size
	var out []byte
	for i, p := range batch {
		p.at = place{s.no, uint32(size), uint32(p.length())}
		size += int64(p.length())
		out = append(p.header.appendTo(out, s.marker), p.body...)
		if len(out) < writeSize && i < len(batch)-1 {
			continue
		}
		if _, err := b.disk.write(s.f, out); err != nil {
			return 0, err
		}
		out = out[:0]
	}
	return size, nil
}

// giveUp takes what a failed commit may have written out of the file again, so
// that it does not look like damage later.
func (b *Blobs) giveUp(s *segment) error {
	if s.size == int64(fileHead) {
		return b.removeSegment(s)
	}
	return b.settle(s)
}

// cleanUp returns why something failed, and, if there is one, why it could not be
// cleared away.
func cleanUp(err, failed error) error {
	if failed == nil {
		return err
	}
	return errors.Join(err, fmt.Errorf("and clearing it away: %w", failed))
}
