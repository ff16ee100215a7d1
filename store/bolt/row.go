package bolt

import (
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
		return nil, fmt.Errorf("%w: row %x of %d bytes is too short", store.ErrCorrupt, key, len(row))
	}
	body := row[4:]
	if crc32.Update(crc32.Checksum(key, castagnoli), castagnoli, body) != binary.BigEndian.Uint32(row) {
		return nil, fmt.Errorf("%w: row %x does not match its checksum", store.ErrCorrupt, key)
	}
	return body, nil
}

// encodeRecord writes count of keys ‖ keys ‖ value. Keys are sorted and written
// once each, so that equal records make equal rows.
func encodeRecord(r *store.Record) []byte {
	keys := slices.Clone(r.Keys)
	slices.SortFunc(keys, compareKeys)
	keys = slices.Compact(keys)
	b := binary.AppendUvarint(nil, uint64(len(keys)))
	for _, k := range keys {
		b = k.AppendTo(b)
	}
	return seal(place(r.Index), append(b, r.Value...))
}

func compareKeys(a, b store.Key) int {
	if a.Kind != b.Kind {
		return int(a.Kind) - int(b.Kind)
	}
	if a.Value < b.Value {
		return -1
	}
	if a.Value > b.Value {
		return 1
	}
	return 0
}

// decodeRecord reads the row of a record. The record shares no memory with it,
// for the row is gone with the transaction.
func decodeRecord(index uint64, row []byte) (store.Record, error) {
	body, err := unseal(place(index), row)
	if err != nil {
		return store.Record{}, err
	}
	n, size := binary.Uvarint(body)
	end, ok := endOfKeys(body[max(size, 0):], n)
	if size <= 0 || !ok {
		return store.Record{}, fmt.Errorf("%w: record %d is malformed", store.ErrCorrupt, index)
	}
	body = body[size:]
	return store.Record{Index: index, Keys: decodeKeys(string(body[:end]), int(n)), Value: slices.Clone(body[end:])}, nil
}

// endOfKeys returns how long the n keys are that body begins with, if it does.
func endOfKeys(body []byte, n uint64) (end int, ok bool) {
	for ; n > 0; n-- {
		if len(body) < end+3 {
			return 0, false
		}
		end += 3 + int(binary.BigEndian.Uint16(body[end+1:]))
	}
	return end, end <= len(body)
}

// decodeKeys cuts n keys, whose lengths have been checked, out of one string:
// a record of a large SBOM has thousands, and this is one allocation.
func decodeKeys(s string, n int) []store.Key {
	if n == 0 {
		return nil
	}
	keys := make([]store.Key, 0, n)
	for len(s) > 0 {
		size := int(s[1])<<8 | int(s[2])
		keys = append(keys, store.Key{Kind: store.Kind(s[0]), Value: s[3 : 3+size]})
		s = s[3+size:]
	}
	return keys
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
