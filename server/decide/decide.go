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
	Evidence    []policy.Attestation // what the decision stands on, in log order
	TrustRoot   follow.Ref
	TrustedBy   *verifier.TrustRoot
	Policy      *policy.Policy // nil if there is none
	PolicyRef   follow.Ref
	Checkpoint  attest.Checkpoint
	EvaluatedAt time.Time
}

// maxWaiting is how many questions may wait for the index at a time. More than that
// are told at once that it is behind.
const maxWaiting = 256

// maxAhead is how far beyond the log a caller may have seen it, in entries. A log
// that is kept by several may be seen by a caller before one of them has.
const maxAhead = 1 << 20

// A Decider answers questions. Its methods may be used concurrently.
type Decider struct {
	follow  *follow.Follower
	wait    time.Duration
	now     func() time.Time
	waiting chan struct{}
}

// New returns a decider that answers from what f follows. An index that is
// behind is waited for, for at most wait.
func New(f *follow.Follower, wait time.Duration, now func() time.Time) *Decider {
	return &Decider{follow: f, wait: wait, now: now, waiting: make(chan struct{}, maxWaiting)}
}

// Decide answers questions, all of them from one snapshot. It answers all or
// none: the error wraps [follow.ErrStale], [follow.ErrDamaged] or
// [ErrNoArtifact], and is for the caller to treat as a refusal.
//
// What no signer of the trust root signed is not read to decide, however much of it
// there is. An artifact that several questions are about is looked up once, and what
// is known of it let go of before the next.
func (d *Decider) Decide(ctx context.Context, questions ...Question) ([]Answer, error) {
	if err := d.ready(ctx, questions); err != nil {
		return nil, err
	}
	answers := make([]Answer, len(questions))
	err := d.follow.View(ctx, func(s store.Snapshot, c *follow.Control) error {
		now := d.now().UTC()
		for _, about := range byArtifact(questions) {
			k := knowledge{s: s, trust: c.Trust, artifact: questions[about[0]].Artifact}
			for _, i := range about {
				var err error
				if answers[i], err = k.answer(c, questions[i], now); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("deciding: %w", err)
	}
	return answers, nil
}

// byArtifact returns the places of the questions about each artifact.
func byArtifact(questions []Question) (groups [][]int) {
	if len(questions) == 1 {
		return [][]int{{0}}
	}
	at := make(map[string]int, len(questions))
	for i := range questions {
		name := fmt.Sprint(questions[i].Artifact) // which writes maps in order
		g, known := at[name]
		if !known {
			g = len(groups)
			at[name], groups = g, append(groups, nil)
		}
		groups[g] = append(groups[g], i)
	}
	return groups
}

// Explain answers a question, and shows what is known of the artifact: every
// attestation about it, by whomever, in log order from an index on, until show returns
// false for the one at which the next page begins. The errors are those of Decide.
func (d *Decider) Explain(ctx context.Context, q Question, from uint64, show func(Finding) bool) (a Answer, next uint64, more bool, err error) {
	if err := d.ready(ctx, []Question{q}); err != nil {
		return a, 0, false, err
	}
	err = d.follow.View(ctx, func(s store.Snapshot, c *follow.Control) error {
		k := knowledge{s: s, trust: c.Trust, artifact: q.Artifact}
		if a, err = k.answer(c, q, d.now().UTC()); err != nil {
			return err
		}
		for rec, err := range k.everything(from) {
			if err != nil {
				return err
			}
			f, err := k.weigh(rec)
			if err != nil {
				return err
			}
			if !show(f) {
				next, more = rec.Index, true
				return nil
			}
		}
		return nil
	})
	if err != nil {
		err = fmt.Errorf("explaining: %w", err)
	}
	return a, next, more, err
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
	err := d.follow.Ready(size)
	if err == nil {
		return nil
	}
	if have := d.follow.Progress().Size; size > have+maxAhead {
		return fmt.Errorf("%w: it holds %d entries, and the question is from one who has seen %d; is that of another log?", follow.ErrStale, have, size)
	}
	select {
	case d.waiting <- struct{}{}:
		defer func() { <-d.waiting }()
	default:
		return err // too many wait already
	}
	ctx, cancel := context.WithTimeout(ctx, d.wait)
	defer cancel()
	return d.follow.Wait(ctx, size)
}

// judge asks the policy. A panic in it is a refusal, like everything that is
// not an allowance.
func judge(p *policy.Policy, q policy.Question, evidence []policy.Attestation, now time.Time) (decision policy.Decision) {
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
	return policy.Decide(p, q, policy.Evidence{Now: now, Attestations: evidence})
}
