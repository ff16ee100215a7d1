package verifier

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/sekisho-dev/sekisho/attest"
)

// Limits on what a statement says, in bytes, for it to be registered. They hold at
// the door only ([Admissible]): what the log holds is read whatever its size, by the
// rules of its time, and what of it is too large to be kept is kept by its hash.
const (
	maxURI        = 2 << 10 // a predicate type, builder id, build type, source or ref
	maxName       = 1 << 10 // of a subject
	maxDigest     = 512     // the value of a digest by an algorithm that is not known here
	maxParameters = 1024    // external parameters, and
	maxNames      = 32 << 10
)

// Limits on facts, in bytes. They make the largest that there can be well under a
// mebibyte, whatever was registered and whichever trust root it is derived under.
const (
	keptText      = 4 << 10  // of one text; store.MaxKeyValue, so that it can be found by
	keptNames     = 64 << 10 // of subjects, together
	keptDigests   = 64 << 10 // that identify nothing, together
	keptParameter = 4 << 10  // a value; a longer one is kept by its hash
	keptValues    = 32 << 10 // together; the rest is kept by its hash
	keptProofs    = 64       // roots, and times, of each the earliest of an authority
	keptAuthority = 256      // the name of one
)

// kept returns a text, or, of one too long to be kept, its hash: "sha256:…".
func kept(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return string(attest.SHA256([]byte(s)))
}

// clip cuts a text that is only shown.
func clip(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most-len("…")], "") + "…"
}

// Admissible reports whether what a statement says can be registered: provenance
// has to be readable, and nothing larger than the limits of this package. The
// errors are those of attest.
func Admissible(s *attest.Statement) error {
	var f Facts
	if err := f.claims(s); err != nil {
		return err
	}
	return f.Over()
}

// Over returns what of the statement is over the limits of registration, and nil if
// nothing is: what was registered under the rules of another time may be. Facts that
// were restored do not know. The error wraps [attest.ErrTooLarge].
func (f *Facts) Over() error {
	if f.over == "" {
		return nil
	}
	return fmt.Errorf("%w: %s", attest.ErrTooLarge, f.over)
}

// limit notes the first thing that is over a limit.
func (f *Facts) limit(what string, size, most int) {
	if size > most && f.over == "" {
		f.over = fmt.Sprintf("%s of %d bytes; at most %d are registered", what, size, most)
	}
}

// about takes over the subjects: every digest that may identify an artifact; names,
// and other digests, as far as there is room, for they are only shown.
func (f *Facts) about(subjects []attest.Resource) {
	names, others := keptNames, keptDigests
	for _, sub := range subjects {
		f.limit("the name of a subject", len(sub.Name), maxName)
		r := attest.Resource{Name: clip(sub.Name, maxName), Digest: make(attest.DigestSet, len(sub.Digest))}
		if names -= len(r.Name); names < 0 {
			r.Name = ""
		}
		for _, alg := range slices.Sorted(maps.Keys(sub.Digest)) {
			h := sub.Digest[alg]
			if !attest.Acceptable(alg) {
				f.limit("a digest", max(len(alg), len(h)), maxDigest)
				if others -= len(alg) + len(h); others < 0 {
					continue
				}
			}
			r.Digest[alg] = h
		}
		f.subjects = append(f.subjects, r)
	}
}

// built takes over what provenance says. Nothing looks at the dependencies.
func (f *Facts) built(p *attest.Provenance) {
	for _, t := range []struct {
		what string
		text *string
	}{
		{"the builder id", &p.BuilderID}, {"the build type", &p.BuildType},
		{"the source repository", &p.Source.Repository}, {"the source ref", &p.Source.Ref}, {"the source commit", &p.Source.Commit},
	} {
		f.limit(t.what, len(*t.text), maxURI)
		*t.text = kept(*t.text, keptText)
	}
	p.InvocationID = clip(p.InvocationID, maxName)
	p.Dependencies = nil
	f.parameters(p)
	f.provenance = p
}

// parameters keeps the external parameters: values that are long, or many, by their
// hash. Of more than anybody could name, none are kept, and they are not complete.
func (f *Facts) parameters(p *attest.Provenance) {
	names := 0
	for name := range p.ExternalParameters {
		names += len(name)
	}
	f.limit("names of external parameters", names, maxNames)
	if n := len(p.ExternalParameters); n > maxParameters && f.over == "" {
		f.over = fmt.Sprintf("%d external parameters; at most %d are registered", n, maxParameters)
	}
	if names > maxNames || len(p.ExternalParameters) > maxParameters {
		p.ExternalParameters, p.Complete = nil, false
		return
	}
	params := make(map[string]jsontext.Value, len(p.ExternalParameters))
	room := keptValues
	for _, name := range slices.Sorted(maps.Keys(p.ExternalParameters)) {
		v := p.ExternalParameters[name]
		if len(v) > min(keptParameter, room) {
			v = attest.HashJSON(v)
		} else {
			room -= len(v)
		}
		params[name] = v
	}
	p.ExternalParameters = params
}

// under notes that the certificate verifies under a Sigstore root.
func (f *Facts) under(root string) {
	if len(f.verifiedUnder) < keptProofs {
		f.verifiedUnder = append(f.verifiedUnder, root)
	}
}

// prove notes a time at which the signature is proven to have existed. Of each
// authority the earliest is kept: no rule asks for another.
func (f *Facts) prove(p ProvenTime) {
	i := slices.IndexFunc(f.proven, func(have ProvenTime) bool { return have.Authority == p.Authority })
	switch {
	case i >= 0 && p.Time.Before(f.proven[i].Time):
		f.proven[i] = p
	case i < 0 && len(f.proven) < keptProofs:
		f.proven = append(f.proven, p)
	}
}
