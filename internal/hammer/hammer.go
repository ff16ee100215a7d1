// Package hammer puts load on a real service, verifies every receipt that it is
// given, and kills the service with SIGKILL in the middle of it. Whatever was
// acknowledged must be there afterwards, at its place, in a log that extends
// every checkpoint ever shown, and everything must check.
package hammer

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	"github.com/sekisho-dev/sekisho/attest"
	sekishov1 "github.com/sekisho-dev/sekisho/proto/sekisho/v1"
	"github.com/sekisho-dev/sekisho/tlog"
)

// Options say how hard, and how often.
type Options struct {
	Binary  string        // sekishod
	Data    string        // its data directory
	Rounds  int           // how often it is killed
	Workers int           // registrations in flight
	Length  time.Duration // of a round, about
	Out     io.Writer     // progress, one line a round
}

// An acknowledgement is what the service promised.
type acknowledgement struct {
	digest string
	index  uint64
}

// hammer is one run.
type hammer struct {
	Options
	verifier *tlog.Verifier // of the log, as first met

	mu      sync.Mutex
	acked   []acknowledgement
	largest attest.Checkpoint
	serial  int
}

// Run hammers. It returns how many registrations were acknowledged, and the
// first promise that was not kept.
func Run(ctx context.Context, o Options) (acknowledged int, err error) {
	h := &hammer{Options: o}
	for round := range o.Rounds {
		before := len(h.acked)
		if err := h.round(ctx); err != nil {
			return len(h.acked), fmt.Errorf("round %d: %w", round+1, err)
		}
		fmt.Fprintf(o.Out, "round %d: %d acknowledged, killed, %d in all are there\n", round+1, len(h.acked)-before, len(h.acked))
	}
	if len(h.acked) == 0 {
		return 0, errors.New("nothing was acknowledged: the hammer hit nothing")
	}
	return len(h.acked), nil
}

// round starts the service, checks what it promised before, loads it, kills it,
// and checks what it left behind.
func (h *hammer) round(ctx context.Context) error {
	s, err := h.start(ctx)
	if err != nil {
		return err
	}
	defer s.kill()
	if err := h.kept(s); err != nil {
		return err
	}
	work, stop := context.WithTimeout(s.ctx, h.Length/2+rand.N(h.Length))
	defer stop()
	var wg sync.WaitGroup
	lies := make(chan error, h.Workers)
	for range h.Workers {
		wg.Go(func() {
			if err := h.work(work, s); err != nil {
				lies <- err
				stop()
			}
		})
	}
	<-work.Done()
	s.kill()
	wg.Wait()
	select {
	case err := <-lies:
		return err
	default:
	}
	return h.fsck(ctx)
}

// work registers statements, one after the other, until it is stopped. An error
// of the service is none of ours, it is being killed; a receipt that does not
// verify is.
func (h *hammer) work(ctx context.Context, s *service) error {
	client := sekishov1.NewAttestationServiceClient(s.conn)
	for ctx.Err() == nil {
		statement := h.statement()
		resp, err := client.CreateAttestation(ctx, &sekishov1.CreateAttestationRequest{Document: &sekishov1.CreateAttestationRequest_Statement{Statement: statement}})
		if err != nil {
			continue
		}
		if err := h.acknowledge(resp); err != nil {
			return err
		}
	}
	return nil
}

// statement is one that was never registered.
func (h *hammer) statement() []byte {
	h.mu.Lock()
	h.serial++
	artifact := attest.SHA256(fmt.Append(nil, os.Getpid(), h.serial))
	h.mu.Unlock()
	return []byte(`{"_type":"https://in-toto.io/Statement/v1","subject":[{"name":"app","digest":{"sha256":"` + artifact.Hex() + `"}}],` +
		`"predicateType":"https://slsa.dev/provenance/v1","predicate":{"buildDefinition":{"buildType":"https://localhost/hammer@v1",` +
		`"externalParameters":{"source":"git+https://github.com/acme/app@refs/heads/main","padding":"` + strings.Repeat("x", 1500) + `"}},` +
		`"runDetails":{"builder":{"id":"https://localhost/hammer"}}}}`)
}

// acknowledge verifies a receipt and remembers the promise.
func (h *hammer) acknowledge(resp *sekishov1.CreateAttestationResponse) error {
	r := resp.GetReceipt()
	cp, err := h.verifier.Open([]byte(r.GetCheckpoint()))
	if err != nil {
		return fmt.Errorf("acknowledged with a bad checkpoint: %w", err)
	}
	path := make([]attest.Hash, len(r.GetInclusionProof().GetHashes()))
	for i, b := range r.GetInclusionProof().GetHashes() {
		if copy(path[i][:], b) != len(path[i]) {
			return errors.New("acknowledged with a malformed proof")
		}
	}
	var leaf attest.Hash
	copy(leaf[:], r.GetLeafHash())
	if err := tlog.VerifyInclusion(cp, r.GetInclusionProof().GetLogIndex(), leaf, path); err != nil {
		return fmt.Errorf("acknowledged with a bad proof: %w", err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.acked = append(h.acked, acknowledgement{resp.GetAttestation().GetDigest(), resp.GetAttestation().GetLogIndex()})
	if cp.Size > h.largest.Size {
		h.largest = cp
	}
	return nil
}

// kept checks that the service keeps what it promised: a log that extends the
// largest checkpoint it ever showed, and every attestation at its place.
func (h *hammer) kept(s *service) error {
	ctx, cancel := context.WithTimeout(s.ctx, time.Minute)
	defer cancel()
	resp, err := sekishov1.NewLogServiceClient(s.conn).GetCheckpoint(ctx, &sekishov1.GetCheckpointRequest{})
	if err != nil {
		return err
	}
	if h.verifier == nil {
		if h.verifier, err = tlog.NewVerifier(resp.GetVerifierKey()); err != nil {
			return err
		}
	}
	cp, err := h.verifier.Open([]byte(resp.GetCheckpoint()))
	if err != nil {
		return err
	}
	if h.largest.Size > 0 {
		if err := h.extends(ctx, s, cp); err != nil {
			return err
		}
	}
	client := sekishov1.NewAttestationServiceClient(s.conn)
	for _, a := range h.sample() {
		got, err := client.GetAttestation(ctx, &sekishov1.GetAttestationRequest{Attestation: fmt.Sprint(a.index)})
		if err != nil {
			return fmt.Errorf("entry %d was acknowledged and is lost: %w", a.index, err)
		}
		if got.GetAttestation().GetDigest() != a.digest {
			return fmt.Errorf("entry %d was acknowledged as %s and is %s", a.index, a.digest, got.GetAttestation().GetDigest())
		}
	}
	return nil
}

// sample is everything acknowledged, or so much of it as can be asked for in a
// few seconds: the newest, which are most in danger, and some of the rest.
func (h *hammer) sample() []acknowledgement {
	const most = 2000
	if len(h.acked) <= most {
		return h.acked
	}
	some := append([]acknowledgement(nil), h.acked[len(h.acked)-most/2:]...)
	for range most / 2 {
		some = append(some, h.acked[rand.IntN(len(h.acked))])
	}
	return some
}

func (h *hammer) extends(ctx context.Context, s *service, cp attest.Checkpoint) error {
	if cp.Size < h.largest.Size {
		return fmt.Errorf("the log showed %d entries and has %d", h.largest.Size, cp.Size)
	}
	resp, err := sekishov1.NewLogServiceClient(s.conn).GetConsistencyProof(ctx, &sekishov1.GetConsistencyProofRequest{FromSize: h.largest.Size, ToSize: cp.Size})
	if err != nil {
		return err
	}
	path := make([]attest.Hash, len(resp.GetHashes()))
	for i, b := range resp.GetHashes() {
		copy(path[i][:], b)
	}
	return tlog.VerifyConsistency(h.largest, cp, path)
}

// fsck runs the service's own check on what the kill left behind.
func (h *hammer) fsck(ctx context.Context) error {
	out, err := exec.CommandContext(ctx, h.Binary, "fsck", "--data", h.Data, "-o", "json").CombinedOutput()
	if err != nil {
		return fmt.Errorf("fsck after the kill: %w\n%s", err, out)
	}
	return nil
}

// A service is a running sekishod.
type service struct {
	ctx  context.Context
	cmd  *exec.Cmd
	conn *grpc.ClientConn
	dead chan struct{}
	once sync.Once
}

// start starts the service and waits until it is ready.
func (h *hammer) start(ctx context.Context) (*service, error) {
	endpoint := filepath.Join(h.Data, "endpoint.json")
	if err := os.Remove(endpoint); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err // what a killed service left behind
	}
	var stderr bytes.Buffer
	cmd := exec.Command(h.Binary, "--data", h.Data, "--grpc-addr", "127.0.0.1:0", "--http-addr", "127.0.0.1:0")
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	s := &service{cmd: cmd, dead: make(chan struct{})}
	go func() { cmd.Wait(); close(s.dead) }() //nolint:errcheck // how it ended is not asked, it is killed
	for range 600 {
		if raw, err := os.ReadFile(endpoint); err == nil {
			return s, s.dial(ctx, raw)
		}
		select {
		case <-s.dead:
			return nil, fmt.Errorf("the service did not start:\n%s", stderr.String())
		case <-time.After(50 * time.Millisecond):
		}
	}
	s.kill()
	return nil, fmt.Errorf("the service was not ready in 30 s:\n%s", stderr.String())
}

func (s *service) dial(ctx context.Context, endpoint []byte) error {
	var e struct {
		GRPC      string `json:"grpc"`
		TokenFile string `json:"tokenFile"`
	}
	if err := json.Unmarshal(endpoint, &e); err != nil {
		return err
	}
	token, err := os.ReadFile(e.TokenFile)
	if err != nil {
		return err
	}
	s.ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+strings.TrimSpace(string(token)))
	s.conn, err = grpc.NewClient(e.GRPC, grpc.WithTransportCredentials(insecure.NewCredentials()))
	return err
}

// kill kills with SIGKILL: nothing is flushed, nothing is said goodbye to.
func (s *service) kill() {
	s.once.Do(func() {
		s.cmd.Process.Kill() //nolint:errcheck // it may be dead already
		<-s.dead
		if s.conn != nil {
			s.conn.Close() //nolint:errcheck // there is nobody at the other end
		}
	})
}
