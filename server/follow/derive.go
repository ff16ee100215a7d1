package follow

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/sekisho-dev/sekisho/attest"
	"github.com/sekisho-dev/sekisho/store"
	"github.com/sekisho-dev/sekisho/tlog"
	"github.com/sekisho-dev/sekisho/verifier"
)

// RecordKey is the blob key of the record of a leaf.
func RecordKey(leaf attest.Hash) string { return "record/" + hex.EncodeToString(leaf[:]) }

// PayloadKey is the blob key of a payload that does not live in its record.
func PayloadKey(payload attest.Digest) string { return "payload/" + payload.Hex() }

// Load reads a leaf's record and payload. The error wraps [store.ErrNotFound]
// or [store.ErrCorrupt], or says what does not fit together.
func Load(ctx context.Context, blobs store.Blobs, leaf attest.Hash) (*attest.Record, []byte, error) {
	rec, err := loadRecord(ctx, blobs, leaf)
	if err != nil {
		return nil, nil, err
	}
	payload, err := loadPayload(ctx, blobs, rec)
	return rec, payload, err
}

func loadRecord(ctx context.Context, blobs store.Blobs, leaf attest.Hash) (*attest.Record, error) {
	raw, err := readBlob(ctx, blobs, RecordKey(leaf))
	if err != nil {
		return nil, fmt.Errorf("reading record %x: %w", leaf[:8], err)
	}
	var rec attest.Record
	if err := json.Unmarshal(raw, &rec); err != nil {
		return nil, fmt.Errorf("reading record %x: %w: %w", leaf[:8], store.ErrCorrupt, err)
	}
	return &rec, nil
}

func loadPayload(ctx context.Context, blobs store.Blobs, rec *attest.Record) ([]byte, error) {
	if rec.Payload != nil || rec.PayloadSize == 0 {
		return rec.Payload, nil
	}
	payload, err := readBlob(ctx, blobs, PayloadKey(rec.PayloadDigest))
	if err != nil {
		return nil, fmt.Errorf("reading payload %s: %w", rec.PayloadDigest, err)
	}
	return payload, nil
}

func readBlob(ctx context.Context, blobs store.Blobs, key string) ([]byte, error) {
	r, err := blobs.Get(ctx, key)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(r)
	return data, errors.Join(err, r.Close())
}

// heavy is the size of a payload or bundle, in bytes, from which on entries are derived one at a
// time: what reading one costs is a multiple of it.
const heavy = 1 << 20

// derive makes the row of one entry: it rebuilds the leaf from blobs, requires it to
// be the entry, and verifies the signature again. The authorities of the given trust
// root are those under which certificates and times are verified; whether anybody
// believes them is not asked here.
//
// What the log commits to is never an error, whatever it says: a statement that
// nobody can read is a row that counts for nothing. An error is that of blobs which
// are not what was logged, [ErrDamaged].
func (f *Follower) derive(ctx context.Context, e tlog.Entry, trust *verifier.TrustRoot) (Row, error) {
	damaged := func(err error) (Row, error) {
		if ctx.Err() != nil {
			return Row{}, ctx.Err()
		}
		return Row{}, fmt.Errorf("%w from entry %d: %w", ErrDamaged, e.Index, err)
	}
	leaf := attest.LeafHash(e.Data)
	rec, err := loadRecord(ctx, f.c.Blobs, leaf)
	if err != nil {
		return damaged(err)
	}
	if rec.PayloadSize > heavy || len(rec.Bundle) > heavy {
		f.heavy.Lock()
		defer f.heavy.Unlock()
	}
	payload, err := loadPayload(ctx, f.c.Blobs, rec)
	if err != nil {
		return damaged(err)
	}
	rebuilt, err := rec.Leaf(payload)
	if err != nil {
		return damaged(err)
	}
	entry, err := rebuilt.Entry()
	if err != nil {
		return damaged(err)
	}
	if !bytes.Equal(entry, e.Data) {
		return damaged(errors.New("record and payload do not rebuild the leaf"))
	}
	facts, statement, err := trust.Reverify(rec, payload)
	if err != nil {
		return damaged(err)
	}
	r, err := NewRow(leaf, facts, statement, rec.SubmittedBy, trust)
	if err != nil {
		return damaged(err) // facts are bounded, so that their row always fits
	}
	r.record.Index = e.Index
	return r, nil
}
