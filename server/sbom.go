package server

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"github.com/sekisho-dev/sekisho/attest"
	sekishov1 "github.com/sekisho-dev/sekisho/proto/sekisho/v1"
	"github.com/sekisho-dev/sekisho/sbom"
	"github.com/sekisho-dev/sekisho/server/decide"
	"github.com/sekisho-dev/sekisho/server/follow"
	"github.com/sekisho-dev/sekisho/server/register"
	"github.com/sekisho-dev/sekisho/store"
	"github.com/sekisho-dev/sekisho/verifier"
)

// sboms is the SbomService.
type sboms struct {
	sekishov1.UnimplementedSbomServiceServer
	Config
	listed listing
}

// A listing is the document of which a page was asked for last, while more of it is
// to come: reading sixteen megabytes anew for each page would take minutes. It is
// one at most, for what it takes to keep.
type listing struct {
	sync.Mutex
	index uint64
	rows  []sbom.Row
}

// of returns the rows of the document at an index, or nil.
func (l *listing) of(index uint64) []sbom.Row {
	l.Lock()
	defer l.Unlock()
	if l.index != index {
		return nil
	}
	return l.rows
}

// keep keeps the rows of a document; if there are none, it forgets that document.
func (l *listing) keep(index uint64, rows []sbom.Row) {
	l.Lock()
	defer l.Unlock()
	if l.index == index || rows != nil {
		l.index, l.rows = index, rows
	}
}

func (s *sboms) UploadSbom(ctx context.Context, req *sekishov1.UploadSbomRequest) (*sekishov1.UploadSbomResponse, error) {
	caller := verifier.Caller{Issuer: callerOf(ctx).Issuer, Subject: callerOf(ctx).Subject}
	if err := s.Register.MaySubmit(caller); err != nil {
		return nil, err // before its document is read, which takes a second of a large one
	}
	subject, err := subjectOf(req.GetArtifact())
	if err != nil {
		return nil, err
	}
	doc, err := sbom.Read(req.GetDocument())
	if err != nil {
		return nil, err
	}
	statement, err := sbom.Statement(doc, req.GetDocument(), []attest.Resource{subject})
	if err != nil {
		return nil, err
	}
	regs, err := s.Register.Register(ctx, register.Submission{
		Caller:       caller,
		Statement:    statement,
		ValidateOnly: req.GetValidateOnly(),
	})
	if err != nil {
		return nil, err
	}
	warnings := doc.Contradictions(subject)
	if unindexed := doc.Unindexed(); unindexed != "" {
		warnings = append(warnings, unindexed)
	}
	if len(doc.SearchKeys(follow.MaxComponentKeys+1)) > follow.MaxComponentKeys {
		warnings = append(warnings, fmt.Sprintf("the document is found by the first %d spellings of its components, and has more; register it in parts to have all found", follow.MaxComponentKeys))
	}
	r := registration(regs[0])
	return &sekishov1.UploadSbomResponse{
		Attestation:       r.Attestation,
		Receipt:           r.Receipt,
		AlreadyRegistered: r.AlreadyRegistered,
		Indexed:           regs[0].Indexed,
		ComponentCount:    int32(len(doc.Components)),
		Warnings:          warnings,
	}, nil
}

// subjectOf makes an artifact a statement's subject.
func subjectOf(a *sekishov1.Artifact) (attest.Resource, error) {
	digest := attest.DigestSet(a.GetDigest())
	if len(digest.Acceptable()) == 0 {
		return attest.Resource{}, fmt.Errorf("%w: name the artifact by sha256, sha384 or sha512", attest.ErrNoDigest)
	}
	r := attest.Resource{Digest: digest}
	if len(a.GetNames()) > 0 {
		r.Name = a.GetNames()[0]
	}
	return r, digest.Validate()
}

func (s *sboms) GetSbom(ctx context.Context, req *sekishov1.GetSbomRequest) (*sekishov1.GetSbomResponse, error) {
	var (
		r   row
		err error
	)
	if name := req.GetAttestation(); name != "" {
		r, err = lookup(ctx, s.Config, name)
	} else {
		r, err = newest(ctx, s.Follow, req.GetArtifact())
	}
	if err != nil {
		return nil, err
	}
	_, original, doc, err := s.read(ctx, r)
	if err != nil {
		return nil, err
	}
	return &sekishov1.GetSbomResponse{
		Attestation: attestation(r.index, r.facts),
		Document:    original,
		Format:      string(doc.Format),
		SpecVersion: doc.SpecVersion,
	}, nil
}

// newest finds the newest SBOM of an artifact by a signer whom the trust root
// in force names.
func newest(ctx context.Context, f *follow.Follower, artifact string) (found row, err error) {
	digest, err := attest.ParseDigest(artifact)
	if err != nil {
		return row{}, err
	}
	err = f.View(ctx, func(snap store.Snapshot, c *follow.Control) error {
		for rec, err := range decide.Evidence(snap, c.Trust, digest) {
			if err != nil {
				return err
			}
			if found.facts != nil && rec.Index < found.index {
				continue
			}
			facts, err := verifier.RestoreFacts(rec.Value)
			if err != nil {
				return err
			}
			if sbom.IsPredicateType(facts.PredicateType()) && c.Trust.Believe(facts).Signer != "" {
				found = row{rec.Index, facts}
			}
		}
		if found.facts == nil {
			return fmt.Errorf("SBOM of %s: %w; register one with sekisho sbom submit", digest, errNotFound)
		}
		return nil
	})
	return found, err
}

// read reads the SBOM that an attestation carries: the document as it was handed in,
// and what it says.
func (s *sboms) read(ctx context.Context, r row) (kept, []byte, *sbom.Document, error) {
	k, err := load(ctx, s.Config, r)
	if err != nil {
		return kept{}, nil, nil, err
	}
	statement, err := attest.ParseStatement(k.payload)
	if err != nil {
		return kept{}, nil, nil, err
	}
	if !sbom.IsPredicateType(statement.PredicateType) {
		return kept{}, nil, nil, fmt.Errorf("%w: attestation %d is a %s", attest.ErrPredicateType, r.index, statement.PredicateType)
	}
	doc, err := sbom.ReadPredicate(statement)
	return k, sbom.Original(k.payload, statement), doc, err
}

func (s *sboms) ListComponents(ctx context.Context, req *sekishov1.ListComponentsRequest) (*sekishov1.ListComponentsResponse, error) {
	r, from, err := s.page(ctx, req)
	if err != nil {
		return nil, err
	}
	rows := s.listed.of(r.index)
	if rows == nil {
		_, _, doc, err := s.read(ctx, r)
		if err != nil {
			return nil, err
		}
		rows = doc.Rows()
	}
	resp, page := &sekishov1.ListComponentsResponse{Attestation: attestation(r.index, r.facts)}, newPage(req.GetPageSize(), 1000, 10000)
	for i := min(from, uint64(len(rows))); i < uint64(len(rows)); i++ {
		c := component(rows[i])
		if !take(page, c) {
			resp.NextPageToken = pageToken(r.index) + "." + pageToken(i)
			s.listed.keep(r.index, rows)
			return resp, nil
		}
		resp.Components = append(resp.Components, c)
	}
	s.listed.keep(r.index, nil)
	return resp, nil
}

// page finds the document that is listed, and how much of it was listed already. A
// token names the document: a newer one, registered between two pages, must not
// continue the list of the first.
func (s *sboms) page(ctx context.Context, req *sekishov1.ListComponentsRequest) (r row, from uint64, err error) {
	index, rest, again := strings.Cut(req.GetPageToken(), ".")
	if !again {
		if from, err = pageStart(req.GetPageToken()); err == nil && from != 0 {
			err = fmt.Errorf("%w: pageToken is not one of ours", errBadRequest)
		}
		if err != nil {
			return row{}, 0, err
		}
		r, err = newest(ctx, s.Follow, req.GetArtifact())
		return r, 0, err
	}
	digest, err := attest.ParseDigest(req.GetArtifact())
	if err != nil {
		return row{}, 0, err
	}
	at, err := pageStart(index)
	if err != nil {
		return row{}, 0, err
	}
	if from, err = pageStart(rest); err != nil {
		return row{}, 0, err
	}
	r, err = lookup(ctx, s.Config, strconv.FormatUint(at, 10))
	if err != nil {
		return row{}, 0, err
	}
	for _, sub := range r.facts.Subjects() {
		if sub.Digest[digest.Algorithm()] == digest.Hex() {
			return r, from, nil
		}
	}
	return row{}, 0, fmt.Errorf("%w: pageToken is of another artifact", errBadRequest)
}

func component(r sbom.Row) *sekishov1.Component {
	return &sekishov1.Component{
		Name:     r.Name,
		Version:  r.Version,
		Purl:     r.PURL,
		Licenses: r.Licenses,
		Supplier: r.Supplier,
		Type:     r.Type,
		Digest:   r.Hashes,
	}
}

func (s *sboms) ListDependents(ctx context.Context, req *sekishov1.ListDependentsRequest) (*sekishov1.ListDependentsResponse, error) {
	from, err := pageStart(req.GetPageToken())
	if err != nil {
		return nil, err
	}
	purl, err := sbom.SearchKey(req.GetPurl())
	if err != nil {
		return nil, err
	}
	page := newPage(req.GetPageSize(), 100, 1000)
	resp := &sekishov1.ListDependentsResponse{}
	err = s.Follow.View(ctx, func(snap store.Snapshot, c *follow.Control) error {
		for rec, err := range snap.Find(store.Key{Kind: store.Component, Value: purl}, from) {
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
			if c.Trust.Believe(facts).Signer == "" {
				continue // whoever may hand in an envelope could otherwise say of any artifact what is in it
			}
			found := dependents(rec.Index, facts)
			if !take(page, found...) {
				resp.NextPageToken = pageToken(rec.Index)
				return nil
			}
			resp.Dependents = append(resp.Dependents, found...)
		}
		return nil
	})
	return resp, err
}
