package bolt

import (
	"bytes"
	"cmp"
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
	type row struct {
		key   []byte
		index uint64
	}
	var rows []row
	all := store.Key{Kind: store.All}.AppendTo(nil)
	for _, r := range recs {
		rows = append(rows, row{all, r.Index})
		for _, k := range distinct(r.Keys) {
			rows = append(rows, row{k.AppendTo(nil), r.Index})
		}
	}
	slices.SortFunc(rows, func(a, b row) int { return cmp.Or(bytes.Compare(a.key, b.key), cmp.Compare(a.index, b.index)) })
	keys, heads := tx.Bucket(keysBucket), tx.Bucket(headsBucket)
	for len(rows) > 0 {
		key := rows[0].key
		h, err := readHead(heads, key)
		if err == nil && h.count == 0 {
			err = putGroup(tx, key)
		}
		if err != nil {
			return err
		}
		for ; len(rows) > 0 && bytes.Equal(rows[0].key, key); rows = rows[1:] {
			h = h.with(rows[0].index)
			if store.Kind(key[0]) == store.All {
				continue // found in the records' own bucket
			}
			if err := keys.Put(binary.BigEndian.AppendUint64(slices.Clip(key), rows[0].index), nil); err != nil {
				return err
			}
		}
		if err := heads.Put(key, h.encode(key)); err != nil {
			return err
		}
	}
	return nil
}

// putGroup counts a key that is new among those whose values have the same first part.
func putGroup(tx *bbolt.Tx, key []byte) error {
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
