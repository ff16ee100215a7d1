package tiles_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sekisho-dev/sekisho/attest"
	"github.com/sekisho-dev/sekisho/tlog"
	"github.com/sekisho-dev/sekisho/tlog/tiles"
	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/rfc6962"
)

// running is a log of n entries that is open, and what it acknowledged.
func running(t *testing.T, n int) (tiles.Config, *tiles.Log, []acknowledged) {
	t.Helper()
	cfg := config(t)
	l, err := tiles.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() }) // it says what the test has done to it
	return cfg, l, appendAll(t, l, n)
}

// outgrown is a stopped log of n+more entries, with the checkpoint over its first n:
// written back, that is what a crash before the next one leaves.
func outgrown(t *testing.T, n, more int) (tiles.Config, attest.Checkpoint, []acknowledged) {
	t.Helper()
	cfg, l, all := running(t, n)
	old, _ := published(t, cfg)
	all = append(all, appendAll(t, l, more)...)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return cfg, old, all
}

// appendAll appends n entries at once, which must be acknowledged.
func appendAll(t *testing.T, l *tiles.Log, n int) []acknowledged {
	t.Helper()
	acks := make(chan acknowledged, n)
	for i := range n {
		go func() {
			entry := fmt.Appendf(nil, "entry %d of %d", i, n)
			r, err := l.Append(t.Context(), entry)
			if err != nil {
				t.Errorf("appending: %v", err)
			}
			acks <- acknowledged{entry, r}
		}()
	}
	var all []acknowledged
	for range n {
		all = append(all, <-acks)
	}
	if t.Failed() {
		t.FailNow()
	}
	return all
}

// refusesAll appends, and requires each to be refused as damage.
func refusesAll(t *testing.T, l *tiles.Log, n int) {
	t.Helper()
	for i := range n {
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		_, err := l.Append(ctx, fmt.Appendf(nil, "on top of damage %d", i))
		cancel()
		if !refused(err) {
			t.Errorf("append %d on top of damage: %v", i, err)
		}
	}
	if _, err := l.Checkpoint(t.Context()); !refused(err) {
		t.Errorf("who follows the log is told: %v", err)
	}
}

// published reads the published and the remembered checkpoint from disk.
func published(t *testing.T, cfg tiles.Config) (now, remembered attest.Checkpoint) {
	t.Helper()
	return onDisk(t, cfg, filepath.Join(cfg.Dir, "checkpoint")), onDisk(t, cfg, cfg.Dir+".checkpoint")
}

func onDisk(t *testing.T, cfg tiles.Config, path string) attest.Checkpoint {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	cp, err := cfg.Verifier.Open(raw)
	if err != nil {
		t.Fatal(err)
	}
	return cp
}

// rootOf hashes a tree as its entries make it.
func rootOf(t *testing.T, entries [][]byte) attest.Hash {
	t.Helper()
	tree := (&compact.RangeFactory{Hash: rfc6962.DefaultHasher.HashChildren}).NewEmptyRange(0)
	for _, e := range entries {
		leaf := attest.LeafHash(e)
		if err := tree.Append(leaf[:], nil); err != nil {
			t.Fatal(err)
		}
	}
	root, err := tree.GetRootHash(nil)
	if err != nil {
		t.Fatal(err)
	}
	return attest.Hash(root)
}

// wantUnchanged requires that nothing was signed since.
func wantUnchanged(t *testing.T, cfg tiles.Config, before attest.Checkpoint) {
	t.Helper()
	now, remembered := published(t, cfg)
	if !bytes.Equal(now.Note, before.Note) || !bytes.Equal(remembered.Note, before.Note) {
		t.Errorf("published %d, remembered %d; before the damage there were %d", now.Size, remembered.Size, before.Size)
	}
}

func flip(t *testing.T, path string) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)-1] ^= 1
	write(t, path, b)
}

// One byte of the newest entry bundle, of a running log: Tessera copies it on, and
// nothing is signed over that.
func TestRunningBundleDamaged(t *testing.T) {
	cfg, l, _ := running(t, 3)
	before, _ := published(t, cfg)
	flip(t, filepath.Join(cfg.Dir, "tile", "entries", "000.p", "3"))
	refusesAll(t, l, 6)
	wantUnchanged(t, cfg, before)
	if err := l.Close(); !errors.Is(err, tlog.ErrCorrupt) {
		t.Errorf("closing: %v", err)
	}
	// It was given up all the same, and does not open as it is.
	if _, err := tiles.Open(t.Context(), cfg); !errors.Is(err, tlog.ErrCorrupt) {
		t.Errorf("opening: %v", err)
	}
}

// One byte of the newest hash tile: the root that Tessera computes from it is not signed.
func TestRunningTileDamaged(t *testing.T) {
	cfg, l, _ := running(t, 3)
	before, _ := published(t, cfg)
	flip(t, filepath.Join(cfg.Dir, "tile", "0", "000.p", "3"))
	refusesAll(t, l, 6)
	wantUnchanged(t, cfg, before)
}

// Without its state file, or with an older one, Tessera begins again: no checkpoint of
// that is signed.
func TestRunningStateSetBack(t *testing.T) {
	for _, name := range []string{"deleted", "set back"} {
		t.Run(name, func(t *testing.T) {
			cfg, l, _ := running(t, 5)
			path := filepath.Join(cfg.Dir, ".state", "treeState")
			older, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			appendAll(t, l, 2)
			before, _ := published(t, cfg)
			if name == "deleted" {
				if err := os.Remove(path); err != nil {
					t.Fatal(err)
				}
			} else {
				write(t, path, older)
			}
			refusesAll(t, l, 6)
			wantUnchanged(t, cfg, before)
		})
	}
}

// An older copy of the log's directory, put back while it is stopped, does not open; the
// newer one does, with everything that was acknowledged.
func TestOlderCopyDoesNotOpen(t *testing.T) {
	cfg, l, all := running(t, 4)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	older := t.TempDir()
	if err := os.CopyFS(older, os.DirFS(cfg.Dir)); err != nil {
		t.Fatal(err)
	}
	l = open(t, cfg)
	all = append(all, appendAll(t, l, 4)...)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	newer := t.TempDir()
	if err := os.CopyFS(newer, os.DirFS(cfg.Dir)); err != nil {
		t.Fatal(err)
	}
	putBack := func(from string) {
		if err := os.RemoveAll(cfg.Dir); err != nil {
			t.Fatal(err)
		}
		if from == "" {
			return
		}
		if err := os.CopyFS(cfg.Dir, os.DirFS(from)); err != nil {
			t.Fatal(err)
		}
	}
	for _, from := range []string{older, ""} {
		putBack(from)
		if _, err := tiles.Open(t.Context(), cfg); !errors.Is(err, tlog.ErrInconsistent) {
			t.Errorf("opening an older copy: %v", err)
		}
	}
	putBack(newer)
	wantAcknowledged(t, open(t, cfg), all)
}

// Another log of the same key, shorter, as long and longer, is not the one that is remembered.
func TestForkDoesNotOpen(t *testing.T) {
	cfg, l, _ := running(t, 4)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	fork := cfg
	fork.Dir = t.TempDir()
	for _, n := range []int{2, 2, 3} {
		f := open(t, fork)
		appendAll(t, f, n)
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		as := cfg
		as.Dir, as.Remembered = fork.Dir, cfg.Dir+".checkpoint"
		if _, err := tiles.Open(t.Context(), as); !errors.Is(err, tlog.ErrInconsistent) {
			t.Errorf("opening a fork: %v", err)
		}
	}
}

// What a crash leaves behind, at each step of signing a checkpoint: the next start
// extends it, and remembers it.
func TestCrashWhileSigning(t *testing.T) {
	cfg, old, all := outgrown(t, 4, 5)
	current, _ := published(t, cfg)
	for _, c := range []struct {
		name                  string
		published, remembered []byte
	}{
		{"before it was remembered", old.Note, old.Note},
		{"before it was published", old.Note, current.Note},
		{"afterwards", current.Note, current.Note},
		{"an edition that remembers nothing", current.Note, nil},
		{"that edition, before it was published", old.Note, nil},
		{"an older memory from a backup", current.Note, old.Note},
	} {
		write(t, filepath.Join(cfg.Dir, "checkpoint"), c.published)
		write(t, cfg.Dir+".checkpoint", c.remembered)
		if c.remembered == nil {
			os.Remove(cfg.Dir + ".checkpoint")
		}
		l, err := tiles.Open(t.Context(), cfg)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		wantAcknowledged(t, l, all)
		if err := l.Close(); err != nil {
			t.Errorf("%s: closing: %v", c.name, err)
		}
		if now, remembered := published(t, cfg); now.Size != current.Size || remembered.Size != current.Size {
			t.Errorf("%s: %d published, %d remembered, want %d", c.name, now.Size, remembered.Size, current.Size)
		}
	}
}

// Where a checkpoint cannot be remembered it is not published, and nothing is
// acknowledged under it; when it can be again, the log goes on.
func TestNotRememberedNotPublished(t *testing.T) {
	cfg, l, all := running(t, 2)
	before, _ := published(t, cfg)
	aside := cfg.Dir + ".aside"
	if err := os.Rename(cfg.Dir+".checkpoint", aside); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(cfg.Dir+".checkpoint/x", 0o700); err != nil { // nothing can be renamed to that
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if _, err := l.Append(ctx, []byte("waits")); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("append: %v", err)
	}
	if err := errors.Join(os.RemoveAll(cfg.Dir+".checkpoint"), os.Rename(aside, cfg.Dir+".checkpoint")); err != nil {
		t.Fatal(err)
	}
	if now, _ := published(t, cfg); now.Size != before.Size {
		// The publisher may have come round since the way was free.
		if _, remembered := published(t, cfg); remembered.Size != now.Size {
			t.Errorf("published %d, remembered %d", now.Size, remembered.Size)
		}
	}
	wantAcknowledged(t, l, append(all, appendAll(t, l, 3)...))
}

// What is written and not published is asked for before it is signed.
func TestUnpublishedIsAskedFor(t *testing.T) {
	cfg, old, _ := outgrown(t, 4, 3)
	write(t, filepath.Join(cfg.Dir, "checkpoint"), old.Note)
	write(t, cfg.Dir+".checkpoint", old.Note)
	unknown, asked := errors.New("nobody knows it"), 0
	cfg.Unpublished = func(context.Context, []byte) error { asked++; return unknown }
	if _, err := tiles.Open(t.Context(), cfg); !errors.Is(err, unknown) || asked != 1 {
		t.Errorf("opening with entries that nobody knows: %v, asked %d times", err, asked)
	}
	wantUnchanged(t, cfg, old)
	asked, unknown = 0, nil
	open(t, cfg)
	if asked != 3 {
		t.Errorf("asked %d times, want 3", asked)
	}
}

// Any file of a running log damaged, or lost: what is signed afterwards commits to
// exactly what was appended, or nothing is signed.
func TestRunningAnyFile(t *testing.T) {
	const n = 300 // a full bundle, and one that is not
	whole, l, all := running(t, n)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	entries := make([][]byte, n)
	for _, a := range all {
		entries[a.Receipt.Index] = a.Entry
	}
	before, _ := published(t, whole)
	after := rootOf(t, append(entries[:n:n], []byte("one more")))
	var signed atomic.Int64
	t.Run("files", func(t *testing.T) {
		for _, name := range files(t, whole.Dir) {
			for what, damage := range map[string]func([]byte) []byte{
				"first byte": func(b []byte) []byte { b[0] ^= 1; return b },
				"last byte":  func(b []byte) []byte { b[len(b)-1] ^= 1; return b },
				"cut":        func(b []byte) []byte { return b[:len(b)/2] },
				"lost":       nil,
			} {
				t.Run(strings.ReplaceAll(name, "/", "_")+" "+what, func(t *testing.T) {
					t.Parallel() // they wait for checkpoints
					cfg := copied(t, whole)
					l, err := tiles.Open(t.Context(), cfg)
					if err != nil {
						t.Fatal(err)
					}
					defer l.Close() // it says what was done to it
					path := filepath.Join(cfg.Dir, filepath.FromSlash(name))
					if b, err := os.ReadFile(path); err != nil {
						t.Fatal(err)
					} else if damage == nil {
						os.Remove(path)
					} else {
						write(t, path, damage(b))
					}
					ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
					defer cancel()
					r, err := l.Append(ctx, []byte("one more"))
					if errors.Is(err, context.DeadlineExceeded) {
						t.Errorf("nobody said why: %v", err)
					}
					remembered := onDisk(t, cfg, cfg.Dir+".checkpoint")
					right := remembered.Size == n+1 && remembered.Root == after
					if !right && !bytes.Equal(remembered.Note, before.Note) {
						t.Error("a wrong root is signed")
					}
					if err != nil {
						return
					}
					signed.Add(1)
					if err := tlog.VerifyReceipt(cfg.Verifier, []byte("one more"), r); err != nil || !right {
						t.Errorf("acknowledged, and not signed: %v", err)
					}
				})
			}
		}
	})
	if signed.Load() < 10 {
		t.Errorf("%d were signed: files of the past do not stop a log", signed.Load())
	}
}
