package decide

import (
	"cmp"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/sekisho-dev/sekisho/attest"
	"github.com/sekisho-dev/sekisho/policy"
	"github.com/sekisho-dev/sekisho/server/follow"
	"github.com/sekisho-dev/sekisho/store"
	"github.com/sekisho-dev/sekisho/verifier"
)

// few is how many attestations about an artifact are simply read, by whomever they
// are, and how many of those by nobody whom the trust root names are read to explain a
// denial where there are more. Anybody may register more of them.
const few = 16

// knowledge is what one snapshot holds about one artifact.
type knowledge struct {
	s        store.Snapshot
	trust    *verifier.TrustRoot
	artifact attest.DigestSet

	looked    bool
	evidence  []policy.Attestation // by those whom the trust root names
	explained bool
	strangers []policy.Attestation // and some by others, for explanations
}

// answer decides one question from what is known.
func (k *knowledge) answer(c *follow.Control, q Question, now time.Time) (Answer, error) {
	if err := k.look(); err != nil {
		return Answer{}, err
	}
	decision := judge(c.Policy, q.Question, k.evidence, now)
	if len(decision.Reasons) > 0 {
		if err := k.askStrangers(); err != nil {
			return Answer{}, err
		}
		// Strangers may explain a denial, and change nothing else.
		if told := judge(c.Policy, q.Question, slices.Concat(k.evidence, k.strangers), now); len(told.Reasons) > 0 {
			decision.Reasons = told.Reasons
		}
	}
	a := Answer{
		Decision:    decision,
		Question:    q,
		TrustRoot:   c.TrustRef,
		TrustedBy:   c.Trust,
		Policy:      c.Policy,
		PolicyRef:   c.PolicyRef,
		Checkpoint:  k.s.Checkpoint(),
		EvaluatedAt: now,
	}
	for _, used := range decision.Used {
		i := slices.IndexFunc(k.evidence, func(e policy.Attestation) bool { return e.Digest == used })
		if i >= 0 {
			a.Evidence = append(a.Evidence, k.evidence[i])
		}
	}
	return a, nil
}

// look reads the evidence: all that there is about the artifact where that is little,
// else what signers whom the trust root names have signed about it, by any of its
// digests. Attestations that name one of the digests and contradict another are evidence
// too: that is for the policy to refuse.
func (k *knowledge) look() error {
	if k.looked {
		return nil
	}
	for rec, err := range k.everything(0) {
		if err == nil && len(k.evidence) == few {
			return k.lookByName()
		}
		if err == nil {
			err = k.add(rec)
		}
		if err != nil {
			return err
		}
	}
	k.looked, k.explained = true, true
	return nil
}

func (k *knowledge) lookByName() error {
	k.evidence = k.evidence[:0]
	seen := map[uint64]bool{}
	for _, d := range k.artifact.Acceptable() {
		keys, err := k.named(d)
		if err != nil {
			return err
		}
		for _, key := range keys {
			for rec, err := range k.s.Find(key, 0) {
				if err == nil && !seen[rec.Index] {
					seen[rec.Index] = true
					err = k.add(rec)
				}
				if err != nil {
					return err
				}
			}
		}
	}
	slices.SortFunc(k.evidence, func(a, b policy.Attestation) int { return cmp.Compare(a.LogIndex, b.LogIndex) })
	k.looked = true
	return nil
}

// add weighs a record, and lets go of what was read to do so.
func (k *knowledge) add(rec store.Record) error {
	f, err := k.weigh(rec)
	k.evidence = append(k.evidence, f.Attestation)
	return err
}

// named returns the keys of all evidence about a digest by those whom the trust root
// names. Whichever are fewer, the keys that the trust root names or those that have
// signed something about the artifact, are gone through.
func (k *knowledge) named(d attest.Digest) (keys []store.Key, err error) {
	all, err := k.s.Count(store.Key{Kind: store.Subject, Value: string(d)})
	if err != nil || all == 0 {
		return nil, err
	}
	ids := k.trust.KeyIDs()
	if all < uint64(len(ids)) {
		for value, err := range k.s.Values(store.Evidence, follow.KeyGroup(d)) {
			if err != nil {
				return nil, err
			}
			if _, named := slices.BinarySearch(ids, follow.KeySigner(value)); named {
				keys = append(keys, store.Key{Kind: store.Evidence, Value: value})
			}
		}
	} else {
		for _, id := range ids {
			keys = append(keys, follow.KeyEvidence(d, id))
		}
	}
	for value, err := range k.s.Values(store.Evidence, follow.CertificateGroup(d)) {
		if err != nil {
			return nil, err
		}
		issuer, identity, known := follow.CertificateSigner(value)
		if !known || k.trust.NamesCertificate(issuer, identity) {
			keys = append(keys, store.Key{Kind: store.Evidence, Value: value})
		}
	}
	return keys, nil
}

// askStrangers reads the first of what others have registered about the artifact, so
// that a denial can say whose signature it was that did not count.
func (k *knowledge) askStrangers() error {
	if k.explained {
		return nil
	}
	seen := map[uint64]bool{}
	for i := range k.evidence {
		seen[k.evidence[i].LogIndex] = true
	}
	n := 0
	for rec, err := range k.everything(0) {
		if err != nil {
			return err
		}
		if n++; n > few {
			break
		}
		if seen[rec.Index] {
			continue
		}
		f, err := k.weigh(rec)
		if err != nil {
			return err
		}
		k.strangers = append(k.strangers, f.Attestation)
	}
	k.explained = true
	return nil
}

// everything iterates over all records about the artifact, by any of its digests, once
// each and in log order, from an index on. It reads no more than is asked for.
func (k *knowledge) everything(from uint64) iter.Seq2[store.Record, error] {
	digests := k.artifact.Acceptable()
	if len(digests) == 1 {
		return k.s.Find(store.Key{Kind: store.Subject, Value: string(digests[0])}, from)
	}
	return func(yield func(store.Record, error) bool) {
		type source struct {
			next func() (store.Record, error, bool)
			rec  store.Record
		}
		var sources []*source
		advance := func(s *source) (bool, error) {
			var err error
			var ok bool
			s.rec, err, ok = s.next()
			return ok, err
		}
		for _, d := range digests {
			next, stop := iter.Pull2(k.s.Find(store.Key{Kind: store.Subject, Value: string(d)}, from))
			defer stop()
			s := &source{next: next}
			if ok, err := advance(s); err != nil {
				yield(store.Record{}, err)
				return
			} else if ok {
				sources = append(sources, s)
			}
		}
		for len(sources) > 0 {
			first := slices.MinFunc(sources, func(a, b *source) int { return cmp.Compare(a.rec.Index, b.rec.Index) }).rec
			if !yield(first, nil) {
				return
			}
			live := sources[:0]
			for _, s := range sources {
				ok := true
				if s.rec.Index == first.Index {
					var err error
					if ok, err = advance(s); err != nil {
						yield(store.Record{}, err)
						return
					}
				}
				if ok {
					live = append(live, s)
				}
			}
			sources = live
		}
	}
}

// weigh says what one record counts for.
func (k *knowledge) weigh(rec store.Record) (Finding, error) {
	facts, err := verifier.RestoreFacts(rec.Value)
	if err != nil {
		return Finding{}, fmt.Errorf("entry %d: %w: %w", rec.Index, store.ErrCorrupt, err)
	}
	return weigh(rec.Index, facts, k.trust, k.artifact), nil
}
