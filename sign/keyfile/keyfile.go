// Package keyfile signs with a private key in a file: PKCS #8 in PEM, made readable
// by its owner only. It is for development, for roots that are kept offline, and
// for whoever has nothing better.
package keyfile

import (
	"bytes"
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
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/sekisho-dev/sekisho/attest"
	"github.com/sekisho-dev/sekisho/internal/durable"
	"github.com/sekisho-dev/sekisho/internal/owned"
	"github.com/sekisho-dev/sekisho/sign"
)

// maxFile is the size of a file that cannot be a key.
const maxFile = 64 << 10

// A Signer signs with a key that it holds in memory. It is a [sign.Signer].
type Signer struct {
	key     sign.Key
	private crypto.Signer
}

// Open reads a key file. It refuses one that others may write ([owned.Check]); that
// others may read it is for the caller to say.
// The error wraps [sign.ErrKey], and [fs.ErrNotExist] where there is no file; it
// never holds a part of the key.
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
	switch {
	case !st.Mode().IsRegular():
		return nil, fmt.Errorf("%w: %s is not a file", sign.ErrKey, path)
	case st.Size() > maxFile:
		return nil, fmt.Errorf("%w: %s has %d bytes, too many for a key", sign.ErrKey, path, st.Size())
	}
	if err := owned.Check(path, st, owned.Group()); err != nil {
		return nil, fmt.Errorf("%w: %w", sign.ErrKey, err)
	}
	raw, err := io.ReadAll(io.LimitReader(f, maxFile))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", sign.ErrKey, err)
	}
	s, err := parse(raw)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return s, nil
}

// parse reads the one PEM block of a key file. A second key in it would be a
// question that nobody answers: which one signs?
func parse(raw []byte) (*Signer, error) {
	block, rest := pem.Decode(raw)
	switch {
	case block == nil:
		return nil, fmt.Errorf("%w: no PEM block; want PRIVATE KEY (PKCS #8)", sign.ErrKey)
	case block.Type != "PRIVATE KEY":
		return nil, fmt.Errorf("%w: a PEM block of type %.40q; want PRIVATE KEY: openssl pkcs8 -topk8 -nocrypt converts", sign.ErrKey, block.Type)
	case len(bytes.TrimSpace(rest)) > 0:
		return nil, fmt.Errorf("%w: more after the key; want one PEM block", sign.ErrKey)
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

// Create makes a key and writes it to path, which must not exist ([fs.ErrExist]).
// When it returns, the file survives a crash; the path never names half a key.
func Create(path string, details attest.KeyDetails) (*Signer, error) {
	private, err := generate(details)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", sign.ErrKey, err)
	}
	raw := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	if err := write(path, raw); err != nil {
		return nil, fmt.Errorf("making a key: %w: %w", sign.ErrKey, err)
	}
	return parse(raw)
}

// write is exclusive, which renaming is not: of two that make a key at the same
// moment one would go on signing with a key that is in no file.
func write(path string, raw []byte) error {
	whole := path + "." + rand.Text() + ".new"
	if err := durable.WriteFile(whole, raw, 0o600); err != nil {
		return err
	}
	defer os.Remove(whole) //nolint:errcheck // a second name of the same file, or of none
	if err := os.Link(whole, path); err != nil {
		return err
	}
	return durable.SyncDir(filepath.Dir(path))
}

// OpenOrCreate opens a key file, making it if there is none.
func OpenOrCreate(path string, details attest.KeyDetails) (*Signer, error) {
	s, err := Open(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return s, err
	}
	if s, err = Create(path, details); errors.Is(err, fs.ErrExist) {
		return Open(path) // somebody was faster
	}
	return s, err
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

// String names the key. It is there so that no way of printing shows the private
// half.
func (s *Signer) String() string { return "key file, key " + s.key.ID }

// Key returns the public half.
func (s *Signer) Key() sign.Key { return s.key }

// Crypto returns the private half, for libraries that want a crypto.Signer.
func (s *Signer) Crypto() crypto.Signer { return s.private }

// Sign signs a digest. Errors: [sign.ErrKey], or the context's own.
func (s *Signer) Sign(ctx context.Context, digest []byte) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := s.key.CheckDigest(digest); err != nil {
		return nil, err
	}
	sig, err := s.private.Sign(rand.Reader, digest, s.key.Details.Hash())
	if err != nil {
		return nil, fmt.Errorf("%w: %w", sign.ErrKey, err)
	}
	return sig, nil
}
