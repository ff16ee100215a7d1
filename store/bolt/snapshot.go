package bolt

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"runtime/debug"
	"slices"
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
		return attest.Checkpoint{}, fmt.Errorf("%w: it has no checkpoint", store.ErrCorrupt)
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
		var keys []byte
		if r, keys, err = decodeRecord(index, row); err == nil {
			r.Keys, err = decodeKeys(index, keys)
		}
		return err
	})
	return r, err
}

// Find implements [store.Snapshot].
func (s *snapshot) Find(k store.Key, from uint64) iter.Seq2[store.Record, error] {
	return walk(s, k, from, func(index uint64, row []byte) (store.Record, error) {
		if k.Kind != store.All {
			row = s.tx.Bucket(recordsBucket).Get(place(index))
		}
		r, _, err := decodeRecord(index, row)
		return r, err
	})
}

// Indexes implements [store.Snapshot].
func (s *snapshot) Indexes(k store.Key, from uint64) iter.Seq2[uint64, error] {
	return walk(s, k, from, func(index uint64, _ []byte) (uint64, error) { return index, nil })
}

// Count implements [store.Snapshot].
func (s *snapshot) Count(k store.Key) (n uint64, err error) {
	if err := errors.Join(k.CheckFind(), s.usable()); err != nil {
		return 0, err
	}
	if !headed(k.Kind) {
		for _, err := range s.Indexes(k, 0) {
			if err != nil {
				return 0, err
			}
			n++
		}
		return n, nil
	}
	err = guard(func() error {
		key, bucket := k.AppendTo(nil), keysBucket
		h, err := readHead(s.tx.Bucket(headsBucket), key)
		if n = h.count; err != nil || n > 0 {
			return err
		}
		// That there is no head must not be taken for its being of nothing.
		prefix := key
		if k.Kind == store.All {
			prefix, bucket = nil, recordsBucket
		}
		if row, _ := s.tx.Bucket(bucket).Cursor().Seek(prefix); row != nil && bytes.HasPrefix(row, prefix) && !bytes.Equal(row, filler) {
			return fmt.Errorf("%w: rows of a key without its head", store.ErrCorrupt)
		}
		return nil
	})
	return n, err
}

// Values implements [store.Snapshot] with the heads, of which each key has one, and
// which are accounted for by the head of their group.
func (s *snapshot) Values(kind store.Kind, first string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		group := store.Key{Kind: kind, Value: first}
		if err := group.CheckFind(); err != nil {
			yield("", err)
			return
		}
		prefix := store.Key{Kind: kind, Value: first + "\x00"}.AppendPrefix(nil)
		var cursor *bbolt.Cursor
		var seen head
		for {
			var k store.Key
			ended := false
			err := s.guarded(func() error {
				var row, value []byte
				if cursor == nil {
					cursor = s.tx.Bucket(headsBucket).Cursor()
					row, value = cursor.Seek(prefix)
				} else {
					row, value = cursor.Next()
				}
				if ended = !bytes.HasPrefix(row, prefix); ended {
					h, err := readHead(s.tx.Bucket(groupsBucket), group.AppendTo(nil))
					if err != nil {
						return err
					}
					return h.check(seen, 0)
				}
				if _, err := decodeHead(row, value); err != nil {
					return err
				}
				var rest []byte
				var ok bool
				if k, rest, ok = store.ParseKey(row); !ok || len(rest) > 0 {
					return fmt.Errorf("%w: head %.100x is no key", store.ErrCorrupt, row)
				}
				seen = seen.with(member(row))
				return nil
			})
			if err != nil {
				yield("", fmt.Errorf("listing values of %v: %w", kind, err))
				return
			}
			if ended || !yield(k.Value, nil) {
				return
			}
		}
	}
}

// walk iterates over the rows of a key from a log index on, gives each to read, and
// at the end compares what it has seen with the key's head. Records are found by
// kind All in their own bucket, whose rows are the index alone. Only what touches the
// file is guarded, and not the caller's loop body: a panic of the caller's is not ours to
// catch.
func walk[T any](s *snapshot, k store.Key, from uint64, read func(index uint64, row []byte) (T, error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		if err := k.CheckFind(); err != nil {
			yield(none, err)
			return
		}
		key, bucket := k.AppendTo(nil), keysBucket
		prefix := key
		if k.Kind == store.All {
			prefix, bucket = nil, recordsBucket
		}
		var cursor *bbolt.Cursor
		var seen head
		for {
			one, ended := none, false
			err := s.guarded(func() (err error) {
				var row, value []byte
				if cursor == nil {
					cursor = s.tx.Bucket(bucket).Cursor()
					row, value = cursor.Seek(binary.BigEndian.AppendUint64(slices.Clip(prefix), from))
				} else {
					row, value = cursor.Next()
				}
				if ended = row == nil || !bytes.HasPrefix(row, prefix) || bytes.Equal(row, filler); ended {
					if !headed(k.Kind) {
						return nil
					}
					h, err := readHead(s.tx.Bucket(headsBucket), key)
					if err != nil {
						return err
					}
					return h.check(seen, from)
				}
				if len(row) != len(prefix)+8 {
					return fmt.Errorf("%w: row %.100x does not end in a log index", store.ErrCorrupt, row)
				}
				index := binary.BigEndian.Uint64(row[len(prefix):])
				if index < from || seen.count > 0 && index <= seen.last {
					return fmt.Errorf("%w: row %.100x is out of order", store.ErrCorrupt, row)
				}
				seen = seen.with(index)
				one, err = read(index, value)
				return err
			})
			if err != nil {
				yield(none, fmt.Errorf("finding by %v: %w", k.Kind, err))
				return
			}
			if ended || !yield(one, nil) {
				return
			}
		}
	}
}

// guarded is guard, as long as the View still runs and is still wanted.
func (s *snapshot) guarded(f func() error) error {
	if err := s.usable(); err != nil {
		return err
	}
	return guard(f)
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
