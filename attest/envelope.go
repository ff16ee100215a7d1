package attest

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"hash"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// PayloadTypeInToto is the payload type of an in-toto statement in a DSSE envelope.
const PayloadTypeInToto = "application/vnd.in-toto+json"

// MaxSignatures is the largest number of signatures read from one envelope.
const MaxSignatures = 16

// An Envelope is a DSSE envelope (DSSE v1.0.2) that has been read, not verified.
type Envelope struct {
	PayloadType string
	Payload     []byte // decoded; the bytes that were signed, inside PAE
	Signatures  []Signature
}

// A Signature is one signature of an envelope.
type Signature struct {
	KeyID string `json:"keyid"` // an unauthenticated hint; never decides trust
	Sig   []byte `json:"sig"`
	// Certificate is the PEM that some builders put beside the signature in a
	// `cert` member (slsa-github-generator). It is read so that its lack of
	// transparency evidence can be named; it is not part of the served envelope.
	Certificate string `json:"-"`
}

// ParseEnvelope reads a DSSE envelope in JSON. Payload and signatures may be in
// standard or URL-safe base64, padded, without white space. Unknown members are
// ignored. It does not look into the payload.
//
// Errors: [ErrMalformed], [ErrTooLarge] (more than [MaxSignatures] signatures).
func ParseEnvelope(data []byte) (*Envelope, error) {
	var wire struct {
		Payload     *string        `json:"payload"`
		PayloadType *string        `json:"payloadType"`
		Signatures  wireSignatures `json:"signatures"`
	}
	if err := decodeStrict(data, &wire); err != nil {
		return nil, fmt.Errorf("reading envelope: %w", err)
	}
	if wire.Payload == nil || wire.PayloadType == nil || wire.Signatures == nil {
		return nil, fmt.Errorf("reading envelope: %w: payload, payloadType and signatures are required", ErrMalformed)
	}
	// A payload type outside printable ASCII has only ever been an attack on
	// somebody's PAE (CVE-2026-48758).
	for i := 0; i < len(*wire.PayloadType); i++ {
		if c := (*wire.PayloadType)[i]; c < 0x20 || c > 0x7e {
			return nil, fmt.Errorf("reading envelope: %w: payloadType is not printable ASCII", ErrMalformed)
		}
	}
	payload, err := decodeBase64(*wire.Payload)
	if err != nil {
		return nil, fmt.Errorf("reading envelope payload: %w", err)
	}
	e := &Envelope{PayloadType: *wire.PayloadType, Payload: payload}
	for _, s := range wire.Signatures {
		if s.Sig == nil {
			return nil, fmt.Errorf("reading envelope: %w: signature without sig", ErrMalformed)
		}
		sig, err := decodeBase64(*s.Sig)
		if err != nil {
			return nil, fmt.Errorf("reading envelope signature: %w", err)
		}
		e.Signatures = append(e.Signatures, Signature{KeyID: s.KeyID, Sig: sig, Certificate: s.Cert})
	}
	return e, nil
}

type wireSignature struct {
	KeyID string  `json:"keyid"`
	Sig   *string `json:"sig"`
	Cert  string  `json:"cert"`
}

type wireSignatures []wireSignature

// UnmarshalJSONFrom reads at most MaxSignatures signatures.
func (s *wireSignatures) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	if dec.PeekKind() == 'n' {
		return fmt.Errorf("%w: signatures is null", ErrMalformed)
	}
	*s = wireSignatures{}
	return readArray(dec, "signatures", MaxSignatures, func() error {
		var one *wireSignature
		if err := unmarshalNext(dec, &one); err != nil {
			return err
		}
		if one == nil {
			return fmt.Errorf("%w: null signature", ErrMalformed)
		}
		*s = append(*s, *one)
		return nil
	})
}

// Statement reads the payload as an in-toto statement, after checking that the
// payload type says it is one. Call it only with an envelope whose signature
// has been verified, or to decide how to verify it.
func (e *Envelope) Statement() (*Statement, error) {
	// application/vnd.in-toto.<predicate>+json is allowed, and is no evidence of
	// the predicate type (in-toto envelope v1).
	if e.PayloadType != PayloadTypeInToto &&
		!(strings.HasPrefix(e.PayloadType, "application/vnd.in-toto.") && strings.HasSuffix(e.PayloadType, "+json")) {
		return nil, fmt.Errorf("%w: %.100q", ErrPayloadType, e.PayloadType)
	}
	return ParseStatement(e.Payload)
}

// JSON returns the envelope exactly as Sekisho serves it: the JCS form
// (RFC 8785) of {payload, payloadType, signatures:[{keyid, sig}]}.
func (e *Envelope) JSON() []byte {
	var b bytes.Buffer
	b.Grow(len(e.Payload)*4/3 + 512)
	b.WriteString(`{"payload":"`)
	writeBase64(&b, e.Payload)
	b.WriteString(`","payloadType":`)
	b.Write(quote(e.PayloadType))
	b.WriteString(`,"signatures":[`)
	for i, s := range e.Signatures {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(`{"keyid":`)
		b.Write(quote(s.KeyID))
		b.WriteString(`,"sig":"`)
		writeBase64(&b, s.Sig)
		b.WriteString(`"}`)
	}
	b.WriteString(`]}`)
	return b.Bytes()
}

// Digest returns the attestation's identity: the SHA-256 of [Envelope.JSON].
func (e *Envelope) Digest() Digest { return SHA256(e.JSON()) }

// PAE returns the DSSE pre-authentication encoding, the bytes that are signed.
// Lengths count bytes.
func PAE(payloadType string, payload []byte) []byte {
	p := paePrefix(payloadType, int64(len(payload)))
	return append(p, payload...)
}

// PAEDigest returns h(PAE(payloadType, payload)) without building the PAE.
func PAEDigest(h hash.Hash, payloadType string, payload []byte) []byte {
	h.Write(paePrefix(payloadType, int64(len(payload))))
	h.Write(payload)
	return h.Sum(nil)
}

// PAESHA256 is PAEDigest with SHA-256.
func PAESHA256(payloadType string, payload []byte) []byte {
	return PAEDigest(sha256.New(), payloadType, payload)
}

func paePrefix(payloadType string, size int64) []byte {
	p := make([]byte, 0, len(payloadType)+48)
	p = append(p, "DSSEv1 "...)
	p = strconv.AppendInt(p, int64(len(payloadType)), 10)
	p = append(p, ' ')
	p = append(p, payloadType...)
	p = append(p, ' ')
	p = strconv.AppendInt(p, size, 10)
	return append(p, ' ')
}

// decodeBase64 accepts the standard or the URL-safe alphabet, never a mixture,
// with canonical padding and without the line breaks that Go's decoder skips.
func decodeBase64(s string) ([]byte, error) {
	if strings.ContainsAny(s, "\r\n") {
		return nil, fmt.Errorf("%w: white space in base64", ErrMalformed)
	}
	enc := base64.StdEncoding
	if strings.ContainsAny(s, "-_") {
		enc = base64.URLEncoding
	}
	b, err := enc.Strict().DecodeString(s)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return b, nil
}

func writeBase64(b *bytes.Buffer, data []byte) {
	w := base64.NewEncoder(base64.StdEncoding, b)
	w.Write(data) //nolint:errcheck // a bytes.Buffer does not fail
	w.Close()     //nolint:errcheck // likewise
}

// quote spells a string as JCS demands: the shortest escapes, nothing else escaped.
func quote(s string) []byte {
	q, err := jsontext.AppendQuote(nil, s)
	if err != nil {
		// Invalid UTF-8 was refused when the envelope was read; AppendQuote has
		// written replacement characters, which is what we want shown.
		return q
	}
	return q
}
