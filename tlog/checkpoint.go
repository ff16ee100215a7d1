package tlog

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/sekisho-dev/sekisho/attest"
	"golang.org/x/mod/sumdb/note"
)

// MaxCheckpoint is the largest checkpoint in bytes that is read: room for many
// post-quantum cosignatures, at about 5 kB each.
const MaxCheckpoint = 256 << 10

// A Verifier opens the checkpoints of one log. It knows one key and one origin,
// which are the same name (tlog-checkpoint: the key name should equal the
// origin; here it must, so that one key cannot speak for two logs).
type Verifier struct {
	vkey string
	note note.Verifier
	pub  ed25519.PublicKey
}

// NewVerifier reads a log's public key in the text form of signed-note,
// "<origin>+<8 hex digits>+<base64>". The error wraps [ErrKey].
func NewVerifier(vkey string) (*Verifier, error) {
	n, err := note.NewVerifier(vkey)
	if err != nil {
		return nil, fmt.Errorf("reading log key %.200q: %w: want \"<origin>+<id>+<base64>\" of an Ed25519 key: %w", vkey, ErrKey, err)
	}
	// A control character in the name could never be signed for: notes forbid it.
	if strings.ContainsFunc(n.Name(), func(r rune) bool { return r < 0x20 }) {
		return nil, fmt.Errorf("reading log key: %w: control character in origin %.200q", ErrKey, n.Name())
	}
	key, err := base64.StdEncoding.Strict().DecodeString(strings.SplitN(vkey, "+", 3)[2])
	if err != nil {
		return nil, fmt.Errorf("reading log key %.200q: %w: %w", vkey, ErrKey, err)
	}
	return &Verifier{vkey: vkey, note: n, pub: key[1:]}, nil
}

// Origin returns the log's origin, which is also its key's name.
func (v *Verifier) Origin() string { return v.note.Name() }

// String returns the key in the text form that [NewVerifier] reads.
func (v *Verifier) String() string { return v.vkey }

// PublicKey returns the log's public key.
func (v *Verifier) PublicKey() ed25519.PublicKey { return v.pub }

// LogID returns the whole hash of which the note key id is the first four bytes,
// SHA-256(origin ‖ 0x0A ‖ 0x01 ‖ key): the name that a Rekor v2 log has in
// Sigstore bundles and trusted roots.
func (v *Verifier) LogID() [sha256.Size]byte {
	return sha256.Sum256(append([]byte(v.Origin()+"\n\x01"), v.pub...))
}

// Open verifies a signed checkpoint and reads it. It refuses a note that the
// log's key did not sign exactly once and rightly, whatever else signed it;
// signatures by other keys are ignored. The text must be the origin, the size in
// plain decimal (at most 2^63−1), the root in canonical base64, and any number
// of non-empty extension lines, which are not interpreted.
//
// The result holds the note verbatim and is safe to keep. The error wraps
// [ErrCheckpoint].
func (v *Verifier) Open(signed []byte) (attest.Checkpoint, error) {
	cp, err := v.open(signed)
	if err != nil {
		return attest.Checkpoint{}, fmt.Errorf("opening checkpoint of %s: %w: %w", v.Origin(), ErrCheckpoint, err)
	}
	return cp, nil
}

func (v *Verifier) open(signed []byte) (attest.Checkpoint, error) {
	if len(signed) > MaxCheckpoint {
		return attest.Checkpoint{}, fmt.Errorf("%d bytes, want at most %d", len(signed), MaxCheckpoint)
	}
	n, err := note.Open(signed, &once{v: v.note})
	if err != nil {
		return attest.Checkpoint{}, err
	}
	if err := canonicalSignatures(n); err != nil {
		return attest.Checkpoint{}, err
	}
	cp, err := ParseCheckpoint(n.Text)
	if err != nil {
		return attest.Checkpoint{}, err
	}
	if cp.Origin != v.Origin() {
		return attest.Checkpoint{}, fmt.Errorf("it is of origin %.200q, want %q", cp.Origin, v.Origin())
	}
	cp.Note = append([]byte(nil), signed...)
	return cp, nil
}

// once is the log's key, for one signature line only. note.Open verifies the
// first signature by a key and skips the rest unread; a second line in the
// log's name that does not verify would pass.
type once struct {
	v    note.Verifier
	seen bool
}

func (o *once) Verifier(name string, hash uint32) (note.Verifier, error) {
	if name != o.v.Name() || hash != o.v.KeyHash() {
		return nil, &note.UnknownVerifierError{Name: name, KeyHash: hash}
	}
	if o.seen {
		return nil, errors.New("two signatures in the name of the log's key")
	}
	o.seen = true
	return o.v, nil
}

// canonicalSignatures refuses base64 with stray bits in its padding, so that a
// checkpoint has one spelling for each set of signatures.
func canonicalSignatures(n *note.Note) error {
	for _, list := range [][]note.Signature{n.Sigs, n.UnverifiedSigs} {
		for _, s := range list {
			if _, err := base64.StdEncoding.Strict().DecodeString(s.Base64); err != nil {
				return fmt.Errorf("signature of %.100q: %w", s.Name, err)
			}
		}
	}
	return nil
}

// ParseCheckpoint reads the text of a checkpoint, which nobody need have signed: what
// is read is believed by whoever is about to sign it, and by nobody else. The text is
// as [Verifier.Open] has it; the result has no note.
func ParseCheckpoint(text string) (attest.Checkpoint, error) {
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if len(lines) < 3 {
		return attest.Checkpoint{}, fmt.Errorf("%d lines, want origin, size and root", len(lines))
	}
	for i, line := range lines {
		if line == "" {
			return attest.Checkpoint{}, fmt.Errorf("line %d is empty", i+1)
		}
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil || size < 0 || strconv.FormatInt(size, 10) != lines[1] {
		return attest.Checkpoint{}, fmt.Errorf("size %.40q is not a plain decimal of at most 2^63-1", lines[1])
	}
	root, err := base64.StdEncoding.Strict().DecodeString(lines[2])
	if err != nil || len(root) != sha256.Size {
		return attest.Checkpoint{}, fmt.Errorf("root %.60q is not the canonical base64 of 32 bytes", lines[2])
	}
	cp := attest.Checkpoint{Origin: lines[0], Size: uint64(size), Root: attest.Hash(root)}
	if cp.Size == 0 && cp.Root != emptyRoot() {
		return attest.Checkpoint{}, errors.New("root of the empty tree is not SHA-256 of nothing")
	}
	return cp, nil
}

// emptyRoot is the root of a tree without entries (RFC 6962 section 2.1).
func emptyRoot() attest.Hash { return sha256.Sum256(nil) }
