package dir

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// childEnv names the directory that a child process is to fill.
const childEnv = "SEKISHO_TEST_FILL_BLOBS"

func TestMain(m *testing.M) {
	if path := os.Getenv(childEnv); path != "" {
		fillForEver(path)
	}
	os.Exit(m.Run())
}

// fillForEver puts blobs until it is killed, from many callers, and
// prints each key once its Put has returned.
func fillForEver(path string) {
	b, err := Open(path)
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	for i := range 32 {
		go func() {
			for n := 0; ; n++ {
				key := fmt.Sprintf("p%d/%d/%d", os.Getpid(), i, n)
				body := crashBody(key)
				if err := b.Put(context.Background(), key, int64(len(body)), bytes.NewReader(body)); err != nil {
					fmt.Println("error", err)
					os.Exit(1)
				}
				fmt.Printf("%s\n", key) // one write a line, so that a line is whole or absent
			}
		}()
	}
	select {}
}

// crashBody makes a body out of its key: mostly small, some large.
func crashBody(key string) []byte {
	n := 3000
	if strings.HasSuffix(key, "7") {
		n = 90_000
	}
	return bytes.Repeat([]byte(key+"\n"), n/(len(key)+1))
}

// TestKilled kills a process in the middle of its Puts, three times over the
// same directory: everything that was acknowledged is there, and nothing is damaged.
func TestKilled(t *testing.T) {
	path := t.TempDir()
	var acknowledged []string
	for round := range 3 {
		acknowledged = append(acknowledged, killAfter(t, path, 200*(round+1))...)
		b := mustOpen(t, path)
		for _, key := range acknowledged {
			wantBody(t, b, key, crashBody(key))
		}
		if sound, bad := each(t, b); bad != 0 || len(sound) < len(acknowledged) {
			t.Errorf("%d sound and %d damaged, want at least %d and none", len(sound), bad, len(acknowledged))
		}
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// killAfter lets a child put n blobs or more, kills it, and returns what it had
// acknowledged.
func killAfter(t *testing.T, path string, n int) (keys []string) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+path)
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
		if strings.HasPrefix(line, "error") {
			t.Error(line)
		}
		if err == io.EOF { // the child is dead; half a line was not acknowledged
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if keys = append(keys, strings.TrimSpace(line)); len(keys) == n {
			cmd.Process.Kill() // SIGKILL; it may print more until it arrives
		}
	}
	cmd.Wait() // it was killed, which is no news
	if len(keys) < n {
		t.Fatalf("the child put only %d blobs", len(keys))
	}
	return keys
}
