package main

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	sekishov1 "github.com/sekisho-dev/sekisho/proto/sekisho/v1"
)

// TestUpgrade opens what other editions have written, and asks what they were asked:
// with the index that they left, without one, and while fsck lists what today's door
// would refuse.
func TestUpgrade(t *testing.T) {
	for name, remarks := range map[string]int{"honest": 2, "poisoned": 2 + 4} {
		t.Run(name, func(t *testing.T) {
			data := unpack(t, filepath.Join("..", "..", "testdata", "upgrade", name+".tar.gz"))
			sameAnswers(t, data, name)
			if err := os.Remove(filepath.Join(data, "index.bolt")); err != nil {
				t.Fatal(err)
			}
			sameAnswers(t, data, name)
			var out strings.Builder
			if err := run(t.Context(), []string{"fsck", "--data", data, "-o", "json"}, noEnv, time.Now, &out, t.Output()); err != nil {
				t.Fatalf("fsck: %v\n%s", err, out.String())
			}
			var r report
			if err := json.Unmarshal([]byte(out.String()), &r); err != nil {
				t.Fatal(err)
			}
			if len(r.Problems) != remarks || r.damage() != 0 || r.IndexSize != r.LogSize {
				t.Errorf("fsck: %s; want %d remarks, and no damage", out.String(), remarks)
			}
		})
	}
}

// TestPoisonIsRefused: what stopped services of other editions is refused at the door,
// and the service goes on.
func TestPoisonIsRefused(t *testing.T) {
	data := t.TempDir()
	ask := serving(t, data)
	long := strings.Repeat("a", 5000)
	for name, st := range map[string]string{
		"predicate type": `{"_type":"https://in-toto.io/Statement/v1","predicateType":"https://x.example/` + long + `","subject":[{"digest":{"sha256":"` + digestOf("w") + `"}}]}`,
		"builder":        `{"_type":"https://in-toto.io/Statement/v1","predicateType":"https://slsa.dev/provenance/v1","subject":[{"digest":{"sha256":"` + digestOf("w") + `"}}],"predicate":{"buildDefinition":{"buildType":"x"},"runDetails":{"builder":{"id":"https://localhost/` + long + `"}}}}`,
		"name":           `{"_type":"https://in-toto.io/Statement/v1","predicateType":"https://slsa.dev/provenance/v1","subject":[{"name":"` + long + `","digest":{"sha256":"` + digestOf("w") + `"}}],"predicate":{"buildDefinition":{"buildType":"x"},"runDetails":{"builder":{"id":"https://localhost/b"}}}}`,
	} {
		_, err := sekishov1.NewAttestationServiceClient(ask.conn).CreateAttestation(ask.ctx, &sekishov1.CreateAttestationRequest{Document: &sekishov1.CreateAttestationRequest_Statement{Statement: []byte(st)}})
		if err == nil {
			t.Errorf("%s: registered", name)
		}
	}
	if got := ask.about(t, question{Subject: "w", Level: 1}); got.Verdict != "VERDICT_DENY" || !slices.Equal(got.Reasons, []string{"NO_EVIDENCE"}) {
		t.Errorf("afterwards: %+v", got)
	}
}

func sameAnswers(t *testing.T, data, name string) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("..", "..", "testdata", "upgrade", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	var questions []question
	if err := json.Unmarshal(raw, &questions); err != nil {
		t.Fatal(err)
	}
	ask := serving(t, data)
	for _, q := range questions {
		if got := ask.about(t, q); fmt.Sprint(got) != fmt.Sprint(q) {
			t.Errorf("answered\n%+v, it was\n%+v", got, q)
		}
	}
	ask.stop()
}

// A question of testdata/upgrade, and what was answered.
type question struct {
	Subject    string   `json:"subject"`
	Level      int32    `json:"level"`
	Names      []string `json:"names"`
	Source     string   `json:"source"`
	Verdict    string   `json:"verdict"`
	BuildLevel int32    `json:"buildLevel"`
	Reasons    []string `json:"reasons"`
	Evidence   []string `json:"evidence"`
}

func digestOf(subject string) string {
	if len(subject) == 64 {
		return subject
	}
	return fmt.Sprintf("%x", sha256.Sum256([]byte(subject)))
}

// asking is a service that runs in this process, and how to ask it.
type asking struct {
	conn *grpc.ClientConn
	ctx  context.Context
	http string
	stop func()       // and it must have been clean
	end  func() error // and what it ended with
}

func (a *asking) about(t *testing.T, q question) question {
	t.Helper()
	resp, err := sekishov1.NewAdmissionServiceClient(a.conn).EvaluateDeployment(a.ctx, &sekishov1.EvaluateDeploymentRequest{
		Artifact:      &sekishov1.Artifact{Digest: map[string]string{"sha256": digestOf(q.Subject)}, Names: q.Names},
		MinBuildLevel: q.Level, Source: q.Source,
	})
	if err != nil {
		t.Fatalf("%s: %v", q.Subject, err)
	}
	got := question{Subject: q.Subject, Level: q.Level, Names: q.Names, Source: q.Source, Verdict: resp.GetVerdict().String(), BuildLevel: resp.GetBuildLevel()}
	for _, r := range resp.GetReasons() {
		got.Reasons = append(got.Reasons, r.GetCode().String())
	}
	for _, e := range resp.GetEvidence() {
		got.Evidence = append(got.Evidence, fmt.Sprint(e.GetLogIndex()))
	}
	return got
}

func noEnv(string) string { return "" }

// serving serves a data directory until the test ends, or it is told to stop.
func serving(t *testing.T, data string) *asking {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- run(ctx, []string{"--data", data, "--grpc-addr", "127.0.0.1:0", "--http-addr", "127.0.0.1:0"}, noEnv, time.Now, io.Discard, t.Output())
	}()
	var e endpoint
	for range 600 {
		if raw, err := os.ReadFile(filepath.Join(data, "endpoint.json")); err == nil && json.Unmarshal(raw, &e) == nil {
			break
		}
		select {
		case err := <-done:
			t.Fatalf("the service ended: %v", err)
		case <-time.After(20 * time.Millisecond):
		}
	}
	token, err := os.ReadFile(e.TokenFile)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := grpc.NewClient(e.GRPC, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	end := sync.OnceValue(func() error {
		conn.Close() // nothing is under way
		cancel()
		return <-done
	})
	stopped := false
	stop := func() {
		if err := end(); err != nil && !stopped {
			t.Errorf("the service ended: %v", err)
		}
	}
	t.Cleanup(stop)
	return &asking{
		conn, metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+strings.TrimSpace(string(token))), e.HTTP, stop,
		func() error { stopped = true; return end() },
	}
}

// unpack unpacks an archive of a data directory.
func unpack(t *testing.T, path string) string {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close() // only read
	z, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "data")
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return dir
		}
		if err != nil {
			t.Fatal(err)
		}
		to := filepath.Join(dir, filepath.FromSlash(h.Name))
		if h.Typeflag == tar.TypeDir {
			err = os.MkdirAll(to, h.FileInfo().Mode().Perm())
		} else {
			var raw []byte
			if raw, err = io.ReadAll(r); err == nil {
				err = os.WriteFile(to, raw, h.FileInfo().Mode().Perm())
			}
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}
