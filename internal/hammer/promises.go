package hammer

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/sekisho-dev/sekisho/attest"
	sekishov1 "github.com/sekisho-dev/sekisho/proto/sekisho/v1"
	"github.com/sekisho-dev/sekisho/tlog"
)

// An acknowledgement is what the service promised.
type acknowledgement struct {
	digest string
	index  uint64
}

// promises are all that one log made.
type promises struct {
	verifier *tlog.Verifier // of the log, as first met

	mu      sync.Mutex
	acked   []acknowledgement
	largest attest.Checkpoint
}

// acknowledge verifies a receipt and remembers the promise.
func (p *promises) acknowledge(r *sekishov1.Receipt, a *sekishov1.Attestation) error {
	cp, err := p.included(r)
	if err != nil {
		return fmt.Errorf("acknowledged with %w", err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.acked = append(p.acked, acknowledgement{a.GetDigest(), a.GetLogIndex()})
	if cp.Size > p.largest.Size {
		p.largest = cp
	}
	return nil
}

// included verifies a receipt, and returns its checkpoint.
func (p *promises) included(r *sekishov1.Receipt) (attest.Checkpoint, error) {
	cp, err := p.verifier.Open([]byte(r.GetCheckpoint()))
	if err != nil {
		return cp, fmt.Errorf("a bad checkpoint: %w", err)
	}
	path := make([]attest.Hash, len(r.GetInclusionProof().GetHashes()))
	for i, b := range r.GetInclusionProof().GetHashes() {
		if copy(path[i][:], b) != len(path[i]) {
			return cp, errors.New("a malformed proof")
		}
	}
	var leaf attest.Hash
	copy(leaf[:], r.GetLeafHash())
	if err := tlog.VerifyInclusion(cp, r.GetInclusionProof().GetLogIndex(), leaf, path); err != nil {
		return cp, fmt.Errorf("a bad proof: %w", err)
	}
	return cp, nil
}

// meet learns the log's key at the first meeting, and checks that the log extends the
// largest checkpoint that it ever showed.
func (p *promises) meet(ctx context.Context, s *service) error {
	resp, err := sekishov1.NewLogServiceClient(s.conn).GetCheckpoint(ctx, &sekishov1.GetCheckpointRequest{})
	if err != nil {
		return err
	}
	if p.verifier == nil {
		if p.verifier, err = tlog.NewVerifier(resp.GetVerifierKey()); err != nil {
			return err
		}
	}
	cp, err := p.verifier.Open([]byte(resp.GetCheckpoint()))
	if err != nil {
		return err
	}
	if p.largest.Size > 0 {
		return p.extends(ctx, s, cp)
	}
	return nil
}

func (p *promises) extends(ctx context.Context, s *service, cp attest.Checkpoint) error {
	if cp.Size < p.largest.Size {
		return fmt.Errorf("the log showed %d entries and has %d", p.largest.Size, cp.Size)
	}
	resp, err := sekishov1.NewLogServiceClient(s.conn).GetConsistencyProof(ctx, &sekishov1.GetConsistencyProofRequest{FromSize: p.largest.Size, ToSize: cp.Size})
	if err != nil {
		return err
	}
	path := make([]attest.Hash, len(resp.GetHashes()))
	for i, b := range resp.GetHashes() {
		copy(path[i][:], b)
	}
	return tlog.VerifyConsistency(p.largest, cp, path)
}

// kept checks that the service keeps what it promised: a log that extends the
// largest checkpoint it ever showed, and these attestations at their places, each
// with a receipt that verifies.
func (p *promises) kept(s *service, which []acknowledgement) error {
	ctx, cancel := context.WithTimeout(s.ctx, 5*time.Minute)
	defer cancel()
	if err := p.meet(ctx, s); err != nil {
		return err
	}
	client := sekishov1.NewAttestationServiceClient(s.conn)
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(8)
	for _, a := range which {
		if ctx.Err() != nil {
			break
		}
		g.Go(func() error {
			got, err := client.GetAttestation(ctx, &sekishov1.GetAttestationRequest{Attestation: fmt.Sprint(a.index)})
			if err != nil {
				return fmt.Errorf("entry %d was acknowledged and is lost: %w", a.index, err)
			}
			if got.GetAttestation().GetDigest() != a.digest {
				return fmt.Errorf("entry %d was acknowledged as %s and is %s", a.index, a.digest, got.GetAttestation().GetDigest())
			}
			if _, err := p.included(got.GetReceipt()); err != nil {
				return fmt.Errorf("entry %d was acknowledged and has %w", a.index, err)
			}
			return nil
		})
	}
	return g.Wait()
}

// sample is everything acknowledged, or so much of it as can be asked for in a
// few seconds: the newest, which are most in danger, and some of the rest.
func (p *promises) sample() []acknowledgement {
	const most = 2000
	if len(p.acked) <= most {
		return p.acked
	}
	some := append([]acknowledgement(nil), p.acked[len(p.acked)-most/2:]...)
	for range most / 2 {
		some = append(some, p.acked[rand.IntN(len(p.acked))])
	}
	return some
}
