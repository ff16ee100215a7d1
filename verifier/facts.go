package verifier

import (
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/sekisho-dev/sekisho/attest"
)

// Facts are what verification has shown about one attestation: whose key or
// certificate signed which statement, under which roots that verifies, by when
// it existed, and what the statement says. They do not say whether anybody
// believes it. Only this package makes Facts, from a record that it has
// verified or from what MarshalBinary wrote, so that whoever is handed some has
// been handed something verified.
type Facts struct {
	attestation, payload     attest.Digest
	size                     int64 // of the payload
	predicateType            string
	subjects                 []attest.Resource
	keyID                    string
	issuer, identity         string // of the certificate; "" for a key
	sourceRepository, runner string // of the certificate
	verifiedUnder            []string
	proven                   []ProvenTime
	claimed                  time.Time
	result                   string
	provenance               *attest.Provenance
	unreadable               string // why nobody can read the statement; "" if one can
	over                     string // what is over a limit; not stored
}

// A ProvenTime is a time at which the signature is proven to have existed.
type ProvenTime struct {
	Authority string // a time authority's name, or the digest of the Sigstore root that vouches
	Time      time.Time
}

// Attestation returns the attestation's digest, its identity.
func (f *Facts) Attestation() attest.Digest { return f.attestation }

// PayloadDigest returns the digest of the statement's bytes.
func (f *Facts) PayloadDigest() attest.Digest { return f.payload }

// PayloadSize returns the size of the statement in bytes.
func (f *Facts) PayloadSize() int64 { return f.size }

// Unreadable returns why what the log holds is no statement that can be read, and
// "" if it is one. Such facts count for nothing.
func (f *Facts) Unreadable() string { return f.unreadable }

// PredicateType returns the statement's predicate type.
func (f *Facts) PredicateType() string { return f.predicateType }

// Subjects returns the names and digests of the statement's subjects.
func (f *Facts) Subjects() []attest.Resource { return f.subjects }

// KeyID returns the hex SHA-256 of the SubjectPublicKeyInfo that verifies the signature.
func (f *Facts) KeyID() string { return f.keyID }

// Issuer returns the OIDC issuer in the signer's certificate; "" for a key.
func (f *Facts) Issuer() string { return f.issuer }

// Identity returns the subject alternative name of the signer's certificate; "" for a key.
func (f *Facts) Identity() string { return f.identity }

// SourceRepository returns the repository in the signer's certificate; "" if none.
func (f *Facts) SourceRepository() string { return f.sourceRepository }

// RunnerEnvironment returns "github-hosted", "self-hosted" or "", from the certificate.
func (f *Facts) RunnerEnvironment() string { return f.runner }

// VerifiedUnder returns the digests of the Sigstore roots under which the
// certificate and its evidence verify.
func (f *Facts) VerifiedUnder() []string { return f.verifiedUnder }

// ProvenBy returns the times at which the signature is proven to have existed.
func (f *Facts) ProvenBy() []ProvenTime { return f.proven }

// ClaimedAt returns the time that the statement gives itself; zero if none.
func (f *Facts) ClaimedAt() time.Time { return f.claimed }

// Result returns a test result's or verification summary's result; "" if none.
func (f *Facts) Result() string { return f.result }

// Provenance returns the provenance, or nil where the statement is none.
func (f *Facts) Provenance() *attest.Provenance { return f.provenance }

// factsVersion is the first byte of encoded facts. An index with another
// version is made again.
const factsVersion = 2

// MarshalBinary writes the facts, for an index. The form is compact and private:
// fields in order, each with its length.
func (f *Facts) MarshalBinary() ([]byte, error) {
	w := writer{b: []byte{factsVersion}}
	w.str(string(f.attestation))
	w.str(string(f.payload))
	w.num(int(f.size))
	w.str(f.unreadable)
	w.str(f.predicateType)
	w.num(len(f.subjects))
	for _, s := range f.subjects {
		w.str(s.Name)
		w.digests(s.Digest)
	}
	w.str(f.keyID)
	w.str(f.issuer)
	w.str(f.identity)
	w.str(f.sourceRepository)
	w.str(f.runner)
	w.num(len(f.verifiedUnder))
	for _, s := range f.verifiedUnder {
		w.str(s)
	}
	w.num(len(f.proven))
	for _, p := range f.proven {
		w.str(p.Authority)
		w.time(p.Time)
	}
	w.time(f.claimed)
	w.str(f.result)
	p := f.provenance
	if p == nil {
		w.num(0)
		return w.b, nil
	}
	w.num(1)
	w.str(p.BuilderID)
	w.str(p.BuildType)
	w.num(len(p.ExternalParameters))
	for _, k := range slices.Sorted(maps.Keys(p.ExternalParameters)) {
		w.str(k)
		w.str(string(p.ExternalParameters[k]))
	}
	if p.Complete {
		w.num(1)
	} else {
		w.num(0)
	}
	w.str(p.InvocationID)
	w.time(p.StartedOn)
	w.time(p.FinishedOn)
	w.str(p.Source.Repository)
	w.str(p.Source.Ref)
	w.str(p.Source.Commit)
	return w.b, nil
}

// RestoreFacts reads what MarshalBinary wrote. [ErrFacts] for anything else.
// Dependencies are not kept: no rule looks at them.
func RestoreFacts(data []byte) (*Facts, error) {
	if len(data) == 0 || data[0] != factsVersion {
		return nil, fmt.Errorf("%w: of another version", ErrFacts)
	}
	// One string for all of them: every field is a part of it.
	r := reader{s: string(data[1:])}
	f := &Facts{
		attestation:   attest.Digest(r.str()),
		payload:       attest.Digest(r.str()),
		size:          int64(r.uvarint()),
		unreadable:    r.str(),
		predicateType: r.str(),
	}
	f.subjects = make([]attest.Resource, r.count())
	for i := range f.subjects {
		f.subjects[i] = attest.Resource{Name: r.str(), Digest: r.digests()}
	}
	f.keyID, f.issuer, f.identity, f.sourceRepository, f.runner = r.str(), r.str(), r.str(), r.str(), r.str()
	f.verifiedUnder = make([]string, r.count())
	for i := range f.verifiedUnder {
		f.verifiedUnder[i] = r.str()
	}
	f.proven = make([]ProvenTime, r.count())
	for i := range f.proven {
		f.proven[i] = ProvenTime{r.str(), r.time()}
	}
	f.claimed, f.result = r.time(), r.str()
	if r.count() == 1 {
		p := &attest.Provenance{BuilderID: r.str(), BuildType: r.str()}
		n := r.count()
		p.ExternalParameters = make(map[string]jsontext.Value, n)
		for range n {
			k := r.str()
			p.ExternalParameters[k] = jsontext.Value(r.str())
		}
		p.Complete = r.count() == 1
		p.InvocationID, p.StartedOn, p.FinishedOn = r.str(), r.time(), r.time()
		p.Source = attest.SourceRef{Repository: r.str(), Ref: r.str(), Commit: r.str()}
		f.provenance = p
	}
	if r.bad || r.s != "" {
		return nil, fmt.Errorf("%w: not what was written", ErrFacts)
	}
	return f, nil
}

type writer struct{ b []byte }

func (w *writer) num(n int) { w.b = binary.AppendUvarint(w.b, uint64(n)) }

func (w *writer) str(s string) {
	w.num(len(s))
	w.b = append(w.b, s...)
}

// time writes nanoseconds since 1970, and 0 for the zero time.
func (w *writer) time(t time.Time) {
	var n int64
	if !t.IsZero() {
		n = t.UnixNano()
	}
	w.b = binary.AppendVarint(w.b, n)
}

func (w *writer) digests(d attest.DigestSet) {
	w.num(len(d))
	for _, alg := range slices.Sorted(maps.Keys(d)) {
		w.str(alg)
		w.str(d[alg])
	}
}

// reader reads what writer wrote. Once something is wrong, everything else is
// empty, and bad says so.
type reader struct {
	s   string
	bad bool
}

func (r *reader) uvarint() uint64 {
	var n uint64
	for i := 0; i < len(r.s) && i < binary.MaxVarintLen64; i++ {
		b := r.s[i]
		n |= uint64(b&0x7f) << (7 * i)
		if b < 0x80 {
			r.s = r.s[i+1:]
			return n
		}
	}
	r.bad, r.s = true, ""
	return 0
}

// count reads a number of things that follow, each at least a byte long.
func (r *reader) count() int {
	n := r.uvarint()
	if n > uint64(len(r.s)) && n > 1 {
		r.bad, r.s = true, ""
		return 0
	}
	return int(n)
}

func (r *reader) str() string {
	n := r.uvarint()
	if n > uint64(len(r.s)) {
		r.bad, r.s = true, ""
		return ""
	}
	s := r.s[:n]
	r.s = r.s[n:]
	return s
}

func (r *reader) time() time.Time {
	u := r.uvarint()
	n := int64(u >> 1)
	if u&1 != 0 {
		n = ^n
	}
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(0, n).UTC()
}

func (r *reader) digests() attest.DigestSet {
	n := r.count()
	d := make(attest.DigestSet, n)
	for range n {
		alg := r.str()
		d[alg] = r.str()
	}
	return d
}
