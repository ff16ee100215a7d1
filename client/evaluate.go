package client

import (
	"context"
	"fmt"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/sekisho-dev/sekisho/attest"
	sekishov1 "github.com/sekisho-dev/sekisho/proto/sekisho/v1"
)

// Evaluate asks whether an artifact may be deployed. MinLogSize is raised to the
// largest log that was seen, so that nothing that was ever shown to this client, a
// revocation above all, is missing from the answer.
//
// The verdict of what it returns is ALLOW or DENY, never anything else. An error is
// the lack of an answer: treat it as a refusal.
func (c *Client) Evaluate(ctx context.Context, req *sekishov1.EvaluateDeploymentRequest) (*sekishov1.EvaluateDeploymentResponse, error) {
	floor, req, err := c.ask(ctx, req)
	if err != nil {
		return nil, err
	}
	resp, err := c.admits.EvaluateDeployment(ctx, req)
	if err != nil {
		return nil, err
	}
	if err := c.answer(ctx, floor, req, resp); err != nil {
		return nil, err
	}
	return resp, nil
}

// EvaluateBatch asks for several artifacts, at most 1000, from one snapshot. The
// answers are in the order of the questions; if one of them does not pass its
// checks, none is returned.
func (c *Client) EvaluateBatch(ctx context.Context, reqs []*sekishov1.EvaluateDeploymentRequest) ([]*sekishov1.EvaluateDeploymentResponse, error) {
	var floor attest.Checkpoint
	batch := &sekishov1.BatchEvaluateDeploymentsRequest{}
	for _, req := range reqs {
		var err error
		if floor, req, err = c.ask(ctx, req); err != nil {
			return nil, err
		}
		batch.Requests = append(batch.Requests, req)
	}
	resp, err := c.admits.BatchEvaluateDeployments(ctx, batch)
	if err != nil {
		return nil, err
	}
	if len(resp.GetResponses()) != len(reqs) {
		return nil, refuse(ErrBadAnswer, nil, "%d answers to %d questions", len(resp.GetResponses()), len(reqs))
	}
	for i, r := range resp.GetResponses() {
		if err := c.answer(ctx, floor, batch.Requests[i], r); err != nil {
			return nil, fmt.Errorf("answer %d: %w", i, err)
		}
	}
	return resp.GetResponses(), nil
}

// Explain asks the same question as Evaluate, and what every attestation about the
// artifact counts for, page after page. The decision is checked as Evaluate's is, on
// each page, and the last one is returned; the findings are what the server says of them.
func (c *Client) Explain(ctx context.Context, req *sekishov1.EvaluateDeploymentRequest) (*sekishov1.ExplainArtifactResponse, error) {
	floor, req, err := c.ask(ctx, req)
	if err != nil {
		return nil, err
	}
	all := &sekishov1.ExplainArtifactResponse{}
	checked := func(ctx context.Context, page *sekishov1.ExplainArtifactRequest, opts ...grpc.CallOption) (*sekishov1.ExplainArtifactResponse, error) {
		resp, err := c.admits.ExplainArtifact(ctx, page, opts...)
		switch {
		case err != nil:
			return nil, err
		case resp.GetDecision() == nil:
			return nil, refuse(ErrBadAnswer, nil, "an explanation without a decision")
		}
		if err := c.answer(ctx, floor, req, resp.GetDecision()); err != nil {
			return nil, err
		}
		all.Decision, resp.Decision = resp.Decision, nil // its time would make every page another one
		return resp, nil
	}
	for f, err := range pages(&sekishov1.ExplainArtifactRequest{Question: req}, checked, ctx, func(r *sekishov1.ExplainArtifactRequest, token string) { r.PageToken = token },
		(*sekishov1.ExplainArtifactResponse).GetFindings) {
		if err != nil {
			return nil, err
		}
		all.Findings = append(all.Findings, f)
	}
	return all, nil
}

// ask prepares a question. It names an artifact, or there is no answer to check
// (advisory class A8: nothing asked must not be everything allowed).
func (c *Client) ask(ctx context.Context, req *sekishov1.EvaluateDeploymentRequest) (attest.Checkpoint, *sekishov1.EvaluateDeploymentRequest, error) {
	digest := attest.DigestSet(req.GetArtifact().GetDigest())
	if len(digest.Acceptable()) == 0 {
		return attest.Checkpoint{}, nil, fmt.Errorf("%w: the question names no artifact by a digest that may identify one", ErrNoArtifact)
	}
	if err := digest.Validate(); err != nil {
		return attest.Checkpoint{}, nil, fmt.Errorf("%w: %w", ErrMalformedDigest, err)
	}
	floor, err := c.meet(ctx)
	if err != nil {
		return attest.Checkpoint{}, nil, err
	}
	req = proto.CloneOf(req)
	req.MinLogSize = max(req.MinLogSize, floor.Size)
	return floor, req, nil
}

// answer checks an answer against its question, and makes every verdict that is
// not ALLOW a DENY.
func (c *Client) answer(ctx context.Context, floor attest.Checkpoint, req *sekishov1.EvaluateDeploymentRequest, resp *sekishov1.EvaluateDeploymentResponse) error {
	if resp == nil {
		return refuse(ErrBadAnswer, nil, "an answer is missing")
	}
	if resp.Verdict != sekishov1.Verdict_VERDICT_ALLOW {
		resp.Verdict = sekishov1.Verdict_VERDICT_DENY
	}
	if what := mismatch(req, resp); what != "" {
		return refuse(ErrBadAnswer, nil, "the answer is to another question: %s", what)
	}
	cp, err := c.opened(floor, resp.GetCheckpoint())
	if err != nil {
		return err
	}
	if resp.GetLogSize() != cp.Size || cp.Size < req.GetMinLogSize() {
		return refuse(ErrBadAnswer, nil, "the answer is from a log of %d entries, its checkpoint has %d, and %d were asked for", resp.GetLogSize(), cp.Size, req.GetMinLogSize())
	}
	if now := c.c.Now(); resp.ExpireTime == nil || !now.Before(resp.GetExpireTime().AsTime()) {
		return refuse(ErrExpired, nil, "the answer expired at %s; the clock here says %s", resp.GetExpireTime().AsTime(), now.UTC())
	}
	if what := contradiction(req, resp); what != "" {
		return refuse(ErrBadAnswer, nil, "the answer allows and contradicts itself: %s", what)
	}
	return c.adopt(ctx, cp)
}

// mismatch says in what an answer is not to this question.
func mismatch(req *sekishov1.EvaluateDeploymentRequest, resp *sekishov1.EvaluateDeploymentResponse) string {
	if asked, got := req.GetArtifact().GetDigest(), resp.GetArtifact().GetDigest(); !equalDigests(asked, got) {
		return fmt.Sprintf("it is about %s, asked was %s", short(got), short(asked))
	}
	asked := req.GetEnvironment()
	if asked == "" {
		asked = "default"
	}
	if got := resp.GetEnvironment(); got != asked {
		return fmt.Sprintf("it is for environment %.80q, asked was %q", got, asked)
	}
	return ""
}

// contradiction says why an answer that allows cannot be right. An environment that
// only audits allows whatever its reasons say, and says so.
func contradiction(req *sekishov1.EvaluateDeploymentRequest, resp *sekishov1.EvaluateDeploymentResponse) string {
	if resp.GetVerdict() != sekishov1.Verdict_VERDICT_ALLOW {
		return ""
	}
	for _, e := range resp.GetEvidence() {
		if e.GetLogIndex() >= resp.GetLogSize() {
			return fmt.Sprintf("its evidence at index %d is not in a log of %d entries", e.GetLogIndex(), resp.GetLogSize())
		}
	}
	switch {
	case resp.GetPolicy().GetDigest() == "":
		return "no policy decided"
	case resp.GetAudit():
		return ""
	case len(resp.GetReasons()) > 0:
		return "it has reasons to deny, the first " + resp.GetReasons()[0].GetCode().String()
	case len(resp.GetEvidence()) == 0:
		return "it rests on no evidence"
	case resp.GetBuildLevel() < req.GetMinBuildLevel():
		return fmt.Sprintf("it reaches build level %d, asked was %d", resp.GetBuildLevel(), req.GetMinBuildLevel())
	}
	return ""
}
