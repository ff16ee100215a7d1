package bolt

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"slices"

	"go.etcd.io/bbolt"

	"github.com/sekisho-dev/sekisho/attest"
	"github.com/sekisho-dev/sekisho/store"
)

// Apply implements [store.Index] with a read-write transaction, which bbolt
// gives to one caller at a time.
func (x *Index) Apply(ctx context.Context, from uint64, to attest.Checkpoint, recs []store.Record) error {
	err := guard(func() error {
		return x.db.Update(func(tx *bbolt.Tx) error {
			// Only now, for the wait for the other writers may have been long.
			if err := ctx.Err(); err != nil {
				return err
			}
			return apply(tx, from, to, recs)
		})
	})
	if err != nil {
		return fmt.Errorf("applying log entries [%d, %d) to index: %w", from, to.Size, sentinel(err))
	}
	x.reached(to.Size)
	return nil
}

func apply(tx *bbolt.Tx, from uint64, to attest.Checkpoint, recs []store.Record) error {
	have, err := readCheckpoint(tx)
	if err != nil {
		return err
	}
	if err := store.CheckApply(have, from, to, recs); err != nil {
		return err
	}
	if err := putRecords(tx.Bucket(recordsBucket), recs); err != nil {
		return err
	}
	if err := putKeys(tx, recs); err != nil {
		return err
	}
	return tx.Bucket(metaBucket).Put(checkpointKey, encodeCheckpoint(to))
}

func putRecords(b *bbolt.Bucket, recs []store.Record) error {
	b.FillPercent = 0.95 // indexes only ascend, so a page that was left half full would stay so
	for i := range recs {
		if err := b.Put(place(recs[i].Index), encodeRecord(&recs[i])); err != nil {
			return err
		}
	}
	return nil
}

// putKeys writes the rows to find by, and the heads of their keys, in their order in
// the tree, so that each page is visited once.
func putKeys(tx *bbolt.Tx, recs []store.Record) error {
	rows := keyRows(recs)
	keys, heads := tx.Bucket(keysBucket), tx.Bucket(headsBucket)
	keys.FillPercent, heads.FillPercent = 0.8, 0.8 // a large record's rows come side by side, and stay
	for len(rows) > 0 {
		key := keyOf(rows[0])
		if !headed(store.Kind(key[0])) {
			if err := keys.Put(rows[0], nil); err != nil {
				return err
			}
			rows = rows[1:]
			continue
		}
		h, err := readHead(heads, key)
		if err == nil && h.count == 0 {
			err = putGroup(tx, key)
		}
		if err != nil {
			return err
		}
		for ; len(rows) > 0 && bytes.Equal(keyOf(rows[0]), key); rows = rows[1:] {
			h = h.with(binary.BigEndian.Uint64(rows[0][len(key):]))
			if store.Kind(key[0]) == store.All {
				continue // found in the records' own bucket
			}
			if err := keys.Put(rows[0], nil); err != nil {
				return err
			}
		}
		if err := heads.Put(key, h.encode(key)); err != nil {
			return err
		}
	}
	return nil
}

// keyRows returns the rows of all keys of the records, key ‖ log index, in order. They
// are cut out of one piece of memory, for a record may have hundreds of thousands.
func keyRows(recs []store.Record) [][]byte {
	var all []byte
	var ends []int
	for _, r := range recs {
		for _, k := range append(distinct(r.Keys), store.Key{Kind: store.All}) {
			all = binary.BigEndian.AppendUint64(k.AppendTo(all), r.Index)
			ends = append(ends, len(all))
		}
	}
	rows, from := make([][]byte, len(ends)), 0
	for i, end := range ends {
		rows[i], from = all[from:end:end], end
	}
	slices.SortFunc(rows, bytes.Compare)
	return rows
}

func keyOf(row []byte) []byte { return row[: len(row)-8 : len(row)-8] }

// putGroup counts a key that is new among those whose values have the same first part.
func putGroup(tx *bbolt.Tx, key []byte) error {
	if !bytes.Contains(key, []byte{0, 0xff}) { // as a 00 in a value is written
		return nil
	}
	k, _, _ := store.ParseKey(key)
	first, ok := k.First()
	if !ok {
		return nil
	}
	groups, group := tx.Bucket(groupsBucket), store.Key{Kind: k.Kind, Value: first}.AppendTo(nil)
	h, err := readHead(groups, group)
	if err != nil {
		return err
	}
	return groups.Put(group, h.with(member(key)).encode(group))
}

// place is a record's key in its bucket: the log index, in the byte order that
// makes the tree's order the log's.
func place(index uint64) []byte { return binary.BigEndian.AppendUint64(nil, index) }
