package follow

import (
	"fmt"
	"strings"

	"github.com/sekisho-dev/sekisho/attest"
	"github.com/sekisho-dev/sekisho/sbom"
	"github.com/sekisho-dev/sekisho/store"
	"github.com/sekisho-dev/sekisho/verifier"
)

// A Row is what one entry of the log says, as the index holds it. Whoever logs an
// entry makes its row first: what the index would refuse must never be logged.
type Row struct {
	leaf   attest.Hash
	record store.Record
	facts  *verifier.Facts
	// control is the statement of an entry that decides; nil for all others, whose
	// statements are let go of.
	control *attest.Statement
	// authorities are those under which the facts were derived.
	authorities attest.Digest
}

// NewRow makes the row of an entry. statement is nil where nobody can read it.
// submitter is who handed it in: it is counted against them, and decides nothing.
//
// Its index is 0; following gives it the entry's. The error is [store.ErrInvalid],
// and does not depend on the trust root under which the facts were derived.
func NewRow(leaf attest.Hash, facts *verifier.Facts, statement *attest.Statement, submitter string, trust *verifier.TrustRoot) (Row, error) {
	value, err := facts.MarshalBinary()
	if err != nil {
		return Row{}, err
	}
	r := Row{
		leaf:        leaf,
		record:      store.Record{Keys: keys(leaf, facts, statement, submitter), Value: value},
		facts:       facts,
		authorities: trust.Authorities(),
	}
	if statement != nil && attest.IsControl(statement.PredicateType) {
		r.control = statement
	}
	return r, r.record.Check()
}

// size is about how many bytes the row takes.
func (r *Row) size() int {
	n := len(r.record.Value) + 512
	for _, k := range r.record.Keys {
		n += len(k.Value) + 32
	}
	return n
}

// controlKey finds every control statement, whatever its type, in log order:
// that is the order in which they take effect.
const controlKey = "all"

// The ways in which a statement is signed, as evidence is found by them.
const (
	byKey         = "key "
	byCertificate = "certificate "
)

// KeyEvidence finds what a key has signed about an artifact.
func KeyEvidence(artifact attest.Digest, keyID string) store.Key {
	return store.Key{Kind: store.Evidence, Value: byKey + string(artifact) + "\x00" + keyID}
}

// KeyGroup is the first part of the keys of evidence about an artifact that keys
// have signed, and CertificateGroup of that by certificates.
func KeyGroup(artifact attest.Digest) string { return byKey + string(artifact) }

// CertificateGroup is described at [KeyGroup].
func CertificateGroup(artifact attest.Digest) string { return byCertificate + string(artifact) }

// KeySigner reads who signed from a value of the group of keys.
func KeySigner(value string) (keyID string) {
	_, keyID, _ = strings.Cut(value, "\x00")
	return keyID
}

// CertificateSigner reads who signed from a value of the group of certificates. known
// is false where that is too long to stand there, and only the record says it.
func CertificateSigner(value string) (issuer, identity string, known bool) {
	_, who, _ := strings.Cut(value, "\x00")
	return strings.Cut(who, "\x00")
}

// evidence is the key by which facts are found as evidence about an artifact.
func evidence(artifact attest.Digest, f *verifier.Facts) store.Key {
	if f.Identity() == "" {
		return KeyEvidence(artifact, f.KeyID())
	}
	return fit(store.Key{Kind: store.Evidence, Value: byCertificate + string(artifact) + "\x00" + f.Issuer() + "\x00" + f.Identity()}, 2)
}

// KeyStatement finds what a key has registered of one payload, and SignedStatement what
// the signer of facts has.
func KeyStatement(payload attest.Digest, keyID string) store.Key {
	return store.Key{Kind: store.Statement, Value: string(payload) + "\x00" + keyID}
}

// SignedStatement is described at [KeyStatement].
func SignedStatement(f *verifier.Facts) store.Key {
	if f.Identity() == "" {
		return KeyStatement(f.PayloadDigest(), f.KeyID())
	}
	return fit(store.Key{Kind: store.Statement, Value: string(f.PayloadDigest()) + "\x00" + f.Issuer() + "\x00" + f.Identity()}, 2)
}

// SubmitterQuota counts what somebody has handed in about an artifact.
func SubmitterQuota(artifact attest.Digest, submitter string) store.Key {
	return fit(store.Key{Kind: store.Quota, Value: string(artifact) + "\x00" + submitter}, 1)
}

// fit makes a key of one whose value is too long, or has other than so many parts
// after its first, so that they could not be told apart: its first part, and a hash of
// the rest.
func fit(k store.Key, parts int) store.Key {
	if len(k.Value) > store.MaxKeyValue || strings.Count(k.Value, "\x00") != parts {
		first, rest, _ := strings.Cut(k.Value, "\x00")
		k.Value = first + "\x00" + string(attest.SHA256([]byte(rest)))
	}
	return k
}

// keys lists every way in which a record can be found. What the value of a key would
// be too long for is kept by its hash in the facts already.
func keys(leaf attest.Hash, f *verifier.Facts, s *attest.Statement, submitter string) []store.Key {
	ks := []store.Key{
		{Kind: store.Leaf, Value: string(leaf[:])},
		{Kind: store.Attestation, Value: string(f.Attestation())},
		{Kind: store.Payload, Value: string(f.PayloadDigest())},
		{Kind: store.Signer, Value: f.KeyID()},
		SignedStatement(f),
	}
	seen := map[store.Key]bool{}
	add := func(kind store.Kind, value string) {
		if k := (store.Key{Kind: kind, Value: value}); value != "" && len(value) <= store.MaxKeyValue && !seen[k] {
			seen[k] = true
			ks = append(ks, k)
		}
	}
	add(store.PredicateType, f.PredicateType())
	add(store.Signer, f.Identity())
	if p := f.Provenance(); p != nil {
		add(store.Builder, p.BuilderID)
	}
	if s != nil && attest.IsControl(s.PredicateType) {
		add(store.Control, controlKey)
	}
	for _, sub := range f.Subjects() {
		for _, d := range sub.Digest.Acceptable() {
			add(store.Subject, string(d))
			add(store.Evidence, evidence(d, f).Value)
			add(store.Quota, SubmitterQuota(d, submitter).Value)
		}
	}
	for _, purl := range components(s) { // none twice
		if len(purl) <= store.MaxKeyValue {
			ks = append(ks, store.Key{Kind: store.Component, Value: purl})
		}
	}
	return ks
}

// MaxComponentKeys is by how many spellings of its components an SBOM is found, each of
// which has up to four. The rest of a longer one is kept and listed, and not found by
// name: its row would take more memory than all else that a start needs.
const MaxComponentKeys = 1 << 18

// components returns the search keys of everything that an SBOM statement
// lists. A document that cannot be read lists nothing: it came as somebody
// else's envelope, and stands in the log as what it is.
func components(s *attest.Statement) []string {
	if s == nil || !sbom.IsPredicateType(s.PredicateType) {
		return nil
	}
	doc, err := sbom.ReadPredicate(s)
	if err != nil {
		return nil
	}
	return doc.SearchKeys(MaxComponentKeys)
}

// Remark says what about an entry is no damage, and counts for less than it says; nil
// if there is nothing.
func (r *Row) Remark() error {
	if why := r.facts.Unreadable(); why != "" {
		return fmt.Errorf("%w: %s; it counts for nothing", verifier.ErrUnreadable, why)
	}
	if err := r.facts.Over(); err != nil {
		return fmt.Errorf("registered by the rules of another time, and would be refused today: %w", err)
	}
	return nil
}
