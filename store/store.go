// Package store says how Sekisho finds things again: an [Index] over what the
// log holds, and [Blobs], the bytes that the log's leaves commit to.
//
// The log and the blobs are the truth. An index is a view of them: it may be
// deleted at any time and is rebuilt by reading the log from its beginning, so
// there are no migrations and no second way to write it. It grows only by
// [Index.Apply], from one checkpoint of the log to the next, and every question
// is answered from one [Snapshot] that cites the checkpoint it stands for.
//
// Blobs are written before the log's leaf that refers to them, count for nothing
// until then, and are never changed or deleted by this interface.
//
// Neither believes nor interprets anything: values are opaque, and what a key
// means is the caller's business. Drivers live below this package; each passes
// the suite in package storetest. Package memory is the strictest of them and is
// what tests should use. (Design, sections 3 and 6.)
package store

import (
	"context"
	"io"
	"iter"

	"github.com/sekisho-dev/sekisho/attest"
)

// A Record is what the index holds about one entry of the log.
type Record struct {
	Index uint64 // the entry's log index; at most one record each
	// Keys are what the record is found by, besides its index. They are a set:
	// they come back once each and in any order.
	Keys  []Key
	Value []byte // opaque; at most [MaxValue] bytes
}

// Limits of a record.
const (
	MaxValue = 16 << 20 // bytes of its value
	MaxKeys  = 1 << 20  // what it is found by
)

// An Index is the view of the log that questions are answered from. It is safe
// for concurrent use.
type Index interface {
	// Apply takes the index from exactly `from` entries to the checkpoint `to`,
	// in one transaction: all of it is there for the next View, or none.
	// Records are those of the entries in [from, to.Size) that have one, their
	// indexes strictly increasing. With to.Size equal to from, and no records,
	// it replaces the checkpoint by a later one of the same tree.
	//
	// Errors: [ErrPosition] if the index does not hold exactly `from` entries of
	// the log that `to` is of; [ErrInvalid] if the arguments break these rules;
	// [ErrFull]; [ErrClosed]. After any other error the caller cannot know whether it
	// was done, and asks [Snapshot.Checkpoint]; the comparison makes a blind
	// repetition safe too.
	Apply(ctx context.Context, from uint64, to attest.Checkpoint, recs []Record) error

	// View calls f with a snapshot that no Apply changes, and returns f's error.
	// The snapshot, and iterators over it, end with f: later use is [ErrClosed].
	// Records read from it are the caller's to keep and to change. f should be
	// brief and must not call or await Apply, which may have to wait for it.
	View(ctx context.Context, f func(Snapshot) error) error

	// Close waits for Views to end. Everything after it is [ErrClosed].
	Close() error
}

// A Snapshot is the index as it stood at one checkpoint. Its methods may be
// called until the View that gave it returns, by one goroutine at a time, one
// Find within another included; their context is that View's.
type Snapshot interface {
	// Checkpoint returns what the index has been applied to; the zero value
	// if nothing has been.
	Checkpoint() attest.Checkpoint

	// Record returns the record of one log entry, [ErrNotFound] if it has none,
	// or [ErrCorrupt] if what is stored is not what was applied.
	Record(index uint64) (Record, error)

	// Find iterates over the records that have the key, in ascending order of
	// log index beginning at `from`, which is included: the index after
	// that of the last record seen is the cursor of the next page. An error ([ErrInvalid]
	// for a malformed key, [ErrCorrupt], [ErrClosed], the context's) is the last pair.
	// The records come without their keys, of which there may be a great many.
	//
	// It is an access path and not a scan: its cost is that of the records read.
	// And it is one that nothing falls out of unseen: a Find from 0 that ends without an
	// error has given all that was ever applied under the key, and nothing else. Of keys
	// of kind Component, by which nothing is decided, a driver need not promise that.
	Find(k Key, from uint64) iter.Seq2[Record, error]

	// Indexes is Find that reads no record: it gives their log indexes alone.
	Indexes(k Key, from uint64) iter.Seq2[uint64, error]

	// Count returns how many records have the key, at the cost of one row.
	Count(k Key) (uint64, error)

	// Values iterates over the different values of a kind's keys whose first part is
	// this one, in ascending order of their bytes. Parts end at the first 00; a value
	// without one has none. Its cost is one row for each value, and nothing falls out of
	// it unseen either.
	Values(kind Kind, first string) iter.Seq2[string, error]
}

// Blobs keeps bytes under names. It is safe for concurrent use.
type Blobs interface {
	// Put stores exactly size bytes from r under key, durably: when it returns nil, a
	// power cut does not lose them. It is idempotent. A key that is there already,
	// unless it is known to be damaged, is a success without reading r, whatever r
	// holds: keys name content. A Put of a damaged key mends it.
	//
	// Errors: [ErrInvalid] for a key that [CheckBlobKey] refuses or a negative size;
	// [ErrSize] if r does not hold exactly size bytes; [ErrFull]; [ErrClosed]; r's
	// own. With the first two nothing is stored. After another error it may have been
	// done.
	Put(ctx context.Context, key string, size int64, r io.Reader) error

	// Get returns the bytes stored under key. What the reader gives is proven
	// only when it has returned io.EOF: before, it may fail with [ErrCorrupt].
	// The caller closes it.
	//
	// Errors: [ErrNotFound]; [ErrInvalid]; [ErrClosed]; [ErrCorrupt] if what is
	// stored does not match the checksum it was stored with.
	Get(ctx context.Context, key string) (io.ReadCloser, error)
}
