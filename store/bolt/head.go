package bolt

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"

	"go.etcd.io/bbolt"

	"github.com/sekisho-dev/sekisho/store"
)

// A head says which records a key finds, in one row: how many, the last of them,
// and a sum over all their log indexes. Rows by which records are found hold
// nothing that a checksum could be of, and one that is gone or changed would look
// like an attestation that was never made. Heads stand in a bucket of their own, on
// other pages than the rows that they are of, so that one fault does not take both.
type head struct {
	count, last, sum uint64
}

// headed reports whether keys of a kind have heads. Components have none: an SBOM has
// tens of thousands, each on pages of its own, and nothing is decided by them. A row of
// theirs that is gone is found by who looks every key of every record up.
func headed(kind store.Kind) bool { return kind != store.Component }

// A group is all keys of a kind whose values have the same first part. Its head
// counts their heads as a key's counts its rows, under numbers made of their names.
func member(key []byte) uint64 {
	h := fnv.New64a()
	h.Write(key)
	return h.Sum64()
}

// with returns the head after one more index.
func (h head) with(index uint64) head {
	return head{h.count + 1, index, h.sum + mix(index)}
}

// mix spreads an index over all 64 bits (SplitMix64's finalizer), so that the sum of
// some indexes is not that of others near by.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

func (h head) encode(key []byte) []byte {
	var body [24]byte
	binary.BigEndian.PutUint64(body[:], h.count)
	binary.BigEndian.PutUint64(body[8:], h.last)
	binary.BigEndian.PutUint64(body[16:], h.sum)
	return seal(key, body[:])
}

// readHead reads the head of a key; the zero head where it has none.
func readHead(heads *bbolt.Bucket, key []byte) (h head, err error) {
	row := heads.Get(key)
	if row == nil {
		return h, nil
	}
	return decodeHead(key, row)
}

func decodeHead(key, row []byte) (h head, err error) {
	body, err := unseal(key, row)
	if err != nil {
		return h, err
	}
	if len(body) != 24 {
		return h, fmt.Errorf("%w: head %.100x is malformed", store.ErrCorrupt, key)
	}
	return head{binary.BigEndian.Uint64(body), binary.BigEndian.Uint64(body[8:]), binary.BigEndian.Uint64(body[16:])}, nil
}

// check compares the head with what a walk to the end of a key's rows has found,
// from an index on: all of it where the walk began at 0, and else the last.
func (h head) check(found head, from uint64) error {
	if from == 0 && found.count == h.count && found.sum == h.sum || from > 0 && (found.count > 0 && found.last == h.last || found.count == 0 && (h.count == 0 || h.last < from)) {
		return nil
	}
	return fmt.Errorf("%w: %d rows are found where %d were written", store.ErrCorrupt, found.count, h.count)
}
