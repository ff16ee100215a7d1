package register

import (
	"context"
	"fmt"
	"time"

	"github.com/sekisho-dev/sekisho/attest"
	"github.com/sekisho-dev/sekisho/server/follow"
	"github.com/sekisho-dev/sekisho/store"
	"github.com/sekisho-dev/sekisho/tlog"
	"github.com/sekisho-dev/sekisho/verifier"
)

// patience bounds a registration whose caller has gone away.
const patience = 30 * time.Second

// once runs fn unless the same registration is under way, whose result it then
// shares. The work goes on without a caller who goes away: others may be waiting
// for it, and half of it may be done.
func (r *Registrar) once(ctx context.Context, key string, fn func(context.Context) (Registration, error)) (Registration, error) {
	result := r.flight.DoChan(key, func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
		defer cancel()
		reg, err := fn(ctx)
		if err == nil && !reg.AlreadyRegistered {
			// Until the index has it, only this flight knows of it: whoever
			// comes after the flight finds it there.
			reg.Indexed = r.indexed(ctx, reg.Receipt.Index)
		}
		return reg, err
	})
	select {
	case <-ctx.Done():
		return Registration{}, context.Cause(ctx)
	case done := <-result:
		reg, _ := done.Val.(Registration)
		return reg, done.Err
	}
}

// first finds the first live registration that one of the keys finds: of the same
// statement by the same signer.
func (r *Registrar) first(ctx context.Context, keys ...store.Key) (reg Registration, found bool, err error) {
	err = r.c.Follow.View(ctx, func(s store.Snapshot, _ *follow.Control) error {
		for _, k := range keys {
			for rec, err := range s.Find(k, 0) {
				if err != nil {
					return err
				}
				if found && rec.Index > reg.Receipt.Index {
					break
				}
				facts, err := verifier.RestoreFacts(rec.Value)
				if err != nil {
					return err
				}
				reg, found = Registration{Facts: facts, AlreadyRegistered: true, Indexed: true}, true
				reg.Receipt.Index = rec.Index
				break
			}
		}
		return nil
	})
	if err != nil {
		return Registration{}, false, fmt.Errorf("looking for an earlier registration: %w", err)
	}
	if found {
		reg.Receipt, err = tlog.Receipt(ctx, r.c.Log, reg.Receipt.Index)
	}
	return reg, found, err
}

// saidBy returns the keys that find what the signer of facts has registered of the same
// statement: by the same key or identity, or, of a signer who has several keys in the
// trust root, by another of them.
func saidBy(trust *verifier.TrustRoot, facts *verifier.Facts) []store.Key {
	keys := []store.Key{follow.SignedStatement(facts)}
	for _, id := range trust.KeyIDsOf(trust.Believe(facts).Signer) {
		if id != facts.KeyID() {
			keys = append(keys, follow.KeyStatement(facts.PayloadDigest(), id))
		}
	}
	return keys
}

// withinQuota reports whether somebody may hand in one more attestation about these
// artifacts. What was handed in is there for good, and is read whenever somebody asks
// for all that is known of an artifact. The error is [ErrQuota].
func (r *Registrar) withinQuota(ctx context.Context, submitter string, about []attest.Resource) error {
	return r.c.Follow.View(ctx, func(s store.Snapshot, _ *follow.Control) error {
		for _, sub := range about {
			for _, d := range sub.Digest.Acceptable() {
				n, err := s.Count(follow.SubmitterQuota(d, submitter))
				if err != nil {
					return fmt.Errorf("counting what was registered: %w", err)
				}
				if n >= uint64(r.c.PerArtifact) {
					return fmt.Errorf("%w: %s has registered %d attestations about %s; limits.perArtifact in the configuration of the service allows more", ErrQuota, submitter, n, d)
				}
			}
		}
		return nil
	})
}

// indexed waits a moment for the local index to have an entry. It is best
// effort: the entry is committed, whatever the index does.
func (r *Registrar) indexed(ctx context.Context, index uint64) bool {
	ctx, cancel := context.WithTimeout(ctx, r.c.IndexWait)
	defer cancel()
	return r.c.Follow.Wait(ctx, index+1) == nil
}
