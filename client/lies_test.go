package client_test

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/sekisho-dev/sekisho/attest"
	"github.com/sekisho-dev/sekisho/client"
	"github.com/sekisho-dev/sekisho/internal/testhouse"
	sekishov1 "github.com/sekisho-dev/sekisho/proto/sekisho/v1"
)

// The service of the lies: entries 0 and 1 are the trust root and the policy, 2 is
// provenance of app, 3 of another artifact, 4 the SBOM of app.
type stage struct {
	*service
	*liar
	t *testing.T
}

// A lie changes an honest answer. What it does not name stays honest.
type lie struct {
	do   func(*stage, *client.Client) error
	tell func(s *stage, req, resp proto.Message)
	want client.Reason
}

// on makes a lie of one answer's type.
func on[Resp proto.Message](f func(s *stage, r Resp)) func(*stage, proto.Message, proto.Message) {
	return func(s *stage, _, resp proto.Message) {
		if r, ok := resp.(Resp); ok {
			f(s, r)
		}
	}
}

type (
	got       = sekishov1.GetAttestationResponse
	made      = sekishov1.CreateAttestationResponse
	verdict   = sekishov1.EvaluateDeploymentResponse
	batch     = sekishov1.BatchEvaluateDeploymentsResponse
	agreement = sekishov1.GetConsistencyProofResponse
)

func get(name string) func(*stage, *client.Client) error {
	return func(s *stage, c *client.Client) error { _, err := c.Get(s.t.Context(), name); return err }
}

func evaluate(s *stage, c *client.Client) error {
	_, err := c.Evaluate(s.t.Context(), question(app))
	return err
}

// grown evaluates when the log has grown.
func grown(s *stage, c *client.Client) error {
	met(s.t, c)
	s.built(s.t, attest.SHA256(fmt.Append(nil, s.checkpoint(s.t).Size)))
	return evaluate(s, c)
}

func evaluateTwo(s *stage, c *client.Client) error {
	_, err := c.EvaluateBatch(s.t.Context(), []*sekishov1.EvaluateDeploymentRequest{question(app), question(other)})
	return err
}

func register(s *stage, c *client.Client) error {
	_, err := c.Register(s.t.Context(), &sekishov1.CreateAttestationRequest{
		Document: &sekishov1.CreateAttestationRequest_Statement{Statement: testhouse.Provenance(app, "https://localhost/ci")},
	})
	return err
}

func list(s *stage, c *client.Client) (err error) {
	for _, err = range c.List(s.t.Context(), &sekishov1.ListAttestationsRequest{PageSize: 1}) {
	}
	return err
}

// serves answers with another attestation than was asked for.
func (s *stage) serves(index uint64) *got {
	r := &got{}
	raw, err := s.service.ask(s.t).Get(s.t.Context(), []string{"0", "1", "2", "3", "4"}[index])
	if err != nil {
		s.t.Fatal(err)
	}
	proto.Merge(r, raw)
	s.reseal(r.ProtoReflect())
	return r
}

// become replaces one message by another.
func become(m, by proto.Message) { proto.Reset(m); proto.Merge(m, by) }

// flip changes one bit.
func flip(b []byte) []byte { c := bytes.Clone(b); c[0] ^= 1; return c }

// junk is a root that no tree of the log has.
var junk = attest.Hash(bytes.Repeat([]byte{7}, 32))

var lies = map[string]lie{
	// Receipts.
	"no receipt":              {get("2"), on(func(s *stage, r *got) { r.Receipt = nil }), client.ErrBadProof},
	"no checkpoint":           {get("2"), on(func(s *stage, r *got) { r.Receipt.Checkpoint = "" }), client.ErrBadProof},
	"no proof":                {get("2"), on(func(s *stage, r *got) { r.Receipt.InclusionProof = nil }), client.ErrBadProof},
	"no leaf hash":            {get("2"), on(func(s *stage, r *got) { r.Receipt.LeafHash = nil }), client.ErrBadProof},
	"wrong leaf hash":         {get("2"), on(func(s *stage, r *got) { r.Receipt.LeafHash = flip(r.Receipt.LeafHash) }), client.ErrBadProof},
	"proof of another index":  {get("2"), on(func(s *stage, r *got) { r.Receipt = s.serves(3).Receipt }), client.ErrBadProof},
	"proof with another name": {get("2"), on(func(s *stage, r *got) { r.Receipt = s.serves(3).Receipt; r.Receipt.InclusionProof.LogIndex = 2 }), client.ErrBadProof},
	"proof of another size":   {get("2"), on(func(s *stage, r *got) { r.Receipt.InclusionProof.TreeSize-- }), client.ErrBadProof},
	"proof of no size":        {get("2"), on(func(s *stage, r *got) { r.Receipt.InclusionProof.TreeSize = 0 }), client.ErrBadProof},
	"proof one hash too long": {get("2"), on(func(s *stage, r *got) {
		r.Receipt.InclusionProof.Hashes = append(r.Receipt.InclusionProof.Hashes, junk[:])
	}), client.ErrBadProof},
	"proof one hash too short": {get("2"), on(func(s *stage, r *got) {
		r.Receipt.InclusionProof.Hashes = r.Receipt.InclusionProof.Hashes[1:]
	}), client.ErrBadProof},
	"proof without end": {get("2"), on(func(s *stage, r *got) {
		for range 1 << 16 {
			r.Receipt.InclusionProof.Hashes = append(r.Receipt.InclusionProof.Hashes, junk[:])
		}
	}), client.ErrBadProof},
	"proof of halves": {get("2"), on(func(s *stage, r *got) {
		r.Receipt.InclusionProof.Hashes[0] = r.Receipt.InclusionProof.Hashes[0][:16]
	}), client.ErrBadProof},
	"proof of an index that wraps": {get("2"), on(func(s *stage, r *got) {
		r.Attestation.LogIndex, r.Receipt.InclusionProof.LogIndex = 1<<63, 1<<63
	}), client.ErrWrongAttestation},
	"an entry proven with another's proof": {
		func(s *stage, c *client.Client) error { _, err := c.Prove(s.t.Context(), 1); return err },
		on(func(s *stage, r *sekishov1.GetInclusionProofResponse) { r.LeafHash = flip(r.LeafHash) }), client.ErrBadProof,
	},

	// Checkpoints.
	"a smaller tree":              {evaluate, on(func(s *stage, r *verdict) { r.LogSize, r.Checkpoint = 3, s.sign(3, junk) }), client.ErrRollback},
	"a smaller tree in a receipt": {get("2"), on(func(s *stage, r *got) { r.Receipt.Checkpoint = s.sign(3, junk) }), client.ErrRollback},
	"an empty tree": {evaluate, on(func(s *stage, r *verdict) {
		r.LogSize, r.Checkpoint = 0, s.sign(0, attest.Hash(attest.SHA256(nil).Bytes()))
	}), client.ErrRollback},
	"another tree of the same size":    {evaluate, on(func(s *stage, r *verdict) { r.Checkpoint = s.sign(r.LogSize, junk) }), client.ErrInconsistent},
	"a larger tree that is not proven": {evaluate, on(func(s *stage, r *verdict) { r.LogSize++; r.Checkpoint = s.sign(r.LogSize, junk) }), client.ErrInconsistent},
	"a larger tree with a false proof": {grown, on(func(s *stage, r *agreement) { r.Hashes[0] = flip(r.Hashes[0]) }), client.ErrInconsistent},
	"a larger tree with no proof":      {grown, on(func(s *stage, r *agreement) { r.Hashes = nil }), client.ErrInconsistent},
	"a larger tree with half a proof":  {grown, on(func(s *stage, r *agreement) { r.Hashes[0] = r.Hashes[0][:16] }), client.ErrBadProof},
	"signed by another key":            {evaluate, on(func(s *stage, r *verdict) { r.Checkpoint = newLiar(s.t, s.key.Origin()).sign(read(s.t, r.Checkpoint)) }), client.ErrBadProof},
	"of another origin": {evaluate, on(func(s *stage, r *verdict) {
		r.Checkpoint = newLiar(s.t, "log.example/other").sign(read(s.t, r.Checkpoint))
	}), client.ErrBadProof},
	"signature of another text":   {evaluate, on(func(s *stage, r *verdict) { r.Checkpoint = string(flip([]byte(r.Checkpoint))) }), client.ErrBadProof},
	"no checkpoint in the answer": {evaluate, on(func(s *stage, r *verdict) { r.Checkpoint = "" }), client.ErrBadProof},
	"the log described otherwise": {
		func(s *stage, c *client.Client) error { _, err := c.Checkpoint(s.t.Context()); return err },
		on(func(s *stage, r *sekishov1.GetCheckpointResponse) { r.TreeSize++ }), client.ErrBadProof,
	},

	// Attestations.
	"another attestation, by index":     {get("2"), on(func(s *stage, r *got) { become(r, s.serves(3)) }), client.ErrWrongAttestation},
	"another attestation with its name": {get("2"), on(func(s *stage, r *got) { become(r, s.serves(3)); r.Attestation.LogIndex = 2 }), client.ErrBadProof},
	"no attestation":                    {get("2"), on(func(s *stage, r *got) { proto.Reset(r) }), client.ErrWrongAttestation},
	"another's envelope":                {get("2"), on(func(s *stage, r *got) { r.Envelope = s.serves(3).Envelope }), client.ErrWrongAttestation},
	"another's envelope and digest": {get("2"), on(func(s *stage, r *got) {
		by := s.serves(3)
		r.Envelope, r.Attestation.Digest, r.Attestation.PayloadSha256, r.Attestation.Subjects = by.Envelope, by.Attestation.Digest, by.Attestation.PayloadSha256, by.Attestation.Subjects
	}), client.ErrWrongAttestation},
	"statement swapped under the signature": {get("2"), on(func(s *stage, r *got) {
		e, err := attest.ParseEnvelope(r.Envelope)
		if err != nil {
			s.t.Fatal(err)
		}
		e.Payload = testhouse.Provenance(other, "https://localhost/ci")
		r.Envelope, r.Attestation.Digest, r.Attestation.PayloadSha256 = e.JSON(), string(e.Digest()), attest.SHA256(e.Payload).Hex()
	}), client.ErrWrongAttestation},
	"envelope with other spaces": {get("2"), on(func(s *stage, r *got) { r.Envelope = append(r.Envelope, '\n') }), client.ErrWrongAttestation},
	"envelope that is none":      {get("2"), on(func(s *stage, r *got) { r.Envelope = []byte("{}") }), client.ErrWrongAttestation},
	"another key":                {get("2"), on(func(s *stage, r *got) { r.Attestation.KeyId = attest.SHA256(s.Root.Key().SPKI).Hex() }), client.ErrWrongAttestation},
	"another builder":            {get("2"), on(func(s *stage, r *got) { r.Attestation.BuilderId += "x" }), client.ErrWrongAttestation},
	"another predicate type":     {get("2"), on(func(s *stage, r *got) { r.Attestation.PredicateType += "x" }), client.ErrWrongAttestation},
	"another payload digest":     {get("2"), on(func(s *stage, r *got) { r.Attestation.PayloadSha256 = app.Hex() }), client.ErrWrongAttestation},
	"one subject more": {get("2"), on(func(s *stage, r *got) {
		r.Attestation.Subjects = append(r.Attestation.Subjects, &sekishov1.Subject{Digest: other.Set()})
	}), client.ErrWrongAttestation},
	"another subject": {get("2"), on(func(s *stage, r *got) { r.Attestation.Subjects[0].Digest = other.Set() }), client.ErrWrongAttestation},

	// Registrations.
	"receipt for other bytes": {register, on(func(s *stage, r *made) {
		by := s.serves(3)
		r.Attestation, r.Receipt = by.Attestation, by.Receipt
	}), client.ErrWrongAttestation},
	"registered, no receipt":    {register, on(func(s *stage, r *made) { r.Receipt = nil }), client.ErrBadProof},
	"registered nothing":        {register, on(func(s *stage, r *made) { proto.Reset(r) }), client.ErrBadProof},
	"registered as another":     {register, on(func(s *stage, r *made) { r.Attestation.Digest = string(app) }), client.ErrWrongAttestation},
	"others that are not there": {register, on(func(s *stage, r *made) { r.Others = []*sekishov1.Registration{{Attestation: r.Attestation}} }), client.ErrBadProof},

	// Verdicts.
	"about another artifact":      {evaluate, on(func(s *stage, r *verdict) { r.Artifact = question(other).Artifact }), client.ErrBadAnswer},
	"about no artifact":           {evaluate, on(func(s *stage, r *verdict) { r.Artifact = nil }), client.ErrBadAnswer},
	"about one digest more":       {evaluate, on(func(s *stage, r *verdict) { r.Artifact.Digest["sha512"] = "00" }), client.ErrBadAnswer},
	"for another environment":     {evaluate, on(func(s *stage, r *verdict) { r.Environment = "staging" }), client.ErrBadAnswer},
	"for no environment":          {evaluate, on(func(s *stage, r *verdict) { r.Environment = "" }), client.ErrBadAnswer},
	"larger than its checkpoint":  {evaluate, on(func(s *stage, r *verdict) { r.LogSize++ }), client.ErrBadAnswer},
	"expired":                     {evaluate, on(func(s *stage, r *verdict) { r.ExpireTime = timestamppb.New(s.Clock.Now().Add(-time.Second)) }), client.ErrExpired},
	"expires now":                 {evaluate, on(func(s *stage, r *verdict) { r.ExpireTime = timestamppb.New(s.Clock.Now()) }), client.ErrExpired},
	"never expires":               {evaluate, on(func(s *stage, r *verdict) { r.ExpireTime = nil }), client.ErrExpired},
	"allowed, with reasons":       {evaluate, on(func(s *stage, r *verdict) { r.Reasons = []*sekishov1.Reason{{Code: sekishov1.ReasonCode_REVOKED}} }), client.ErrBadAnswer},
	"allowed, without evidence":   {evaluate, on(func(s *stage, r *verdict) { r.Evidence = nil }), client.ErrBadAnswer},
	"allowed, by no policy":       {evaluate, on(func(s *stage, r *verdict) { r.Policy = nil }), client.ErrBadAnswer},
	"allowed, at too low a level": {evaluate, on(func(s *stage, r *verdict) { r.BuildLevel = 0 }), client.ErrBadAnswer},
	"allowed, by evidence to come": {evaluate, on(func(s *stage, r *verdict) {
		r.Evidence[0].LogIndex = r.LogSize
	}), client.ErrBadAnswer},
	"one answer too few":  {evaluateTwo, on(func(s *stage, r *batch) { r.Responses = r.Responses[:1] }), client.ErrBadAnswer},
	"one answer too many": {evaluateTwo, on(func(s *stage, r *batch) { r.Responses = append(r.Responses, r.Responses[0]) }), client.ErrBadAnswer},
	"answers in disorder": {evaluateTwo, on(func(s *stage, r *batch) { r.Responses[0], r.Responses[1] = r.Responses[1], r.Responses[0] }), client.ErrBadAnswer},
	"an explanation alone": {
		func(s *stage, c *client.Client) error { _, err := c.Explain(s.t.Context(), question(app)); return err },
		on(func(s *stage, r *sekishov1.ExplainArtifactResponse) { r.Decision = nil }), client.ErrBadAnswer,
	},

	// Lists.
	"the same page for ever": {list, func(s *stage, req, resp proto.Message) {
		if r, ok := resp.(*sekishov1.ListAttestationsResponse); ok {
			r.NextPageToken = "1"
		}
	}, client.ErrBadAnswer},
	"the same page under fresh names": {list, func(s *stage, req, resp proto.Message) {
		if r, ok := resp.(*sekishov1.ListAttestationsResponse); ok {
			r.Attestations, r.NextPageToken = nil, req.(*sekishov1.ListAttestationsRequest).PageToken+"1"
			r.Attestations = append(r.Attestations, &sekishov1.Attestation{LogIndex: 2})
		}
	}, client.ErrBadAnswer},
	"nothing, and more of it": {list, on(func(s *stage, r *sekishov1.ListAttestationsResponse) { r.Attestations, r.NextPageToken = nil, "1" }), client.ErrBadAnswer},

	// Documents.
	"another SBOM": {getSBOM, on(func(s *stage, r *sekishov1.GetSbomResponse) {
		r.Document = bytes.Replace(r.Document, []byte("1.3.0"), []byte("9.9.9"), 1)
	}), client.ErrWrongAttestation},
	"the SBOM of something else": {getSBOM, on(func(s *stage, r *sekishov1.GetSbomResponse) { r.Attestation = s.serves(2).Attestation }), client.ErrWrongAttestation},
	"the SBOM of nothing":        {getSBOM, on(func(s *stage, r *sekishov1.GetSbomResponse) { r.Attestation = nil }), client.ErrWrongAttestation},
	"another trust root": {
		func(s *stage, c *client.Client) error { _, err := c.TrustRoot(s.t.Context()); return err },
		on(func(s *stage, r *sekishov1.GetTrustRootResponse) { r.Document = append(r.Document, '\n') }), client.ErrWrongAttestation,
	},
	"a trust root as policy": {
		func(s *stage, c *client.Client) error { _, err := c.Policy(s.t.Context()); return err },
		on(func(s *stage, r *sekishov1.GetPolicyResponse) {
			r.Document, r.Digest, r.LogIndex = s.Initial.Bytes(), s.serves(0).Attestation.Digest, 0
		}), client.ErrWrongAttestation,
	},
	"another key under its id": {
		func(s *stage, c *client.Client) error { _, err := c.Keys(s.t.Context()); return err },
		on(func(s *stage, r *sekishov1.ListKeysResponse) { r.Keys[0].Pem = testhouse.PublicPEM(s.Root) }), client.ErrBadProof,
	},
}

func getSBOM(s *stage, c *client.Client) error { _, err := c.GetSBOM(s.t.Context(), app); return err }

func newStage(t *testing.T) *stage {
	t.Helper()
	s := &stage{serve(t), newLiar(t, "log.example/liar"), t}
	s.built(t, app)
	s.built(t, other)
	up := &sekishov1.UploadSbomRequest{Artifact: &sekishov1.Artifact{Digest: app.Set()}, Document: bom}
	if _, err := s.service.ask(t).UploadSBOM(t.Context(), up); err != nil {
		t.Fatal(err)
	}
	return s
}

// TestLies: each lie is refused for its reason, moves nothing that is remembered,
// and is forgotten when the service is honest again.
func TestLies(t *testing.T) {
	s := newStage(t)
	for name, l := range lies {
		t.Run(name, func(t *testing.T) {
			s.t = t
			dir := t.TempDir()
			c := s.service.ask(t, state(dir), between(s.liar.between))
			s.tell(nil, nil)
			_, before := met(t, c)
			files := remembered(t, dir)

			told := false
			s.tell(func(_ string, req, resp proto.Message) error {
				was := proto.Clone(resp)
				l.tell(s, req, resp)
				told = told || !proto.Equal(was, resp)
				return nil
			}, nil)
			err := l.do(s, c)
			var refusal *client.Refusal
			if !errors.Is(err, l.want) || !errors.Is(err, client.ErrBadProof) || !errors.As(err, &refusal) || refusal.Reason != l.want {
				t.Errorf("%v (%[1]T), want %s", err, l.want)
			}
			if !told {
				t.Error("nothing was told")
			}
			s.tell(nil, nil)
			if _, after := met(t, c); after.Size != before.Size || after.Root != before.Root {
				t.Errorf("the lie moved the largest checkpoint from %d to %d", before.Size, after.Size)
			}
			if !maps.Equal(files, remembered(t, dir)) {
				t.Error("the lie changed what is remembered")
			}
			if err := evaluate(s, c); err != nil {
				t.Errorf("the truth, afterwards: %v", err)
			}
		})
	}
}

// TestLiesAtFirstSight: the log is not the one that was met, or that is expected.
func TestLiesAtFirstSight(t *testing.T) {
	s := newStage(t)
	other := newLiar(t, s.key.Origin())
	for name, l := range map[string]struct {
		tell   func(r *sekishov1.GetCheckpointResponse)
		change with
		want   client.Reason
	}{
		"rolled back": {func(r *sekishov1.GetCheckpointResponse) { r.TreeSize, r.Checkpoint = 2, s.sign(2, junk) }, nil, client.ErrRollback},
		"forked":      {func(r *sekishov1.GetCheckpointResponse) { r.Checkpoint = s.sign(r.TreeSize, junk) }, nil, client.ErrInconsistent},
		"grown, and not proven": {func(r *sekishov1.GetCheckpointResponse) {
			r.TreeSize++
			r.Checkpoint = s.sign(r.TreeSize, junk)
		}, nil, client.ErrInconsistent},
		"another key": {func(r *sekishov1.GetCheckpointResponse) {
			r.VerifierKey, r.Checkpoint = other.key.String(), other.sign(read(t, r.Checkpoint))
		}, nil, client.ErrLogKeyChanged},
		"not the pinned key":  {func(*sekishov1.GetCheckpointResponse) {}, func(c *client.Config) { c.LogKey = other.key.String() }, client.ErrLogKeyChanged},
		"not the origin":      {func(*sekishov1.GetCheckpointResponse) {}, func(c *client.Config) { c.LogOrigin = "log.example/honest" }, client.ErrLogKeyChanged},
		"no key":              {func(r *sekishov1.GetCheckpointResponse) { r.VerifierKey = "" }, nil, client.ErrBadProof},
		"no checkpoint":       {func(r *sekishov1.GetCheckpointResponse) { r.Checkpoint = "" }, nil, client.ErrBadProof},
		"not signed":          {func(r *sekishov1.GetCheckpointResponse) { r.Checkpoint = other.sign(read(t, r.Checkpoint)) }, nil, client.ErrBadProof},
		"described smaller":   {func(r *sekishov1.GetCheckpointResponse) { r.TreeSize-- }, nil, client.ErrBadProof},
		"described otherwise": {func(r *sekishov1.GetCheckpointResponse) { r.Origin = "log.example/honest" }, nil, client.ErrBadProof},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s.tell(nil, nil)
			met(t, s.service.ask(t, state(dir), between(s.liar.between)))
			files := remembered(t, dir)
			s.tell(func(_ string, _, resp proto.Message) error {
				if r, ok := resp.(*sekishov1.GetCheckpointResponse); ok {
					l.tell(r)
				}
				return nil
			}, nil)
			options := []with{state(dir), between(s.liar.between)}
			if l.change != nil {
				options = append(options, l.change)
			}
			c := s.service.ask(t, options...)
			for range 2 { // nor is it believed the second time
				var refusal *client.Refusal
				if err := evaluate(s, c); !errors.As(err, &refusal) || refusal.Reason != l.want {
					t.Errorf("%v, want %s", err, l.want)
				}
			}
			if !maps.Equal(files, remembered(t, dir)) {
				t.Error("the lie changed what is remembered")
			}
		})
	}
}

// TestLyingToTheService: somebody between drops what the caller asked for.
func TestLyingToTheService(t *testing.T) {
	s := newStage(t)
	c := s.service.ask(t, between(s.liar.between))
	q := question(app)
	q.MinLogSize = s.checkpoint(t).Size + 1
	if _, err := c.Evaluate(t.Context(), q); !errors.Is(err, client.ErrStaleIndex) {
		t.Errorf("%v, want STALE_INDEX", err)
	}
	s.tell(nil, func(_ string, req proto.Message) {
		if r, ok := req.(*sekishov1.EvaluateDeploymentRequest); ok {
			r.MinLogSize = 0
		}
	})
	if _, err := c.Evaluate(t.Context(), q); !errors.Is(err, client.ErrBadAnswer) {
		t.Errorf("older than was asked: %v", err)
	}
	s.tell(nil, func(_ string, req proto.Message) {
		if r, ok := req.(*sekishov1.CreateAttestationRequest); ok {
			r.Document = &sekishov1.CreateAttestationRequest_Statement{Statement: testhouse.Provenance(other, "https://localhost/ci")}
		}
	})
	if err := register(s, c); !errors.Is(err, client.ErrWrongAttestation) {
		t.Errorf("another statement was signed: %v", err)
	}
	s.tell(func(_ string, _, resp proto.Message) error {
		if r, ok := resp.(*sekishov1.ListKeysResponse); ok {
			r.Keys[0].Purpose = sekishov1.KeyPurpose_KEY_PURPOSE_SEAL
		}
		return nil
	}, nil)
	if _, err := c.Register(t.Context(), &sekishov1.CreateAttestationRequest{
		Document: &sekishov1.CreateAttestationRequest_Statement{Statement: testhouse.Provenance(app, "https://localhost/again")},
	}); !errors.Is(err, client.ErrWrongAttestation) {
		t.Errorf("signed with a key for something else: %v", err)
	}
}

// TestUnknownVerdictIsDeny: a verdict that is not known yet is no permission.
func TestUnknownVerdictIsDeny(t *testing.T) {
	s := newStage(t)
	c := s.service.ask(t, between(s.liar.between))
	for _, v := range []sekishov1.Verdict{0, 3, -1} {
		s.tell(func(_ string, _, resp proto.Message) error {
			if r, ok := resp.(*verdict); ok {
				r.Verdict = v
			}
			return nil
		}, nil)
		resp, err := c.Evaluate(t.Context(), question(app))
		if err != nil || resp.GetVerdict() != sekishov1.Verdict_VERDICT_DENY {
			t.Errorf("verdict %d: %v, %v", v, resp, err)
		}
	}
}

// TestQuestionsOfNothing: a question that names no artifact is not even asked
// (advisory class A8).
func TestQuestionsOfNothing(t *testing.T) {
	s := serve(t)
	s.stop()
	c := s.ask(t)
	for name, q := range map[string]struct {
		digest map[string]string
		want   client.Reason
	}{
		"nothing":     {nil, client.ErrNoArtifact},
		"a weak hash": {map[string]string{"sha1": "da39a3ee5e6b4b0d3255bfef95601890afd80709"}, client.ErrNoArtifact},
		"half a hash": {map[string]string{"sha256": "00"}, client.ErrMalformedDigest},
		"upper case":  {map[string]string{"sha256": "E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855"}, client.ErrMalformedDigest},
	} {
		_, err := c.Evaluate(t.Context(), &sekishov1.EvaluateDeploymentRequest{Artifact: &sekishov1.Artifact{Digest: q.digest}})
		if !errors.Is(err, q.want) {
			t.Errorf("%s: %v, want %s", name, err, q.want)
		}
	}
}
