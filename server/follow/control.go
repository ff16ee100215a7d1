package follow

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/sekisho-dev/sekisho/attest"
	"github.com/sekisho-dev/sekisho/policy"
	"github.com/sekisho-dev/sekisho/store"
	"github.com/sekisho-dev/sekisho/verifier"
)

// ErrNotNext: a trust root or policy that cannot follow the one in force.
var ErrNotNext = errors.New("not the next version")

// A Ref says where a control document stands in the log. Its Digest is empty
// while the document is only pinned and not registered yet.
type Ref struct {
	Digest attest.Digest // of the attestation that put it in force
	Index  uint64
}

// Control is the trust root and the policy in force at one position of the log.
// It is never changed; each position has its own.
type Control struct {
	Size     uint64
	Trust    *verifier.TrustRoot
	TrustRef Ref
	// Policy is nil until there is one; no policy refuses everything.
	Policy    *policy.Policy
	PolicyRef Ref

	// carriers are the attestations that carry the trust root in force. With a
	// threshold of more than one key there are several, and the next version
	// may name any of them as its predecessor.
	carriers []attest.Digest
	// pending are documents that not enough keys have signed yet.
	pending map[attest.Digest]signatures
}

// signatures are what has been registered of one document, in log order.
type signatures struct {
	keys     []string
	carriers []attest.Digest
}

// Admit reports whether a control statement could take effect: now, or once
// more keys have signed it. It is asked before registration, so that a mistake
// is told to whoever makes it instead of being logged for ever.
func (c *Control) Admit(s *attest.Statement, facts *verifier.Facts) error {
	document, err := s.Document()
	if err != nil {
		return err
	}
	if c.inForce(s.PredicateType, document) {
		return nil
	}
	after, err := c.with(s.PredicateType, document, facts)
	if err != nil && errors.Is(err, verifier.ErrThreshold) {
		// Not enough keys yet is fine, so long as this one counts.
		if _, known := after.pending[facts.PayloadDigest()]; known {
			return nil
		}
	}
	return err
}

// next returns the control state after one more record, and whether a document
// took effect. What cannot take effect has none: it is logged, and that is all.
func (c *Control) next(index uint64, facts *verifier.Facts, s *attest.Statement) (*Control, bool) {
	document, err := s.Document()
	if err != nil {
		return c, false
	}
	ref := Ref{Digest: facts.Attestation(), Index: index}
	if c.inForce(s.PredicateType, document) {
		return c.carriedBy(ref, s.PredicateType), false
	}
	after, err := c.with(s.PredicateType, document, facts)
	if err != nil {
		return after, false
	}
	if s.PredicateType == attest.TrustRootType {
		after.TrustRef = ref
	} else {
		after.PolicyRef = ref
	}
	return after, true
}

// inForce reports whether a document is the one in force.
func (c *Control) inForce(predicateType string, document []byte) bool {
	if predicateType == attest.TrustRootType {
		return bytes.Equal(document, c.Trust.Bytes())
	}
	return c.Policy != nil && bytes.Equal(document, c.Policy.Bytes())
}

// carriedBy records that the document in force is in the log at ref (again).
func (c *Control) carriedBy(ref Ref, predicateType string) *Control {
	if predicateType != attest.TrustRootType {
		return c
	}
	n := *c
	if n.TrustRef.Digest == "" {
		n.TrustRef = ref
	}
	n.carriers = append(slices.Clip(c.carriers), ref.Digest)
	return &n
}

// with returns the state with one more signature on a document, and the
// document in force if that was enough. On an error the document is not in
// force; the state still remembers the signature where the key may give one.
func (c *Control) with(predicateType string, document []byte, facts *verifier.Facts) (*Control, error) {
	signed := c.pending[facts.PayloadDigest()]
	signed.keys = append(slices.Clip(signed.keys), facts.KeyID())
	signed.carriers = append(slices.Clip(signed.carriers), facts.Attestation())

	n := *c
	err := n.adopt(predicateType, document, signed)
	switch {
	case err == nil:
		n.pending = nil // whatever else was waiting was waiting for the version before
	case errors.Is(err, verifier.ErrThreshold) && c.mayControl(predicateType, facts.KeyID()):
		n.pending = map[attest.Digest]signatures{}
		for d, s := range c.pending {
			n.pending[d] = s
		}
		n.pending[facts.PayloadDigest()] = signed
	}
	return &n, err
}

// adopt puts a document in force if its signatures allow it.
func (c *Control) adopt(predicateType string, document []byte, signed signatures) error {
	if predicateType == attest.TrustRootType {
		next, err := verifier.ParseTrustRoot(document)
		if err != nil {
			return err
		}
		if err := c.Trust.Accepts(next, c.carriers, signed.keys); err != nil {
			return err
		}
		c.Trust, c.carriers = next, signed.carriers
		return nil
	}
	next, err := policy.Parse(document)
	if err != nil {
		return err
	}
	if c.Policy != nil && next.Version <= c.Policy.Version {
		return fmt.Errorf("%w: policy version %d is in force, and this is version %d", ErrNotNext, c.Policy.Version, next.Version)
	}
	if err := c.Trust.AcceptsPolicy(signed.keys); err != nil {
		return err
	}
	c.Policy = next
	return nil
}

// mayControl reports whether a key may sign control documents of a type.
func (c *Control) mayControl(predicateType, keyID string) bool {
	if predicateType == attest.TrustRootType {
		return slices.Contains(c.Trust.RootKeyIDs(), keyID)
	}
	return slices.Contains(c.Trust.PolicyKeyIDs(), keyID)
}

// restore makes the control state of an index's position again, from the log
// and the blobs: the index says only where to look.
func (f *Follower) restore(ctx context.Context, idx store.Index) (*Control, error) {
	control := &Control{Trust: f.c.Initial}
	var at attest.Checkpoint
	var indexes []uint64
	err := idx.View(ctx, func(s store.Snapshot) error {
		at = s.Checkpoint()
		for rec, err := range s.Find(store.Key{Kind: store.Control, Value: controlKey}, 0) {
			if err != nil {
				return err
			}
			indexes = append(indexes, rec.Index)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, i := range indexes {
		for e, err := range f.c.Log.Entries(ctx, at, i) {
			if err != nil {
				return nil, fmt.Errorf("reading entry %d: %w", i, err)
			}
			d, err := f.derive(ctx, e, control.Trust)
			if f.c.Inspect && errors.Is(err, ErrDamaged) {
				break
			}
			if err != nil {
				return nil, err
			}
			if d.control != nil {
				control, _ = control.next(i, d.facts, d.control)
			}
			break
		}
	}
	n := *control
	n.Size = at.Size
	return &n, nil
}
