package server

import (
	"context"
	"crypto"
	"encoding/pem"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"crypto/x509"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/sekisho-dev/sekisho/attest"
	sekishov1 "github.com/sekisho-dev/sekisho/proto/sekisho/v1"
	"github.com/sekisho-dev/sekisho/server/follow"
	"github.com/sekisho-dev/sekisho/server/register"
	"github.com/sekisho-dev/sekisho/sign/bundle"
	"github.com/sekisho-dev/sekisho/store"
	"github.com/sekisho-dev/sekisho/tlog"
	"github.com/sekisho-dev/sekisho/verifier"
)

// attestations is the AttestationService.
type attestations struct {
	sekishov1.UnimplementedAttestationServiceServer
	Config
}

func (a *attestations) CreateAttestation(ctx context.Context, req *sekishov1.CreateAttestationRequest) (*sekishov1.CreateAttestationResponse, error) {
	key, err := parsePublicKey(req.GetPublicKey())
	if err != nil {
		return nil, err
	}
	caller := callerOf(ctx)
	regs, err := a.Register.Register(ctx, register.Submission{
		Caller:       verifier.Caller{Issuer: caller.Issuer, Subject: caller.Subject},
		Statement:    req.GetStatement(),
		Envelope:     req.GetEnvelope(),
		Bundle:       req.GetBundle(),
		PublicKey:    key,
		ValidateOnly: req.GetValidateOnly(),
	})
	if err != nil {
		return nil, err
	}
	resp := &sekishov1.CreateAttestationResponse{}
	for i, reg := range regs {
		r := registration(reg)
		if i > 0 {
			resp.Others = append(resp.Others, r)
			continue
		}
		resp.Attestation, resp.Receipt, resp.AlreadyRegistered, resp.Indexed = r.Attestation, r.Receipt, r.AlreadyRegistered, reg.Indexed
	}
	return resp, nil
}

// parsePublicKey reads the PEM public key that came with an envelope or a bundle.
func parsePublicKey(text string) (crypto.PublicKey, error) {
	if text == "" {
		return nil, nil
	}
	block, rest := pem.Decode([]byte(text))
	if block == nil || block.Type != "PUBLIC KEY" || len(strings.TrimSpace(string(rest))) > 0 {
		return nil, fmt.Errorf("%w: publicKey is not one PEM block of type PUBLIC KEY", errBadRequest)
	}
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%w: publicKey: %w", errBadRequest, err)
	}
	return key, nil
}

func (a *attestations) GetAttestation(ctx context.Context, req *sekishov1.GetAttestationRequest) (*sekishov1.GetAttestationResponse, error) {
	row, err := lookup(ctx, a.Config, req.GetAttestation())
	if err != nil {
		return nil, err
	}
	kept, err := load(ctx, a.Config, row)
	if err != nil {
		return nil, err
	}
	served := kept.record.Bundle
	if served == nil {
		if served, err = bundle.Assemble(kept.record, kept.payload, kept.receipt, a.LogKey.LogID()); err != nil {
			return nil, fmt.Errorf("assembling the bundle of entry %d: %w", row.index, err)
		}
	}
	return &sekishov1.GetAttestationResponse{
		Attestation: attestation(row.index, row.facts),
		Receipt:     receipt(kept.receipt),
		Envelope:    kept.record.Envelope(kept.payload).JSON(),
		Bundle:      served,
		SubmittedBy: kept.record.SubmittedBy,
		SubmitTime:  timestamppb.New(kept.record.SubmittedAt),
		PublicKey:   publicKeyPEM(kept.record.PublicKey),
	}, nil
}

// publicKeyPEM writes a DER SubjectPublicKeyInfo as PEM; "" for none.
func publicKeyPEM(spki []byte) string {
	if len(spki) == 0 {
		return ""
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: spki}))
}

// A row is one attestation in the index.
type row struct {
	index uint64
	facts *verifier.Facts
}

// lookup finds an attestation by log index or by digest. What is logged and not indexed
// yet is not what was never there: [follow.ErrStale].
func lookup(ctx context.Context, c Config, name string) (found row, err error) {
	var size uint64
	err = c.Follow.View(ctx, func(s store.Snapshot, _ *follow.Control) error {
		size = s.Checkpoint().Size
		rec, err := named(s, name)
		if err != nil {
			return err
		}
		found.index = rec.Index
		found.facts, err = verifier.RestoreFacts(rec.Value)
		return err
	})
	if !errors.Is(err, errNotFound) {
		return found, err
	}
	if index, notIndex := strconv.ParseUint(name, 10, 63); notIndex == nil && index >= size {
		if cp, failed := c.Log.Checkpoint(ctx); failed == nil && index < cp.Size {
			c.Follow.Nudge()
			err = fmt.Errorf("%w: entry %d is logged, and will be there in a moment", follow.ErrStale, index)
		}
	}
	return found, err
}

func named(s store.Snapshot, name string) (store.Record, error) {
	if !strings.Contains(name, ":") {
		index, err := strconv.ParseUint(name, 10, 63)
		if err != nil {
			return store.Record{}, fmt.Errorf("%w: %.80q is neither a log index nor sha256:…", errBadRequest, name)
		}
		rec, err := s.Record(index)
		if err != nil {
			if errors.Is(err, store.ErrNotFound) {
				err = errNotFound
			}
			return store.Record{}, fmt.Errorf("attestation %d: %w; the index holds %d entries, from 0", index, err, s.Checkpoint().Size)
		}
		return rec, nil
	}
	digest, err := attest.ParseDigest(name)
	if err != nil {
		return store.Record{}, err
	}
	for rec, err := range s.Find(store.Key{Kind: store.Attestation, Value: string(digest)}, 0) {
		return rec, err
	}
	return store.Record{}, fmt.Errorf("attestation %s: %w; an attestation's digest is that of its envelope, for an artifact's use list --subject", digest, errNotFound)
}

// kept is everything that is kept of one attestation.
type kept struct {
	record  *attest.Record
	payload []byte
	receipt attest.Receipt
}

// load reads what is kept of an attestation, with a receipt under the newest checkpoint.
func load(ctx context.Context, c Config, r row) (kept, error) {
	rc, err := tlog.Receipt(ctx, c.Log, r.index)
	if err != nil {
		return kept{}, fmt.Errorf("proving entry %d: %w", r.index, err)
	}
	record, payload, err := follow.Load(ctx, c.Blobs, rc.LeafHash)
	switch {
	case err == nil:
	case ctx.Err() != nil || errors.Is(err, errBusy):
		return kept{}, err // nothing is wrong with what is kept
	default:
		return kept{}, fmt.Errorf("%w: %w", follow.ErrDamaged, err)
	}
	return kept{record, payload, rc}, nil
}

func (a *attestations) ListAttestations(ctx context.Context, req *sekishov1.ListAttestationsRequest) (*sekishov1.ListAttestationsResponse, error) {
	from, err := pageStart(req.GetPageToken())
	if err != nil {
		return nil, err
	}
	key, err := narrowest(req)
	if err != nil {
		return nil, err
	}
	page := newPage(req.GetPageSize(), 100, 1000)
	resp := &sekishov1.ListAttestationsResponse{}
	err = a.Follow.View(ctx, func(s store.Snapshot, _ *follow.Control) error {
		for rec, err := range s.Find(key, from) {
			if err != nil {
				return err
			}
			if !page.look(len(rec.Value)) {
				resp.NextPageToken = pageToken(rec.Index)
				return nil
			}
			facts, err := verifier.RestoreFacts(rec.Value)
			if err != nil {
				return err
			}
			if !satisfies(facts, req) {
				continue
			}
			found := attestation(rec.Index, facts)
			if !take(page, found) {
				resp.NextPageToken = pageToken(rec.Index)
				return nil
			}
			resp.Attestations = append(resp.Attestations, found)
		}
		return nil
	})
	return resp, err
}

// narrowest returns the access path that reads the fewest records. A filter that is
// longer than anything that the index holds is a mistake, wherever it is applied.
func narrowest(req *sekishov1.ListAttestationsRequest) (store.Key, error) {
	for name, value := range map[string]string{"builderId": req.GetBuilderId(), "signer": req.GetSigner(), "predicateType": req.GetPredicateType()} {
		if len(value) > store.MaxKeyValue {
			return store.Key{}, fmt.Errorf("%w: %s has %d bytes, at most %d are kept", errBadRequest, name, len(value), store.MaxKeyValue)
		}
	}
	switch {
	case req.GetSubject() != "":
		d, err := attest.ParseDigest(req.GetSubject())
		return store.Key{Kind: store.Subject, Value: string(d)}, err
	case req.GetBuilderId() != "":
		return store.Key{Kind: store.Builder, Value: req.GetBuilderId()}, nil
	case req.GetSigner() != "":
		return store.Key{Kind: store.Signer, Value: req.GetSigner()}, nil
	case req.GetPredicateType() != "":
		return store.Key{Kind: store.PredicateType, Value: req.GetPredicateType()}, nil
	}
	return store.Key{}, nil
}

// satisfies reports whether an attestation passes the filters beside the one
// that it was found by.
func satisfies(f *verifier.Facts, req *sekishov1.ListAttestationsRequest) bool {
	if t := req.GetPredicateType(); t != "" && t != f.PredicateType() {
		return false
	}
	if s := req.GetSigner(); s != "" && s != f.KeyID() && s != f.Identity() {
		return false
	}
	if b := req.GetBuilderId(); b != "" && (f.Provenance() == nil || f.Provenance().BuilderID != b) {
		return false
	}
	return true
}
