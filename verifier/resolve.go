package verifier

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"

	"github.com/sekisho-dev/sekisho/attest"
)

// Resolve finds, for each signature of an envelope, the key that made it: a key
// of the trust root, or one presented with it. Key ids are not looked at; they
// are hints, and lie. Signatures by nobody known are passed over so long as there
// is another. The result has one record for each signature that can be logged,
// in the envelope's order, and each key once.
//
// Errors: [ErrNoTransparency] for a signature that came with a short-lived
// certificate and nothing that proves when it was made; [attest.ErrNotLoggable];
// [ErrSignature] where a key was presented and none verifies, for then the bytes
// are others than were signed; else [ErrUnknownKey].
func (t *TrustRoot) Resolve(e *attest.Envelope, presented ...crypto.PublicKey) ([]*attest.Record, error) {
	return t.resolve(e, presented, "pass --public-key, add the signer to the trust root, or, if a short-lived certificate signed it, hand in the Sigstore bundle")
}

// FindKey finds the key of a record that has neither key nor certificate, as
// Resolve does, and puts it into the record: a bundle that is signed by a key
// gives a hint at most. The errors are those of Resolve.
func (t *TrustRoot) FindKey(rec *attest.Record, payload []byte, presented ...crypto.PublicKey) error {
	records, err := t.resolve(rec.Envelope(payload), presented, "pass --public-key, or add the signer to the trust root")
	if err != nil {
		return err
	}
	rec.PublicKey, rec.KeyDetails = records[0].PublicKey, records[0].KeyDetails
	return nil
}

func (t *TrustRoot) resolve(e *attest.Envelope, presented []crypto.PublicKey, remedy string) ([]*attest.Record, error) {
	if len(e.Signatures) == 0 {
		return nil, fmt.Errorf("%w: the envelope has no signatures", ErrSignature)
	}
	candidates := t.allKeys()
	for _, public := range presented {
		spki, err := x509.MarshalPKIXPublicKey(public)
		if err != nil {
			return nil, fmt.Errorf("%w: presented key: %w", ErrUnknownKey, err)
		}
		candidates = append(candidates, key{id: attest.SHA256(spki).Hex(), public: public, spki: spki})
	}
	pae := attest.PAE(e.PayloadType, e.Payload)
	var records []*attest.Record
	var refused error
	seen := map[string]bool{}
	for _, sig := range e.Signatures {
		k := made(candidates, pae, sig.Sig)
		switch {
		case k == nil && sig.Certificate != "":
			refused = errors.Join(refused, fmt.Errorf("%w: signed with a short-lived certificate, and nothing here proves when; post the Sigstore bundle instead of the bare envelope", ErrNoTransparency))
			continue
		case k == nil:
			if err := madeOtherwise(candidates, pae, sig.Sig); err != nil {
				refused = errors.Join(refused, err)
			}
			continue
		case seen[k.id]:
			continue
		}
		seen[k.id] = true
		details, err := attest.KeyDetailsOf(k.public)
		if err != nil {
			refused = errors.Join(refused, err)
			continue
		}
		// Nobody signed the key id, and an attestation's identity must not depend
		// on it; whoever verifies the served bundle is better off without.
		sig.KeyID, sig.Certificate = "", ""
		records = append(records, &attest.Record{PayloadType: e.PayloadType, Signature: sig, KeyDetails: details, PublicKey: k.spki})
	}
	switch {
	case len(records) > 0:
		return records, nil
	case refused != nil:
		return nil, refused
	case len(presented) > 0:
		return nil, fmt.Errorf("%w: none of the %d signatures is over this payload by the key presented with it or one of trust root version %d; was the payload changed, or is it another key?", ErrSignature, len(e.Signatures), t.Version())
	}
	return nil, fmt.Errorf("%w: none of the %d signatures verifies under a key of trust root version %d or one presented with it; %s", ErrUnknownKey, len(e.Signatures), t.Version(), remedy)
}

// allKeys returns every key that the trust root names.
func (t *TrustRoot) allKeys() []key {
	return append(append(t.signerKeys(), t.roots.keys...), t.policy.keys...)
}

// signerKeys returns the keys of all signers.
func (t *TrustRoot) signerKeys() (all []key) {
	for _, s := range t.signers {
		all = append(all, s.keys...)
	}
	return all
}

// made returns the key that made a signature over a message, if it is among them.
func made(keys []key, message, sig []byte) *key {
	for i := range keys {
		if verifyMessage(keys[i].public, message, sig) {
			return &keys[i]
		}
	}
	return nil
}

// madeOtherwise reports that one of the keys did make a signature, by an
// algorithm that no leaf can hold: whoever sees it refused has to hear that, and
// not that the bytes were changed. nil if none of the keys made it.
func madeOtherwise(keys []key, message, sig []byte) error {
	for _, h := range []crypto.Hash{crypto.SHA256, crypto.SHA384, crypto.SHA512} {
		w := h.New()
		w.Write(message)
		digest := w.Sum(nil)
		for i := range keys {
			how := ""
			switch k := keys[i].public.(type) {
			case *ecdsa.PublicKey:
				if ecdsa.VerifyASN1(k, digest, sig) {
					how = fmt.Sprintf("ECDSA %s with %s", k.Curve.Params().Name, h)
				}
			case *rsa.PublicKey:
				if rsa.VerifyPSS(k, h, digest, sig, nil) == nil {
					how = fmt.Sprintf("RSA-PSS with %s", h)
				} else if rsa.VerifyPKCS1v15(k, h, digest, sig) == nil {
					how = fmt.Sprintf("RSA PKCS #1 v1.5 of %d bits with %s", k.N.BitLen(), h)
				}
			}
			if how != "" {
				return fmt.Errorf("%w: %s; sign with ECDSA (P-256 with SHA-256, P-384 with SHA-384, P-521 with SHA-512) or RSA PKCS #1 v1.5 (2048, 3072 or 4096 bits with SHA-256)", attest.ErrNotLoggable, how)
			}
		}
	}
	return nil
}

// verifyMessage verifies a signature by the one algorithm that the key fixes.
func verifyMessage(public crypto.PublicKey, message, sig []byte) bool {
	if k, ok := public.(ed25519.PublicKey); ok {
		return ed25519.Verify(k, message, sig)
	}
	details, err := attest.KeyDetailsOf(public)
	if err != nil {
		return false
	}
	h := details.Hash().New()
	h.Write(message)
	return verifyDigest(public, details, h.Sum(nil), sig)
}

func verifyDigest(public crypto.PublicKey, details attest.KeyDetails, digest, sig []byte) bool {
	switch k := public.(type) {
	case *ecdsa.PublicKey:
		return ecdsa.VerifyASN1(k, digest, sig)
	case *rsa.PublicKey:
		return rsa.VerifyPKCS1v15(k, details.Hash(), digest, sig) == nil
	}
	return false
}
