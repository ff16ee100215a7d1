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
	if err := putKeys(tx.Bucket(keysBucket), recs); err != nil {
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

// putKeys writes the rows to find by in their order in the tree, so that
// each page is visited once.
func putKeys(b *bbolt.Bucket, recs []store.Record) error {
	var rows [][]byte
	for _, r := range recs {
		for _, k := range r.Keys {
			rows = append(rows, keyRow(k, r.Index))
		}
	}
	slices.SortFunc(rows, bytes.Compare)
	for _, row := range rows {
		if err := b.Put(row, nil); err != nil {
			return err
		}
	}
	return nil
}

// place is a record's key in its bucket: the log index, in the byte order that
// makes the tree's order the log's.
func place(index uint64) []byte { return binary.BigEndian.AppendUint64(nil, index) }

// keyRow is the row by which a record is found under k.
func keyRow(k store.Key, index uint64) []byte {
	b := make([]byte, 0, 3+len(k.Value)+8)
	return binary.BigEndian.AppendUint64(k.AppendTo(b), index)
}
