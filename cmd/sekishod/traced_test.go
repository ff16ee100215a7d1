//go:build integration

package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sekisho-dev/sekisho/attest"
	"github.com/sekisho-dev/sekisho/client"
	"github.com/sekisho-dev/sekisho/internal/testhouse"
	sekishov1 "github.com/sekisho-dev/sekisho/proto/sekisho/v1"
)

// TestIntegrationTraced looks at the system calls of a service that is used for the
// first time and acknowledges registrations. When an acknowledgement leaves, the
// disk has everything that it stands on: whatever was written to log, blobs and
// keys has been synced, and so has every directory in which something was made
// or renamed.
func TestIntegrationTraced(t *testing.T) {
	strace := os.Getenv("STRACE")
	if strace == "" {
		t.Skip("strace is not here; scripts/integration.sh says so too")
	}
	bin := filepath.Join(t.TempDir(), "sekishod")
	if out, err := exec.Command("go", "build", "-o", bin, ".").CombinedOutput(); err != nil {
		t.Fatalf("building sekishod: %v\n%s", err, out)
	}
	data, trace := filepath.Join(t.TempDir(), "data"), filepath.Join(t.TempDir(), "trace")
	cmd := exec.Command(strace, "-f", "-yy", "-s", "65536", "-o", trace,
		"-e", "trace=openat,write,writev,pwrite64,fsync,fdatasync,renameat,renameat2,rename,mkdirat,mkdir,unlinkat",
		bin, "--data", data, "--grpc-addr", "127.0.0.1:0", "--http-addr", "127.0.0.1:0")
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // unless it has ended
	var e endpoint
	for i := 0; ; i++ {
		if raw, err := os.ReadFile(filepath.Join(data, "endpoint.json")); err == nil && json.Unmarshal(raw, &e) == nil {
			break
		}
		if i == 600 {
			t.Fatalf("the service is not ready after 60 s:\n%s", &output)
		}
		time.Sleep(100 * time.Millisecond)
	}
	token, err := os.ReadFile(e.TokenFile)
	if err != nil {
		t.Fatal(err)
	}
	c, err := client.New(client.Config{Server: e.GRPC, Token: strings.TrimSpace(string(token)), Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var acknowledged []string
	for i, padding := range []int{0, 100, 100 << 10} { // two in their records, one beside it
		statement := bytes.Replace(testhouse.Provenance(attest.SHA256(fmt.Append(nil, i)), "https://localhost/builder"),
			[]byte(`"source"`), []byte(`"padding":"`+strings.Repeat("x", padding)+`","source"`), 1)
		resp, err := c.Register(t.Context(), &sekishov1.CreateAttestationRequest{Document: &sekishov1.CreateAttestationRequest_Statement{Statement: statement}})
		if err != nil {
			t.Fatal(err)
		}
		acknowledged = append(acknowledged, resp.GetAttestation().GetDigest())
	}
	if err := syscall.Kill(e.PID, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%v\n%s", err, &output)
	}
	checkTrace(t, trace, data, acknowledged)
}

// A disk is what is known of a directory's files from a trace: what the machine
// would still have after a power cut is what was synced.
type disk struct {
	root    string
	written map[string]int  // file or directory entry -> the line that last changed it
	synced  map[string]int  // file or directory -> the line at which its last sync ended
	direct  map[string]bool // opened with O_SYNC: a write is a sync
}

var (
	path       = `"([^"]*)"`
	opened     = regexp.MustCompile(`^openat\(AT_FDCWD[^,]*, ` + path + `, ([A-Z_|]+)(?:, \d+)?\) += \d`)
	renamed    = regexp.MustCompile(`^rename(?:at2?)?\((?:AT_FDCWD[^,]*, )?` + path + `, (?:AT_FDCWD[^,]*, )?` + path + `.*\) += 0`)
	made       = regexp.MustCompile(`^mkdir(?:at)?\((?:AT_FDCWD[^,]*, )?` + path + `, \d+\) += 0`)
	removed    = regexp.MustCompile(`^unlinkat\(AT_FDCWD[^,]*, ` + path + `, \w+\) += 0`)
	wrote      = regexp.MustCompile(`^p?write(?:v|64)?\(\d+<([^>]*)>`)
	syncedFile = regexp.MustCompile(`^f(?:data)?sync\(\d+<([^>]*)>\) += 0`)
	socket     = regexp.MustCompile(`^writev?\(\d+<TCP:`)
)

// checkTrace replays a trace, and at each acknowledgement compares what had been
// written with what had been synced.
func checkTrace(t *testing.T, trace, root string, acknowledged []string) {
	t.Helper()
	f, err := os.Open(trace)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	d := &disk{root: root, written: map[string]int{}, synced: map[string]int{}, direct: map[string]bool{}}
	pending := map[string]string{} // calls of a thread that were interrupted by others' lines
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<22)
	n, seen := 0, 0
	for lines.Scan() {
		n++
		thread, call, _ := strings.Cut(lines.Text(), " ")
		call = strings.TrimLeft(call, " ")
		begun := call
		if before, ok := strings.CutSuffix(call, " <unfinished ...>"); ok {
			pending[thread] = before
			begun, call = before, ""
		} else if strings.HasPrefix(call, "<... ") {
			_, rest, _ := strings.Cut(call, "resumed>")
			begun, call = "", pending[thread]+rest
		}
		// An acknowledgement counts when it begins to leave, a sync when it has ended.
		if seen < len(acknowledged) && socket.MatchString(begun) && strings.Contains(begun, acknowledged[seen]) {
			d.check(t, acknowledged[seen])
			seen++
		}
		d.apply(n, call)
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	if seen != len(acknowledged) {
		t.Fatalf("%d of %d acknowledgements are in the trace of %d lines", seen, len(acknowledged), n)
	}
}

func (d *disk) apply(line int, call string) {
	if m := opened.FindStringSubmatch(call); m != nil && d.matters(m[1]) && strings.Contains(m[2], "O_CREAT") {
		if _, there := d.written[m[1]]; !there {
			d.written[m[1]], d.written[filepath.Dir(m[1])+"/"] = line, line
		}
		d.direct[m[1]] = strings.Contains(m[2], "O_SYNC")
	}
	if m := renamed.FindStringSubmatch(call); m != nil && d.matters(m[2]) {
		d.written[m[2]], d.synced[m[2]], d.direct[m[2]] = d.written[m[1]], d.synced[m[1]], d.direct[m[1]]
		delete(d.written, m[1])
		d.written[filepath.Dir(m[2])+"/"] = line
	}
	if m := made.FindStringSubmatch(call); m != nil && d.matters(m[1]) {
		d.written[filepath.Dir(m[1])+"/"] = line
	}
	if m := removed.FindStringSubmatch(call); m != nil {
		delete(d.written, m[1])
	}
	if m := wrote.FindStringSubmatch(call); m != nil && d.matters(m[1]) {
		d.written[m[1]] = line
	}
	if m := syncedFile.FindStringSubmatch(call); m != nil {
		d.synced[m[1]] = line
	}
}

// matters leaves out what an acknowledgement does not stand on: the index, which is
// a view, and locks, which hold nothing.
func (d *disk) matters(path string) bool {
	rel, err := filepath.Rel(d.root, path)
	if err != nil || strings.HasPrefix(rel, "..") || strings.HasSuffix(rel, "lock") {
		return false
	}
	room, _, _ := strings.Cut(rel, "/")
	return room == "log" || room == "blobs" || room == "keys"
}

func (d *disk) check(t *testing.T, digest string) {
	t.Helper()
	files := 0
	for what, line := range d.written {
		if what == filepath.Join(d.root, "blobs", "tmp")+"/" {
			continue // large blobs are renamed out of it when they are whole; it is emptied at the start
		}
		name := strings.TrimSuffix(what, "/")
		if name == what && d.direct[name] {
			files++
			continue
		}
		if d.synced[name] < line {
			t.Errorf("%s was acknowledged before %s, changed in line %d, was synced (last in line %d)", digest, what, line, d.synced[name])
		}
		files++
	}
	if files < 10 {
		t.Errorf("%s: the trace knows of %d files and directories only", digest, files)
	}
	t.Logf("%s: %d files and directories were on the disk when it was acknowledged", digest, files)
}
