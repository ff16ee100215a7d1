package hammer

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/sekisho-dev/sekisho/attest"
	sekishov1 "github.com/sekisho-dev/sekisho/proto/sekisho/v1"
)

// patience is how long who is honest waits for an answer. Whoever waited so long was
// turned away.
const patience = 30 * time.Second

// honest are those for whom the service is there. Every answer that they get is checked.
type honest struct {
	*promises
	s        *service
	deployer string // a token
	auditor  string
	asking   *grpc.ClientConn
	json     *http.Client

	serial atomic.Int64
	mu     sync.Mutex
	known  []entry // registered, and allowed at level 1 from then on
}

// An entry is an artifact that may be deployed, and where the log says so.
type entry struct {
	artifact attest.Digest
	digest   string
	index    uint64
}

func newHonest(s *service, p *promises, t tokens) (*honest, error) {
	conn, err := dial(s.grpc)
	if err != nil {
		return nil, err
	}
	return &honest{promises: p, s: s, deployer: t.deployer, auditor: t.auditor, asking: conn, json: &http.Client{Timeout: patience, Transport: &http.Transport{MaxIdleConnsPerHost: 4}}}, nil
}

func (h *honest) close() {
	h.asking.Close() //nolint:errcheck // nothing is under way any more
	h.json.CloseIdleConnections()
}

// deeds are what honest callers do. Who asks a question must hardly notice an attack;
// who brings megabytes shares what room there is for them with everybody who does.
func (h *honest) deeds() []deed {
	return []deed{
		{name: "register", workers: 4, pause: 80 * time.Millisecond, turned: .02, do: h.register},
		{name: "evaluate", workers: 4, pause: 10 * time.Millisecond, turned: .01, do: h.evaluate},
		{name: "evaluate over JSON", workers: 2, pause: 20 * time.Millisecond, turned: .02, do: h.evaluateJSON},
		{name: "evaluate on a new connection", pause: 500 * time.Millisecond, turned: .05, do: h.evaluateFresh},
		{name: "evaluate a batch", pause: 500 * time.Millisecond, turned: .02, do: h.batch},
		{name: "upload an SBOM of 3 MiB", pause: 8 * time.Second, turned: .25, do: h.uploadSBOM},
		{name: "explain", pause: 300 * time.Millisecond, turned: .02, do: h.explain},
		{name: "list", pause: 200 * time.Millisecond, turned: .02, do: h.list},
		{name: "get", workers: 2, pause: 50 * time.Millisecond, turned: .02, do: h.get},
	}
}

// patient returns the context of one call.
func patient(ctx context.Context, token string) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	return as(ctx, token), cancel
}

// register has the provenance of a new artifact signed, and verifies the receipt.
func (h *honest) register(ctx context.Context) (string, error) {
	ctx, cancel := patient(ctx, h.s.token)
	defer cancel()
	a := artifact("honest", h.serial.Add(1))
	resp, err := sekishov1.NewAttestationServiceClient(h.s.conn).CreateAttestation(ctx, &sekishov1.CreateAttestationRequest{
		Document: &sekishov1.CreateAttestationRequest_Statement{Statement: provenance(a, localBuilder, strings.Repeat("x", 1500))}})
	if err != nil {
		return outcome(err), nil
	}
	if err := h.acknowledge(resp.GetReceipt(), resp.GetAttestation()); err != nil {
		return "", err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.known = append(h.known, entry{a, resp.GetAttestation().GetDigest(), resp.GetAttestation().GetLogIndex()})
	return ok, nil
}

// some is an entry that was registered; once it is there, there is always one.
func (h *honest) some() entry {
	h.mu.Lock()
	defer h.mu.Unlock()
	if n := len(h.known); rand.IntN(2) == 0 {
		return h.known[n-1] // the newest has to be there too
	} else {
		return h.known[rand.IntN(n)]
	}
}

// A question is one to which the answer is known.
type question struct {
	ask     *sekishov1.EvaluateDeploymentRequest
	verdict sekishov1.Verdict
	reason  sekishov1.ReasonCode // one of them, where it is denied
}

// anything is a question of one of the kinds that there are.
func (h *honest) anything() question {
	switch rand.IntN(6) {
	case 0:
		return unknown(artifact("nobody", rand.Int()))
	case 1:
		return tooLow(h.some())
	case 2:
		return allowed(entry{artifact: target(0)}) // that strangers say very much about it changes nothing
	case 3:
		return stranger(target(1))
	}
	return allowed(h.some())
}

func ask(a attest.Digest, level int32) *sekishov1.EvaluateDeploymentRequest {
	return &sekishov1.EvaluateDeploymentRequest{Artifact: &sekishov1.Artifact{Digest: a.Set()}, MinBuildLevel: level}
}

func allowed(e entry) question {
	q := question{ask: ask(e.artifact, 1), verdict: sekishov1.Verdict_VERDICT_ALLOW}
	if e.index > 0 {
		q.ask.MinLogSize = e.index + 1 // as who registered it has seen it
	}
	return q
}

func tooLow(e entry) question {
	q := allowed(e)
	q.ask.MinBuildLevel, q.verdict, q.reason = 3, sekishov1.Verdict_VERDICT_DENY, sekishov1.ReasonCode_LEVEL_TOO_LOW
	return q
}

func unknown(a attest.Digest) question {
	return question{ask(a, 1), sekishov1.Verdict_VERDICT_DENY, sekishov1.ReasonCode_NO_EVIDENCE}
}

func stranger(a attest.Digest) question {
	return question{ask(a, 1), sekishov1.Verdict_VERDICT_DENY, sekishov1.ReasonCode_UNKNOWN_SIGNER}
}

// check compares an answer with the one that is right.
func (q question) check(got *sekishov1.EvaluateDeploymentResponse) error {
	if got.GetVerdict() != q.verdict {
		return fmt.Errorf("%v at level %d: want %v, got %v, because %v", q.ask.GetArtifact().GetDigest(), q.ask.GetMinBuildLevel(), q.verdict, got.GetVerdict(), got.GetReasons())
	}
	if got.GetLogSize() < q.ask.GetMinLogSize() {
		return fmt.Errorf("an answer of %d entries, where %d have been seen", got.GetLogSize(), q.ask.GetMinLogSize())
	}
	if q.verdict == sekishov1.Verdict_VERDICT_ALLOW {
		if got.GetBuildLevel() != 1 || len(got.GetEvidence()) == 0 {
			return fmt.Errorf("allowed at level %d by %d pieces of evidence: want level 1 and one at least", got.GetBuildLevel(), len(got.GetEvidence()))
		}
		return nil
	}
	if !slices.ContainsFunc(got.GetReasons(), func(r *sekishov1.Reason) bool { return r.GetCode() == q.reason }) {
		return fmt.Errorf("%v at level %d: want %v among the reasons, got %v", q.ask.GetArtifact().GetDigest(), q.ask.GetMinBuildLevel(), q.reason, got.GetReasons())
	}
	return nil
}

func (h *honest) evaluate(ctx context.Context) (string, error) {
	return h.evaluateOn(ctx, h.asking)
}

func (h *honest) evaluateOn(ctx context.Context, conn *grpc.ClientConn) (string, error) {
	ctx, cancel := patient(ctx, h.deployer)
	defer cancel()
	q := h.anything()
	resp, err := sekishov1.NewAdmissionServiceClient(conn).EvaluateDeployment(ctx, q.ask)
	if err != nil {
		return outcome(err), nil
	}
	return ok, q.check(resp)
}

// evaluateFresh asks as a command does: on a connection of its own.
func (h *honest) evaluateFresh(ctx context.Context) (string, error) {
	conn, err := dial(h.s.grpc)
	if err != nil {
		return "", err
	}
	defer conn.Close() //nolint:errcheck // it was for one question
	return h.evaluateOn(ctx, conn)
}

func (h *honest) batch(ctx context.Context) (string, error) {
	ctx, cancel := patient(ctx, h.deployer)
	defer cancel()
	qs := make([]question, 20)
	req := &sekishov1.BatchEvaluateDeploymentsRequest{}
	for i := range qs {
		qs[i] = h.anything()
		req.Requests = append(req.Requests, qs[i].ask)
	}
	resp, err := sekishov1.NewAdmissionServiceClient(h.asking).BatchEvaluateDeployments(ctx, req)
	if err != nil {
		return outcome(err), nil
	}
	if n := len(resp.GetResponses()); n != len(qs) {
		return "", fmt.Errorf("%d answers to %d questions", n, len(qs))
	}
	for i, q := range qs {
		if err := q.check(resp.GetResponses()[i]); err != nil {
			return "", err
		}
	}
	return ok, nil
}

func (h *honest) evaluateJSON(ctx context.Context) (string, error) {
	q := h.anything()
	body, err := protojson.Marshal(q.ask)
	if err != nil {
		return "", err
	}
	answer, how := h.post(ctx, "/v1/deployments:evaluate", h.deployer, body)
	if how != ok {
		return how, nil
	}
	var resp sekishov1.EvaluateDeploymentResponse
	if err := protojson.Unmarshal(answer, &resp); err != nil {
		return "", fmt.Errorf("an answer that is not its JSON: %w", err)
	}
	return ok, q.check(&resp)
}

func (h *honest) post(ctx context.Context, path, token string, body []byte) (answer []byte, how string) {
	return send(ctx, h.json, http.MethodPost, "http://"+h.s.http+path, token, bytes.NewReader(body))
}

// send asks the JSON port, and returns the answer and how it ended, in the words of
// outcome.
func send(ctx context.Context, c *http.Client, method, url, token string, body io.Reader) (answer []byte, how string) {
	req, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		return nil, err.Error()
	}
	req.Header.Set("Content-Type", "application/json")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := c.Do(req)
	if err != nil {
		return nil, lostOrLate(err)
	}
	defer resp.Body.Close() //nolint:errcheck // it is read
	if answer, err = io.ReadAll(io.LimitReader(resp.Body, 64<<20)); err != nil {
		return nil, lostOrLate(err)
	}
	if resp.StatusCode == http.StatusOK {
		return answer, ok
	}
	var e struct {
		Error struct {
			Reason string `json:"reason"`
		} `json:"error"`
	}
	if json.Unmarshal(answer, &e) == nil && e.Error.Reason != "" {
		return answer, e.Error.Reason
	}
	return answer, fmt.Sprintf("HTTP %d", resp.StatusCode)
}

// lostOrLate is the outcome of an exchange that did not come to an answer.
func lostOrLate(err error) string {
	if late, is := errors.AsType[net.Error](err); is && late.Timeout() {
		return "DEADLINE_EXCEEDED"
	}
	return lost
}
