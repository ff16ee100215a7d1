package server

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/sekisho-dev/sekisho/attest"
	"github.com/sekisho-dev/sekisho/policy"
	sekishov1 "github.com/sekisho-dev/sekisho/proto/sekisho/v1"
	"github.com/sekisho-dev/sekisho/server/decide"
)

// maxBatch is the largest number of questions in one batch.
const maxBatch = 1000

// admission is the AdmissionService.
type admission struct {
	sekishov1.UnimplementedAdmissionServiceServer
	Config
}

func (a *admission) EvaluateDeployment(ctx context.Context, req *sekishov1.EvaluateDeploymentRequest) (*sekishov1.EvaluateDeploymentResponse, error) {
	q, err := question(req)
	if err != nil {
		return nil, err
	}
	answers, err := a.Decide.Decide(ctx, q)
	if err != nil {
		return nil, err
	}
	return answer(&answers[0]), nil
}

func (a *admission) BatchEvaluateDeployments(ctx context.Context, req *sekishov1.BatchEvaluateDeploymentsRequest) (*sekishov1.BatchEvaluateDeploymentsResponse, error) {
	if n := len(req.GetRequests()); n == 0 || n > maxBatch {
		return nil, fmt.Errorf("%w: %d requests, want 1 to %d", errBadRequest, n, maxBatch)
	}
	questions := make([]decide.Question, len(req.GetRequests()))
	for i, r := range req.GetRequests() {
		var err error
		if questions[i], err = question(r); err != nil {
			return nil, fmt.Errorf("request %d: %w", i, err)
		}
	}
	answers, err := a.Decide.Decide(ctx, questions...)
	if err != nil {
		return nil, err
	}
	resp := &sekishov1.BatchEvaluateDeploymentsResponse{}
	for i := range answers {
		resp.Responses = append(resp.Responses, answer(&answers[i]))
	}
	return resp, nil
}

func (a *admission) ExplainArtifact(ctx context.Context, req *sekishov1.ExplainArtifactRequest) (*sekishov1.ExplainArtifactResponse, error) {
	q, err := question(req.GetQuestion())
	if err != nil {
		return nil, err
	}
	from, err := pageStart(req.GetPageToken())
	if err != nil {
		return nil, err
	}
	resp, page := &sekishov1.ExplainArtifactResponse{}, newPage(req.GetPageSize(), 1000, 10000)
	decision, next, more, err := a.Decide.Explain(ctx, q, from, func(known decide.Finding) bool {
		f := finding(known)
		if !take(page, f) {
			return false
		}
		resp.Findings = append(resp.Findings, f)
		return true
	})
	if err != nil {
		return nil, err
	}
	resp.Decision = answer(&decision)
	if more {
		resp.NextPageToken = pageToken(next)
	}
	return resp, nil
}

// question reads a request. Everything that it does not name it leaves to the policy.
func question(req *sekishov1.EvaluateDeploymentRequest) (decide.Question, error) {
	level := attest.Level(req.GetMinBuildLevel())
	if !level.Valid() {
		return decide.Question{}, fmt.Errorf("%w: %d; build levels are 0 to 3", attest.ErrLevel, req.GetMinBuildLevel())
	}
	return decide.Question{
		Question: policy.Question{
			Artifact:    req.GetArtifact().GetDigest(),
			Names:       req.GetArtifact().GetNames(),
			Environment: req.GetEnvironment(),
			MinLevel:    level,
			Source:      req.GetSource(),
			Branch:      req.GetBranch(),
			Tag:         req.GetTag(),
			Semver:      req.GetSemver(),
			Builder:     req.GetBuilder(),
		},
		MinLogSize: req.GetMinLogSize(),
	}, nil
}

func answer(a *decide.Answer) *sekishov1.EvaluateDeploymentResponse {
	resp := &sekishov1.EvaluateDeploymentResponse{
		Verdict:     sekishov1.Verdict_VERDICT_DENY,
		BuildLevel:  int32(a.Level),
		Artifact:    &sekishov1.Artifact{Digest: a.Question.Artifact, Names: a.Question.Names},
		Environment: a.Question.Environment,
		TrustRoot:   &sekishov1.TrustRootRef{Digest: string(a.TrustRoot.Digest), Version: a.TrustedBy.Version()},
		Checkpoint:  string(a.Checkpoint.Note),
		LogSize:     a.Checkpoint.Size,
		EvaluatedAt: timestamppb.New(a.EvaluatedAt),
		ExpireTime:  timestamppb.New(a.Expires),
		Audit:       a.Audit,
	}
	if a.Verdict == policy.Allow {
		resp.Verdict = sekishov1.Verdict_VERDICT_ALLOW
	}
	if resp.Environment == "" {
		resp.Environment = policy.DefaultEnvironment
	}
	if a.Policy != nil {
		resp.Policy = &sekishov1.PolicyRef{Digest: string(a.PolicyRef.Digest), Name: a.Policy.Name, Version: a.Policy.Version}
	}
	for _, r := range a.Reasons {
		resp.Reasons = append(resp.Reasons, reason(r))
	}
	for _, e := range a.Evidence {
		resp.Evidence = append(resp.Evidence, &sekishov1.Evidence{
			Digest:        string(e.Digest),
			LogIndex:      e.LogIndex,
			PredicateType: e.PredicateType,
			BuilderId:     e.BuilderID,
			BuildLevel:    int32(e.Level),
			Signer:        e.Signer,
		})
	}
	return resp
}

func reason(r policy.Reason) *sekishov1.Reason {
	out := &sekishov1.Reason{
		Code:     sekishov1.ReasonCode(sekishov1.ReasonCode_value[r.Code.String()]),
		Rule:     r.Rule,
		Expected: r.Expected,
		Found:    r.Found,
		Remedy:   r.Remedy,
	}
	if r.Nearest != nil {
		out.Nearest = &sekishov1.Nearest{Attestation: string(r.Nearest.Attestation), Field: r.Nearest.Field}
	}
	return out
}

func finding(f decide.Finding) *sekishov1.Finding {
	out := &sekishov1.Finding{
		Attestation: attestation(f.LogIndex, f.Facts),
		Signer:      f.Signer,
		Builder:     f.Builder,
		BuildLevel:  int32(f.Level),
		ProvenTime:  optionalTime(f.ProvenBy),
		ClaimedTime: optionalTime(f.ClaimedAt),
		Source:      f.Source.Repository,
	}
	if f.Source.Ref != "" {
		out.Source += "@" + f.Source.Ref
	}
	if f.Belief.Err != nil {
		out.Reason = &sekishov1.Reason{
			Code:  sekishov1.ReasonCode(sekishov1.ReasonCode_value[f.Refusal.String()]),
			Found: f.RefusalDetail,
		}
	}
	return out
}

func optionalTime(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}
