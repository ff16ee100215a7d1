// Package dir keeps blobs in a directory on a local disk.
//
//	lock                 held while the directory is open
//	segment-00000001 …   blobs of up to 64 KiB, appended one after the other
//	large/<sha256 hex>   one larger blob each, named by the hash of its key
//	tmp/                 larger blobs not yet whole; emptied at Open
//
// A small blob costs its share of one write and one fsync, which all the Puts in
// flight make together; that is what lets hundreds of callers register thousands of
// attestations a second with each of them on disk before it is acknowledged. A large one
// is streamed into a file of its own and never held in memory.
//
// The order in which things reach the disk, which strace will confirm:
//
//	small:  write segment → fsync segment → (a new segment: fsync directory) → Put returns
//	large:  write tmp/x → fsync tmp/x → rename to large/y → fsync large/ → Put returns
//
// so a crash leaves a name only where there is content, and at most one entry that is
// not whole, at the end of the last segment. Open cuts that off: no Put of it
// returned. It cuts nothing else. An entry of full length that does not match its
// checksum is [store.ErrCorrupt] for its key until another Put of that key mends it,
// and if not even its key can be read, [Blobs.Each] says where it is.
//
// Where each small blob lies is held in memory (some 60 bytes a blob) and learnt at
// Open by reading every segment once, checksums included.
package dir

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"

	"github.com/sekisho-dev/sekisho/store"
)

const (
	// smallSize is the largest blob, in bytes, that goes into a segment.
	smallSize = 64 << 10
	// segmentSize is where a segment ends and the next begins, in bytes. One
	// batch may reach beyond it.
	segmentSize = 64 << 20
)

// Blobs is a [store.Blobs] in a directory.
type Blobs struct {
	path  string
	lock  *os.File
	disk  disk
	limit int64 // segmentSize, but for tests

	mu       sync.RWMutex
	closed   bool
	at       map[name]place
	spoilt   map[name]bool // in `at`, but known to be damaged: the next Put writes again
	segments map[uint32]*segment
	queue    []*put
	pending  map[name]*put // what is in the queue or being committed
	ops      sync.WaitGroup

	wake      chan struct{} // there is something in the queue; closed by Close
	committed chan struct{} // closed when the committer has ended

	current *segment // the committer's own
	last    uint32   // likewise: the highest segment number in use
}

var _ store.Blobs = (*Blobs)(nil)

// A name is the hash of a blob's key: no key is ever part of a path.
type name [sha256.Size]byte

func nameOf(key string) name { return sha256.Sum256([]byte(key)) }

// A place is where an entry lies: segment number, offset, and length with its
// header. Segment 0 is the large files. It holds no pointer, so that millions
// of them are no work for the garbage collector.
type place struct{ segment, offset, length uint32 }

// disk is the part of the operating system that fails: tests put faults here.
type disk struct {
	write func(*os.File, []byte) (int, error)
	sync  func(*os.File) error
}

func realDisk() disk { return disk{(*os.File).Write, (*os.File).Sync} }

// Open opens the blobs in the directory, and makes it if there is none.
//
// Errors: [store.ErrLocked] if it is open elsewhere; [store.ErrVersion];
// [store.ErrFull]. Damage is no error here: see [Blobs.Each].
func Open(path string) (*Blobs, error) {
	return open(path, realDisk(), segmentSize)
}

func open(path string, d disk, limit int64) (*Blobs, error) {
	b := &Blobs{
		path: path, disk: d, limit: limit,
		at: map[name]place{}, spoilt: map[name]bool{}, segments: map[uint32]*segment{}, pending: map[name]*put{},
		wake: make(chan struct{}, 1), committed: make(chan struct{}),
	}
	for _, step := range []func() error{b.makeDirs, b.takeLock, b.clearTmp, b.loadSegments, b.loadLarge} {
		if err := step(); err != nil {
			b.closeFiles()
			return nil, fmt.Errorf("opening blobs in %s: %w", path, store.DiskError(err))
		}
	}
	go b.committer()
	return b, nil
}

func (b *Blobs) makeDirs() error {
	for _, sub := range []string{"large", "tmp"} {
		if err := os.MkdirAll(filepath.Join(b.path, sub), 0o700); err != nil {
			return err
		}
	}
	// The directory itself must be on disk before anything in it can be.
	if err := b.syncDir(filepath.Dir(b.path)); err != nil {
		return err
	}
	return b.syncDir(b.path)
}

func (b *Blobs) syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	defer d.Close() //nolint:errcheck // only read
	return b.disk.sync(d)
}

// Put implements [store.Blobs].
func (b *Blobs) Put(ctx context.Context, key string, size int64, r io.Reader) error {
	if err := store.CheckBlobKey(key); err != nil {
		return err
	}
	if size < 0 {
		return fmt.Errorf("%w: size %d of blob %s", store.ErrInvalid, size, key)
	}
	if err := b.begin(ctx); err != nil {
		return fmt.Errorf("storing blob %s: %w", key, err)
	}
	defer b.ops.Done()
	n := nameOf(key)
	if b.has(n) {
		return nil
	}
	write := b.putSmall
	if size > smallSize {
		write = b.putLarge
	}
	if err := write(ctx, n, key, size, readerContext{ctx, r}); err != nil {
		return fmt.Errorf("storing blob %s: %w", key, store.DiskError(err))
	}
	return nil
}

// Get implements [store.Blobs]. A small blob is verified before it is returned.
func (b *Blobs) Get(ctx context.Context, key string) (io.ReadCloser, error) {
	if err := store.CheckBlobKey(key); err != nil {
		return nil, err
	}
	if err := b.begin(ctx); err != nil {
		return nil, fmt.Errorf("reading blob %s: %w", key, err)
	}
	defer b.ops.Done()
	n := nameOf(key)
	b.mu.RLock()
	at, ok := b.at[n]
	s := b.segments[at.segment]
	b.mu.RUnlock()
	if !ok {
		return nil, fmt.Errorf("%w: blob %s", store.ErrNotFound, key)
	}
	if s == nil {
		return b.getLarge(n, key)
	}
	return b.getSmall(s, at, n, key)
}

// Close waits for what is under way, and gives the directory up. Readers that
// Get returned stay usable.
func (b *Blobs) Close() error {
	b.mu.Lock()
	first := !b.closed
	b.closed = true
	b.mu.Unlock()
	if !first {
		return nil
	}
	b.ops.Wait()
	close(b.wake)
	<-b.committed
	b.closeFiles()
	return nil
}

func (b *Blobs) closeFiles() {
	for _, s := range b.segments {
		s.f.Close() //nolint:errcheck // everything in it was synchronised
	}
	if b.lock != nil {
		b.lock.Close() //nolint:errcheck // which lets go of it
	}
}

// begin starts an operation that Close waits for; b.ops.Done ends it.
func (b *Blobs) begin(ctx context.Context) error {
	b.mu.RLock()
	defer b.mu.RUnlock()
	if b.closed {
		return store.ErrClosed
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	b.ops.Add(1)
	return nil
}

// has reports whether the blob is there and not known to be damaged.
func (b *Blobs) has(n name) bool {
	b.mu.RLock()
	defer b.mu.RUnlock()
	_, ok := b.at[n]
	return ok && !b.spoilt[n]
}

// spoil remembers that a blob was found damaged, and returns what its reader is told.
func (b *Blobs) spoil(n name, key, why string) error {
	b.mu.Lock()
	b.spoilt[n] = true
	b.mu.Unlock()
	return fmt.Errorf("%w: blob %s %s; restore it from a copy", store.ErrCorrupt, key, why)
}
