package bolt

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"slices"

	"github.com/sekisho-dev/sekisho/attest"
	"github.com/sekisho-dev/sekisho/store"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// seal puts a checksum before a row's body, over the row's key too, so that a
// row in another's place is noticed.
func seal(key, body []byte) []byte {
	sum := crc32.Update(crc32.Checksum(key, castagnoli), castagnoli, body)
	return append(binary.BigEndian.AppendUint32(make([]byte, 0, 4+len(body)), sum), body...)
}

// unseal returns the body of a row, if the checksum is right.
func unseal(key, row []byte) ([]byte, error) {
	if len(row) < 4 {
		return nil, fmt.Errorf("%w: row %.100x of %d bytes is too short", store.ErrCorrupt, key, len(row))
	}
	body := row[4:]
	if crc32.Update(crc32.Checksum(key, castagnoli), castagnoli, body) != binary.BigEndian.Uint32(row) {
		return nil, fmt.Errorf("%w: row %.100x does not match its checksum", store.ErrCorrupt, key)
	}
	return body, nil
}

// encodeRecord writes length of value ‖ value ‖ keys, each of them kind ‖ length in
// two bytes ‖ value. Keys are sorted and written once each, so that equal records
// make equal rows.
func encodeRecord(r *store.Record) []byte {
	b := binary.AppendUvarint(nil, uint64(len(r.Value)))
	b = append(b, r.Value...)
	for _, k := range distinct(r.Keys) {
		b = append(b, byte(k.Kind))
		b = binary.BigEndian.AppendUint16(b, uint16(len(k.Value)))
		b = append(b, k.Value...)
	}
	return seal(place(r.Index), b)
}

// distinct returns a record's keys sorted and once each.
func distinct(keys []store.Key) []store.Key {
	keys = slices.Clone(keys)
	slices.SortFunc(keys, compareKeys)
	return slices.Compact(keys)
}

func compareKeys(a, b store.Key) int {
	return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Value, b.Value))
}

// decodeRecord reads the row of a record, without its keys, which are returned as
// they are written. The record shares no memory with the row, which is gone with
// the transaction.
func decodeRecord(index uint64, row []byte) (r store.Record, keys []byte, err error) {
	body, err := unseal(place(index), row)
	if err != nil {
		return r, nil, err
	}
	n, size := binary.Uvarint(body)
	if size <= 0 || n > uint64(len(body)-size) {
		return r, nil, fmt.Errorf("%w: record %d is malformed", store.ErrCorrupt, index)
	}
	body = body[size:]
	return store.Record{Index: index, Value: slices.Clone(body[:n])}, body[n:], nil
}

// decodeKeys reads the keys of a record, cut out of one string: a record of a large
// SBOM has thousands, and this is one allocation.
func decodeKeys(index uint64, row []byte) ([]store.Key, error) {
	var keys []store.Key
	for s := string(row); len(s) > 0; {
		if len(s) < 3 || len(s) < 3+(int(s[1])<<8|int(s[2])) {
			return nil, fmt.Errorf("%w: record %d has malformed keys", store.ErrCorrupt, index)
		}
		size := int(s[1])<<8 | int(s[2])
		keys = append(keys, store.Key{Kind: store.Kind(s[0]), Value: s[3 : 3+size]})
		s = s[3+size:]
	}
	return keys, nil
}

// encodeCheckpoint writes size ‖ root ‖ length of origin ‖ origin ‖ note.
func encodeCheckpoint(c attest.Checkpoint) []byte {
	b := binary.BigEndian.AppendUint64(nil, c.Size)
	b = append(b, c.Root[:]...)
	b = binary.AppendUvarint(b, uint64(len(c.Origin)))
	b = append(b, c.Origin...)
	return seal(checkpointKey, append(b, c.Note...))
}

func decodeCheckpoint(row []byte) (c attest.Checkpoint, err error) {
	body, err := unseal(checkpointKey, row)
	if err != nil {
		return c, err
	}
	fixed := 8 + len(c.Root)
	if len(body) > fixed {
		n, size := binary.Uvarint(body[fixed:])
		if rest := body[fixed+max(size, 0):]; size > 0 && n <= uint64(len(rest)) {
			c.Size = binary.BigEndian.Uint64(body)
			copy(c.Root[:], body[8:])
			c.Origin = string(rest[:n])
			c.Note = slices.Clone(rest[n:])
			return c, nil
		}
	}
	return c, fmt.Errorf("%w: the checkpoint is malformed", store.ErrCorrupt)
}
