package bolt

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/sekisho-dev/sekisho/store"
)

// childEnv names what a child process is to do, and to which file.
const childEnv = "SEKISHO_TEST_INDEX"

func TestMain(m *testing.M) {
	task, path, _ := strings.Cut(os.Getenv(childEnv), " ")
	var err error
	switch task {
	case "":
		os.Exit(m.Run())
	case "apply":
		err = applyForEver(path)
	case "full":
		err = applyUntilFull(path)
	}
	fmt.Println("error", err)
	os.Exit(1)
}

func child(task, path string) *exec.Cmd {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+task+" "+path)
	return cmd
}

// applyForEver applies a few entries at a time and says how many there are.
func applyForEver(path string) error {
	x, err := Open(path)
	if err != nil {
		return err
	}
	n, err := size(x)
	for err == nil {
		err = x.Apply(context.Background(), n, checkpoint(n+3), records(n, n+3))
		n += 3
		fmt.Println(n)
	}
	return err
}

func size(x *Index) (n uint64, err error) {
	err = x.View(context.Background(), func(s store.Snapshot) error {
		n = s.Checkpoint().Size
		return nil
	})
	return n, err
}

// TestKilled kills a process in the middle of its Applies, three times over
// the same file: everything acknowledged is there, and as it was applied.
func TestKilled(t *testing.T) {
	path := filepath.Join(t.TempDir(), "index.bolt")
	for round := range 3 {
		acknowledged := killAfter(t, path, 20*(round+1))
		x := mustOpen(t, path)
		got, err := size(x)
		if err != nil || got < acknowledged {
			t.Errorf("index holds %d entries, %v, want at least %d", got, err, acknowledged)
		}
		wantRecords(t, x, got)
		x.Close()
	}
}

// wantRecords expects those of the log entries [0, size), and no other.
func wantRecords(t *testing.T, x *Index, size uint64) {
	t.Helper()
	err := x.View(t.Context(), func(s store.Snapshot) error {
		for _, k := range []store.Key{{}, {Kind: store.PredicateType, Value: "https://slsa.dev/provenance/v1"}} {
			next := uint64(0)
			for r, err := range s.Find(k, 0) {
				if err != nil {
					return err
				}
				want := records(next, next+1)[0]
				if whole, err := s.Record(r.Index); err != nil || string(r.Value) != string(want.Value) || string(encodeRecord(&whole)) != string(encodeRecord(&want)) {
					t.Errorf("record %d is %d, or not what was applied: %v", next, r.Index, err)
				}
				next++
			}
			if next != size {
				t.Errorf("%d records by %v, want %d", next, k.Kind, size)
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// killAfter lets a child apply n times or more, kills it, and returns the size
// that it acknowledged last.
func killAfter(t *testing.T, path string, n int) (size uint64) {
	t.Helper()
	cmd := child("apply", path)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(out)
	for i := 1; ; i++ {
		line, err := lines.ReadString('\n')
		if err == io.EOF {
			break
		}
		if _, err := fmt.Sscan(line, &size); err != nil {
			t.Fatalf("the child says %q", line)
		}
		if i == n {
			cmd.Process.Kill()
		}
	}
	cmd.Wait() // it was killed, which is no news
	if size == 0 {
		t.Fatal("the child applied nothing")
	}
	return size
}

// applyUntilFull runs in a process that may not make a file larger than a
// limit, until it is told ErrFull; then it lifts the limit and goes on.
func applyUntilFull(path string) error {
	signal.Ignore(syscall.SIGXFSZ) // else it ends the process before the error is seen
	var old syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
		return err
	}
	x, err := Open(path)
	if err != nil {
		return err
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 1 << 20, Max: old.Max}); err != nil {
		return err
	}
	n := uint64(0)
	for ; err == nil; n += 20 {
		err = x.Apply(context.Background(), n, checkpoint(n+20), records(n, n+20))
	}
	n -= 20
	if !errors.Is(err, store.ErrFull) {
		return fmt.Errorf("Apply to a full disk = %w, want ErrFull", err)
	}
	if got, err := size(x); err != nil {
		return err
	} else if got != n {
		return fmt.Errorf("a full disk left %d entries, want %d", got, n)
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
		return err
	}
	if err := x.Apply(context.Background(), n, checkpoint(n+20), records(n, n+20)); err != nil {
		return fmt.Errorf("Apply with space again: %w", err)
	}
	fmt.Println(n + 20)
	os.Exit(0)
	return nil
}

// TestDiskFull: ErrFull, nothing lost, and the next Apply works.
func TestDiskFull(t *testing.T) {
	path := filepath.Join(t.TempDir(), "index.bolt")
	out, err := child("full", path).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	var want uint64
	if _, err := fmt.Sscan(string(out), &want); err != nil {
		t.Fatalf("the child says %q", out)
	}
	wantRecords(t, mustOpen(t, path), want)
}
