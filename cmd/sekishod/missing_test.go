package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	sekishov1 "github.com/sekisho-dev/sekisho/proto/sekisho/v1"
)

// TestMissingRowIsNoSilence takes each row out of the index, one at a time, by which the
// FAILED result of an artifact is found: whatever is asked, the artifact is never
// allowed for it, and fsck names what is missing (R1: it allowed, and fsck said nothing).
func TestMissingRowIsNoSilence(t *testing.T) {
	data := unpack(t, filepath.Join("..", "..", "testdata", "upgrade", "honest.tar.gz"))
	serving(t, data).stop() // which makes the index of today
	path := filepath.Join(data, "index.bolt")
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	const failed = 8 // the entry of the result FAILED about "broken"
	taken := 0
	for _, bucket := range []string{"records", "keys", "heads", "groups"} {
		for _, row := range rowsOf(t, path, bucket, "broken", failed) {
			if err := os.WriteFile(path, whole, 0o600); err != nil {
				t.Fatal(err)
			}
			takeOut(t, path, bucket, row)
			taken++
			ask := serving(t, data)
			resp, err := sekishov1.NewAdmissionServiceClient(ask.conn).EvaluateDeployment(ask.ctx, &sekishov1.EvaluateDeploymentRequest{
				Artifact: &sekishov1.Artifact{Digest: map[string]string{"sha256": digestOf("broken")}, Names: []string{"tested"}}, MinBuildLevel: 1,
			})
			if err == nil && resp.GetVerdict() != sekishov1.Verdict_VERDICT_DENY {
				t.Errorf("without the row %x of %s it is allowed", row, bucket)
			}
			ask.stop()
			var out strings.Builder
			if err := run(t.Context(), []string{"fsck", "--data", data}, noEnv, time.Now, &out, io.Discard); err == nil {
				t.Errorf("without the row %x of %s fsck finds nothing: %s", row, bucket, out.String())
			}
		}
	}
	if taken < 10 {
		t.Errorf("%d rows were taken out; there should be more", taken)
	}
	// And made anew, it is right again.
	if err := run(t.Context(), []string{"reindex", "--data", data}, noEnv, time.Now, io.Discard, io.Discard); err != nil {
		t.Fatal(err)
	}
	if err := run(t.Context(), []string{"fsck", "--data", data}, noEnv, time.Now, io.Discard, io.Discard); err != nil {
		t.Error(err)
	}
}

// rowsOf returns the rows of a bucket that are about an artifact, or that end in an entry.
func rowsOf(t *testing.T, path, bucket, subject string, entry uint64) (rows [][]byte) {
	t.Helper()
	end := binary.BigEndian.AppendUint64(nil, entry)
	sum := sha256.Sum256([]byte(subject))
	edit(t, path, func(tx *bbolt.Tx) error {
		return tx.Bucket([]byte(bucket)).ForEach(func(k, _ []byte) error {
			if bytes.Contains(k, []byte(digestOf(subject))) || bytes.Contains(k, sum[:]) || bytes.HasSuffix(k, end) {
				rows = append(rows, slices.Clone(k))
			}
			return nil
		})
	})
	return rows
}

func takeOut(t *testing.T, path, bucket string, row []byte) {
	t.Helper()
	edit(t, path, func(tx *bbolt.Tx) error { return tx.Bucket([]byte(bucket)).Delete(row) })
}

func edit(t *testing.T, path string, f func(*bbolt.Tx) error) {
	t.Helper()
	db, err := bbolt.Open(path, 0o600, nil)
	if err == nil {
		err = db.Update(f)
	}
	if err == nil {
		err = db.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
}
