package bolt

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"iter"
	"runtime/debug"
	"sync/atomic"

	"go.etcd.io/bbolt"

	"github.com/sekisho-dev/sekisho/attest"
	"github.com/sekisho-dev/sekisho/store"
)

// snapshot is a [store.Snapshot] over one read transaction.
type snapshot struct {
	ctx   context.Context
	tx    *bbolt.Tx
	at    attest.Checkpoint
	ended atomic.Bool // the View has returned, and memory under tx may be gone
}

// load reads the checkpoint, without which there is no saying what a record is
// evidence of.
func (s *snapshot) load() (err error) {
	s.at, err = readCheckpoint(s.tx)
	return err
}

func readCheckpoint(tx *bbolt.Tx) (attest.Checkpoint, error) {
	row := tx.Bucket(metaBucket).Get(checkpointKey)
	if row == nil {
		return attest.Checkpoint{}, nil
	}
	return decodeCheckpoint(row)
}

// Checkpoint implements [store.Snapshot].
func (s *snapshot) Checkpoint() attest.Checkpoint {
	c := s.at
	c.Note = bytes.Clone(c.Note)
	return c
}

// Record implements [store.Snapshot].
func (s *snapshot) Record(index uint64) (r store.Record, err error) {
	if err := s.usable(); err != nil {
		return r, err
	}
	err = guard(func() error {
		row := s.tx.Bucket(recordsBucket).Get(place(index))
		if row == nil {
			return fmt.Errorf("%w: the index has no record of log entry %d", store.ErrNotFound, index)
		}
		r, err = decodeRecord(index, row)
		return err
	})
	return r, err
}

// Find implements [store.Snapshot].
func (s *snapshot) Find(k store.Key, from uint64) iter.Seq2[store.Record, error] {
	return func(yield func(store.Record, error) bool) {
		if err := k.CheckFind(); err != nil {
			yield(store.Record{}, err)
			return
		}
		w := s.walk(k, from)
		for {
			r, ok, err := w.next()
			if err != nil {
				yield(store.Record{}, fmt.Errorf("finding by %v: %w", k.Kind, err))
				return
			}
			if !ok || !yield(r, nil) {
				return
			}
		}
	}
}

// A walk is the state of one iteration.
type walk struct {
	s       *snapshot
	key     store.Key
	prefix  []byte // rows begin with it, and end with the log index
	from    []byte // where to seek; nil once there
	records *bbolt.Bucket
	cursor  *bbolt.Cursor
}

// walk begins an iteration. Every record is found in the records' own bucket,
// whose rows are an empty prefix and the index; the rest under their keys.
func (s *snapshot) walk(k store.Key, from uint64) *walk {
	w := &walk{s: s, key: k}
	if k.Kind != store.All {
		w.prefix = k.AppendTo(nil)
	}
	w.from = binary.BigEndian.AppendUint64(bytes.Clone(w.prefix), from)
	return w
}

// next returns the next record. Only this is guarded, and not the caller's
// loop body: a panic of the caller's is not ours to catch.
func (w *walk) next() (r store.Record, ok bool, err error) {
	if err := w.s.usable(); err != nil {
		return r, false, err
	}
	err = guard(func() error {
		row, value := w.step()
		if row == nil || !bytes.HasPrefix(row, w.prefix) {
			return nil
		}
		if len(row) != len(w.prefix)+8 {
			return fmt.Errorf("%w: row %x does not end in a log index", store.ErrCorrupt, row)
		}
		index := binary.BigEndian.Uint64(row[len(w.prefix):])
		if w.key.Kind != store.All {
			value = w.records.Get(place(index))
		}
		r, err = decodeRecord(index, value)
		ok = err == nil
		return err
	})
	return r, ok, err
}

// step moves the cursor by one row.
func (w *walk) step() (row, value []byte) {
	if w.from == nil {
		return w.cursor.Next()
	}
	w.records = w.s.tx.Bucket(recordsBucket)
	w.cursor = w.records.Cursor()
	if w.key.Kind != store.All {
		w.cursor = w.s.tx.Bucket(keysBucket).Cursor()
	}
	row, value = w.cursor.Seek(w.from)
	w.from = nil
	return row, value
}

// usable reports whether the View still runs and is still wanted.
func (s *snapshot) usable() error {
	if s.ended.Load() {
		return fmt.Errorf("%w: the snapshot's View has returned", store.ErrClosed)
	}
	return s.ctx.Err()
}

// guard calls f and makes an error of a panic. bbolt trusts its pages: on a
// damaged file it panics, and reading a file that was cut short faults. Neither may
// take down the service, whose answer is then an error, which is a refusal.
func guard(f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v; delete the index and it is rebuilt from the log", store.ErrCorrupt, p)
		}
	}()
	return f()
}
