// Package tsa is an RFC 3161 time authority of our own, so that every signature
// is timestamped before it is logged and stock clients can check key windows.
// Its key signs nothing else. What it proves is that this service saw the
// signature at that time: it defends against a signing key that is stolen later,
// not against somebody who holds this host.
package tsa

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"time"

	"github.com/digitorus/timestamp"

	"github.com/sekisho-dev/sekisho/attest"
	"github.com/sekisho-dev/sekisho/internal/durable"
	"github.com/sekisho-dev/sekisho/sign"
	"github.com/sekisho-dev/sekisho/sign/keyfile"
)

// lifetime of the authority's certificates. The tokens outlive them: a token is
// good if the certificate was valid when it was made.
const lifetime = 10 * 365 * 24 * time.Hour

// An Authority is a time authority. It is a [sign.TimeAuthority].
type Authority struct {
	chain []*x509.Certificate // leaf first, then the root
	key   crypto.Signer
	now   func() time.Time
}

// OpenOrCreate opens the authority in a directory, making it if there is none.
// The directory holds tsa.pem (the key, owner only) and chain.pem.
func OpenOrCreate(dir string, now func() time.Time) (*Authority, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("opening the time authority: %w", err)
	}
	a := &Authority{now: now}
	signer, err := keyfile.OpenOrCreate(filepath.Join(dir, "tsa.pem"), attest.ECDSAP256SHA256)
	if err != nil {
		return nil, fmt.Errorf("opening the time authority: %w", err)
	}
	a.key = signer.Crypto()
	path := filepath.Join(dir, "chain.pem")
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		raw, err := a.certify(signer.Key())
		if err != nil {
			return nil, fmt.Errorf("making the time authority: %w", err)
		}
		if err := durable.WriteFile(path, raw, 0o644); err != nil {
			return nil, err
		}
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("opening the time authority: %w", err)
	}
	if err := a.read(raw); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if !signer.Key().Public.(*ecdsa.PublicKey).Equal(a.chain[0].PublicKey) {
		return nil, fmt.Errorf("%w: %s is not the certificate of tsa.pem", sign.ErrKey, path)
	}
	return a, nil
}

// certify makes a root and a leaf whose only use is timestamping. The root's
// key is thrown away: it has signed all that it ever will.
func (a *Authority) certify(key sign.Key) ([]byte, error) {
	rootKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	from := a.now().UTC().Add(-time.Minute).Truncate(time.Second)
	root := &x509.Certificate{
		SerialNumber:          serial(),
		Subject:               pkix.Name{Organization: []string{"Sekisho"}, CommonName: "Sekisho time authority root " + key.ID[:16]},
		NotBefore:             from,
		NotAfter:              from.Add(lifetime),
		IsCA:                  true,
		BasicConstraintsValid: true,
		MaxPathLenZero:        true,
		KeyUsage:              x509.KeyUsageCertSign,
	}
	rootDER, err := x509.CreateCertificate(rand.Reader, root, root, rootKey.Public(), rootKey)
	if err != nil {
		return nil, err
	}
	if root, err = x509.ParseCertificate(rootDER); err != nil {
		return nil, err
	}
	// RFC 3161 section 2.3: exactly this extended key usage, and critical. The
	// template's own field would not make it critical.
	eku, err := asn1.Marshal([]asn1.ObjectIdentifier{{1, 3, 6, 1, 5, 5, 7, 3, 8}})
	if err != nil {
		return nil, err
	}
	leaf := &x509.Certificate{
		SerialNumber:    serial(),
		Subject:         pkix.Name{Organization: []string{"Sekisho"}, CommonName: "Sekisho time authority " + key.ID[:16]},
		NotBefore:       from,
		NotAfter:        from.Add(lifetime),
		KeyUsage:        x509.KeyUsageDigitalSignature,
		ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 37}, Critical: true, Value: eku}},
	}
	leafDER, err := x509.CreateCertificate(rand.Reader, leaf, root, key.Public, rootKey)
	if err != nil {
		return nil, err
	}
	out := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: leafDER})
	return append(out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: rootDER})...), nil
}

func serial() *big.Int {
	b := make([]byte, 16)
	rand.Read(b) // it does not fail
	b[0] &= 0x7f
	return new(big.Int).SetBytes(b)
}

func (a *Authority) read(raw []byte) error {
	for block, rest := pem.Decode(raw); block != nil; block, rest = pem.Decode(rest) {
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return fmt.Errorf("%w: %w", sign.ErrKey, err)
		}
		a.chain = append(a.chain, c)
	}
	if len(a.chain) != 2 {
		return fmt.Errorf("%w: %d certificates, want the authority's and its root", sign.ErrKey, len(a.chain))
	}
	return nil
}

// Certificates returns the chain, the authority's own certificate first.
func (a *Authority) Certificates() []*x509.Certificate { return a.chain }

// policyOID is anyPolicy: no promise beyond the package comment.
var policyOID = asn1.ObjectIdentifier{2, 5, 29, 32, 0}

// Timestamp returns a DER TimeStampResp over the raw bytes of a signature.
func (a *Authority) Timestamp(ctx context.Context, signature []byte) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	sum := sha256.Sum256(signature)
	t := timestamp.Timestamp{
		HashAlgorithm:     crypto.SHA256,
		HashedMessage:     sum[:],
		Time:              a.now().UTC(),
		SerialNumber:      serial(),
		Policy:            policyOID,
		AddTSACertificate: true,
	}
	token, err := t.CreateResponseWithOpts(a.chain[0], a.key, crypto.SHA256)
	if err != nil {
		return nil, fmt.Errorf("timestamping: %w: %w", sign.ErrUnavailable, err)
	}
	return token, nil
}
