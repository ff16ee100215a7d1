package verifier

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"fmt"
	"slices"
	"strings"

	"github.com/sigstore/sigstore-go/pkg/verify"

	"github.com/sekisho-dev/sekisho/attest"
)

// Verify is the mathematics that a registration has to pass: the signature over
// the statement's bytes verifies under the record's key or certificate; a
// certificate verifies, with its evidence, under one of the trust root's
// Sigstore roots, at the time of signing; and a log entry that came along is of
// this very signature. For a bundle that names no key, the key is looked for in
// the trust root and put into the record.
//
// The error wraps one of this package's sentinels, or attest's for a payload
// that is no statement.
func (t *TrustRoot) Verify(rec *attest.Record, payload []byte) (*Facts, error) {
	if rec.Bundle != nil && len(rec.Certificate) == 0 && len(rec.PublicKey) == 0 {
		if err := t.FindKey(rec, payload); err != nil {
			return nil, err
		}
	}
	statement, err := rec.Envelope(payload).Statement()
	if err != nil {
		return nil, err
	}
	f, untrusted, err := t.verify(rec, payload)
	if err != nil {
		return nil, err
	}
	if err := f.claims(statement); err != nil {
		return nil, err
	}
	if len(rec.Certificate) > 0 && len(f.verifiedUnder) == 0 {
		return nil, untrusted
	}
	return f, nil
}

// Reverify is the mathematics of what the log holds already, and what it says. It
// differs from Verify where the rules have changed since: a certificate whose Sigstore
// root is no longer named, or a statement that nobody can read, makes facts that
// nobody will believe, and no error. The statement is then nil.
func (t *TrustRoot) Reverify(rec *attest.Record, payload []byte) (*Facts, *attest.Statement, error) {
	f, _, err := t.verify(rec, payload)
	if err != nil {
		return nil, nil, err
	}
	statement, err := rec.Envelope(payload).Statement()
	if err == nil {
		err = f.claims(statement)
	}
	if err != nil {
		f.unreadable = clip(err.Error(), maxName)
		return f, nil, nil
	}
	return f, statement, nil
}

// Stamp returns the facts with the times that the record's own token proves, where
// it was stamped after they were made.
func (t *TrustRoot) Stamp(f *Facts, rec *attest.Record) *Facts {
	stamped := *f
	stamped.proven = slices.Clone(f.proven)
	for _, p := range t.timestamps(rec) {
		stamped.prove(p)
	}
	return &stamped
}

// verify returns what is proven of a signature. untrusted says why a certificate
// verified under none of the roots.
func (t *TrustRoot) verify(rec *attest.Record, payload []byte) (f *Facts, untrusted, err error) {
	if d := attest.SHA256(payload); rec.PayloadDigest != d || rec.PayloadSize != int64(len(payload)) {
		return nil, nil, fmt.Errorf("%w: the payload is not the record's", ErrSignature)
	}
	public, spki, err := material(rec)
	if err != nil {
		return nil, nil, err
	}
	leaf, err := rec.Leaf(payload)
	if err != nil {
		return nil, nil, err
	}
	if !verifyDigest(public, rec.KeyDetails, leaf.Digest, rec.Signature.Sig) {
		return nil, nil, fmt.Errorf("%w over this statement", ErrSignature)
	}
	f = &Facts{attestation: rec.Envelope(payload).Digest(), payload: rec.PayloadDigest, size: rec.PayloadSize, keyID: attest.SHA256(spki).Hex()}
	if rec.Bundle != nil {
		if untrusted, err = t.verifyBundle(f, rec, payload); err != nil {
			return nil, nil, err
		}
	} else if len(rec.Certificate) > 0 {
		return nil, nil, fmt.Errorf("%w: a certificate without its bundle", ErrNoTransparency)
	}
	for _, p := range t.timestamps(rec) {
		f.prove(p)
	}
	return f, untrusted, nil
}

// material returns the key that verifies a record's signature. The details in
// the record must be those of the key: they fix the hash.
func material(rec *attest.Record) (crypto.PublicKey, []byte, error) {
	var (
		public crypto.PublicKey
		spki   = rec.PublicKey
		err    error
	)
	if len(rec.Certificate) > 0 {
		cert, perr := x509.ParseCertificate(rec.Certificate)
		if perr != nil {
			return nil, nil, fmt.Errorf("%w: certificate: %w", ErrSignature, perr)
		}
		public, spki = cert.PublicKey, cert.RawSubjectPublicKeyInfo
	} else if public, err = x509.ParsePKIXPublicKey(spki); err != nil {
		return nil, nil, fmt.Errorf("%w: public key: %w", ErrSignature, err)
	}
	details, err := attest.KeyDetailsOf(public)
	if err != nil {
		return nil, nil, err
	}
	if details != rec.KeyDetails {
		return nil, nil, fmt.Errorf("%w: the key is a %s, and the record says %s", ErrSignature, details, rec.KeyDetails)
	}
	return public, spki, nil
}

// verifyBundle adds what a bundle's own evidence proves under each Sigstore root.
func (t *TrustRoot) verifyBundle(f *Facts, rec *attest.Record, payload []byte) (untrusted, err error) {
	o, err := readOutline(rec.Bundle)
	if err != nil {
		return nil, err
	}
	inner, err := attest.ParseEnvelope(o.Envelope)
	if err != nil {
		return nil, err
	}
	if len(inner.Signatures) != 1 || !bytes.Equal(inner.Payload, payload) || !bytes.Equal(inner.Signatures[0].Sig, rec.Signature.Sig) || inner.PayloadType != rec.PayloadType {
		return nil, fmt.Errorf("%w: the bundle holds another envelope than the record", ErrSignature)
	}
	for i := range o.Material.Entries {
		if err := entryMatches(&o.Material.Entries[i], rec, payload); err != nil {
			return nil, err
		}
	}
	if len(rec.Certificate) > 0 {
		leaf, err := o.leaf()
		if err != nil {
			return nil, err
		}
		if !bytes.Equal(leaf.Raw, rec.Certificate) {
			return nil, fmt.Errorf("%w: the bundle holds another certificate than the record", ErrSignature)
		}
		if err := o.provesTime(); err != nil {
			return nil, err
		}
	}
	b, err := load(rec.Bundle)
	if err != nil {
		return nil, err
	}
	var why []string
	for i := range t.sigstore {
		r := &t.sigstore[i]
		result, err := r.verify(b, rec)
		if err != nil {
			why = append(why, r.name+": "+reason(err))
			continue
		}
		f.under(string(r.digest))
		for _, ts := range result.VerifiedTimestamps {
			f.prove(ProvenTime{string(r.digest), ts.Timestamp.UTC()})
		}
		f.certified(result)
	}
	if len(why) == 0 {
		why = append(why, "the trust root names none")
	}
	return fmt.Errorf("%w (%s); either its evidence is not that of this signature, or it was signed at a Sigstore instance that trust root version %d does not name under sigstore",
		ErrUntrustedRoot, strings.Join(why, "; "), t.Version()), nil
}

// reason is what sigstore-go says, on one line, and without the verb that it
// formats an error with when it has none.
func reason(err error) string {
	return strings.Join(strings.Fields(strings.ReplaceAll(err.Error(), "; error: %!w(<nil>)", "")), " ")
}

// provesTime reports whether anything in the bundle could prove when it was
// signed: a timestamp, or a log's signed promise. A log's proof alone cannot,
// because the time beside it is not signed (CVE-2026-48816).
func (o *outline) provesTime() error {
	if o.Material.Timestamps != nil && len(o.Material.Timestamps.RFC3161) > 0 {
		return nil
	}
	for _, e := range o.Material.Entries {
		if e.InclusionPromise != nil {
			return nil
		}
	}
	if len(o.Material.Entries) == 0 {
		return fmt.Errorf("%w: a short-lived certificate with neither a log entry nor a timestamp", ErrNoTransparency)
	}
	return fmt.Errorf("%w: neither a timestamp nor a log's signed promise says when the certificate signed", ErrNoTrustedTime)
}

// verify verifies a bundle under one Sigstore root, used whole. Who signed is not
// asked here.
func (r *sigstoreRoot) verify(b verify.SignedEntity, rec *attest.Record) (result *verify.VerificationResult, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("verifying panicked: %v", p)
		}
	}()
	v, policy := r.verifier, verify.NewPolicy(verify.WithoutArtifactUnsafe(), verify.WithoutIdentitiesUnsafe())
	if len(rec.Certificate) == 0 {
		if v, err = r.withKey(rec); err != nil {
			return nil, err
		}
		policy = verify.NewPolicy(verify.WithoutArtifactUnsafe(), verify.WithKey())
	}
	return v.Verify(b, policy)
}

// withKey returns a verifier for a signature by a key that is not the Sigstore
// root's to know, with the root's logs and time authorities.
func (r *sigstoreRoot) withKey(rec *attest.Record) (*verify.Verifier, error) {
	public, err := x509.ParsePKIXPublicKey(rec.PublicKey)
	if err != nil {
		return nil, err
	}
	return keyVerifier(r.material, public, rec.KeyDetails.Hash(), verify.WithTransparencyLog(1), verify.WithObserverTimestamps(1))
}

// certified takes over what the certificate says about its holder.
func (f *Facts) certified(result *verify.VerificationResult) {
	if result.Signature == nil || result.Signature.Certificate == nil {
		return
	}
	c := *result.Signature.Certificate
	f.issuer, f.identity = kept(c.Issuer, keptText), kept(c.SubjectAlternativeName, keptText)
	f.sourceRepository, f.runner = kept(c.SourceRepositoryURI, keptText), kept(c.RunnerEnvironment, maxName)
}

// sameRepository compares a certificate's repository with a document's.
func sameRepository(a, b string) bool {
	norm := func(s string) string {
		return strings.TrimSuffix(strings.TrimSuffix(strings.TrimPrefix(s, "git+"), "/"), ".git")
	}
	return norm(a) == norm(b)
}
