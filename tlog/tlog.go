// Package tlog remembers: an append-only transparency log of small entries, and
// the reading of one without believing whoever serves it.
//
// A log is a Merkle tree (RFC 6962) over its entries. Its newest state is a
// checkpoint, a note signed by the log's key (C2SP tlog-checkpoint, signed-note);
// everything else is served as static tiles (C2SP tlog-tiles) that anybody can
// check against a checkpoint. What this package returns has been checked so:
// an [Entry] or a proof that comes out of a [Reader] is in the tree that the
// signed root commits to, whatever happened to the files it was read from.
//
// Three kinds of thing live here. The pure functions: [Verifier] opens
// checkpoints, [VerifyInclusion], [VerifyConsistency] and [VerifyReceipt] check
// proofs. [TileReader] reads any tiled log through a fetch function. And the
// interfaces [Appender] and [Reader], whose drivers are the packages below:
// tiles (on disk), memlog (in memory, for tests), both held to tlogtest.
//
// [Appender.Append] is the commit point of the whole service: before it returns
// nothing has happened, after it nothing can be undone.
package tlog

import (
	"context"
	"errors"
	"iter"

	"github.com/sekisho-dev/sekisho/attest"
)

// MaxEntry is the largest entry in bytes (tlog-tiles: a 16-bit length).
const MaxEntry = 1<<16 - 1

// The ways in which a log refuses. Every error of this package and its drivers
// wraps one of these, the context's error, or an error of the operating system.
var (
	// ErrCheckpoint: a checkpoint is malformed, of another origin, or not signed by the log's key.
	ErrCheckpoint = errors.New("checkpoint refused")
	// ErrProof: a proof does not prove what it was given for, or what was asked has no proof.
	ErrProof = errors.New("proof refused")
	// ErrInconsistent: two checkpoints signed by the log are not of one history:
	// it was rolled back, or shows different people different trees.
	ErrInconsistent = errors.New("log is inconsistent with its own past")
	// ErrCorrupt: a tile or an entry is missing, or is not what the tree commits to.
	ErrCorrupt = errors.New("log is damaged")
	// ErrNotFound: the log does not reach that far, or has no checkpoint yet.
	ErrNotFound = errors.New("not in the log")
	// ErrPushback: too many entries are waiting to be written; nothing was written, try again later.
	ErrPushback = errors.New("log is busy")
	// ErrLocked: another log, in this process or in another, has the directory open.
	ErrLocked = errors.New("log is in use")
	// ErrClosed: the log has been closed; nothing was written.
	ErrClosed = errors.New("log is closed")
	// ErrTooLarge: the entry is longer than MaxEntry; nothing was written.
	ErrTooLarge = errors.New("entry is too large for the log")
	// ErrKey: a log key is malformed or of an unsupported kind.
	ErrKey = errors.New("malformed log key")
)

// Damaged reports whether an error is of what a log is, and not of reading it: waiting
// does not mend it, and nothing is to be answered or signed on top of it.
func Damaged(err error) bool {
	return errors.Is(err, ErrCorrupt) || errors.Is(err, ErrInconsistent) || errors.Is(err, ErrCheckpoint)
}

// An Appender writes a log.
type Appender interface {
	// Append writes one entry of at most MaxEntry bytes and returns once a
	// published checkpoint covers it. The receipt's inclusion proof has been
	// verified against that checkpoint. The log does not keep entry. Append waits
	// as long as ctx lets it: where a full disk keeps the checkpoint from being
	// written, that is until its deadline.
	//
	// ErrTooLarge, ErrPushback and ErrClosed promise that nothing was written.
	// After any other error, the context's included, the entry may be in the log
	// or may still get there: append it again, a log may hold duplicates, or
	// look for it.
	Append(ctx context.Context, entry []byte) (attest.Receipt, error)
}

// A Reader reads a log. Its methods may be called at the same time from several
// goroutines.
type Reader interface {
	// Checkpoint returns the newest published checkpoint, after checking its
	// signature, its origin, and that it extends every one returned before
	// (else ErrInconsistent). ErrNotFound if none was published yet.
	Checkpoint(ctx context.Context) (attest.Checkpoint, error)

	// Entries yields the entries [from, cp.Size) in order, each after it was
	// authenticated up to cp.Root. An error is yielded once, last. Entry.Data is
	// valid until the loop's next step. cp must come from this log's key: pass
	// what Checkpoint or [Verifier.Open] returned.
	Entries(ctx context.Context, cp attest.Checkpoint, from uint64) iter.Seq2[Entry, error]

	// Inclusion returns the proof that entry index is in the tree of the given
	// size, and Consistency the proof that the tree of size to extends the one
	// of size from. Sizes beyond the newest checkpoint are ErrNotFound; where
	// there is no such proof (index ≥ size, from > to, or from an empty tree,
	// which proves nothing) it is ErrProof.
	Inclusion(ctx context.Context, index, size uint64) ([]attest.Hash, error)
	Consistency(ctx context.Context, from, to uint64) ([]attest.Hash, error)
}

// A Log can be written and read.
type Log interface {
	Appender
	Reader
}

// An Entry is one entry of a log.
type Entry struct {
	Index uint64
	Data  []byte
}
