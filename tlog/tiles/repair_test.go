package tiles_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sekisho-dev/sekisho/attest"
	"github.com/sekisho-dev/sekisho/tlog"
	"github.com/sekisho-dev/sekisho/tlog/tiles"
)

// A shelf is a source of entries, in some order.
type shelf struct {
	entries map[attest.Hash][]byte
	order   []attest.Hash
}

func (s *shelf) Entry(_ context.Context, leaf attest.Hash) ([]byte, error) {
	if e, ok := s.entries[leaf]; ok {
		return e, nil
	}
	return nil, tlog.ErrNotFound
}

func (s *shelf) Leaves(context.Context) ([]attest.Hash, error) {
	return append([]attest.Hash(nil), s.order...), nil
}

// shelve has what was acknowledged, in the order of the log.
func shelve(all []acknowledged) *shelf {
	s := &shelf{entries: map[attest.Hash][]byte{}, order: make([]attest.Hash, len(all))}
	for _, a := range all {
		s.entries[a.Receipt.LeafHash] = a.Entry
		s.order[a.Receipt.Index] = a.Receipt.LeafHash
	}
	return s
}

// copied is a copy of a closed log's directory and of what it remembers.
func copied(t *testing.T, whole tiles.Config) tiles.Config {
	t.Helper()
	cfg := whole
	cfg.Dir = filepath.Join(t.TempDir(), "log")
	raw, err := os.ReadFile(whole.Dir + ".checkpoint")
	if err == nil {
		err = os.CopyFS(cfg.Dir, os.DirFS(whole.Dir))
	}
	if err != nil {
		t.Fatal(err)
	}
	write(t, cfg.Dir+".checkpoint", raw)
	return cfg
}

// repairs repairs, once to see and once to do, and requires everything to be there
// afterwards.
func repairs(t *testing.T, cfg tiles.Config, from tiles.Source, all []acknowledged) tiles.Repaired {
	t.Helper()
	would, err := tiles.Repair(t.Context(), cfg, from, false, nil)
	if err != nil {
		t.Errorf("to see: %v", err)
		return would
	}
	did, err := tiles.Repair(t.Context(), cfg, from, true, nil)
	if err != nil || fmt.Sprint(did) != fmt.Sprint(would) {
		t.Errorf("to do: %v, %v; it would have done %v", did, err, would)
	}
	again, err := tiles.Repair(t.Context(), cfg, from, false, nil)
	if err != nil || len(again.Files) > 0 {
		t.Errorf("afterwards: %v, %v", again, err)
	}
	l, err := tiles.Open(t.Context(), cfg)
	if err != nil {
		t.Errorf("repaired: %v", err)
		return did
	}
	wantAcknowledged(t, l, slices.Concat(all, appendAll(t, l, 2)))
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	return did
}

// Any one file of a log damaged or lost, also what is remembered of it: nothing is lost.
func TestRepairAnyFile(t *testing.T) {
	const n = 300
	whole, l, all := running(t, n)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	nothing := &shelf{}
	for _, name := range append(files(t, whole.Dir), "../log.checkpoint") {
		for what, damage := range map[string]func([]byte) []byte{
			"a bit": func(b []byte) []byte { b[len(b)/2] ^= 1; return b },
			"cut":   func(b []byte) []byte { return b[:len(b)/3] },
			"lost":  nil,
		} {
			t.Run(strings.ReplaceAll(name, "/", "_")+" "+what, func(t *testing.T) {
				t.Parallel() // they wait for checkpoints
				cfg := copied(t, whole)
				path := filepath.Join(cfg.Dir, filepath.FromSlash(name))
				if damage == nil {
					os.Remove(path)
				} else if b, err := os.ReadFile(path); err != nil {
					t.Fatal(err)
				} else {
					write(t, path, damage(b))
				}
				from := shelve(all)
				if strings.Contains(name, "tile/0/") || !strings.Contains(name, "tile/") {
					from = nothing // the bundles tell
				}
				repairs(t, cfg, from, all)
			})
		}
	}
}

// A running log whose bundle or tile was damaged, and which refused to go on: repaired,
// it has all that was acknowledged.
func TestRepairAfterRunningDamage(t *testing.T) {
	for _, name := range []string{"tile/entries/000.p/5", "tile/0/000.p/5"} {
		cfg, l, all := running(t, 5)
		from := shelve(all)
		flip(t, filepath.Join(cfg.Dir, filepath.FromSlash(name)))
		refusesAll(t, l, 2)
		l.Close() // it says what was done to it
		did := repairs(t, cfg, from, all)
		if did.Size != 5 || did.Dropped == 0 {
			t.Errorf("%s: %+v, want what was signed", name, did)
		}
	}
}

// Where the state is gone too, or the whole directory is an older copy, what the source
// has beyond it is put back in the order that has the signed root.
func TestRepairOlderCopy(t *testing.T) {
	cfg, l, all := running(t, 4)
	older := t.TempDir()
	if err := errors.Join(l.Close(), os.CopyFS(older, os.DirFS(cfg.Dir))); err != nil {
		t.Fatal(err)
	}
	l = open(t, cfg)
	all = append(all, appendAll(t, l, 6)...)
	if err := errors.Join(l.Close(), os.RemoveAll(cfg.Dir), os.CopyFS(cfg.Dir, os.DirFS(older))); err != nil {
		t.Fatal(err)
	}
	from := shelve(all)
	from.order[4], from.order[9] = from.order[9], from.order[4] // the source is not sure
	repairs(t, cfg, from, all)
}

// Bundle and tile of the same entries are both gone.
func TestRepairBothGone(t *testing.T) {
	whole, l, all := running(t, 300)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	gone := []string{"tile/0/000", "tile/entries/000"}
	remove := func(cfg tiles.Config) {
		for _, name := range gone {
			path := filepath.Join(cfg.Dir, filepath.FromSlash(name))
			if err := errors.Join(os.Remove(path), os.RemoveAll(path+".p")); err != nil { // also what it grew from
				t.Fatal(err)
			}
		}
	}
	cfg := copied(t, whole)
	remove(cfg)
	from := shelve(all)
	from.order[250], from.order[252] = from.order[252], from.order[250]
	if did := repairs(t, cfg, from, all); did.Source < 256 {
		t.Errorf("%+v: want 256 entries from elsewhere", did)
	}

	// In an order that is none, or without one of them: nothing is written.
	reversed := shelve(all)
	for i := range 128 {
		reversed.order[i], reversed.order[255-i] = reversed.order[255-i], reversed.order[i]
	}
	short := shelve(all)
	short.order = short.order[1:]
	for name, from := range map[string]*shelf{"reversed": reversed, "one missing": short} {
		cfg := copied(t, whole)
		remove(cfg)
		did, err := tiles.Repair(t.Context(), cfg, from, true, nil)
		if !errors.Is(err, tlog.ErrCorrupt) || len(did.Files) > 0 {
			t.Errorf("%s: %v, %v", name, did, err)
		}
		if _, err := os.Stat(filepath.Join(cfg.Dir, "tile", "0", "000")); err == nil {
			t.Errorf("%s: written", name)
		}
	}
}

// A source that has other entries than those that were logged changes nothing.
func TestRepairIsNotLiedTo(t *testing.T) {
	cfg, l, all := running(t, 3)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	liar := shelve(all)
	for leaf := range liar.entries {
		liar.entries[leaf] = []byte("lie")
	}
	path := filepath.Join(cfg.Dir, "tile", "entries", "000.p", "3")
	flip(t, path)
	bad, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if did, err := tiles.Repair(t.Context(), cfg, liar, true, nil); !errors.Is(err, tlog.ErrCorrupt) {
		t.Errorf("repaired from lies: %v, %v", did, err)
	}
	if now, err := os.ReadFile(path); err != nil || !bytes.Equal(now, bad) {
		t.Errorf("written from lies: %v", err)
	}
}

// What is written and not published is kept where the source knows it.
func TestRepairKeepsUnpublished(t *testing.T) {
	cfg, old, all := outgrown(t, 4, 3)
	write(t, filepath.Join(cfg.Dir, "checkpoint"), old.Note)
	write(t, cfg.Dir+".checkpoint", old.Note)
	flip(t, filepath.Join(cfg.Dir, "tile", "entries", "000.p", "7"))
	if did := repairs(t, cfg, shelve(all), all); did.Size != 7 || did.Dropped != 0 {
		t.Errorf("%+v: want 7 entries", did)
	}
}

// The published tree is made whole too where more is written by now: its readers have
// got no further.
func TestRepairPublishedTree(t *testing.T) {
	cfg, old, all := outgrown(t, 4, 3)
	write(t, filepath.Join(cfg.Dir, "checkpoint"), old.Note)
	flip(t, filepath.Join(cfg.Dir, "tile", "entries", "000.p", "4"))
	if err := os.Remove(filepath.Join(cfg.Dir, "tile", "0", "000.p", "4")); err != nil {
		t.Fatal(err)
	}
	if _, err := tiles.Repair(t.Context(), cfg, shelve(all), true, nil); err != nil {
		t.Fatal(err)
	}
	reader := tlog.NewTileReader(cfg.Verifier, func(_ context.Context, path string) ([]byte, error) {
		return os.ReadFile(filepath.Join(cfg.Dir, path))
	})
	n := 0
	for _, err := range reader.Entries(t.Context(), old, 0) {
		if n++; err != nil {
			t.Error(err)
		}
	}
	if n != 4 {
		t.Errorf("%d entries", n)
	}
}

// A repair that was cut short has put whole files in place, Tessera's state last: until
// it is done again the log does not open.
func TestRepairCutShort(t *testing.T) {
	cfg, l, all := running(t, 4)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	flip(t, filepath.Join(cfg.Dir, "tile", "entries", "000.p", "4"))
	state := filepath.Join(cfg.Dir, ".state")
	if err := os.RemoveAll(state); err != nil {
		t.Fatal(err)
	}
	write(t, state, []byte("in the way"))
	if _, err := tiles.Repair(t.Context(), cfg, shelve(all), true, nil); err == nil {
		t.Error("repaired, with something in the way")
	}
	if err := os.Remove(state); err != nil {
		t.Fatal(err)
	}
	if _, err := tiles.Open(t.Context(), cfg); !refused(err) {
		t.Errorf("opened, half repaired: %v", err)
	}
	if did := repairs(t, cfg, &shelf{}, all); did.Source != 0 {
		t.Errorf("%+v: the bundle was not put in place before", did)
	}
}

func TestRepairNothingSigned(t *testing.T) {
	cfg, _ := written(t, 3)
	if err := errors.Join(os.Remove(cfg.Dir+".checkpoint"), os.Remove(filepath.Join(cfg.Dir, "checkpoint"))); err != nil {
		t.Fatal(err)
	}
	if _, err := tiles.Repair(t.Context(), cfg, &shelf{}, true, nil); !errors.Is(err, tlog.ErrCheckpoint) {
		t.Errorf("without a checkpoint: %v", err)
	}
	other := cfg
	other.Dir = t.TempDir()
	if _, err := tiles.Repair(t.Context(), other, &shelf{}, true, nil); !errors.Is(err, tlog.ErrCheckpoint) {
		t.Errorf("an empty directory: %v", err)
	}
}
