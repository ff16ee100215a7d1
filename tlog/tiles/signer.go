package tiles

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/sekisho-dev/sekisho/attest"
	"github.com/sekisho-dev/sekisho/internal/durable"
	"github.com/sekisho-dev/sekisho/tlog"
	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/mod/sumdb/note"
)

// A signer is the key that Tessera signs checkpoints with: it signs only what it can
// prove. Tessera asks for a signature over whatever its state file says; what that was
// computed from are files, and anything may have happened to them. So for each new
// root
//
//  1. the tree is hashed again, from the edge of the last one that was proven and the
//     leaves that Append was given since: memory, no file;
//  2. what Tessera wrote is read back, as any reader of the new tree would: the tiles on
//     its right edge, and every entry since the last tree, with the bundle that
//     the first of them was added to, hash up to the root;
//  3. the checkpoint is made durable beside the log, where Open finds it;
//  4. the signature is let go, and Tessera publishes.
//
// A crash before 3 leaves a tree that was never signed, which Open proves anew; one
// after 3 leaves a checkpoint that is remembered and not published, which the next
// start extends. Where 1 or 2 find damage nothing is signed, and what waits for a
// checkpoint is told; Tessera asks again, so that what can be mended by putting a file
// back goes on by itself.
type signer struct {
	note.Signer // the log's key
	log         *Log
	path        string // where the largest checkpoint is remembered

	mu     sync.Mutex        // one at a time
	last   attest.Checkpoint // the largest ever signed; with its note once it is remembered
	proven *compact.Range    // the edge of the last tree that was proven: last, or what Open found beyond it
	closed bool

	sequenced *sequenced
	fault     atomic.Pointer[error] // why the last tree was refused; nil when it was signed
}

func newSigner(l *Log, last attest.Checkpoint, size uint64, edge []attest.Hash) (*signer, error) {
	hashes := make([][]byte, len(edge))
	for i := range edge {
		hashes[i] = edge[i][:]
	}
	proven, err := trees().NewRange(0, size, hashes)
	if err != nil {
		return nil, fmt.Errorf("%w: the edge of a tree of %d: %w", tlog.ErrCorrupt, size, err)
	}
	return &signer{Signer: l.cfg.Signer, log: l, path: l.cfg.Remembered, last: last, proven: proven, sequenced: newSequenced(size)}, nil
}

func trees() *compact.RangeFactory {
	return &compact.RangeFactory{Hash: rfc6962.DefaultHasher.HashChildren}
}

// Sign is [note.Signer]'s: the signature over a checkpoint that is proven to extend
// everything that was ever signed, and remembered.
func (s *signer) Sign(text []byte) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, tlog.ErrClosed
	}
	next, err := tlog.ParseCheckpoint(string(text))
	if err != nil {
		return nil, fmt.Errorf("signing a checkpoint: %w: %w", tlog.ErrCheckpoint, err)
	}
	tree, err := s.prove(next)
	if err != nil {
		err = fmt.Errorf("signing a checkpoint of %d entries: %w", next.Size, err)
		if tlog.Damaged(err) {
			s.refuse(err)
		}
		return nil, err
	}
	if next.Size > s.last.Size || s.last.Note == nil {
		if next.Note, err = s.remember(text); err != nil {
			return nil, err
		}
		s.last = next
	}
	s.sequenced.forget(s.proven.End(), tree.End())
	s.proven = tree
	s.fault.Store(nil)
	return s.Signer.Sign(text)
}

// prove returns the edge of the tree of next, once it is shown that it extends what
// was proven before, and that this is what the files hold.
func (s *signer) prove(next attest.Checkpoint) (*compact.Range, error) {
	from := s.proven.End()
	if next.Size < from {
		return nil, fmt.Errorf("%w: the tree had %d entries: %s was deleted or set back", tlog.ErrInconsistent, from, stateFile)
	}
	tree, err := s.extend(next, false)
	if tlog.Damaged(err) { // an entry that failed, and one that is yet to be told of, may have one index
		tree, err = s.extend(next, true)
	}
	if err != nil {
		return nil, err
	}
	for _, err := range s.log.Entries(context.Background(), next, from-from%tlog.TileWidth) {
		if err != nil {
			return nil, err
		}
	}
	return tree, nil
}

// extend hashes the tree of next from memory.
func (s *signer) extend(next attest.Checkpoint, all bool) (*compact.Range, error) {
	from := s.proven.End()
	leaves, err := s.sequenced.between(from, next.Size, s.sequenced.issued(), all)
	if err != nil {
		return nil, err
	}
	tree, err := trees().NewRange(0, from, append([][]byte(nil), s.proven.Hashes()...))
	if err != nil {
		return nil, err
	}
	for _, leaf := range leaves {
		if err := tree.Append(leaf[:], nil); err != nil {
			return nil, err
		}
	}
	root, err := rootOf(tree)
	if err != nil {
		return nil, err
	}
	if root != next.Root {
		return nil, fmt.Errorf("%w: Tessera has root %x, and the %d entries that are signed with the %d that were added since have %x: a tile was damaged",
			tlog.ErrCorrupt, next.Root, from, len(leaves), root)
	}
	return tree, nil
}

func rootOf(tree *compact.Range) (attest.Hash, error) {
	if tree.End() == 0 {
		return attest.Hash(rfc6962.DefaultHasher.EmptyRoot()), nil
	}
	root, err := tree.GetRootHash(nil)
	return attest.Hash(root), err
}

// remember makes a checkpoint durable beside the log.
func (s *signer) remember(text []byte) ([]byte, error) {
	signed, err := note.Sign(&note.Note{Text: string(text)}, s.Signer)
	if err == nil {
		err = durable.WriteFile(s.path, signed, 0o600)
	}
	if err != nil {
		return nil, fmt.Errorf("remembering a checkpoint before it is published: %w", err)
	}
	return signed, nil
}

// refuse has everybody who waits for a checkpoint told why there is none.
func (s *signer) refuse(err error) {
	err = fmt.Errorf("nothing is signed on top of damage: %w; nothing acknowledged is lost: stop the service and run sekishod repair", err)
	s.fault.Store(&err)
	s.log.published.set(attest.Checkpoint{}, err)
}

// refused returns why nothing is signed, or nil.
func (s *signer) refused() error {
	if err := s.fault.Load(); err != nil {
		return *err
	}
	return nil
}

// retire has nothing signed any more, if the last tree was refused; it returns why.
func (s *signer) retire() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.refused()
	s.closed = err != nil
	return err
}
