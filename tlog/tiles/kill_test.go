package tiles_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/sekisho-dev/sekisho/attest"
	"github.com/sekisho-dev/sekisho/tlog"
	"github.com/sekisho-dev/sekisho/tlog/tiles"
)

// The environment by which this test binary, run again, is another process.
const (
	childRole = "SEKISHO_TILES_CHILD" // "append" or "open"
	childDir  = "SEKISHO_TILES_DIR"
	childKey  = "SEKISHO_TILES_KEY"
)

func TestMain(m *testing.M) {
	if role := os.Getenv(childRole); role != "" {
		if err := child(role); err != nil {
			fmt.Println("error:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// An acknowledged is what a child prints once Append has returned.
type acknowledged struct {
	Entry   []byte
	Receipt attest.Receipt
}

// child opens the log and, in the role "append", appends until it is killed.
func child(role string) error {
	signer, verifier, err := tlog.NewSigner(os.Getenv(childKey))
	if err != nil {
		return err
	}
	ctx := context.Background()
	l, err := tiles.Open(ctx, tiles.Config{Dir: os.Getenv(childDir), Signer: signer, Verifier: verifier})
	if errors.Is(err, tlog.ErrLocked) {
		fmt.Println("locked")
		return nil
	}
	if err != nil || role == "open" {
		return err
	}
	lines := make(chan []byte)
	for i := range 64 {
		go func() {
			for j := 0; ; j++ {
				entry := fmt.Appendf(nil, "process %d, adder %d, entry %d", os.Getpid(), i, j)
				r, err := l.Append(ctx, entry)
				if err != nil {
					lines <- fmt.Appendf(nil, "error: %v", err)
					return
				}
				line, err := json.Marshal(acknowledged{entry, r})
				if err != nil {
					line = fmt.Appendf(nil, "error: %v", err)
				}
				lines <- line
			}
		}()
	}
	for line := range lines {
		if _, err := fmt.Printf("%s\n", line); err != nil {
			return err
		}
	}
	return nil
}

// again returns the command that runs this binary as a child over a log.
func again(t *testing.T, role, dir, skey string) *exec.Cmd {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), childRole+"="+role, childDir+"="+dir, childKey+"="+skey)
	return cmd
}

// A process that appends is killed in the middle, three times. What it had
// acknowledged is there afterwards, where its receipts say.
func TestKill(t *testing.T) {
	skey, _, err := tlog.GenerateKey("")
	if err != nil {
		t.Fatal(err)
	}
	signer, verifier, err := tlog.NewSigner(skey)
	if err != nil {
		t.Fatal(err)
	}
	cfg := tiles.Config{Dir: t.TempDir(), Signer: signer, Verifier: verifier}
	var all []acknowledged
	for round := range 3 {
		all = append(all, appendUntilKilled(t, again(t, "append", cfg.Dir, skey), 300+70*round)...)
		l, err := tiles.Open(t.Context(), cfg)
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		wantAcknowledged(t, l, all)
		// And the log grows from there.
		entry := fmt.Appendf(nil, "after round %d", round)
		r, err := l.Append(t.Context(), entry)
		if err == nil {
			err = tlog.VerifyReceipt(verifier, entry, r)
		}
		if err != nil {
			t.Fatalf("round %d: appending afterwards: %v", round, err)
		}
		all = append(all, acknowledged{entry, r})
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// appendUntilKilled runs a child, kills it after n acknowledgements, and returns
// every one that it wrote.
func appendUntilKilled(t *testing.T, cmd *exec.Cmd, n int) (got []acknowledged) {
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(out)
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			break // killed; a line cut short was not received
		}
		var a acknowledged
		if err := json.Unmarshal([]byte(line), &a); err != nil {
			t.Errorf("the child says %q", strings.TrimSpace(line))
			break
		}
		if got = append(got, a); len(got) == n {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if cmd.Wait() == nil || len(got) < n {
		t.Fatalf("the child ended by itself after %d acknowledgements", len(got))
	}
	return got
}

// wantAcknowledged checks that the log has all that, at their indices and under
// checkpoints that it still extends.
func wantAcknowledged(t *testing.T, l *tiles.Log, all []acknowledged) {
	t.Helper()
	cp, err := l.Checkpoint(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	logged := map[uint64]string{}
	for e, err := range l.Entries(t.Context(), cp, 0) {
		if err != nil {
			t.Fatal(err)
		}
		logged[e.Index] = string(e.Data)
	}
	for _, a := range all {
		r := a.Receipt
		if logged[r.Index] != string(a.Entry) {
			t.Fatalf("entry %d is %q, acknowledged was %q", r.Index, logged[r.Index], a.Entry)
		}
		if err := tlog.VerifyReceipt(l.Verifier(), a.Entry, r); err != nil {
			t.Fatal(err)
		}
		path, err := l.Consistency(t.Context(), r.Checkpoint.Size, cp.Size)
		if err == nil {
			err = tlog.VerifyConsistency(r.Checkpoint, cp, path)
		}
		if err != nil {
			t.Fatalf("checkpoint of %d, seen before the kill: %v", r.Checkpoint.Size, err)
		}
	}
}

func TestLocked(t *testing.T) {
	skey, _, err := tlog.GenerateKey("")
	if err != nil {
		t.Fatal(err)
	}
	signer, verifier, err := tlog.NewSigner(skey)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cfg := tiles.Config{Dir: dir, Signer: signer, Verifier: verifier}
	l := open(t, cfg)

	link := t.TempDir() + "/link"
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	for _, same := range []string{dir, dir + "/.", dir + "/../" + dir[strings.LastIndexByte(dir, '/'):], link} {
		cfg.Dir = same
		if _, err := tiles.Open(t.Context(), cfg); !errors.Is(err, tlog.ErrLocked) {
			t.Errorf("a second time in one process, as %s: %v", same, err)
		}
	}
	if out, err := again(t, "open", dir, skey).Output(); string(out) != "locked\n" {
		t.Errorf("in another process: %q, %v", out, err)
	}
	// A refused opener takes nobody's lock away.
	if _, err := tiles.Open(t.Context(), cfg); !errors.Is(err, tlog.ErrLocked) {
		t.Errorf("once more: %v", err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if out, err := again(t, "open", dir, skey).Output(); err != nil {
		t.Errorf("in another process, after Close: %q, %v", out, err)
	}
	cfg.Dir = link
	open(t, cfg)
}
