// Package decide is the way out: a question becomes an answer, from one snapshot
// of the index, without any other I/O. What the index holds are facts; here the
// trust root in force is applied to them, and package policy decides.
package decide

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sekisho-dev/sekisho/attest"
	"github.com/sekisho-dev/sekisho/policy"
	"github.com/sekisho-dev/sekisho/server/follow"
	"github.com/sekisho-dev/sekisho/store"
	"github.com/sekisho-dev/sekisho/verifier"
)

// ErrNoArtifact: the question names no artifact by an acceptable digest. It is
// an error and not a refusal, for there is nothing to refuse.
var ErrNoArtifact = errors.New("no artifact digest")

// A Question asks whether an artifact may be deployed.
type Question struct {
	policy.Question
	// MinLogSize is the largest tree size that the caller has seen.
	MinLogSize uint64
}

// An Answer is a decision and what it stands on. Whoever has the attestations
// that it names can compute it again.
type Answer struct {
	policy.Decision
	Question    Question
	Evidence    []Finding // every attestation about the artifact, in log order
	TrustRoot   follow.Ref
	TrustedBy   *verifier.TrustRoot
	Policy      *policy.Policy // nil if there is none
	PolicyRef   follow.Ref
	Checkpoint  attest.Checkpoint
	EvaluatedAt time.Time
}

// A Finding is one attestation about the artifact, and what the trust root in
// force makes of it.
type Finding struct {
	policy.Attestation
	Facts  *verifier.Facts
	Belief verifier.Belief
}

// A Decider answers questions. Its methods may be used concurrently.
type Decider struct {
	follow *follow.Follower
	wait   time.Duration
	now    func() time.Time
}

// New returns a decider that answers from what f follows. An index that is
// behind is waited for, for at most wait.
func New(f *follow.Follower, wait time.Duration, now func() time.Time) *Decider {
	return &Decider{follow: f, wait: wait, now: now}
}

// Decide answers questions, all of them from one snapshot. It answers all or
// none: the error wraps [follow.ErrStale], [follow.ErrDamaged] or
// [ErrNoArtifact], and is for the caller to treat as a refusal.
func (d *Decider) Decide(ctx context.Context, questions ...Question) ([]Answer, error) {
	if err := d.ready(ctx, questions); err != nil {
		return nil, err
	}
	answers := make([]Answer, 0, len(questions))
	err := d.follow.View(ctx, func(s store.Snapshot, c *follow.Control) error {
		now := d.now().UTC()
		for _, q := range questions {
			evidence, err := gather(s, c.Trust, q.Artifact)
			if err != nil {
				return err
			}
			answers = append(answers, Answer{
				Decision:    judge(c.Policy, q.Question, evidence, now),
				Question:    q,
				Evidence:    evidence,
				TrustRoot:   c.TrustRef,
				TrustedBy:   c.Trust,
				Policy:      c.Policy,
				PolicyRef:   c.PolicyRef,
				Checkpoint:  s.Checkpoint(),
				EvaluatedAt: now,
			})
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("deciding: %w", err)
	}
	return answers, nil
}

// ready checks the questions, and waits briefly for an index that is behind
// what any of them has seen.
func (d *Decider) ready(ctx context.Context, questions []Question) error {
	var size uint64
	for _, q := range questions {
		if len(q.Artifact.Acceptable()) == 0 {
			return fmt.Errorf("%w: name the artifact by sha256, sha384 or sha512", ErrNoArtifact)
		}
		if err := q.Artifact.Validate(); err != nil {
			return err
		}
		size = max(size, q.MinLogSize)
	}
	if d.follow.Ready(size) == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, d.wait)
	defer cancel()
	return d.follow.Wait(ctx, size)
}

// gather finds every attestation about an artifact and applies the trust root.
// Attestations that name one of the digests and contradict another are gathered
// too: that is for the policy to refuse.
func gather(s store.Snapshot, trust *verifier.TrustRoot, artifact attest.DigestSet) ([]Finding, error) {
	var found []Finding
	digests := artifact.Acceptable()
	for i, digest := range digests {
		for rec, err := range s.Find(store.Key{Kind: store.Subject, Value: string(digest)}, 0) {
			if err != nil {
				return nil, err
			}
			if i > 0 && has(found, rec.Index) {
				continue
			}
			facts, err := verifier.RestoreFacts(rec.Value)
			if err != nil {
				return nil, fmt.Errorf("entry %d: %w: %w", rec.Index, store.ErrCorrupt, err)
			}
			found = append(found, weigh(rec.Index, facts, trust, artifact))
		}
	}
	return found, nil
}

func has(found []Finding, index uint64) bool {
	for _, f := range found {
		if f.LogIndex == index {
			return true
		}
	}
	return false
}

// judge asks the policy. A panic in it is a refusal, like everything that is
// not an allowance.
func judge(p *policy.Policy, q policy.Question, found []Finding, now time.Time) (decision policy.Decision) {
	defer func() {
		if r := recover(); r != nil {
			decision = policy.Decision{Reasons: []policy.Reason{{
				Code:     policy.Internal,
				Expected: "a decision",
				Found:    "a panic while deciding",
				Remedy:   "report this with the artifact's digest: it is a bug of this service",
			}}}
		}
	}()
	evidence := policy.Evidence{Now: now, Attestations: make([]policy.Attestation, len(found))}
	for i := range found {
		evidence.Attestations[i] = found[i].Attestation
	}
	return policy.Decide(p, q, evidence)
}
