package verifier

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sekisho-dev/sekisho/attest"
)

// A Belief is what a trust root makes of facts.
type Belief struct {
	Signer   string       // the signer's name; "" when nobody is believed to have signed
	Builder  string       // the builder's name, where it is provenance that counts
	Level    attest.Level // what the pair of signer and builder is rated
	ProvenBy time.Time    // the earliest time that an authority of this trust root proves; zero if none
	Err      error        // why it is not believed, or for less than it says; nil if nothing is wrong
}

// Believe applies the trust root to facts. The level comes from the pair
// (signer, builder.id) and nothing else; a pair that the trust root does not
// name is a refusal and not a lower level. It is pure, and quick enough to be
// asked at every question.
func (t *TrustRoot) Believe(f *Facts) Belief {
	b := Belief{ProvenBy: t.provenBy(f)}
	if f.unreadable != "" {
		b.Err = fmt.Errorf("%w: %s", ErrUnreadable, f.unreadable)
		return b
	}
	names, err := t.signersOf(f, b.ProvenBy)
	if len(names) == 0 {
		b.Err = err
		return b
	}
	b.Signer = names[0]
	if f.provenance == nil {
		return b
	}
	best, err := t.builderOf(f, names, b.ProvenBy)
	if err != nil {
		return Belief{ProvenBy: b.ProvenBy, Err: err}
	}
	b.Signer, b.Builder, b.Level = best.signer, best.builder.name, best.builder.level
	return b
}

// provenBy returns the earliest time that counts.
func (t *TrustRoot) provenBy(f *Facts) (earliest time.Time) {
	for _, p := range f.proven {
		if t.vouches(p.Authority) && (earliest.IsZero() || p.Time.Before(earliest)) {
			earliest = p.Time
		}
	}
	return earliest
}

// vouches reports whether an authority is one of this trust root's.
func (t *TrustRoot) vouches(authority string) bool {
	return slices.ContainsFunc(t.authorities, func(a timeAuthority) bool { return a.id() == authority }) ||
		slices.ContainsFunc(t.sigstore, func(r sigstoreRoot) bool { return string(r.digest) == authority })
}

// signersOf returns the names of every signer that the facts are of, and if
// there is none, why.
func (t *TrustRoot) signersOf(f *Facts, proven time.Time) (names []string, err error) {
	for i := range t.signers {
		s := &t.signers[i]
		switch e := s.signed(f, proven); {
		case e == nil:
			names = append(names, s.name)
		case err == nil || !errors.Is(e, ErrUnknownSigner):
			err = e // whoever is known, and not believed, says more than whoever is unknown
		}
	}
	switch {
	case len(names) > 0:
		return names, nil
	case err == nil:
		err = fmt.Errorf("%w: the trust root names no signers", ErrUnknownSigner)
	case errors.Is(err, ErrUnknownSigner):
		err = fmt.Errorf("%w: %s", err, f.who())
	}
	return nil, err
}

// signed reports whether the facts are of this signer. Most signers are somebody
// else: to say so costs nothing.
func (s *signer) signed(f *Facts, proven time.Time) error {
	if s.sigstore == nil {
		for i := range s.keys {
			if s.keys[i].id == f.keyID && f.identity == "" {
				return s.keys[i].counts(proven)
			}
		}
		return ErrUnknownSigner
	}
	builderID := ""
	if f.provenance != nil {
		builderID = f.provenance.BuilderID
	}
	switch {
	case f.identity == "" || f.issuer != s.issuer || !slices.Contains(f.verifiedUnder, string(s.sigstore.digest)):
		return ErrUnknownSigner
	case s.identity.matches(f.identity, builderID):
		return nil
	case s.identity.builder && builderID != "":
		return fmt.Errorf("%w: the certificate is of %.200s, and the provenance names builder %.200s", ErrSignerBuilderMismatch, f.identity, builderID)
	}
	return ErrUnknownSigner
}

// who names the signer of facts, for people.
func (f *Facts) who() string {
	if f.identity != "" {
		return fmt.Sprintf("certificate of %.200s by %.200s", f.identity, f.issuer)
	}
	return "key " + f.keyID
}

// counts reports whether a key counted when it signed. A window cannot be
// checked without a time, and then refuses.
func (k *key) counts(proven time.Time) error {
	if k.notBefore == nil && k.notAfter == nil && k.compromisedSince == nil {
		return nil
	}
	at := proven.UTC().Format(time.RFC3339)
	switch {
	case proven.IsZero():
		return fmt.Errorf("%w: key %.16s counts for a time only, and nothing proves when it signed", ErrNoTrustedTime, k.id)
	case k.notBefore != nil && proven.Before(*k.notBefore):
		return fmt.Errorf("%w: key %.16s counts from %s, signed by %s", ErrKeyWindow, k.id, k.notBefore.UTC().Format(time.RFC3339), at)
	case k.notAfter != nil && proven.After(*k.notAfter):
		return fmt.Errorf("%w: key %.16s counts until %s, signed by %s", ErrKeyWindow, k.id, k.notAfter.UTC().Format(time.RFC3339), at)
	case k.compromisedSince != nil && !proven.Before(*k.compromisedSince):
		return fmt.Errorf("%w: key %.16s is compromised since %s, signed by %s", ErrKeyWindow, k.id, k.compromisedSince.UTC().Format(time.RFC3339), at)
	}
	return nil
}

// rating is a builder and the signer that speaks for it.
type rating struct {
	builder *builder
	signer  string
}

// builderOf finds the builder that the provenance names and one of the signers
// may speak for; of several the highest rated.
func (t *TrustRoot) builderOf(f *Facts, signers []string, proven time.Time) (best rating, err error) {
	p := f.provenance
	for i := range t.builders {
		b := &t.builders[i]
		if !b.is(p.BuilderID) {
			continue
		}
		at := slices.IndexFunc(signers, func(s string) bool { return slices.Contains(b.signers, s) })
		if at < 0 {
			continue
		}
		if e := b.rates(f, proven); e != nil {
			if best.builder == nil {
				err = e
			}
			continue
		}
		if best.builder == nil || b.level > best.builder.level {
			best, err = rating{b, signers[at]}, nil
		}
	}
	if best.builder == nil && err == nil {
		err = fmt.Errorf("%w: %.200s is not rated for %s", ErrSignerBuilderMismatch, p.BuilderID, signers[0])
	}
	return best, err
}

// rates reports whether the builder's rating covers this build.
func (b *builder) rates(f *Facts, proven time.Time) error {
	p := f.provenance
	if len(b.buildTypes) > 0 && !slices.Contains(b.buildTypes, p.BuildType) {
		return fmt.Errorf("%w: %s is rated for %v, found %.200s", ErrBuildType, b.name, b.buildTypes, p.BuildType)
	}
	if f.sourceRepository != "" && p.Source.Repository != "" && !sameRepository(f.sourceRepository, p.Source.Repository) {
		return fmt.Errorf("%w: the certificate is of %.200s, and the provenance names %.200s", ErrSourceMismatch, f.sourceRepository, p.Source.Repository)
	}
	if b.from == nil && b.to == nil {
		return nil
	}
	at := proven.UTC().Format(time.RFC3339)
	switch {
	case proven.IsZero():
		return fmt.Errorf("%w: builder %s is rated for a time only, and nothing proves when it signed", ErrNoTrustedTime, b.name)
	case b.from != nil && proven.Before(*b.from):
		return fmt.Errorf("%w: builder %s is rated from %s, signed by %s", ErrKeyWindow, b.name, b.from.UTC().Format(time.RFC3339), at)
	case b.to != nil && proven.After(*b.to):
		return fmt.Errorf("%w: builder %s is rated until %s, signed by %s", ErrKeyWindow, b.name, b.to.UTC().Format(time.RFC3339), at)
	}
	return nil
}
