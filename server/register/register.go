// Package register is the way in: it takes a statement, an envelope or a bundle,
// verifies or signs it, and writes it into the log. There is no other.
//
// A crash before the append leaves blobs nobody refers to; a crash after it
// leaves nothing undone. Whatever must happen after registration is a follower
// of the log, never another line in Register.
package register

import (
	"bytes"
	"context"
	"crypto"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/sekisho-dev/sekisho/attest"
	"github.com/sekisho-dev/sekisho/server/follow"
	"github.com/sekisho-dev/sekisho/sign"
	"github.com/sekisho-dev/sekisho/store"
	"github.com/sekisho-dev/sekisho/tlog"
	"github.com/sekisho-dev/sekisho/verifier"
	"golang.org/x/sync/singleflight"
)

// MaxDocument is the largest document that is registered in one piece, in bytes.
const MaxDocument = 16 << 20

// maxInline is the largest payload that lives in its record, so that a
// registration is one durable write.
const maxInline = 32 << 10

var (
	// ErrTooLarge: the document is over MaxDocument.
	ErrTooLarge = errors.New("document too large")
	// ErrBadRequest: not exactly one document was handed in.
	ErrBadRequest = errors.New("exactly one document is wanted")
	// ErrQuota: the caller has registered as much about one artifact as one may.
	ErrQuota = errors.New("too many attestations about one artifact")
	// ErrUncommitted: signing, storing or logging failed. Handing the same
	// document in again is safe: if the log has it after all, that registration
	// is returned.
	ErrUncommitted = errors.New("not registered")
)

// A Submission is one document and who hands it in.
type Submission struct {
	Caller verifier.Caller
	// Exactly one of the three.
	Statement []byte // for the service to sign
	Envelope  []byte
	Bundle    []byte
	// PublicKey is a key under which the signature of an envelope, or of a
	// bundle without a certificate, verifies, where the trust root does not
	// name it; may be nil.
	PublicKey crypto.PublicKey
	// ValidateOnly stops before anything is signed, stored or logged.
	ValidateOnly bool
}

// A Registration is one signature of a document, and where it stands in the log.
type Registration struct {
	Facts             *verifier.Facts
	Receipt           attest.Receipt // zero when only validated
	AlreadyRegistered bool
	Indexed           bool
}

// Config says what a Registrar writes with.
type Config struct {
	Log    tlog.Log
	Blobs  store.Blobs
	Follow *follow.Follower
	Signer sign.Signer        // the statements key
	Time   sign.TimeAuthority // stamps every signature before it is logged
	Now    func() time.Time
	// IndexWait is how long a registration waits for the local index after it
	// is committed; 1 s if zero.
	IndexWait time.Duration
	// PerArtifact is how many attestations about one artifact one caller may
	// register; 10,000 if zero.
	PerArtifact int
}

// A Registrar registers. Its methods may be used concurrently.
type Registrar struct {
	c      Config
	flight singleflight.Group
}

// New returns a registrar.
func New(c Config) *Registrar {
	if c.IndexWait == 0 {
		c.IndexWait = time.Second
	}
	if c.PerArtifact == 0 {
		c.PerArtifact = 10_000
	}
	return &Registrar{c: c}
}

// Register registers a document: parse, authenticate, verify or sign, timestamp,
// record, log. An envelope of several loggable signatures becomes several
// registrations, in its order; everything else is one.
//
// *A crash before the append leaves blobs nobody refers to; a crash after it
// leaves nothing undone.*
//
// Errors are those of attest and verifier for a document that cannot be read or
// believed mathematically, or is over a limit, [verifier.ErrNotAllowed] where the
// caller may not have it signed, [ErrQuota], and [ErrUncommitted] with its cause where a
// key, blob store or log failed. After the append there is no error any more.
func (r *Registrar) Register(ctx context.Context, s Submission) ([]Registration, error) {
	control := r.c.Follow.Control()
	candidates, err := r.read(control.Trust, s)
	if err != nil {
		return nil, err
	}
	var done []Registration
	for _, c := range candidates {
		reg, err := r.one(ctx, control, s, c)
		if err != nil {
			return done, err
		}
		done = append(done, reg)
	}
	return done, nil
}

// one registers one signature, once: of several callers with the same statement
// and signer at the same moment, one does the work and all have its result.
func (r *Registrar) one(ctx context.Context, control *follow.Control, s Submission, c candidate) (Registration, error) {
	var facts *verifier.Facts
	said := []store.Key{follow.KeyStatement(attest.SHA256(c.payload), r.c.Signer.Key().ID)}
	if c.record != nil {
		var err error
		if facts, err = r.verify(control, c); err != nil {
			return Registration{}, err
		}
		said = saidBy(control.Trust, facts)
	}
	if s.ValidateOnly {
		return Registration{Facts: facts}, nil
	}
	return r.once(ctx, said[0].Value, func(ctx context.Context) (Registration, error) {
		if first, ok, err := r.first(ctx, said...); ok || err != nil {
			return first, err
		}
		if err := r.withinQuota(ctx, s.Caller.String(), c.statement.Subjects); err != nil {
			return Registration{}, err
		}
		if c.record == nil {
			var err error
			if c.record, err = r.sign(ctx, c.payload); err != nil {
				return Registration{}, err
			}
			if facts, err = r.verify(control, c); err != nil { // our own signature too
				return Registration{}, err
			}
		}
		return r.commit(ctx, control, s, c, facts)
	})
}

// sign makes the record of a statement that is to be signed.
func (r *Registrar) sign(ctx context.Context, statement []byte) (*attest.Record, error) {
	envelope, err := sign.Envelope(ctx, r.c.Signer, attest.PayloadTypeInToto, statement)
	if err != nil {
		return nil, fmt.Errorf("%w: signing the statement: %w", ErrUncommitted, err)
	}
	key := r.c.Signer.Key()
	return &attest.Record{PayloadType: envelope.PayloadType, Signature: envelope.Signatures[0], KeyDetails: key.Details, PublicKey: key.SPKI}, nil
}

// verify checks the mathematics of a candidate, that nothing of it is over a limit, and
// that a control statement could take effect.
func (r *Registrar) verify(control *follow.Control, c candidate) (*verifier.Facts, error) {
	c.record.PayloadDigest, c.record.PayloadSize = attest.SHA256(c.payload), int64(len(c.payload))
	facts, err := control.Trust.Verify(c.record, c.payload)
	if err != nil {
		return nil, err
	}
	if err := facts.Over(); err != nil {
		return nil, err
	}
	if attest.IsControl(c.statement.PredicateType) {
		err = control.Admit(c.statement, facts)
	}
	return facts, err
}

// commit timestamps, stores and logs one signature that has been verified. The row
// that the index will hold is made before the append: what it would refuse is refused
// now.
func (r *Registrar) commit(ctx context.Context, control *follow.Control, s Submission, c candidate, facts *verifier.Facts) (Registration, error) {
	uncommitted := func(step string, err error) (Registration, error) {
		return Registration{}, fmt.Errorf("%w: %s: %w", ErrUncommitted, step, err)
	}
	rec := c.record
	var err error
	if rec.Timestamp, err = r.c.Time.Timestamp(ctx, rec.Signature.Sig); err != nil {
		return uncommitted("timestamping the signature", err)
	}
	facts = control.Trust.Stamp(facts, rec)
	rec.SubmittedBy, rec.SubmittedAt = s.Caller.String(), r.c.Now().UTC()
	leaf, err := rec.Leaf(c.payload)
	if err != nil {
		return Registration{}, err
	}
	entry, err := leaf.Entry()
	if err != nil {
		return Registration{}, err
	}
	row, err := follow.NewRow(attest.LeafHash(entry), facts, c.statement, rec.SubmittedBy, control.Trust)
	if err != nil {
		return Registration{}, err
	}
	if err := r.put(ctx, attest.LeafHash(entry), rec, c.payload); err != nil {
		return uncommitted("storing the record", err)
	}
	r.c.Follow.Expect(row)
	receipt, err := r.c.Log.Append(ctx, entry) // the commit point
	if err != nil {
		return uncommitted("appending to the log", err)
	}
	return Registration{Facts: facts, Receipt: receipt}, nil
}

// put stores payload and record. They count for nothing until the log has the leaf.
func (r *Registrar) put(ctx context.Context, leaf attest.Hash, rec *attest.Record, payload []byte) error {
	if len(payload) <= maxInline {
		rec.Payload = payload
	} else if err := r.c.Blobs.Put(ctx, follow.PayloadKey(rec.PayloadDigest), int64(len(payload)), bytes.NewReader(payload)); err != nil {
		return err
	}
	raw, err := json.Marshal(rec)
	if err != nil {
		return err
	}
	return r.c.Blobs.Put(ctx, follow.RecordKey(leaf), int64(len(raw)), bytes.NewReader(raw))
}
