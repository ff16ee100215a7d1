package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	"github.com/sekisho-dev/sekisho/attest"
	"github.com/sekisho-dev/sekisho/internal/testhouse"
	sekishov1 "github.com/sekisho-dev/sekisho/proto/sekisho/v1"
)

// serveWithFiles is the environment variable with which this binary is the service
// itself, with so many files that it may have open.
const serveWithFiles = "SEKISHOD_TEST_FILES"

func TestMain(m *testing.M) {
	files, err := strconv.ParseUint(os.Getenv(serveWithFiles), 10, 32)
	if err != nil {
		os.Exit(m.Run())
	}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: files, Max: files}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	main()
}

// A process is a sekishod of its own, whose memory and files are nobody else's.
type process struct {
	endpoint
	cmd    *exec.Cmd
	stderr *lockedBuffer
	admin  string
}

const (
	builderToken  = "builder-token-of-the-test"
	deployerToken = "deployer-token-of-the-test"
)

// begin starts a service on a data directory, with so many files, and waits until it
// listens. It ends with the test, if not before.
func begin(t *testing.T, data string, files int, env []string, args ...string) *process {
	t.Helper()
	os.Remove(filepath.Join(data, "endpoint.json")) // it need not be there
	p := &process{stderr: &lockedBuffer{}}
	p.cmd = exec.Command(os.Args[0], append(args, "--data", data, "--grpc-addr", "127.0.0.1:0", "--http-addr", "127.0.0.1:0")...)
	p.cmd.Env = append(append(os.Environ(), fmt.Sprintf("%s=%d", serveWithFiles, files)), env...)
	p.cmd.Stderr = p.stderr
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.end(t) })
	for i := 0; ; i++ {
		if raw, err := os.ReadFile(filepath.Join(data, "endpoint.json")); err == nil && json.Unmarshal(raw, &p.endpoint) == nil {
			return p
		}
		if i == 1200 {
			t.Fatalf("the service is not ready after 60 s:\n%s", p.stderr)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// end has the service stop, and waits for it. It may be called again.
func (p *process) end(t *testing.T) {
	t.Helper()
	if p.cmd.ProcessState != nil {
		return
	}
	p.cmd.Process.Signal(syscall.SIGTERM)
	if err := p.cmd.Wait(); err != nil {
		t.Errorf("the service ended with %v:\n%s", err, p.stderr)
	}
}

// launch starts a service with so many files, within a gibibyte, until the test ends.
func launch(t *testing.T, files int) *process {
	t.Helper()
	dir := t.TempDir()
	config := "tokens:\n"
	for role, token := range map[string]string{"builder": builderToken, "deployer": deployerToken} {
		if err := os.WriteFile(filepath.Join(dir, role), []byte(token), 0o600); err != nil {
			t.Fatal(err)
		}
		config += fmt.Sprintf("  - {name: %s, subject: %[1]s, file: %s, roles: [%[1]s]}\n", role, filepath.Join(dir, role))
	}
	if err := os.WriteFile(filepath.Join(dir, "config"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	p := begin(t, filepath.Join(dir, "data"), files, []string{"GOMEMLIMIT=1GiB", "GOMAXPROCS=2"}, "--config", filepath.Join(dir, "config"))
	raw, err := os.ReadFile(p.TokenFile)
	if err != nil {
		t.Fatal(err)
	}
	p.admin = strings.TrimSpace(string(raw))
	return p
}

// rss is the memory that the service has now, in MiB: its own, without the pages of
// files, which the kernel takes back when it needs them.
func (p *process) rss(t *testing.T) int {
	t.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(raw), "RssAnon:")
	var kib int
	if _, err := fmt.Sscan(rest, &kib); err != nil {
		t.Fatal(err)
	}
	return kib >> 10
}

// peak is the most memory that the service had while f ran, in MiB.
func (p *process) peak(t *testing.T, f func()) (most int) {
	t.Helper()
	done, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			most = max(most, p.rss(t))
			select {
			case <-done:
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	}()
	f()
	close(done)
	<-stopped
	return most
}

func (p *process) dial(t *testing.T) *grpc.ClientConn {
	t.Helper()
	c, err := grpc.NewClient(p.GRPC, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(256<<20)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func as(ctx context.Context, token string) context.Context {
	return metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token)
}

// evaluate asks a question that has an answer.
func evaluate(t *testing.T, c *grpc.ClientConn) error {
	ctx, cancel := context.WithTimeout(as(t.Context(), deployerToken), 20*time.Second)
	defer cancel()
	_, err := sekishov1.NewAdmissionServiceClient(c).EvaluateDeployment(ctx, &sekishov1.EvaluateDeploymentRequest{
		Artifact: &sekishov1.Artifact{Digest: attest.SHA256([]byte("other")).Set()},
	})
	return err
}

// register hands in provenance of something, with so many bytes in it, as the admin.
func (p *process) register(t *testing.T, c *grpc.ClientConn, of string, padding int) (*sekishov1.CreateAttestationResponse, error) {
	ctx, cancel := context.WithTimeout(as(t.Context(), p.admin), 20*time.Second)
	defer cancel()
	statement := bytes.Replace(testhouse.Provenance(attest.SHA256([]byte(of)), "https://localhost/builder"),
		[]byte(`"externalParameters"`), []byte(`"internalParameters":{"padding":"`+strings.Repeat("x", padding)+`"},"externalParameters"`), 1)
	return sekishov1.NewAttestationServiceClient(c).CreateAttestation(ctx, &sekishov1.CreateAttestationRequest{
		Document: &sekishov1.CreateAttestationRequest_Statement{Statement: statement},
	})
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *lockedBuffer) String() string { l.mu.Lock(); defer l.mu.Unlock(); return l.b.String() }
