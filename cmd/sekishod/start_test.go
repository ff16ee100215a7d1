package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/grpc"

	sekishov1 "github.com/sekisho-dev/sekisho/proto/sekisho/v1"
)

// mostMemory is the largest resident set that a process has had, in bytes.
func (p *process) mostMemory(t *testing.T) (n int64) {
	t.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
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

	with := begin(t, data, 4096, nil)
	usual := with.mostMemory(t)
	with.end(t)
	if err := os.Remove(filepath.Join(data, "index.bolt")); err != nil {
		t.Fatal(err)
	}
	if most := begin(t, data, 4096, nil).mostMemory(t); most > usual+256<<20 {
		t.Errorf("it takes %d MiB to read the log again, and %d MiB without", most>>20, usual>>20)
	} else {
		t.Logf("%d MiB, and %d MiB with an index", most>>20, usual>>20)
	}
}
