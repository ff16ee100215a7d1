package verifier

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"fmt"

	"github.com/go-json-experiment/json"

	"github.com/sekisho-dev/sekisho/attest"
)

// entryMatches checks that a log entry that came with a signature is of this
// signature, by this key, over this document. Whether the log is a trusted one is
// another question; an entry of something else is refused whatever the log, for
// whoever sends it along claims something that is not so (CVE-2022-23649,
// CVE-2026-22703). A kind that is not known here is refused too.
func entryMatches(e *entryOutline, rec *attest.Record, payload []byte) error {
	refuse := func(what string) error {
		return fmt.Errorf("%w: its %s differs from the bundle's", ErrLogEntryMismatch, what)
	}
	var body struct {
		APIVersion string `json:"apiVersion"`
		Kind       string `json:"kind"`
		Spec       struct {
			// hashedrekord 0.0.1, which is for files; dsse 0.0.1; intoto 0.0.2
			PayloadHash hashBody    `json:"payloadHash"`
			Signatures  []dsseBody  `json:"signatures"`
			Content     contentBody `json:"content"`
			// hashedrekord 0.0.2
			HashedRekord *hashedRekordBody `json:"hashedRekordV002"`
			DSSE         *dsseV2Body       `json:"dsseV002"`
		} `json:"spec"`
	}
	if err := json.Unmarshal(e.Body, &body); err != nil {
		return fmt.Errorf("%w: its body is not readable: %w", ErrLogEntryMismatch, err)
	}
	if body.Kind != e.KindVersion.Kind || body.APIVersion != e.KindVersion.Version {
		return refuse("kind")
	}
	payloadHash := sha256.Sum256(payload)
	switch s := &body.Spec; body.Kind + " " + body.APIVersion {
	case "dsse 0.0.1":
		if len(s.Signatures) != 1 || !sameSignature(s.Signatures[0].Signature, rec) {
			return refuse("signature")
		}
		if !sameVerifier(s.Signatures[0].Verifier, rec) {
			return refuse("key")
		}
		if !s.PayloadHash.is(payloadHash[:]) {
			return refuse("payload")
		}
	case "intoto 0.0.2":
		sigs := s.Content.Envelope.Signatures
		if len(sigs) != 1 {
			return refuse("signature")
		}
		// The signature is base64 of base64 here.
		inner, err := base64.StdEncoding.DecodeString(sigs[0].Sig)
		if err != nil || !sameSignature(string(inner), rec) {
			return refuse("signature")
		}
		if !sameVerifier(sigs[0].PublicKey, rec) {
			return refuse("key")
		}
		if !s.Content.PayloadHash.is(payloadHash[:]) {
			return refuse("payload")
		}
	case "hashedrekord 0.0.2":
		leaf, err := rec.Leaf(payload)
		if err != nil || s.HashedRekord == nil {
			return refuse("content")
		}
		// The entry is canonical: it is rebuilt, and has to be the same bytes.
		if want, err := leaf.Entry(); err != nil || !bytes.Equal(want, e.Body) {
			return refuse("content")
		}
	case "dsse 0.0.2":
		if s.DSSE == nil || len(s.DSSE.Signatures) != 1 || !bytes.Equal(s.DSSE.Signatures[0].Content, rec.Signature.Sig) {
			return refuse("signature")
		}
		if !bytes.Equal(s.DSSE.PayloadHash.Digest, payloadHash[:]) {
			return refuse("payload")
		}
		v := s.DSSE.Signatures[0].Verifier
		if !(v.PublicKey != nil && bytes.Equal(v.PublicKey.RawBytes, rec.PublicKey)) && !(v.Certificate != nil && bytes.Equal(v.Certificate.RawBytes, rec.Certificate)) {
			return refuse("key")
		}
	case "intoto 0.0.1":
		return fmt.Errorf("%w: an entry of kind intoto 0.0.1 does not hold the signature, so that it cannot be compared", ErrLogEntryMismatch)
	default:
		return fmt.Errorf("%w: entries of kind %.40q %.20q say nothing about statements", ErrLogEntryMismatch, body.Kind, body.APIVersion)
	}
	return nil
}

type hashBody struct {
	Algorithm string `json:"algorithm"`
	Value     string `json:"value"`
}

func (h hashBody) is(sum []byte) bool {
	return h.Algorithm == "sha256" && h.Value == hex.EncodeToString(sum)
}

type dsseBody struct {
	Signature string `json:"signature"`
	Verifier  string `json:"verifier"`
}

type contentBody struct {
	PayloadHash hashBody `json:"payloadHash"`
	Envelope    struct {
		Signatures []struct {
			Sig       string `json:"sig"`
			PublicKey string `json:"publicKey"`
		} `json:"signatures"`
	} `json:"envelope"`
}

type hashedRekordBody struct {
	Signature struct {
		Content []byte `json:"content"`
	} `json:"signature"`
}

type rawBytes struct {
	RawBytes []byte `json:"rawBytes"`
}

type dsseV2Body struct {
	PayloadHash struct {
		Digest []byte `json:"digest"`
	} `json:"payloadHash"`
	Signatures []struct {
		Content  []byte `json:"content"`
		Verifier struct {
			PublicKey   *rawBytes `json:"publicKey"`
			Certificate *rawBytes `json:"x509Certificate"`
		} `json:"verifier"`
	} `json:"signatures"`
}

func sameSignature(encoded string, rec *attest.Record) bool {
	sig, err := base64.StdEncoding.DecodeString(encoded)
	return err == nil && len(sig) > 0 && bytes.Equal(sig, rec.Signature.Sig)
}

// sameVerifier reports whether base64 of a PEM key or certificate is the
// record's. An entry without one matches nothing.
func sameVerifier(encoded string, rec *attest.Record) bool {
	text, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return false
	}
	block, _ := pem.Decode(text)
	switch {
	case block == nil:
		return false
	case block.Type == "CERTIFICATE":
		return len(rec.Certificate) > 0 && bytes.Equal(block.Bytes, rec.Certificate)
	case len(rec.PublicKey) > 0:
		return bytes.Equal(block.Bytes, rec.PublicKey)
	}
	// The entry names the key, and the bundle its certificate.
	cert, err := x509.ParseCertificate(rec.Certificate)
	return err == nil && bytes.Equal(block.Bytes, cert.RawSubjectPublicKeyInfo)
}
