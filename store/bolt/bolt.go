// Package bolt keeps the index in one file, with bbolt: a transaction of the
// one is a transaction of the other, and a View is a bbolt read transaction, so
// that readers never wait for a writer nor see half of what it writes.
//
// Five buckets:
//
//	meta     "format" → the format version; "checkpoint" → checksum ‖ checkpoint
//	records  log index (8 bytes, big-endian) → checksum ‖ value ‖ keys
//	keys     key ‖ log index → nothing
//	heads    key → checksum ‖ how many rows of keys it has, and which
//	groups   kind and first part of keys → checksum ‖ how many heads, and which
//
// so that a Find is one seek and then as many steps as it has results. Rows carry a
// checksum that covers their place, and those of keys are accounted for by their
// head: what a disk has changed, added or lost is an error, never another answer.
// (Components have no heads: what is lost of them a comparison with the log finds.)
//
// The file is synchronised on every Apply. bbolt's option not to is never used:
// an index that is behind rebuilds what it lacks, but a torn one may answer.
package bolt

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"github.com/sekisho-dev/sekisho/attest"
	"github.com/sekisho-dev/sekisho/store"
)

// version is the format that this edition reads and writes. Anything else is
// rebuilt, so a change of the format is a change of this line.
const version = "sekisho index 2"

// lockTimeout is how long Open waits for another process to let go of the file:
// long enough for one that is just shutting down.
const lockTimeout = time.Second

// mapSizes are how much of the address space the file may grow into before it has
// to be mapped again, for which an Apply waits until no View is open, and every new
// View waits behind it. Address space costs nothing; where there is not that much of
// it, less has to do.
var mapSizes = []int{1 << 38, 1 << 30}

var (
	metaBucket    = []byte("meta")
	recordsBucket = []byte("records")
	keysBucket    = []byte("keys")
	headsBucket   = []byte("heads")
	groupsBucket  = []byte("groups")

	buckets = [][]byte{metaBucket, recordsBucket, keysBucket, headsBucket, groupsBucket}

	// filler is a row of every bucket. bbolt keeps a small bucket inside another's row,
	// and copies it to read it: what a damaged one points at is then anywhere in memory,
	// and not in the file, where reading what is not there can be caught.
	filler = bytes.Repeat([]byte{0xff}, 8)

	formatKey     = []byte("format")
	checkpointKey = []byte("checkpoint")
)

// Index is a [store.Index] in one file.
type Index struct {
	db *bbolt.DB
	// floor is the size that the index has had. bbolt, where the page that names
	// the newest transaction is damaged, silently reads the one before it.
	floor atomic.Uint64
}

var _ store.Index = (*Index)(nil)

// Open opens the index in the file at path, and makes it if there is none.
//
// Errors: [store.ErrLocked] if it is open elsewhere; [store.ErrVersion] and
// [store.ErrCorrupt], after which the caller removes the file and rebuilds;
// [store.ErrFull].
func Open(path string) (*Index, error) {
	var db *bbolt.DB
	err := error(syscall.ENOMEM)
	for _, size := range mapSizes {
		if errors.Is(err, syscall.ENOMEM) {
			db, err = openFile(path, size)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("opening index %s: %w", path, openError(sentinel(err)))
	}
	x := &Index{db: db}
	if err = guard(x.prepare); err == nil {
		err = x.View(context.Background(), func(s store.Snapshot) error { x.reached(s.Checkpoint().Size); return nil })
	}
	if err != nil {
		db.Close() //nolint:errcheck // the first error tells more
		return nil, fmt.Errorf("opening index %s: %w", path, sentinel(err))
	}
	return x, nil
}

// openFile opens the database. bbolt panics on some damaged files, and leaves
// the file mapped, open and locked when it does. Nothing can unmap it then, and
// closing it is not enough while it is mapped, so the lock is taken off first:
// the caller wants to make a new index under this name.
func openFile(path string, mapSize int) (db *bbolt.DB, err error) {
	var file *os.File
	options := &bbolt.Options{
		Timeout:         lockTimeout,
		InitialMmapSize: mapSize,
		FreelistType:    bbolt.FreelistMapType,
		OpenFile: func(name string, flag int, mode os.FileMode) (_ *os.File, err error) {
			file, err = os.OpenFile(name, flag, mode)
			return file, err
		},
	}
	err = guard(func() (err error) {
		db, err = bbolt.Open(path, 0o600, options)
		return err
	})
	if err != nil && file != nil {
		syscall.Flock(int(file.Fd()), syscall.LOCK_UN) //nolint:errcheck // closed already, unless bbolt panicked
		file.Close()                                   //nolint:errcheck // likewise
	}
	return db, err
}

// openError says that the file is at fault if neither the operating system nor
// package store has a name for the error: bbolt has none for a file cut short.
func openError(err error) error {
	var errno syscall.Errno
	for _, named := range []error{store.ErrLocked, store.ErrVersion, store.ErrCorrupt} {
		if errors.Is(err, named) {
			return err
		}
	}
	if errors.As(err, &errno) {
		return err
	}
	return fmt.Errorf("%w: %w", store.ErrCorrupt, err)
}

// prepare checks the format of an existing index and writes that of a new one.
func (x *Index) prepare() error {
	return x.db.Update(func(tx *bbolt.Tx) error {
		if first, _ := tx.Cursor().First(); first != nil {
			return checkFormat(tx)
		}
		for _, name := range buckets {
			b, err := tx.CreateBucket(name)
			if err == nil {
				err = b.Put(filler, make([]byte, os.Getpagesize()/4))
			}
			if err != nil {
				return err
			}
		}
		meta := tx.Bucket(metaBucket)
		return errors.Join(meta.Put(formatKey, []byte(version)), meta.Put(checkpointKey, encodeCheckpoint(attest.Checkpoint{})))
	})
}

func checkFormat(tx *bbolt.Tx) error {
	meta := tx.Bucket(metaBucket)
	if meta == nil {
		return fmt.Errorf("%w: a database, but not an index", store.ErrVersion)
	}
	if have := meta.Get(formatKey); !bytes.Equal(have, []byte(version)) {
		return fmt.Errorf("%w: %.40q, want %q; delete the index and it is rebuilt from the log", store.ErrVersion, have, version)
	}
	for _, name := range buckets {
		if tx.Bucket(name) == nil {
			return fmt.Errorf("%w: the bucket %s is missing", store.ErrCorrupt, name)
		}
	}
	_, err := readCheckpoint(tx)
	return err
}

// View implements [store.Index] with a read transaction.
func (x *Index) View(ctx context.Context, f func(store.Snapshot) error) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("reading index: %w", err)
	}
	floor := x.floor.Load()
	tx, err := x.db.Begin(false)
	if err != nil {
		return fmt.Errorf("reading index: %w", sentinel(err))
	}
	s := &snapshot{ctx: ctx, tx: tx}
	// Deferred, for a transaction that a panicking f left open would hold Close for ever.
	defer tx.Rollback() //nolint:errcheck // a read transaction has nothing to lose
	defer s.ended.Store(true)
	if err := guard(s.load); err != nil {
		return fmt.Errorf("reading index: %w", err)
	}
	if s.at.Size < floor {
		return fmt.Errorf("reading index: %w: it held %d entries, and now holds %d", store.ErrCorrupt, floor, s.at.Size)
	}
	return f(s)
}

// reached notes that the index holds so many entries.
func (x *Index) reached(size uint64) {
	for {
		if have := x.floor.Load(); size <= have || x.floor.CompareAndSwap(have, size) {
			return
		}
	}
}

// Close implements [store.Index].
func (x *Index) Close() error {
	if err := x.db.Close(); err != nil {
		return fmt.Errorf("closing index: %w", err)
	}
	return nil
}

// sentinel turns what bbolt and the file system say into what package store says.
func sentinel(err error) error {
	switch {
	case errors.Is(err, bolterrors.ErrTimeout):
		return fmt.Errorf("%w: stop the one that has it open", store.ErrLocked)
	case errors.Is(err, bolterrors.ErrDatabaseNotOpen), errors.Is(err, bolterrors.ErrTxClosed):
		return fmt.Errorf("%w: %w", store.ErrClosed, err)
	case errors.Is(err, bolterrors.ErrVersionMismatch):
		return fmt.Errorf("%w: %w", store.ErrVersion, err)
	case errors.Is(err, bolterrors.ErrInvalid), errors.Is(err, bolterrors.ErrChecksum), errors.Is(err, bolterrors.ErrInvalidMapping):
		return fmt.Errorf("%w: %w", store.ErrCorrupt, err)
	}
	return store.DiskError(err)
}
