package verifier

import (
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/sigstore/sigstore-go/pkg/bundle"

	"github.com/sekisho-dev/sekisho/attest"
)

// Limits on a bundle (those of sigstore-go), applied before anything in it is
// looked at.
const (
	maxEntries    = 32
	maxTimestamps = 32
)

// mediaTypes are the bundles that are read, by their media type.
var mediaTypes = map[string]bool{
	"application/vnd.dev.sigstore.bundle+json;version=0.1": true,
	"application/vnd.dev.sigstore.bundle+json;version=0.2": true,
	"application/vnd.dev.sigstore.bundle+json;version=0.3": true,
	"application/vnd.dev.sigstore.bundle.v0.3+json":        true,
}

// outline is as much of a bundle as has to be known before it may be read: what
// it is, and how much of it there is.
type outline struct {
	MediaType string `json:"mediaType"`
	Material  *struct {
		PublicKey   *struct{}      `json:"publicKey"`
		Chain       jsontext.Value `json:"x509CertificateChain"`
		Certificate jsontext.Value `json:"certificate"`
		Entries     []entryOutline `json:"tlogEntries"`
		Timestamps  *struct {
			RFC3161 []jsontext.Value `json:"rfc3161Timestamps"`
		} `json:"timestampVerificationData"`
	} `json:"verificationMaterial"`
	Message  jsontext.Value `json:"messageSignature"`
	Envelope jsontext.Value `json:"dsseEnvelope"`
}

type entryOutline struct {
	LogIndex jsontext.Value `json:"logIndex"`
	LogID    struct {
		KeyID string `json:"keyId"`
	} `json:"logId"`
	KindVersion struct {
		Kind    string `json:"kind"`
		Version string `json:"version"`
	} `json:"kindVersion"`
	InclusionPromise *struct{} `json:"inclusionPromise"`
	InclusionProof   *struct{} `json:"inclusionProof"`
	Body             []byte    `json:"canonicalizedBody"`
}

// readOutline reads a bundle strictly, as far as its outline goes.
func readOutline(data []byte) (*outline, error) {
	if err := attest.CheckJSON(data); err != nil {
		return nil, fmt.Errorf("reading bundle: %w", err)
	}
	var o outline
	if err := json.Unmarshal(data, &o); err != nil {
		return nil, fmt.Errorf("reading bundle: %w: %w", ErrBundle, err)
	}
	switch {
	case !mediaTypes[o.MediaType]:
		return nil, fmt.Errorf("reading bundle: %w: media type %.100q; bundles v0.1 to v0.3 are read", ErrBundle, o.MediaType)
	case o.Material == nil:
		return nil, fmt.Errorf("reading bundle: %w: no verification material", ErrBundle)
	case len(o.Material.Entries) > maxEntries:
		return nil, fmt.Errorf("reading bundle: %w: %d log entries, at most %d", attest.ErrTooLarge, len(o.Material.Entries), maxEntries)
	case o.Material.Timestamps != nil && len(o.Material.Timestamps.RFC3161) > maxTimestamps:
		return nil, fmt.Errorf("reading bundle: %w: %d timestamps, at most %d", attest.ErrTooLarge, len(o.Material.Timestamps.RFC3161), maxTimestamps)
	}
	seen := map[string]bool{}
	for _, e := range o.Material.Entries {
		at := e.LogID.KeyID + " " + string(e.LogIndex)
		if seen[at] {
			return nil, fmt.Errorf("reading bundle: %w: one log entry twice", ErrBundle)
		}
		seen[at] = true
	}
	return &o, nil
}

// ReadBundle reads a Sigstore bundle, v0.1 to v0.3, that holds one DSSE envelope
// with one signature. It returns the record that the bundle makes, and the
// statement's bytes; nothing is verified yet, and the key of a bundle that names
// none is left for [TrustRoot.Verify] to find.
//
// Errors: [ErrBundle], [ErrNotAttestation] for a signature over a file, and
// those of [attest.ParseEnvelope].
func ReadBundle(data []byte) (*attest.Record, []byte, error) {
	o, err := readOutline(data)
	if err != nil {
		return nil, nil, err
	}
	if o.Envelope == nil {
		if o.Message != nil {
			return nil, nil, fmt.Errorf("%w: the bundle signs a file, not a statement about one; sekisho attest wants provenance, an SBOM or another in-toto statement", ErrNotAttestation)
		}
		return nil, nil, fmt.Errorf("reading bundle: %w: no envelope", ErrBundle)
	}
	envelope, err := attest.ParseEnvelope(o.Envelope)
	if err != nil {
		return nil, nil, err
	}
	if len(envelope.Signatures) != 1 {
		return nil, nil, fmt.Errorf("reading bundle: %w: %d signatures, want exactly one", ErrBundle, len(envelope.Signatures))
	}
	rec := &attest.Record{PayloadType: envelope.PayloadType, Signature: envelope.Signatures[0], Bundle: data}
	rec.Signature.Certificate = ""
	if o.Material.PublicKey != nil {
		return rec, envelope.Payload, nil
	}
	cert, err := o.leaf()
	if err != nil {
		return nil, nil, fmt.Errorf("reading bundle: %w", err)
	}
	rec.Certificate = cert.Raw
	if rec.KeyDetails, err = attest.KeyDetailsOf(cert.PublicKey); err != nil {
		return nil, nil, fmt.Errorf("reading bundle: certificate: %w", err)
	}
	return rec, envelope.Payload, nil
}

// leaf returns the bundle's leaf certificate.
func (o *outline) leaf() (*x509.Certificate, error) {
	var one struct {
		RawBytes string `json:"rawBytes"`
	}
	var err error
	switch m := o.Material; {
	case m.Certificate != nil:
		err = json.Unmarshal(m.Certificate, &one)
	case m.Chain != nil:
		var chain struct {
			Certificates []jsontext.Value `json:"certificates"`
		}
		if err = json.Unmarshal(m.Chain, &chain); err != nil {
			break
		}
		if len(chain.Certificates) == 0 || len(chain.Certificates) > 10 {
			return nil, fmt.Errorf("%w: a chain of %d certificates", ErrBundle, len(chain.Certificates))
		}
		err = json.Unmarshal(chain.Certificates[0], &one)
	default:
		return nil, fmt.Errorf("%w: neither a certificate nor a key", ErrBundle)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBundle, err)
	}
	der, err := base64.StdEncoding.DecodeString(one.RawBytes)
	if err != nil {
		return nil, fmt.Errorf("%w: certificate: %w", ErrBundle, err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("%w: certificate: %w", ErrBundle, err)
	}
	return cert, nil
}

// load gives the bundle to sigstore-go, which reads it again by its own rules.
func load(data []byte) (b *bundle.Bundle, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: reading it panicked", ErrBundle)
		}
	}()
	b = new(bundle.Bundle)
	if err := b.UnmarshalJSON(data); err != nil {
		if errors.Is(err, ErrBundle) {
			return nil, err
		}
		return nil, fmt.Errorf("%w: %w", ErrBundle, err)
	}
	return b, nil
}
