package store

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
)

// A Kind says what a key's value names. The set is closed, and the numbers are
// part of every driver's format: append, never renumber.
type Kind uint8

// The kinds of key. What a value looks like is the writer's choice; what
// follow writes is given here.
const (
	All           Kind = iota // every record; only to Find by, with an empty value
	Subject                   // an artifact's digest, "sha256:…"
	PredicateType             // a predicate type URI
	Component                 // a component that an SBOM lists: a package URL or a digest
	Builder                   // a builder id
	Signer                    // a signer: key id, or identity and issuer
	Payload                   // the digest of the statement's bytes
	Attestation               // the attestation's digest: that of its envelope
	Leaf                      // the RFC 6962 leaf hash
	Control                   // a kind of control statement: trust root, policy, revocation
	Evidence                  // how it is signed and an artifact's digest, then by whom: what a decision reads
	Statement                 // a payload's digest, then who signed it: what is registered once
	Quota                     // an artifact's digest, then who handed it in: what is counted
	kinds                     // how many there are
)

var kindNames = [kinds]string{"all", "subject", "predicate type", "component", "builder", "signer", "payload", "attestation", "leaf", "control",
	"evidence", "statement", "quota"}

// String returns the kind's name in words, such as "predicate type".
func (k Kind) String() string {
	if k < kinds {
		return kindNames[k]
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// MaxKeyValue is the longest value of a key, in bytes.
const MaxKeyValue = 4096

// A Key is something that records are found by. Its value may hold any bytes.
type Key struct {
	Kind  Kind
	Value string
}

// First returns the first part of the value, which ends before its first 00. ok is
// false where there is no 00.
func (k Key) First() (first string, ok bool) {
	first, _, ok = strings.Cut(k.Value, "\x00")
	return first, ok
}

// AppendTo appends the key's encoding to b: kind, value, 00 00, where a 00 in the
// value is written 00 FF. No encoding is a prefix of another's, so that no value,
// whatever bytes its author chose, can reach into another key's rows; and keys
// whose values begin alike stand side by side. The key must be valid.
func (k Key) AppendTo(b []byte) []byte { return append(k.AppendPrefix(b), 0, 0) }

// AppendPrefix appends what the encodings of all keys begin with that have k's kind
// and a value that begins with k's.
func (k Key) AppendPrefix(b []byte) []byte {
	b = append(slices.Grow(b, len(k.Value)+12), byte(k.Kind)) // the ending and a log index too
	for i := range len(k.Value) {
		if b = append(b, k.Value[i]); k.Value[i] == 0 {
			b = append(b, 0xff)
		}
	}
	return b
}

// ParseKey reads what AppendTo wrote, and returns what stands behind it. ok is
// false for anything else.
func ParseKey(b []byte) (k Key, rest []byte, ok bool) {
	if len(b) == 0 {
		return k, nil, false
	}
	k.Kind, b = Kind(b[0]), b[1:]
	var value []byte
	for {
		i := bytes.IndexByte(b, 0)
		if i < 0 || i+1 == len(b) || b[i+1] != 0 && b[i+1] != 0xff {
			return k, nil, false
		}
		value = append(value, b[:i]...)
		end := b[i+1] == 0
		if b = b[i+2:]; end {
			k.Value = string(value)
			return k, b, true
		}
		value = append(value, 0)
	}
}

// CheckFind reports whether records may be sought by k. The error is [ErrInvalid].
func (k Key) CheckFind() error {
	if k.Kind == All && k.Value != "" {
		return fmt.Errorf("%w: a key of kind all has a value (%.100q), want none", ErrInvalid, k.Value)
	}
	if k.Kind >= kinds {
		return fmt.Errorf("%w: unknown %v", ErrInvalid, k.Kind)
	}
	if len(k.Value) > MaxKeyValue {
		return fmt.Errorf("%w: %v key of %d bytes, want at most %d", ErrInvalid, k.Kind, len(k.Value), MaxKeyValue)
	}
	return nil
}

// check reports whether a record may have the key. An empty value is no name
// for anything: it would gather all the records that lack one.
func (k Key) check() error {
	if k.Kind == All || k.Value == "" {
		return fmt.Errorf("%w: a record has an empty %v key", ErrInvalid, k.Kind)
	}
	return k.CheckFind()
}

// MaxBlobKey is the longest key of a blob, in bytes.
const MaxBlobKey = 200

// CheckBlobKey reports whether a blob may be stored under key: 1 to
// [MaxBlobKey] of the characters a-z 0-9 : / _ -, in parts that are not
// empty. There is no dot, no absolute path, no upper case that a file system might
// fold, and nothing to escape. The error is [ErrInvalid].
func CheckBlobKey(key string) error {
	if key == "" || len(key) > MaxBlobKey {
		return fmt.Errorf("%w: blob key of %d bytes, want 1 to %d", ErrInvalid, len(key), MaxBlobKey)
	}
	for i := range len(key) {
		c := key[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && !strings.ContainsRune(":/_-", rune(c)) {
			return fmt.Errorf("%w: blob key %.250q has a character outside a-z 0-9 : / _ -", ErrInvalid, key)
		}
	}
	if strings.HasPrefix(key, "/") || strings.HasSuffix(key, "/") || strings.Contains(key, "//") {
		return fmt.Errorf("%w: blob key %q has an empty part", ErrInvalid, key)
	}
	return nil
}
