// Package keyfile signs with a private key in a file: PKCS #8 in PEM, readable
// by its owner only. It is for development, for roots that are kept offline, and
// for whoever has nothing better.
package keyfile

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/sekisho-dev/sekisho/attest"
	"github.com/sekisho-dev/sekisho/internal/durable"
	"github.com/sekisho-dev/sekisho/sign"
)

// A Signer signs with a key that it holds in memory. It is a [sign.Signer].
type Signer struct {
	key     sign.Key
	private crypto.Signer
}

// Open reads a key file. It refuses one that others than its owner may read.
// The error wraps [sign.ErrKey] and never holds a part of the key.
func Open(path string) (*Signer, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", sign.ErrKey, err)
	}
	defer f.Close() //nolint:errcheck // read only
	st, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", sign.ErrKey, err)
	}
	if st.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("%w: %s may be read by others (mode %o); run chmod 600", sign.ErrKey, path, st.Mode().Perm())
	}
	if st.Size() > 64<<10 {
		return nil, fmt.Errorf("%w: %s is too large to be a key", sign.ErrKey, path)
	}
	raw := make([]byte, st.Size())
	if _, err := f.ReadAt(raw, 0); err != nil {
		return nil, fmt.Errorf("%w: %w", sign.ErrKey, err)
	}
	s, err := parse(raw)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return s, nil
}

func parse(raw []byte) (*Signer, error) {
	block, _ := pem.Decode(raw)
	if block == nil || block.Type != "PRIVATE KEY" {
		return nil, fmt.Errorf("%w: want a PEM block of type PRIVATE KEY (PKCS #8)", sign.ErrKey)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%w: not a PKCS #8 key", sign.ErrKey)
	}
	private, ok := parsed.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("%w: %T cannot sign", sign.ErrKey, parsed)
	}
	key, err := sign.NewKey(private.Public(), "")
	if err != nil {
		return nil, fmt.Errorf("%w: %w", sign.ErrKey, err)
	}
	return &Signer{key, private}, nil
}

// Create makes a key and writes it to path, which must not exist.
func Create(path string, details attest.KeyDetails) (*Signer, error) {
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %s exists already", sign.ErrKey, path)
	}
	private, err := generate(details)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", sign.ErrKey, err)
	}
	raw := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	if err := durable.WriteFile(path, raw, 0o600); err != nil {
		return nil, err
	}
	return parse(raw)
}

// OpenOrCreate opens a key file, making it if there is none.
func OpenOrCreate(path string, details attest.KeyDetails) (*Signer, error) {
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		return Create(path, details)
	}
	return Open(path)
}

func generate(details attest.KeyDetails) (crypto.PrivateKey, error) {
	switch details {
	case attest.ECDSAP256SHA256:
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case attest.ECDSAP384SHA384:
		return ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case attest.ECDSAP521SHA512:
		return ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	case attest.RSA3072SHA256:
		return rsa.GenerateKey(rand.Reader, 3072)
	case attest.RSA4096SHA256:
		return rsa.GenerateKey(rand.Reader, 4096)
	}
	return nil, fmt.Errorf("%w: no new keys of type %q are made", sign.ErrKey, details)
}

// Key returns the public half.
func (s *Signer) Key() sign.Key { return s.key }

// Crypto returns the private half, for libraries that want a crypto.Signer.
func (s *Signer) Crypto() crypto.Signer { return s.private }

// Sign signs a digest.
func (s *Signer) Sign(ctx context.Context, digest []byte) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	sig, err := s.private.Sign(rand.Reader, digest, s.key.Details.Hash())
	if err != nil {
		return nil, fmt.Errorf("%w: %w", sign.ErrKey, err)
	}
	return sig, nil
}
