package bolt

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/sekisho-dev/sekisho/attest"
	"github.com/sekisho-dev/sekisho/store"
	"github.com/sekisho-dev/sekisho/store/storetest"
)

func openIndex(dir string) (store.Index, error) { return Open(filepath.Join(dir, "index.bolt")) }

func TestIndex(t *testing.T) {
	storetest.RunIndex(t, openIndex)
	storetest.RunIndexReopen(t, openIndex)
}

func mustOpen(t testing.TB, path string) *Index {
	t.Helper()
	x, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { x.Close() })
	return x
}

func checkpoint(size uint64) attest.Checkpoint {
	return attest.Checkpoint{Origin: "test log", Size: size, Root: attest.Hash{byte(size)}, Note: []byte("note")}
}

// records makes those of the log entries [from, to): each with the keys that
// an attestation has, of which one is shared by a few, one by many and one by all.
func records(from, to uint64) (recs []store.Record) {
	for i := from; i < to; i++ {
		own := attest.SHA256(fmt.Append(nil, i))
		recs = append(recs, store.Record{
			Index: i,
			Keys: []store.Key{
				{Kind: store.Attestation, Value: string(own)},
				{Kind: store.Leaf, Value: own.Hex()},
				{Kind: store.Payload, Value: string(own)},
				{Kind: store.Subject, Value: string(attest.SHA256(fmt.Append(nil, i/5)))},
				{Kind: store.Builder, Value: fmt.Sprintf("https://ci.example/builder/%d", i%50)},
				{Kind: store.PredicateType, Value: "https://slsa.dev/provenance/v1"},
				{Kind: store.Signer, Value: fmt.Sprintf("signer %d", i%3)},
			},
			Value: bytes.Repeat([]byte{byte(i)}, 1000),
		})
	}
	return recs
}

func mustApply(t testing.TB, x *Index, from, to uint64) {
	t.Helper()
	if err := x.Apply(t.Context(), from, checkpoint(to), records(from, to)); err != nil {
		t.Fatal(err)
	}
}

func TestLocked(t *testing.T) {
	path := filepath.Join(t.TempDir(), "index.bolt")
	mustOpen(t, path)
	if _, err := Open(path); !errors.Is(err, store.ErrLocked) {
		t.Errorf("second Open = %v, want ErrLocked", err)
	}
}

// TestVersion: another edition's index is not read, and is left as it is.
func TestVersion(t *testing.T) {
	for name, change := range map[string]func(*bbolt.Tx) error{
		"other format": func(tx *bbolt.Tx) error { return tx.Bucket(metaBucket).Put(formatKey, []byte("sekisho index 1")) },
		"no format":    func(tx *bbolt.Tx) error { return tx.Bucket(metaBucket).Delete(formatKey) },
		"not ours": func(tx *bbolt.Tx) error {
			_, err := tx.CreateBucket([]byte("something"))
			return errors.Join(err, tx.DeleteBucket(metaBucket))
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "index.bolt")
			x := mustOpen(t, path)
			if err := x.db.Update(change); err != nil {
				t.Fatal(err)
			}
			x.Close()
			for range 2 {
				if _, err := Open(path); !errors.Is(err, store.ErrVersion) {
					t.Errorf("Open = %v, want ErrVersion", err)
				}
			}
		})
	}
}

// TestDamagedRows changes each row of an index in turn.
func TestDamagedRows(t *testing.T) {
	damage := func(t *testing.T, bucket, key []byte, f func([]byte) []byte) *Index {
		x := mustOpen(t, filepath.Join(t.TempDir(), "index.bolt"))
		mustApply(t, x, 0, 3)
		err := x.db.Update(func(tx *bbolt.Tx) error {
			b := tx.Bucket(bucket)
			if row := f(bytes.Clone(b.Get(key))); row != nil {
				return b.Put(key, row)
			}
			return b.Delete(key)
		})
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	other := func(index uint64) func([]byte) []byte {
		r := records(index, index+1)[0]
		return func([]byte) []byte { return encodeRecord(&r) }
	}
	for name, f := range map[string]func([]byte) []byte{
		"checksum":    func(b []byte) []byte { b[0] ^= 1; return b },
		"key":         func(b []byte) []byte { b[10] ^= 1; return b },
		"value":       func(b []byte) []byte { b[len(b)-1] ^= 1; return b },
		"short":       func(b []byte) []byte { return b[:3] },
		"another's":   other(2),
		"removed":     func([]byte) []byte { return nil },
		"sealed, bad": func([]byte) []byte { return seal(place(1), []byte{200, 200, 1}) },
	} {
		t.Run("record "+name, func(t *testing.T) {
			x := damage(t, recordsBucket, place(1), f)
			err := x.View(t.Context(), func(s store.Snapshot) error {
				if _, err := s.Record(1); !errors.Is(err, store.ErrCorrupt) && name != "removed" {
					t.Errorf("Record = %v, want ErrCorrupt", err)
				}
				var err error
				for _, err = range s.Find(store.Key{Kind: store.PredicateType, Value: "https://slsa.dev/provenance/v1"}, 0) {
				}
				return err
			})
			if !errors.Is(err, store.ErrCorrupt) {
				t.Errorf("Find = %v, want ErrCorrupt", err)
			}
		})
	}
	for name, f := range map[string]func([]byte) []byte{
		"changed":    func(b []byte) []byte { b[6] ^= 1; return b },
		"short":      func(b []byte) []byte { return b[:30] },
		"bad origin": func([]byte) []byte { return seal(checkpointKey, append(make([]byte, 40), 99)) },
	} {
		t.Run("checkpoint "+name, func(t *testing.T) {
			x := damage(t, metaBucket, checkpointKey, f)
			if err := x.View(t.Context(), func(store.Snapshot) error { return nil }); !errors.Is(err, store.ErrCorrupt) {
				t.Errorf("View = %v, want ErrCorrupt", err)
			}
			if err := x.Apply(t.Context(), 3, checkpoint(4), nil); !errors.Is(err, store.ErrCorrupt) {
				t.Errorf("Apply = %v, want ErrCorrupt", err)
			}
		})
	}
}

// TestDamagedFile overwrites and truncates the file where bbolt, which trusts
// its pages, panics or faults. Whatever is answered, it is an error or what
// was applied; and the file is let go of, so that it can be replaced.
func TestDamagedFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "index.bolt")
	x := mustOpen(t, path)
	mustApply(t, x, 0, 40)
	x.Close()
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	noise := bytes.Repeat([]byte{0xa5}, 16)
	refused := 0
	for at := 0; at < len(whole) && at < 64*4096; at += 2048 {
		overwritten := bytes.Clone(whole)
		copy(overwritten[at:], noise)
		for _, data := range [][]byte{overwritten, whole[:at]} {
			if err := os.WriteFile(path, data, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := readAll(t, path); err != nil {
				refused++
			}
		}
	}
	if refused == 0 {
		t.Error("none of the damage was noticed")
	}
}

// readAll reads every record in both ways, and compares what it is given.
func readAll(t *testing.T, path string) error {
	x, err := Open(path)
	if err != nil {
		if !errors.Is(err, store.ErrCorrupt) && !errors.Is(err, store.ErrVersion) {
			t.Errorf("Open = %v, want ErrCorrupt or ErrVersion", err)
		}
		return err
	}
	defer x.Close()
	return x.View(t.Context(), func(s store.Snapshot) error {
		for _, k := range []store.Key{{}, {Kind: store.Signer, Value: "signer 1"}} {
			for r, err := range s.Find(k, 0) {
				if err != nil {
					return err
				}
				want := records(r.Index, r.Index+1)[0]
				if whole, err := s.Record(r.Index); err != nil {
					return err
				} else if !bytes.Equal(r.Value, want.Value) || !bytes.Equal(encodeRecord(&whole), encodeRecord(&want)) {
					t.Errorf("record %d is not what was applied", r.Index)
				}
			}
		}
		return nil
	})
}

// TestPanicIsTheCallers: only bbolt's panics become errors, and a View that
// ends in one does not hold Close for ever.
func TestPanicIsTheCallers(t *testing.T) {
	x := mustOpen(t, filepath.Join(t.TempDir(), "index.bolt"))
	mustApply(t, x, 0, 2)
	func() {
		defer func() {
			if p := recover(); p != "mine" {
				t.Errorf("recovered %v, want the caller's panic", p)
			}
		}()
		x.View(t.Context(), func(s store.Snapshot) error {
			for range s.Find(store.Key{}, 0) {
				panic("mine")
			}
			return nil
		})
	}()
	if err := x.Close(); err != nil {
		t.Fatal(err)
	}
}

// FuzzDecode gives the decoders rows whose checksum is right.
func FuzzDecode(f *testing.F) {
	r := records(7, 8)[0]
	f.Add(encodeRecord(&r)[4:])
	f.Add(encodeCheckpoint(checkpoint(7))[4:])
	f.Add([]byte{1, 1, 1, 0, 1, 'a'})
	f.Fuzz(func(t *testing.T, body []byte) {
		if r, keys, err := decodeRecord(7, seal(place(7), body)); err == nil {
			if r.Keys, err = decodeKeys(7, keys); err == nil {
				again, keys, err := decodeRecord(7, encodeRecord(&r))
				if err != nil || !bytes.Equal(again.Value, r.Value) || len(keys) > len(body) {
					t.Errorf("%+v is decoded as %+v, %v", r, again, err)
				}
			}
		}
		if c, err := decodeCheckpoint(seal(checkpointKey, body)); err == nil {
			again, err := decodeCheckpoint(encodeCheckpoint(c))
			if err != nil || again.Size != c.Size || again.Root != c.Root || again.Origin != c.Origin || !bytes.Equal(again.Note, c.Note) {
				t.Errorf("%+v is decoded as %+v, %v", c, again, err)
			}
		}
	})
}
