package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/status"

	sekishov1 "github.com/sekisho-dev/sekisho/proto/sekisho/v1"
)

// register registers provenance for a subject.
func (a *asking) register(t *testing.T, subject string) (*sekishov1.CreateAttestationResponse, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(a.ctx, 30*time.Second)
	defer cancel()
	st := `{"_type":"https://in-toto.io/Statement/v1","predicateType":"https://slsa.dev/provenance/v1","subject":[{"digest":{"sha256":"` + digestOf(subject) +
		`"}}],"predicate":{"buildDefinition":{"buildType":"x","externalParameters":{}},"runDetails":{"builder":{"id":"https://localhost/b"}}}}`
	return sekishov1.NewAttestationServiceClient(a.conn).CreateAttestation(ctx, &sekishov1.CreateAttestationRequest{Document: &sekishov1.CreateAttestationRequest_Statement{Statement: []byte(st)}})
}

// acked are subjects whose registration was acknowledged, by log index.
type acked map[uint64]string

func (a acked) add(t *testing.T, ask *asking, n int) {
	t.Helper()
	for range n {
		subject := fmt.Sprintf("subject %d", len(a))
		r, err := ask.register(t, subject)
		if err != nil {
			t.Fatal(err)
		}
		a[r.GetAttestation().GetLogIndex()] = subject
	}
}

// want asks for all of it: that it is where it was, and that the index has it.
func (a acked) want(t *testing.T, ask *asking) {
	t.Helper()
	for index, subject := range a {
		if got := ask.about(t, question{Subject: subject, Level: 1}); len(got.Evidence) != 1 || got.Evidence[0] != fmt.Sprint(index) {
			t.Errorf("%s was registered as %d: %+v", subject, index, got)
		}
	}
}

// fails requires registrations to be refused as what the log is.
func fails(t *testing.T, ask *asking, n int) {
	t.Helper()
	for i := range n {
		r, err := ask.register(t, fmt.Sprintf("on top of damage %d", i))
		reason := ""
		for _, d := range status.Convert(err).Details() {
			if info, ok := d.(*errdetails.ErrorInfo); ok {
				reason = info.GetReason()
			}
		}
		if reason != "LOG_DAMAGED" && reason != "LOG_ROLLED_BACK" {
			t.Errorf("registered on top of damage: %v, %s %v", r.GetAttestation().GetLogIndex(), reason, err)
		}
	}
}

// unready waits until /readyz says that something is wrong with the log.
func unready(t *testing.T, ask *asking) {
	t.Helper()
	for range 300 {
		resp, err := http.Get("http://" + ask.http + "/readyz")
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode == http.StatusServiceUnavailable {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Error("still ready")
}

func command(t *testing.T, args ...string) (string, error) {
	t.Helper()
	var out strings.Builder
	err := run(t.Context(), args, noEnv, time.Now, &out, t.Output())
	return out.String(), err
}

// TestDamageUnderARunningService: nothing is acknowledged on top of it, it is said, the
// service does not start over it, and after repair there is all that was acknowledged.
func TestDamageUnderARunningService(t *testing.T) {
	flip := func(path string) error {
		b, err := os.ReadFile(path)
		if err == nil {
			b[len(b)-3] ^= 1
			err = os.WriteFile(path, b, 0o644)
		}
		return err
	}
	newest := func(kind string, all acked) string { return fmt.Sprintf("log/tile/%s/000.p/%d", kind, len(all)+2) } // trust root and policy come first
	for name, damage := range map[string]func(data string, all acked) error{
		"the newest bundle": func(data string, all acked) error { return flip(filepath.Join(data, newest("entries", all))) },
		"the newest tile":   func(data string, all acked) error { return flip(filepath.Join(data, newest("0", all))) },
		"the state":         func(data string, _ acked) error { return os.Remove(filepath.Join(data, "log/.state/treeState")) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // they wait, mostly
			data, all := t.TempDir(), acked{}
			ask := serving(t, data)
			all.add(t, ask, 5)
			if err := damage(data, all); err != nil {
				t.Fatal(err)
			}
			fails(t, ask, 3)
			unready(t, ask)
			ask.end() // it says what was done to it
			if _, err := command(t, "fsck", "--data", data); err == nil || !strings.Contains(err.Error(), "sekishod repair") {
				t.Errorf("fsck: %v", err)
			}
			if out, err := command(t, "repair", "--data", data); err == nil || !strings.Contains(out, "with --write") {
				t.Errorf("repair, to see: %v\n%s", err, out)
			}
			if out, err := command(t, "repair", "--data", data, "--write"); err != nil || !strings.Contains(out, "was written") {
				t.Fatalf("repair: %v\n%s", err, out)
			}
			ask = serving(t, data)
			all.want(t, ask)
			all.add(t, ask, 1)
			all.want(t, ask)
		})
	}
}

// TestOlderLogDoesNotServe: a copy of log/ from a backup is refused, whatever becomes of
// the index; and what is not in it is put back from blobs, or by the newer copy.
func TestOlderLogDoesNotServe(t *testing.T) {
	data, all := t.TempDir(), acked{}
	log, older := filepath.Join(data, "log"), filepath.Join(t.TempDir(), "older")
	ask := serving(t, data)
	all.add(t, ask, 3)
	ask.stop()
	if err := os.CopyFS(older, os.DirFS(log)); err != nil {
		t.Fatal(err)
	}
	ask = serving(t, data)
	all.add(t, ask, 6)
	ask.stop()
	for _, step := range []func() error{
		func() error { return os.RemoveAll(log) },
		func() error { return os.CopyFS(log, os.DirFS(older)) },
		func() error { return os.Remove(filepath.Join(data, "index.bolt")) },
	} {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range [][]string{{"fsck", "--data", data}, {"reindex", "--data", data}, {"serve", "--data", data, "--grpc-addr", "127.0.0.1:0", "--http-addr", "127.0.0.1:0"}} {
		if _, err := command(t, args...); err == nil || !strings.Contains(err.Error(), "restore the newer") {
			t.Errorf("%s over an older log: %v", args[0], err)
		}
	}
	out, err := command(t, "repair", "--data", data, "-o", "json", "--write")
	var r repaired
	if jerr := json.Unmarshal([]byte(out), &r); err != nil || jerr != nil || r.LogSize != uint64(len(all))+2 || !r.Written || r.FromBlobs != 6 {
		t.Fatalf("repair: %v, %v\n%s", err, jerr, out)
	}
	ask = serving(t, data)
	all.want(t, ask)
}
