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
	"github.com/sekisho-dev/sekisho/sbom"
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
	raw, err := readBlob(ctx, blobs, RecordKey(leaf))
	if err != nil {
		return nil, nil, fmt.Errorf("reading record %x: %w", leaf[:8], err)
	}
	var rec attest.Record
	if err := json.Unmarshal(raw, &rec); err != nil {
		return nil, nil, fmt.Errorf("reading record %x: %w: %w", leaf[:8], store.ErrCorrupt, err)
	}
	payload := rec.Payload
	if payload == nil && rec.PayloadSize > 0 {
		if payload, err = readBlob(ctx, blobs, PayloadKey(rec.PayloadDigest)); err != nil {
			return nil, nil, fmt.Errorf("reading payload %s: %w", rec.PayloadDigest, err)
		}
	}
	return &rec, payload, nil
}

func readBlob(ctx context.Context, blobs store.Blobs, key string) ([]byte, error) {
	r, err := blobs.Get(ctx, key)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(r)
	return data, errors.Join(err, r.Close())
}

// derived is what one entry of the log says.
type derived struct {
	record    store.Record
	facts     *verifier.Facts
	statement *attest.Statement
}

// derive makes the index record of one entry: it rebuilds the leaf from blobs,
// requires it to be the entry, and verifies the signature again. The
// authorities of the given trust root are those under which certificates and
// times are verified; whether anybody believes them is not asked here.
func (f *Follower) derive(ctx context.Context, e tlog.Entry, trust *verifier.TrustRoot) (derived, error) {
	damaged := func(err error) (derived, error) {
		return derived{}, fmt.Errorf("%w from entry %d: %w", ErrDamaged, e.Index, err)
	}
	leaf := attest.LeafHash(e.Data)
	rec, payload, err := Load(ctx, f.c.Blobs, leaf)
	if err != nil {
		if ctx.Err() != nil {
			return derived{}, ctx.Err()
		}
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
	facts, err := trust.Reverify(rec, payload)
	if err != nil {
		return damaged(err)
	}
	statement, err := attest.ParseStatement(payload)
	if err != nil {
		return damaged(err)
	}
	value, err := facts.MarshalBinary()
	if err != nil {
		return damaged(err)
	}
	return derived{
		record:    store.Record{Index: e.Index, Keys: keys(leaf, facts, statement), Value: value},
		facts:     facts,
		statement: statement,
	}, nil
}

// controlKey finds every control statement, whatever its type, in log order:
// that is the order in which they take effect.
const controlKey = "all"

// keys lists every way in which a record can be found.
func keys(leaf attest.Hash, facts *verifier.Facts, s *attest.Statement) []store.Key {
	ks := []store.Key{
		{Kind: store.Leaf, Value: string(leaf[:])},
		{Kind: store.Attestation, Value: string(facts.Attestation())},
		{Kind: store.Payload, Value: string(facts.PayloadDigest())},
		{Kind: store.PredicateType, Value: s.PredicateType},
		{Kind: store.Signer, Value: facts.KeyID()},
	}
	if id := facts.Identity(); id != "" {
		ks = append(ks, store.Key{Kind: store.Signer, Value: id})
	}
	if p := facts.Provenance(); p != nil {
		ks = append(ks, store.Key{Kind: store.Builder, Value: p.BuilderID})
	}
	if attest.IsControl(s.PredicateType) {
		ks = append(ks, store.Key{Kind: store.Control, Value: controlKey})
	}
	seen := map[store.Key]bool{}
	add := func(k store.Key) {
		if !seen[k] {
			seen[k] = true
			ks = append(ks, k)
		}
	}
	for _, sub := range s.Subjects {
		for _, d := range sub.Digest.Acceptable() {
			add(store.Key{Kind: store.Subject, Value: string(d)})
		}
	}
	for _, purl := range components(s) {
		add(store.Key{Kind: store.Component, Value: purl})
	}
	return ks
}

// components returns the search keys of everything that an SBOM statement
// lists. A document that cannot be read lists nothing: it came as somebody
// else's envelope, and stands in the log as what it is.
func components(s *attest.Statement) []string {
	if !sbom.IsPredicateType(s.PredicateType) {
		return nil
	}
	doc, err := sbom.ReadPredicate(s)
	if err != nil {
		return nil
	}
	return doc.SearchKeys()
}
