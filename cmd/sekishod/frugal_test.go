package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"

	sekishov1 "github.com/sekisho-dev/sekisho/proto/sekisho/v1"
)

// started starts sekishod as a process of its own on a data directory, and waits until
// it listens.
func started(t *testing.T, data string) *exec.Cmd {
	t.Helper()
	os.Remove(filepath.Join(data, "endpoint.json")) // it need not be there
	cmd := exec.Command(os.Args[0], "--data", data, "--grpc-addr", "127.0.0.1:0", "--http-addr", "127.0.0.1:0")
	cmd.Env = append(os.Environ(), serveWithFiles+"=4096")
	cmd.Stderr = t.Output()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill() }) // it has ended, or ends now
	for range 3000 {
		var e endpoint
		if raw, err := os.ReadFile(filepath.Join(data, "endpoint.json")); err == nil && json.Unmarshal(raw, &e) == nil {
			return cmd
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatal("it does not listen after a minute")
	return nil
}

// mostMemory is the largest resident set that a process has had, in bytes.
func mostMemory(t *testing.T, cmd *exec.Cmd) (n int64) {
	t.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", cmd.Process.Pid))
	if err != nil {
		t.Skip("no /proc here")
	}
	for line := range strings.Lines(string(raw)) {
		if _, err := fmt.Sscanf(line, "VmHWM: %d kB", &n); err == nil {
			return n << 10
		}
	}
	t.Fatal("no VmHWM")
	return 0
}

// TestStartIsFrugal: a service whose index is gone reads the whole log again, with the
// largest documents that there may be in it, and takes at most 256 MiB more than one
// that has its index.
func TestStartIsFrugal(t *testing.T) {
	data := t.TempDir()
	ask := serving(t, data)
	for i := range 2 {
		var b strings.Builder
		for n := 0; b.Len() < 15<<20; n++ {
			fmt.Fprintf(&b, `{"type":"library","name":"a","purl":"pkg:npm/%d-%d@1?arch=x#s"},`, i, n)
		}
		doc := `{"bomFormat":"CycloneDX","specVersion":"1.6","version":1,"components":[` + strings.TrimSuffix(b.String(), ",") + `]}`
		_, err := sekishov1.NewSbomServiceClient(ask.conn).UploadSbom(ask.ctx, &sekishov1.UploadSbomRequest{
			Artifact: &sekishov1.Artifact{Digest: map[string]string{"sha256": digestOf("app")}}, Document: []byte(doc),
		}, grpc.MaxCallSendMsgSize(64<<20))
		if err != nil {
			t.Fatal(err)
		}
	}
	ask.stop()

	with := started(t, data)
	usual := mostMemory(t, with)
	if err := with.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	with.Wait() // how it ends is another test's
	if err := os.Remove(filepath.Join(data, "index.bolt")); err != nil {
		t.Fatal(err)
	}
	without := started(t, data)
	if most := mostMemory(t, without); most > usual+256<<20 {
		t.Errorf("it takes %d MiB to read the log again, and %d MiB without", most>>20, usual>>20)
	} else {
		t.Logf("%d MiB, and %d MiB with an index", most>>20, usual>>20)
	}
}
