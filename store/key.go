package store

import (
	"encoding/binary"
	"fmt"
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
	kinds                     // how many there are
)

var kindNames = [kinds]string{"all", "subject", "predicate type", "component", "builder", "signer", "payload", "attestation", "leaf", "control"}

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

// AppendTo appends the key's encoding to b: kind, length in two bytes, value.
// No encoding is a prefix of another's, so that no value, whatever bytes its
// author chose, can reach into another key's rows. The key must be valid.
func (k Key) AppendTo(b []byte) []byte {
	b = append(b, byte(k.Kind))
	b = binary.BigEndian.AppendUint16(b, uint16(len(k.Value)))
	return append(b, k.Value...)
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
