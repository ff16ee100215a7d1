package tlog

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/sekisho-dev/sekisho/attest"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
)

// VerifyInclusion checks that the leaf is entry index of the tree that cp commits
// to (RFC 6962 section 2.1.1). It believes cp: its signature must have been
// verified. The error wraps [ErrProof].
func VerifyInclusion(cp attest.Checkpoint, index uint64, leaf attest.Hash, path []attest.Hash) error {
	err := proof.VerifyInclusion(rfc6962.DefaultHasher, index, cp.Size, leaf[:], asBytes(path), cp.Root[:])
	if err != nil {
		return fmt.Errorf("inclusion of entry %d in a tree of %d: %w: %w", index, cp.Size, ErrProof, legible(err))
	}
	return nil
}

// VerifyConsistency checks that the tree of newer extends the tree of older (RFC
// 6962 section 2.1.2). It believes both checkpoints. They must be of one origin;
// equal sizes want equal roots and an empty proof. Nothing is ever proven about
// an empty older tree, so that is refused too, unless both are empty.
//
// The error wraps [ErrProof]; for two trees of one size with different roots it
// also wraps [ErrInconsistent], for that is a split view whatever the proof.
func VerifyConsistency(older, newer attest.Checkpoint, path []attest.Hash) error {
	what := fmt.Sprintf("consistency of trees of %d and %d", older.Size, newer.Size)
	switch {
	case older.Origin != newer.Origin:
		return fmt.Errorf("%s: %w: of different logs, %.200q and %.200q", what, ErrProof, older.Origin, newer.Origin)
	case older.Size == newer.Size && older.Root != newer.Root:
		return fmt.Errorf("%s: %w: %w: one size, two roots", what, ErrProof, ErrInconsistent)
	case older.Size == 0 && newer.Size > 0:
		return fmt.Errorf("%s: %w: an empty tree proves nothing", what, ErrProof)
	}
	err := proof.VerifyConsistency(rfc6962.DefaultHasher, older.Size, newer.Size, asBytes(path), older.Root[:], newer.Root[:])
	if err != nil {
		return fmt.Errorf("%s: %w: %w", what, ErrProof, legible(err))
	}
	return nil
}

// legible writes roots as people compare them.
func legible(err error) error {
	var m proof.RootMismatchError
	if errors.As(err, &m) {
		return fmt.Errorf("it leads to the root %x, and the checkpoint's is %x", m.CalculatedRoot, m.ExpectedRoot)
	}
	return err
}

// VerifyReceipt checks that the receipt proves the entry to be in v's log. It
// believes nothing in the receipt: the checkpoint is opened again from its note,
// and what the receipt says about it must be what the note says.
//
// Errors: [ErrCheckpoint], [ErrProof].
func VerifyReceipt(v *Verifier, entry []byte, r attest.Receipt) error {
	cp, err := v.Open(r.Checkpoint.Note)
	if err != nil {
		return fmt.Errorf("verifying receipt: %w", err)
	}
	said := r.Checkpoint
	if said.Origin != cp.Origin || said.Size != cp.Size || said.Root != cp.Root || !bytes.Equal(said.Note, cp.Note) {
		return fmt.Errorf("verifying receipt: %w: its fields are not those of the signed note", ErrCheckpoint)
	}
	leaf := attest.LeafHash(entry)
	if r.LeafHash != leaf {
		return fmt.Errorf("verifying receipt: %w: it is for leaf %x, the entry has %x", ErrProof, r.LeafHash, leaf)
	}
	if err := VerifyInclusion(cp, r.Index, leaf, r.Proof); err != nil {
		return fmt.Errorf("verifying receipt: %w", err)
	}
	return nil
}

// asBytes gives hashes the type that package proof wants. The result shares
// memory with hs.
func asBytes(hs []attest.Hash) [][]byte {
	bs := make([][]byte, len(hs))
	for i := range hs {
		bs[i] = hs[i][:]
	}
	return bs
}

// asHashes is the inverse of asBytes.
func asHashes(bs [][]byte) []attest.Hash {
	hs := make([]attest.Hash, len(bs))
	for i := range bs {
		hs[i] = attest.Hash(bs[i])
	}
	return hs
}
