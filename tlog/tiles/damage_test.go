package tiles_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/sekisho-dev/sekisho/attest"
	"github.com/sekisho-dev/sekisho/tlog"
	"github.com/sekisho-dev/sekisho/tlog/tiles"
)

// written makes a log of n entries on disk, closed.
func written(t *testing.T, n int) (tiles.Config, map[uint64]string) {
	t.Helper()
	cfg := config(t)
	l := open(t, cfg)
	logged := map[uint64]string{}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			entry := fmt.Sprintf("entry %d", i)
			r, err := l.Append(t.Context(), []byte(entry))
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			logged[r.Index] = entry
		})
	}
	wg.Wait()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return cfg, logged
}

// readBack opens the log and reads everything; what it reads must be right, and
// it returns the first error.
func readBack(t *testing.T, what string, cfg tiles.Config, logged map[uint64]string) error {
	t.Helper()
	l, err := tiles.Open(t.Context(), cfg)
	if err != nil {
		return err
	}
	defer func() {
		if err := l.Close(); err != nil {
			t.Errorf("%s: closing: %v", what, err)
		}
	}()
	cp, err := l.Checkpoint(t.Context())
	if err != nil {
		return err
	}
	n := 0
	for e, err := range l.Entries(t.Context(), cp, 0) {
		if err != nil {
			return err
		}
		if n++; logged[e.Index] != string(e.Data) {
			t.Errorf("%s: entry %d is %q, want %q", what, e.Index, e.Data, logged[e.Index])
		}
	}
	if n != len(logged) {
		t.Errorf("%s: %d entries of %d, and no error", what, n, len(logged))
	}
	return nil
}

func refused(err error) bool {
	return errors.Is(err, tlog.ErrCorrupt) || errors.Is(err, tlog.ErrCheckpoint) || errors.Is(err, tlog.ErrInconsistent)
}

// files returns the regular files of a log that have something in them.
func files(t *testing.T, dir string) (names []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if name, _ := filepath.Rel(dir, path); info.Size() > 0 {
			names = append(names, filepath.ToSlash(name))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// One bit of every file, and every file lost: the log says so, and never yields
// anything else than what was appended. Files that the newest tree does not need
// (partial tiles of the past) may be damaged without anybody noticing.
func TestDamage(t *testing.T) {
	const n = 300
	cfg, logged := written(t, n)
	needed := map[string]bool{"checkpoint": true, ".state/treeState": true, ".state/version": true,
		"tile/0/000": true, "tile/0/001.p/44": true, "tile/1/000.p/1": true, "tile/entries/000": true, "tile/entries/001.p/44": true}
	seen := 0
	for _, name := range files(t, cfg.Dir) {
		path := filepath.Join(cfg.Dir, filepath.FromSlash(name))
		good, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if needed[name] {
			seen++
		}
		for _, at := range []int{0, len(good) / 2, len(good) - 1} {
			bad := bytes.Clone(good)
			bad[at] ^= 1
			write(t, path, bad)
			what := fmt.Sprintf("%s, byte %d", name, at)
			err := readBack(t, what, cfg, logged)
			if needed[name] && !refused(err) || !needed[name] && err != nil {
				t.Errorf("%s: %v", what, err)
			}
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		if err := readBack(t, name+" lost", cfg, logged); needed[name] && !refused(err) {
			t.Errorf("%s lost: %v", name, err)
		}
		write(t, path, good)
	}
	if seen != len(needed) {
		t.Errorf("%d of the %d files that matter are there", seen, len(needed))
	}
	if err := readBack(t, "repaired", cfg, logged); err != nil {
		t.Errorf("repaired: %v", err)
	}
}

func write(t *testing.T, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// Tessera would copy the last bundle into the next without a look, and commit to
// the right hashes beside the wrong entries: Open refuses to let it.
func TestLastBundleIsCheckedBeforeAppending(t *testing.T) {
	cfg, _ := written(t, 3)
	path := filepath.Join(cfg.Dir, "tile", "entries", "000.p", "3")
	bundle, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	bundle[len(bundle)-1] ^= 1
	write(t, path, bundle)
	if _, err := tiles.Open(t.Context(), cfg); !errors.Is(err, tlog.ErrCorrupt) {
		t.Errorf("opened over a damaged bundle: %v", err)
	}
}

// Tessera's private state is not believed: whatever it says that the checkpoint
// and the tiles do not, the log does not grow from it.
func TestStateIsNotBelieved(t *testing.T) {
	cfg, logged := written(t, 5)
	path := filepath.Join(cfg.Dir, ".state", "treeState")
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	// A smaller tree, with the right root of that size: a file from a backup.
	var four [][]byte
	for i := range uint64(4) {
		four = append(four, []byte(logged[i]))
	}
	older, _ := written(t, 0)
	l := open(t, older)
	var then attest.Receipt
	for _, e := range four {
		if then, err = l.Append(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	cpRoot := base64.StdEncoding.EncodeToString(then.Checkpoint.Root[:])
	for name, state := range map[string]string{
		"rolled back":   `{"size":4,"root":"` + cpRoot + `"}`,
		"another root":  `{"size":5,"root":"` + cpRoot + `"}`,
		"a larger size": strings.Replace(string(good), ":5,", ":6,", 1),
		"empty":         `{"size":0,"root":"47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="}`,
		"nothing":       "",
		"no JSON":       "x",
		"no root":       `{"size":5}`,
		"short root":    `{"size":5,"root":"AAAA"}`,
		"huge":          `{"size":18446744073709551615,"root":"` + cpRoot + `"}`,
	} {
		write(t, path, []byte(state))
		if err := readBack(t, name, cfg, logged); !refused(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
	write(t, path, good)
	if err := readBack(t, "repaired", cfg, logged); err != nil {
		t.Error(err)
	}
}

// A directory where a log was is not a new log, and another key's log is not ours.
func TestNotOurs(t *testing.T) {
	cfg, logged := written(t, 3)
	other := config(t)
	other.Dir = cfg.Dir
	if err := readBack(t, "another key", other, logged); !errors.Is(err, tlog.ErrCheckpoint) {
		t.Errorf("another key: %v", err)
	}
	mixed := cfg
	mixed.Verifier = other.Verifier
	if err := readBack(t, "signer and verifier differ", mixed, logged); !errors.Is(err, tlog.ErrKey) {
		t.Errorf("signer and verifier differ: %v", err)
	}
	if err := readBack(t, "no key", tiles.Config{Dir: cfg.Dir}, logged); !errors.Is(err, tlog.ErrKey) {
		t.Errorf("no key: %v", err)
	}
	if err := os.RemoveAll(filepath.Join(cfg.Dir, ".state")); err != nil {
		t.Fatal(err)
	}
	if err := readBack(t, "state lost", cfg, logged); !errors.Is(err, tlog.ErrCorrupt) {
		t.Errorf("state lost: %v", err)
	}
	if err := os.Remove(filepath.Join(cfg.Dir, "checkpoint")); err != nil {
		t.Fatal(err)
	}
	if err := readBack(t, "state and checkpoint lost", cfg, logged); !errors.Is(err, tlog.ErrCorrupt) {
		t.Errorf("state and checkpoint lost: %v", err)
	}
}

// A process may die when the state is written and nothing is published yet.
func TestFirstCheckpointMissing(t *testing.T) {
	cfg, logged := written(t, 0)
	if err := os.Remove(filepath.Join(cfg.Dir, "checkpoint")); err != nil {
		t.Fatal(err)
	}
	if err := readBack(t, "no first checkpoint", cfg, logged); err != nil {
		t.Error(err)
	}
}

// While the checkpoint on disk is not what was seen, nothing is acknowledged; and
// when it is repaired, the log goes on.
func TestDamageWhileOpen(t *testing.T) {
	cfg := config(t)
	l := open(t, cfg)
	first, err := l.Append(t.Context(), []byte("one"))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(cfg.Dir, "checkpoint")
	write(t, path, []byte("not a checkpoint\n"))
	if _, err := l.Append(t.Context(), []byte("two")); !errors.Is(err, tlog.ErrCheckpoint) {
		t.Errorf("with a checkpoint that is none: %v", err)
	}
	if _, err := l.Append(t.Context(), []byte("three")); !errors.Is(err, tlog.ErrCheckpoint) {
		t.Errorf("and again: %v", err)
	}
	write(t, path, first.Checkpoint.Note)
	for {
		r, err := l.Append(t.Context(), []byte("four"))
		if errors.Is(err, tlog.ErrCheckpoint) {
			continue // not noticed yet
		}
		if err == nil {
			err = tlog.VerifyReceipt(cfg.Verifier, []byte("four"), r)
		}
		if err != nil {
			t.Fatalf("after the repair: %v", err)
		}
		if r.Index != 2 {
			t.Errorf("index %d, want 2: one, two and four are written, three is not", r.Index)
		}
		break
	}
}

// A caller who does not wait does not hurt: the entry is written whole, whatever
// becomes of the buffer, and Close still waits for it.
func TestCancelledWhileQueued(t *testing.T) {
	cfg := config(t)
	l := open(t, cfg)
	ctx, cancel := context.WithCancel(t.Context())
	buffer := []byte("queued")
	done := make(chan error)
	go func() {
		_, err := l.Append(ctx, buffer)
		copy(buffer, "reused")
		done <- err
	}()
	cancel()
	if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l = open(t, cfg)
	cp, err := l.Checkpoint(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for e, err := range l.Entries(t.Context(), cp, 0) {
		if err != nil || string(e.Data) != "queued" {
			t.Errorf("entry %d is %q, %v", e.Index, e.Data, err)
		}
	}
}

func TestPushback(t *testing.T) {
	cfg := config(t)
	cfg.MaxQueued = 1
	l := open(t, cfg)
	var wg sync.WaitGroup
	var mu sync.Mutex
	ok, busy := uint64(0), 0
	for i := range 50 {
		wg.Go(func() {
			_, err := l.Append(t.Context(), []byte{byte(i)})
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				ok++
			case errors.Is(err, tlog.ErrPushback):
				busy++
			default:
				t.Error(err)
			}
		})
	}
	wg.Wait()
	cp, err := l.Checkpoint(t.Context())
	if err != nil || cp.Size != ok || ok == 0 || busy == 0 {
		t.Errorf("%d accepted and %d refused, the log has %d, %v", ok, busy, cp.Size, err)
	}
}

// Close while others append: each Append says what happened.
func TestCloseWhileAppending(t *testing.T) {
	cfg := config(t)
	l := open(t, cfg)
	var wg sync.WaitGroup
	var mu sync.Mutex
	var receipts []acknowledged
	started := make(chan bool, 10000)
	// Enough for a full tile, which receipts are made from after Close has begun.
	for i := range 300 {
		wg.Go(func() {
			for j := 0; ; j++ {
				entry := fmt.Appendf(nil, "%d %d", i, j)
				started <- true
				r, err := l.Append(t.Context(), entry)
				if errors.Is(err, tlog.ErrClosed) {
					return
				}
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				receipts = append(receipts, acknowledged{entry, r})
				mu.Unlock()
			}
		})
	}
	for range 600 {
		<-started
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	l = open(t, cfg)
	wantAcknowledged(t, l, receipts)
	if cp, err := l.Checkpoint(t.Context()); err != nil || cp.Size != uint64(len(receipts)) {
		t.Errorf("%d entries, %d acknowledged, %v", cp.Size, len(receipts), err)
	}
}
