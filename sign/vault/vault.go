// Package vault signs with a key in HashiCorp Vault's Transit engine (or a
// server that speaks its API). The private key never leaves Vault; what goes
// there is a hash, and what comes back is verified here before anybody sees it.
//
// A [Signer] is pinned to one version of the key, chosen when it is opened:
// rotating the key in Vault changes nothing until the next Open. Whatever Vault
// cannot or will not do is an error. There is no other key to fall back on.
//
// The token needs two rights and should have no more:
//
//	path "transit/keys/NAME" { capabilities = ["read"] }
//	path "transit/sign/NAME" { capabilities = ["update"] }
//
// The token is not renewed here. Vault Agent, or whoever else keeps it alive,
// writes it to the token file, which is read again as soon as Vault refuses the
// token that we have.
package vault

import (
	"context"
	"encoding/base64"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/sekisho-dev/sekisho/sign"
)

// A Signer signs with one version of one Transit key. It is a [sign.Signer].
type Signer struct {
	transit *transit
	name    string
	version int
	key     sign.Key
}

// Open reaches Vault and reads the key, which must be an ECDSA or RSA key whose
// signatures can be logged. The context bounds the opening only.
//
// Errors: [sign.ErrUnavailable], [sign.ErrDenied], [sign.ErrKey]; a fault in the
// configuration wraps [sign.ErrKey] too.
func Open(ctx context.Context, c Config) (*Signer, error) {
	return open(ctx, c, pause)
}

func open(ctx context.Context, c Config, pause pauseFunc) (*Signer, error) {
	name, err := c.validate()
	if err != nil {
		return nil, fmt.Errorf("opening Vault key: %w: %w", sign.ErrKey, err)
	}
	t, err := dial(c, pause)
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w: %w", c, sign.ErrKey, err)
	}
	s := &Signer{transit: t, name: name, version: c.KeyVersion}
	described, err := s.read(ctx)
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", c, err)
	}
	if s.version == 0 {
		s.version = described.Latest
	}
	if s.key, err = described.version(s.version); err != nil {
		return nil, fmt.Errorf("opening %s: %w", c, err)
	}
	return s, nil
}

// String names the key and its version, and nothing else.
func (s *Signer) String() string { return fmt.Sprintf("%s%s version %d", scheme, s.name, s.version) }

// Key returns the public half of the pinned version. Its Version is Vault's, in
// decimal.
func (s *Signer) Key() sign.Key { return s.key }

// Sign signs a digest with the pinned version, and verifies the signature.
// Errors: the four of package sign, or the context's own.
func (s *Signer) Sign(ctx context.Context, digest []byte) ([]byte, error) {
	if err := s.key.CheckDigest(digest); err != nil {
		return nil, err
	}
	var answer struct {
		Signature string `json:"signature"`
	}
	err := s.transit.call(ctx, &answer, "sign/"+s.name, map[string]any{
		"input":                base64.StdEncoding.EncodeToString(digest),
		"key_version":          s.version,
		"prehashed":            true,
		"hash_algorithm":       hashes[s.key.Details.Hash()],
		"marshaling_algorithm": "asn1",
		"signature_algorithm":  "pkcs1v15", // RSA only; Vault's own choice would be PSS
	})
	if err != nil {
		return nil, err
	}
	sig, err := s.signature(answer.Signature)
	if err != nil {
		return nil, err
	}
	if err := s.key.Verify(digest, sig); err != nil {
		return nil, err
	}
	return sig, nil
}

// signature takes "vault:v<version>:<base64>" apart. Another version than the
// one that was asked for is refused even if it should verify: it would be
// recorded under a version that did not make it.
func (s *Signer) signature(text string) ([]byte, error) {
	rest, ok := strings.CutPrefix(text, "vault:v")
	version, encoded, found := strings.Cut(rest, ":")
	if !ok || !found {
		return nil, fmt.Errorf("%w: Vault answered %.20q, want vault:v%d:…", sign.ErrBadSignature, text, s.version)
	}
	if version != strconv.Itoa(s.version) {
		return nil, fmt.Errorf("%w: made by key version %.10q, asked for %d", sign.ErrBadSignature, version, s.version)
	}
	sig, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return nil, fmt.Errorf("%w: not base64", sign.ErrBadSignature)
	}
	return sig, nil
}

// Versions returns the public keys of every version that Vault still has, oldest
// first, so that all can be published: what an old version signed stays signed.
func (s *Signer) Versions(ctx context.Context) ([]sign.Key, error) {
	described, err := s.read(ctx)
	if err != nil {
		return nil, fmt.Errorf("listing versions of %s%s: %w", scheme, s.name, err)
	}
	var keys []sign.Key
	for _, v := range slices.Sorted(maps.Keys(described.Keys)) {
		key, err := described.version(v)
		if err != nil {
			return nil, fmt.Errorf("listing versions of %s%s: %w", scheme, s.name, err)
		}
		keys = append(keys, key)
	}
	return keys, nil
}

func (s *Signer) read(ctx context.Context) (*description, error) {
	var d description
	if err := s.transit.call(ctx, &d, "keys/"+s.name, nil); err != nil {
		return nil, err
	}
	return &d, d.validate()
}
