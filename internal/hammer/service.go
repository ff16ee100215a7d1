package hammer

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
)

// A launch is how a service is started.
type launch struct {
	binary string // sekishod
	data   string // its data directory
	config string // its configuration file; none by default
	files  uint64 // how many files it may have open; as many as we by default
	memory int64  // GOMEMLIMIT, bytes; none by default
}

// A service is a running sekishod.
type service struct {
	ctx        context.Context // with the admin's token
	grpc, http string          // addresses
	token      string          // the admin's
	cmd        *exec.Cmd
	conn       *grpc.ClientConn
	stderr     *tail
	dead       chan struct{}
	ended      error // once dead
	once       sync.Once
}

// start starts the service and waits until it is ready.
func (l launch) start(ctx context.Context) (*service, error) {
	endpoint := filepath.Join(l.data, "endpoint.json")
	if err := os.Remove(endpoint); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err // what a killed service left behind
	}
	args := []string{l.binary, "--data", l.data, "--grpc-addr", "127.0.0.1:0", "--http-addr", "127.0.0.1:0"}
	if l.config != "" {
		args = append(args, "--config", l.config)
	}
	if l.files > 0 {
		// A Go program takes all that the hard limit allows, so that it is the hard one that
		// has to be lower, before the program runs; a shell can do that to itself alone.
		args = append([]string{"/bin/sh", "-c", fmt.Sprintf(`ulimit -n %d && exec "$0" "$@"`, l.files)}, args...)
	}
	cmd := exec.Command(args[0], args[1:]...)
	s := &service{cmd: cmd, stderr: &tail{}, dead: make(chan struct{})}
	cmd.Stderr = s.stderr
	if l.memory > 0 {
		cmd.Env = append(os.Environ(), fmt.Sprintf("GOMEMLIMIT=%d", l.memory))
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go func() { s.ended = cmd.Wait(); close(s.dead) }()
	for range 1200 {
		if raw, err := os.ReadFile(endpoint); err == nil {
			if err := s.dial(ctx, raw); err != nil {
				s.kill()
				return nil, err
			}
			return s, nil
		}
		select {
		case <-s.dead:
			return nil, fmt.Errorf("the service did not start:\n%s", s.stderr)
		case <-time.After(50 * time.Millisecond):
		}
	}
	s.kill()
	return nil, fmt.Errorf("the service was not ready in 60 s:\n%s", s.stderr)
}

func (s *service) dial(ctx context.Context, endpoint []byte) error {
	var e struct {
		GRPC      string `json:"grpc"`
		HTTP      string `json:"http"`
		TokenFile string `json:"tokenFile"`
	}
	if err := json.Unmarshal(endpoint, &e); err != nil {
		return err
	}
	token, err := os.ReadFile(e.TokenFile)
	if err != nil {
		return err
	}
	s.grpc, s.http, s.token = e.GRPC, e.HTTP, strings.TrimSpace(string(token))
	s.ctx = as(ctx, s.token)
	s.conn, err = dial(e.GRPC)
	return err
}

func dial(addr string) (*grpc.ClientConn, error) {
	return grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(64<<20)))
}

// as returns a context in which calls are made with a token.
func as(ctx context.Context, token string) context.Context {
	return metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token)
}

// kill kills with SIGKILL: nothing is flushed, nothing is said goodbye to.
func (s *service) kill() { s.end(os.Kill) }

// stop asks the service to end, and returns how it did. One that does not within two
// minutes is killed.
func (s *service) stop() error {
	late := time.AfterFunc(2*time.Minute, func() { s.cmd.Process.Kill() }) //nolint:errcheck // it may be dead already
	defer late.Stop()
	s.end(syscall.SIGTERM)
	if s.ended != nil {
		return fmt.Errorf("SIGTERM: want exit status 0, got: %w\n%s", s.ended, s.stderr)
	}
	return nil
}

func (s *service) end(how os.Signal) {
	s.once.Do(func() {
		s.cmd.Process.Signal(how) //nolint:errcheck // it may be dead already
		<-s.dead
		if s.conn != nil {
			s.conn.Close() //nolint:errcheck // there is nobody at the other end
		}
	})
}

// fsck runs the service's own check on what it left behind.
func (l launch) fsck(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, l.binary, "fsck", "--data", l.data, "-o", "json").CombinedOutput()
	if err != nil {
		return fmt.Errorf("fsck: %w\n%.4096s", err, out)
	}
	return nil
}

// A tail is the end of what a service says on stderr: a soak of many refusals would
// fill more than anybody reads.
type tail struct {
	mu   sync.Mutex
	kept []byte
}

const tailSize = 16 << 10

// Write keeps the last of it.
func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.kept = append(t.kept, b...)
	if len(t.kept) > 2*tailSize {
		t.kept = bytes.Clone(t.kept[len(t.kept)-tailSize:])
	}
	return len(b), nil
}

// String is the end of what was said.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.kept[max(len(t.kept)-tailSize, 0):])
}
