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

// first finds the first live registration of the same statement by the same
// signer: the same key, or the same signer in the trust root.
func (r *Registrar) first(ctx context.Context, control *follow.Control, payload attest.Digest, keyID, signer string) (reg Registration, found bool, err error) {
	err = r.c.Follow.View(ctx, func(s store.Snapshot, _ *follow.Control) error {
		for rec, err := range s.Find(store.Key{Kind: store.Payload, Value: string(payload)}, 0) {
			if err != nil {
				return err
			}
			facts, err := verifier.RestoreFacts(rec.Value)
			if err != nil {
				return err
			}
			if facts.KeyID() == keyID || signer != "" && control.Trust.Believe(facts).Signer == signer {
				reg, found = Registration{Facts: facts, AlreadyRegistered: true, Indexed: true}, true
				reg.Receipt.Index = rec.Index
				return nil
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

// indexed waits a moment for the local index to have an entry. It is best
// effort: the entry is committed, whatever the index does.
func (r *Registrar) indexed(ctx context.Context, index uint64) bool {
	ctx, cancel := context.WithTimeout(ctx, r.c.IndexWait)
	defer cancel()
	return r.c.Follow.Wait(ctx, index+1) == nil
}
