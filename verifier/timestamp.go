package verifier

import (
	"bytes"
	"fmt"
	"time"

	"github.com/digitorus/timestamp"
	"github.com/sigstore/timestamp-authority/v2/pkg/verification"

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
			proven = append(proven, ProvenTime{t.authorities[i].name, at})
		}
	}
	return proven
}

// verify verifies an RFC 3161 token over the raw bytes of a signature, by this
// authority's own certificate, at the time that the token names: that one
// certificate must have signed it, be for timestamping and nothing else, be the
// one that the token's ESSCertID names, and have been valid then.
func (a *timeAuthority) verify(token, signature []byte) (at time.Time, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: reading it panicked", ErrTimestamp)
		}
	}()
	if len(token) > maxToken {
		return time.Time{}, fmt.Errorf("%w: %d bytes, at most %d", ErrTimestamp, len(token), maxToken)
	}
	parsed, err := timestamp.ParseResponse(token)
	if err != nil {
		return time.Time{}, fmt.Errorf("%w: %w", ErrTimestamp, err)
	}
	leaf := a.chain[0]
	if parsed.Time.Before(leaf.NotBefore) || parsed.Time.After(leaf.NotAfter) {
		return time.Time{}, fmt.Errorf("%w: its time is outside its certificate's", ErrTimestamp)
	}
	ts, err := verification.VerifyTimestampResponse(token, bytes.NewReader(signature), verification.VerifyOpts{
		TSACertificate: leaf,
		Intermediates:  a.chain[1 : len(a.chain)-1],
		Roots:          a.chain[len(a.chain)-1:],
		CurrentTime:    parsed.Time,
	})
	if err != nil {
		return time.Time{}, fmt.Errorf("%w: %w", ErrTimestamp, err)
	}
	return ts.Time.UTC(), nil
}
