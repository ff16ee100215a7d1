package verifier

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"slices"
	"time"

	"github.com/digitorus/timestamp"

	"github.com/sekisho-dev/sekisho/attest"
)

// maxToken bounds a timestamp before it is parsed.
const maxToken = 64 << 10

// timestamps returns the times that the record's own token proves. The leaf does
// not commit to the token, so that a bad one proves nothing and damages nothing.
func (t *TrustRoot) timestamps(rec *attest.Record) []ProvenTime {
	if len(rec.Timestamp) == 0 {
		return nil
	}
	var proven []ProvenTime
	for i := range t.authorities {
		if at, err := t.authorities[i].verify(rec.Timestamp, rec.Signature.Sig); err == nil {
			proven = append(proven, ProvenTime{t.authorities[i].id(), at})
		}
	}
	return proven
}

// verify verifies an RFC 3161 token over the raw bytes of a signature, by this
// authority's own certificate, at the time that the token names.
//
// The authority's chain was verified when the trust root was read, for
// timestamping and nothing else. What is left is that this very certificate
// signed the token, for this very signature, while it was valid. A token that
// brings another certificate along, or several, is refused: the one that
// verifies and the one that is looked at must be the same (CVE-2026-39984).
func (a *timeAuthority) verify(token, signature []byte) (at time.Time, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: reading it panicked", ErrTimestamp)
		}
	}()
	if len(token) > maxToken {
		return time.Time{}, fmt.Errorf("%w: %d bytes, at most %d", ErrTimestamp, len(token), maxToken)
	}
	ts, err := timestamp.ParseResponse(token) // verifies under the certificate that it brings
	if err != nil {
		return time.Time{}, fmt.Errorf("%w: %w", ErrTimestamp, err)
	}
	leaf := a.chain[0]
	sum := sha256.Sum256(signature)
	switch {
	case len(ts.Certificates) != 1 || !ts.Certificates[0].Equal(leaf):
		return time.Time{}, fmt.Errorf("%w: made by another certificate than that of %s", ErrTimestamp, a.name)
	case ts.HashAlgorithm != crypto.SHA256 || !bytes.Equal(ts.HashedMessage, sum[:]):
		return time.Time{}, fmt.Errorf("%w: it is not over this signature", ErrTimestamp)
	case ts.Time.Before(leaf.NotBefore) || ts.Time.After(leaf.NotAfter):
		return time.Time{}, fmt.Errorf("%w: its time is outside its certificate's", ErrTimestamp)
	}
	return ts.Time.UTC(), nil
}

// timeStamping is the one extended key usage of a time authority (RFC 3161
// section 2.3).
var (
	extKeyUsage  = asn1.ObjectIdentifier{2, 5, 29, 37}
	timeStamping = []byte{0x30, 0x0a, 0x06, 0x08, 0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x08}
)

// checkChain checks an authority's chain: the first certificate is no authority
// for certificates, is for timestamping and nothing else, says so critically, and
// leads to the last one. Its own validity is looked at for each token.
func (a *timeAuthority) checkChain() error {
	leaf := a.chain[0]
	if leaf.IsCA {
		return fmt.Errorf("%w: the first certificate must be the authority's own, and is one for certificates", ErrTimestamp)
	}
	i := slices.IndexFunc(leaf.Extensions, func(e pkix.Extension) bool { return e.Id.Equal(extKeyUsage) })
	if i < 0 || !leaf.Extensions[i].Critical || !bytes.Equal(leaf.Extensions[i].Value, timeStamping) {
		return fmt.Errorf("%w: its extended key usage must be timestamping, alone and critical", ErrTimestamp)
	}
	opts := x509.VerifyOptions{
		Roots: x509.NewCertPool(), Intermediates: x509.NewCertPool(),
		CurrentTime: leaf.NotBefore, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageTimeStamping},
	}
	opts.Roots.AddCert(a.chain[len(a.chain)-1])
	for _, c := range a.chain[1 : len(a.chain)-1] {
		opts.Intermediates.AddCert(c)
	}
	if _, err := leaf.Verify(opts); err != nil {
		return fmt.Errorf("%w: %w", ErrTimestamp, err)
	}
	return nil
}
