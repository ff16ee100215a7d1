package bolt

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/sekisho-dev/sekisho/store"
)

// TestFlippedBits flips every single bit of a small index that is open, one at a
// time: each question that a decision asks, what is found by a key, then gives the
// answer that it gave before, or an error. (A row that is gone once looked like an
// attestation that was never made: R1.)
func TestFlippedBits(t *testing.T) {
	path := filepath.Join(t.TempDir(), "index.bolt")
	x := mustOpen(t, path)
	recs := records(0, 3)
	for i := range recs {
		recs[i].Value = fmt.Appendf(nil, "value %d", i)
		recs[i].Keys = []store.Key{{Kind: store.Evidence, Value: fmt.Sprintf("artifact %d\x00signer %d", i/2, i)}, {Kind: store.PredicateType, Value: "type"}}
	}
	if err := x.Apply(t.Context(), 0, checkpoint(3), recs); err != nil {
		t.Fatal(err)
	}
	asked := []store.Key{recs[0].Keys[0], recs[2].Keys[0], recs[0].Keys[1], {}, {Kind: store.Evidence, Value: "artifact 1\x00nobody"}}
	answers := func() (all [][]string, failed int) {
		for _, k := range asked {
			var got []string
			err := x.View(t.Context(), func(s store.Snapshot) error {
				n, err := s.Count(k)
				if err != nil {
					return err
				}
				got = append(got, fmt.Sprint(s.Checkpoint().Size, " ", n))
				for r, err := range s.Find(k, 0) {
					if err != nil {
						return err
					}
					got = append(got, fmt.Sprint(r.Index, string(r.Value)))
				}
				first, _ := k.First()
				for v, err := range s.Values(k.Kind, first) {
					if err != nil {
						return err
					}
					got = append(got, v)
				}
				return nil
			})
			if err != nil {
				got, failed = nil, failed+1
			}
			all = append(all, got)
		}
		return all, failed
	}
	counts := func() (all [][]string, failed int) {
		for _, k := range asked {
			var got []string
			err := x.View(t.Context(), func(s store.Snapshot) error {
				n, err := s.Count(k)
				got = append(got, fmt.Sprint(n))
				return err
			})
			if err != nil {
				got, failed = nil, failed+1
			}
			all = append(all, got)
		}
		return all, failed
	}
	wantCounts, _ := counts()
	want, failed := answers()
	if failed > 0 {
		t.Fatal("the index cannot be read as it is")
	}
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	noticed := 0
	for at := range whole {
		if page := at / 4096 * 4096; bytes.Count(whole[page:page+4096], []byte{0}) == 4096 {
			continue // never written
		}
		for bit := range 8 {
			if _, err := file.WriteAt([]byte{whole[at] ^ 1<<bit}, int64(at)); err != nil {
				t.Fatal(err)
			}
			if got, _ := counts(); got != nil {
				for i := range got {
					if got[i] != nil && !slices.Equal(got[i], wantCounts[i]) {
						t.Errorf("bit %d of byte %d: %v counts %q, want %q or an error", bit, at, asked[i], got[i], wantCounts[i])
					}
				}
			}
			got, failed := answers()
			noticed += min(failed, 1)
			for i := range got {
				if got[i] != nil && !slices.Equal(got[i], want[i]) {
					t.Errorf("bit %d of byte %d: %v answers %q, want %q or an error", bit, at, asked[i], got[i], want[i])
				}
			}
		}
		if _, err := file.WriteAt(whole[at:at+1], int64(at)); err != nil {
			t.Fatal(err)
		}
	}
	if got, failed := answers(); failed > 0 || noticed == 0 {
		t.Errorf("afterwards: %q, %d errors; %d flips were noticed", got, failed, noticed)
	}
}
