// Package memlog keeps a log in memory, for tests. It is a whole log: its
// checkpoints are signed, its proofs are real, and it is read through the same
// [tlog.TileReader] as a log on disk.
//
// It is more hostile than production, within the contract: every checkpoint
// carries a stranger's signature that differs each time, partial tiles are gone
// as soon as the full one exists, and an entry is wiped when the loop that it was
// yielded to steps on. Code that passes with memlog does not depend on luck.
package memlog

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io/fs"
	"iter"
	"strconv"
	"sync"

	"github.com/sekisho-dev/sekisho/attest"
	"github.com/sekisho-dev/sekisho/tlog"
	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/mod/sumdb/note"
)

// Config sets a log up. The zero Config is a log that works.
type Config struct {
	Origin string // default: made from the key

	// Fault, if not nil, is asked twice for each Append: before the entry is
	// logged, and after. An error fails the Append: the two ways in which an
	// Append can fail, failed and failed but done.
	Fault func(entry []byte, logged bool) error
}

// A Log is a log in memory. It is a [tlog.Log].
type Log struct {
	*tlog.TileReader
	cfg    Config
	signer note.Signer

	mu      sync.Mutex
	closed  bool
	entries [][]byte
	rows    [][]attest.Hash // by tile level
	edge    *compact.Range
	signed  []byte
}

// New makes an empty log with a key of its own.
func New(cfg Config) (*Log, error) {
	skey, _, err := tlog.GenerateKey(cfg.Origin)
	if err != nil {
		return nil, err
	}
	signer, verifier, err := tlog.NewSigner(skey)
	if err != nil {
		return nil, err
	}
	tree := compact.RangeFactory{Hash: rfc6962.DefaultHasher.HashChildren}
	l := &Log{cfg: cfg, signer: signer, edge: tree.NewEmptyRange(0)}
	l.TileReader = tlog.NewTileReader(verifier, l.Fetch)
	return l, l.publish()
}

// Append is [tlog.Appender]'s.
func (l *Log) Append(ctx context.Context, entry []byte) (attest.Receipt, error) {
	if len(entry) > tlog.MaxEntry {
		return attest.Receipt{}, fmt.Errorf("appending to log: %w: %d bytes, at most %d", tlog.ErrTooLarge, len(entry), tlog.MaxEntry)
	}
	if err := ctx.Err(); err != nil {
		return attest.Receipt{}, fmt.Errorf("appending to log: %w", err)
	}
	index, err := l.append(bytes.Clone(entry))
	if err != nil {
		return attest.Receipt{}, fmt.Errorf("appending to log: %w", err)
	}
	if _, err := l.Checkpoint(ctx); err != nil {
		return attest.Receipt{}, err
	}
	return l.Receipt(ctx, index, attest.LeafHash(entry))
}

func (l *Log) append(entry []byte) (uint64, error) {
	if err := l.fault(entry, false); err != nil {
		return 0, err
	}
	index, err := l.write(entry)
	if err != nil {
		return 0, err
	}
	return index, l.fault(entry, true)
}

func (l *Log) write(entry []byte) (uint64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return 0, tlog.ErrClosed
	}
	leaf := attest.LeafHash(entry)
	if err := l.edge.Append(leaf[:], l.keep); err != nil {
		return 0, err
	}
	l.entries = append(l.entries, entry)
	return uint64(len(l.entries)) - 1, l.publish()
}

// keep is told of every new complete subtree, and keeps those that tiles list.
func (l *Log) keep(id compact.NodeID, hash []byte) {
	level := int(id.Level / 8)
	if id.Level%8 != 0 {
		return
	}
	if level == len(l.rows) {
		l.rows = append(l.rows, nil)
	}
	l.rows[level] = append(l.rows[level], attest.Hash(hash))
}

func (l *Log) fault(entry []byte, logged bool) error {
	if l.cfg.Fault == nil {
		return nil
	}
	return l.cfg.Fault(entry, logged)
}

// publish signs a checkpoint of what there is.
func (l *Log) publish() error {
	root, err := l.edge.GetRootHash(nil)
	if err != nil {
		return err
	}
	if len(l.entries) == 0 {
		root = rfc6962.DefaultHasher.EmptyRoot()
	}
	text := l.signer.Name() + "\n" + strconv.Itoa(len(l.entries)) + "\n" + base64.StdEncoding.EncodeToString(root) + "\n"
	l.signed, err = note.Sign(&note.Note{Text: text}, l.signer)
	return err
}

// Fetch serves the log's files, as [tlog.Fetch] has it. The caller may change
// what it gets: a test can put bits wrong and read that log with a reader of its
// own.
func (l *Log) Fetch(_ context.Context, path string) ([]byte, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if path == "checkpoint" {
		return append(bytes.Clone(l.signed), stranger()...), nil
	}
	t, err := tlog.ParseTile(path)
	if err != nil {
		return nil, err
	}
	if b := l.tile(t); b != nil {
		return b, nil
	}
	return nil, fmt.Errorf("%s: %w", path, fs.ErrNotExist)
}

// tile returns a tile's bytes, or nil.
func (l *Log) tile(t tlog.Tile) []byte {
	size := uint64(len(l.entries))
	full := tlog.Tile{Level: t.Level, Index: t.Index, Width: tlog.TileWidth}
	if !t.In(size) || t != full && full.In(size) {
		return nil
	}
	var b []byte
	for i := t.Index * tlog.TileWidth; i < t.Index*tlog.TileWidth+uint64(t.Width); i++ {
		if t.Level == tlog.Entries {
			b = binary.BigEndian.AppendUint16(b, uint16(len(l.entries[i])))
			b = append(b, l.entries[i]...)
		} else {
			b = append(b, l.rows[t.Level][i][:]...)
		}
	}
	return b
}

// stranger returns a signature line by a key that nobody knows.
func stranger() string {
	sig := make([]byte, 4+8+64)
	rand.Read(sig) // it never fails
	return "— witness.example/stranger " + base64.StdEncoding.EncodeToString(sig) + "\n"
}

// Entries is [tlog.Reader]'s.
func (l *Log) Entries(ctx context.Context, cp attest.Checkpoint, from uint64) iter.Seq2[tlog.Entry, error] {
	return func(yield func(tlog.Entry, error) bool) {
		for e, err := range l.TileReader.Entries(ctx, cp, from) {
			if !yield(e, err) {
				return
			}
			clear(e.Data)
		}
	}
}

// Close takes no more entries. What there is can still be read.
func (l *Log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	return nil
}
