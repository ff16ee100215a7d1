package tlog

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

// originSuffix completes the default origin. The name need not resolve: it only
// has to be nobody else's.
const originSuffix = ".log.sekisho.internal"

// ed25519Type is the signature type of an Ed25519 note signature (signed-note).
const ed25519Type = 1

// GenerateKey makes a log key. Only Ed25519 is offered, because public witnesses
// accept no other log key. An empty origin means the default, 16 hex digits of
// the public key's SHA-256 followed by ".log.sekisho.internal", so that two logs
// never share a name by accident. The origin is part of the key and cannot be
// changed later.
//
// skey is secret ("PRIVATE+KEY+…"), vkey is public; both in the text form of
// signed-note, as [NewSigner] and [NewVerifier] read them.
func GenerateKey(origin string) (skey, vkey string, err error) {
	pub, priv, err := ed25519.GenerateKey(nil)
	if err != nil {
		return "", "", fmt.Errorf("generating a log key: %w", err)
	}
	if origin == "" {
		sum := sha256.Sum256(pub)
		origin = hex.EncodeToString(sum[:8]) + originSuffix
	}
	vkey, err = note.NewEd25519VerifierKey(origin, pub)
	if err != nil {
		return "", "", fmt.Errorf("generating a log key: %w: %w", ErrKey, err)
	}
	if _, err := NewVerifier(vkey); err != nil {
		return "", "", fmt.Errorf("generating a log key: origin %.100q: %w", origin, err)
	}
	id := strings.Split(vkey, "+")[1]
	seed := append([]byte{ed25519Type}, priv.Seed()...)
	return "PRIVATE+KEY+" + origin + "+" + id + "+" + base64.StdEncoding.EncodeToString(seed), vkey, nil
}

// NewSigner reads a log's secret key, and returns with it the verifier of what
// it signs. The error wraps [ErrKey] and never holds a part of the key.
func NewSigner(skey string) (note.Signer, *Verifier, error) {
	s, err := note.NewSigner(skey)
	if err != nil {
		return nil, nil, fmt.Errorf("reading log key: %w: want the text \"PRIVATE+KEY+<origin>+<id>+<base64>\" of an Ed25519 key", ErrKey)
	}
	// note.NewSigner has checked the five parts, and that the id is the key's.
	seed, err := base64.StdEncoding.DecodeString(strings.SplitN(skey, "+", 5)[4])
	if err != nil {
		return nil, nil, fmt.Errorf("reading log key: %w", ErrKey)
	}
	pub := ed25519.NewKeyFromSeed(seed[1:]).Public().(ed25519.PublicKey)
	vkey, err := note.NewEd25519VerifierKey(s.Name(), pub)
	if err != nil {
		return nil, nil, fmt.Errorf("reading log key: %w: %w", ErrKey, err)
	}
	v, err := NewVerifier(vkey)
	if err != nil {
		return nil, nil, fmt.Errorf("reading log key: %w", err)
	}
	return s, v, nil
}
