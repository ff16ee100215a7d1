package hammer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"time"

	sekishov1 "github.com/sekisho-dev/sekisho/proto/sekisho/v1"
)

// SoakOptions say for how long, and with how little.
type SoakOptions struct {
	Binary   string        // sekishod
	Data     string        // its data directory, a new one
	Length   time.Duration // of the attack
	Files    uint64        // how many files the service may have open
	Memory   int64         // its GOMEMLIMIT, bytes
	Short    bool          // too short to tell what grows, and whom it turns away: limits hold
	Out      io.Writer     // progress
	Terminal bool          // Out is one: one line, rewritten
}

// A Result is what a soak found. Where there are faults it has failed.
type Result struct {
	Seconds      float64   `json:"seconds"`      // of the attack
	Acknowledged int       `json:"acknowledged"` // registrations, every receipt verified twice
	Measures     []Measure `json:"measures"`
	Honest       []Tally   `json:"honest"`
	Hostile      []Tally   `json:"hostile"`
	Samples      []Sample  `json:"samples"`
	Faults       []string  `json:"faults"`
}

// tokens are of the callers that the configuration names.
type tokens struct{ builder, deployer, auditor string }

// soak is one run.
type soak struct {
	SoakOptions
	launch
	promises
	service *service
	tokens  tokens
	honest  *honest
	hostile *hostile
	began   time.Time // the attack; until then, when it is to begin
	samples []Sample
	said    time.Time // when progress was last told
}

const (
	// calm is for how long there is honest load alone first, at most.
	calm = 15 * time.Second
	// recovery is within what time everything that came with the attack has to be gone.
	recovery = 90 * time.Second
)

// Soak has a service used and attacked at the same time. The error is of the soak
// itself; what the service did wrong is in the result.
func Soak(ctx context.Context, o SoakOptions) (*Result, error) {
	dir, err := os.MkdirTemp("", "sekisho-soak-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // it is temporary
	s := &soak{SoakOptions: o, launch: launch{binary: o.Binary, data: o.Data, files: o.Files, memory: o.Memory}}
	if s.launch.config, err = s.configure(dir); err != nil {
		return nil, err
	}
	if s.service, err = s.start(ctx); err != nil {
		return nil, err
	}
	defer func() { s.service.kill() }()
	if err := s.meet(ctx, s.service); err != nil {
		return nil, err
	}
	if s.hostile, err = newHostile(s.service, s.tokens, dir, min(20*time.Second, s.Length/4)); err != nil {
		return nil, err
	}
	defer s.hostile.close()
	if s.honest, err = newHonest(s.service, &s.promises, s.tokens); err != nil {
		return nil, err
	}
	defer func() { s.honest.close() }()
	if err := s.prepare(ctx); err != nil {
		return nil, err
	}
	return s.run(ctx)
}

// configure writes a configuration of three callers beside the admin.
func (s *soak) configure(dir string) (path string, err error) {
	config := "tokens:\n"
	for role, token := range map[string]*string{"builder": &s.tokens.builder, "deployer": &s.tokens.deployer, "auditor": &s.tokens.auditor} {
		*token = artifact(role, rand.Int64(), rand.Int64()).Hex()
		file := filepath.Join(dir, role)
		if err := os.WriteFile(file, []byte(*token), 0o600); err != nil {
			return "", err
		}
		config += fmt.Sprintf("  - {name: soak, subject: %s, file: %q, roles: [%[1]s]}\n", role, file)
	}
	path = filepath.Join(dir, "sekishod.yaml")
	return path, os.WriteFile(path, []byte(config), 0o600)
}

// prepare registers what the answers rest on: an artifact that may be deployed and one
// that may not, before strangers say very much about both.
func (s *soak) prepare(ctx context.Context) error {
	resp, err := sekishov1.NewAttestationServiceClient(s.service.conn).CreateAttestation(s.service.ctx, &sekishov1.CreateAttestationRequest{
		Document: &sekishov1.CreateAttestationRequest_Statement{Statement: provenance(target(0), localBuilder, "")}})
	if err != nil {
		return err
	}
	if err := s.acknowledge(resp.GetReceipt(), resp.GetAttestation()); err != nil {
		return err
	}
	for what, do := range map[string]func(context.Context) (string, error){"a stranger's attestation": s.hostile.flood, "an honest one": s.honest.register} {
		how, err := do(ctx)
		if err == nil && how != ok {
			err = errors.New(how)
		}
		if err != nil {
			return fmt.Errorf("registering %s: %w", what, err)
		}
	}
	return nil
}

// run lets honest callers in, then the others, and asks what is left.
func (s *soak) run(ctx context.Context) (*Result, error) {
	first := min(calm, s.Length/4)
	s.began = time.Now().Add(first)
	honest, hostile := newLoad(s.honest.deeds(), s.Short), newLoad(s.hostile.deeds(), s.Short)
	r := &Result{Seconds: s.Length.Seconds(), Faults: []string{}}
	alive, stop := context.WithCancel(ctx)
	defer stop()
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { honest.run(alive) })
	err := s.watch(alive, first, "calm", honest, hostile, func() bool { return false })
	if err == nil {
		attack, end := context.WithTimeout(alive, s.Length)
		s.began = time.Now()
		var enemies sync.WaitGroup
		enemies.Go(func() { hostile.run(attack) })
		err = s.watch(alive, s.Length, "attacked", honest, hostile, func() bool { return false })
		end()
		enemies.Wait()
		s.hostile.close()
	}
	if err == nil {
		err = s.watch(alive, recovery, "recovering", honest, hostile, s.rested)
	}
	stop()
	wg.Wait()
	if err != nil {
		r.Faults = append(r.Faults, err.Error())
	} else if err := s.afterwards(ctx); err != nil {
		r.Faults = append(r.Faults, err.Error())
	}
	s.sum(r, honest, hostile)
	return r, ctx.Err()
}

func (s *soak) sum(r *Result, honest, hostile *load) {
	var faults []string
	r.Acknowledged, r.Samples = len(s.acked), s.samples
	r.Honest, faults = honest.tallies()
	r.Faults = append(r.Faults, faults...)
	r.Hostile, faults = hostile.tallies()
	r.Faults = append(r.Faults, faults...)
	r.Measures, faults = s.measures()
	r.Faults = append(r.Faults, faults...)
}

// watch takes samples for so long, or until there is enough of it. The error is that the
// service is gone.
func (s *soak) watch(ctx context.Context, length time.Duration, phase string, honest, hostile *load, enough func() bool) error {
	end := time.Now().Add(length)
	for time.Now().Before(end) {
		pause(ctx, min(5*time.Second, s.Length/20, time.Until(end)))
		select {
		case <-s.service.dead:
			return fmt.Errorf("%s: the service is gone: %w\n%s", phase, s.service.ended, s.service.stderr)
		case <-ctx.Done():
			return ctx.Err()
		default:
		}
		v, err := s.look(ctx)
		if err != nil {
			return fmt.Errorf("%s: looking at the service: %w", phase, err)
		}
		s.samples = append(s.samples, v)
		s.progress(phase, v, honest, hostile)
		if enough() {
			return nil
		}
	}
	return nil
}

// afterwards asks the service for everything that it promised, has its own check look
// at what it leaves behind, and asks again after a start.
func (s *soak) afterwards(ctx context.Context) error {
	if err := s.kept(s.service, s.acked); err != nil {
		return err
	}
	before, err := s.answers(ctx)
	if err != nil {
		return err
	}
	s.honest.close()
	if err := s.service.stop(); err != nil {
		return err
	}
	if err := s.fsck(ctx); err != nil {
		return err
	}
	if s.service, err = s.start(ctx); err != nil {
		return err
	}
	known := s.honest.known
	if s.honest, err = newHonest(s.service, &s.promises, s.tokens); err != nil {
		return err
	}
	s.honest.known = known
	if err := s.kept(s.service, s.sample()); err != nil {
		return fmt.Errorf("after a start: %w", err)
	}
	after, err := s.answers(ctx)
	if err != nil {
		return fmt.Errorf("after a start: %w", err)
	}
	for q, answer := range before {
		if after[q] != answer {
			return fmt.Errorf("%s: %s, and after a start: %s", q, answer, after[q])
		}
	}
	return s.service.stop()
}

// answers are those to some questions of every kind: what was decided, and why.
func (s *soak) answers(ctx context.Context) (map[string]string, error) {
	questions := []question{unknown(artifact("nobody")), allowed(entry{artifact: target(0)}), stranger(target(1))}
	known := s.honest.known
	for i := range min(len(known), 50) {
		e := known[i*len(known)/min(len(known), 50)]
		questions = append(questions, allowed(e), tooLow(e))
	}
	all := map[string]string{}
	for _, q := range questions {
		resp, err := sekishov1.NewAdmissionServiceClient(s.honest.asking).EvaluateDeployment(as(ctx, s.tokens.deployer), q.ask)
		if err == nil {
			err = q.check(resp)
		}
		if err != nil {
			return nil, err
		}
		all[q.ask.String()] = fmt.Sprint(resp.GetVerdict(), resp.GetBuildLevel(), resp.GetReasons(), resp.GetEvidence(), resp.GetPolicy(), resp.GetTrustRoot())
	}
	return all, nil
}

// Err is nil where nothing was wrong.
func (r *Result) Err() error {
	var errs []error
	for _, f := range r.Faults {
		errs = append(errs, errors.New(f))
	}
	return errors.Join(errs...)
}
