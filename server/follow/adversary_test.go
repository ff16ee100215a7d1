package follow_test

import (
	"testing"

	"github.com/sekisho-dev/sekisho/attest"
	"github.com/sekisho-dev/sekisho/internal/testhouse"
	"github.com/sekisho-dev/sekisho/server/follow"
	"github.com/sekisho-dev/sekisho/store"
	"github.com/sekisho-dev/sekisho/store/memory"
)

// TestEditedIndex: whoever may write the index of a stopped service can change what
// it answers. Comparing every row with the log finds them, and making the index again
// undoes it.
func TestEditedIndex(t *testing.T) {
	h := testhouse.New(t, testhouse.Options{})
	h.Statement(t, testhouse.Provenance(digest(1), localBuilder))
	forger := testhouse.New(t, testhouse.Options{})
	forged := forger.Statement(t, testhouse.Provenance(digest(666), localBuilder))

	read := func(h *testhouse.House) (recs []store.Record, at attest.Checkpoint) {
		err := h.Follow.View(t.Context(), func(s store.Snapshot, _ *follow.Control) error {
			at = s.Checkpoint()
			for rec, err := range s.Find(store.Key{}, 0) {
				if err != nil {
					return err
				}
				if rec, err = s.Record(rec.Index); err != nil {
					return err
				}
				recs = append(recs, rec)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return recs, at
	}
	genuine, at := read(h)
	forgery, _ := read(forger)
	last := len(genuine) - 1
	for name, edit := range map[string]func([]store.Record) []store.Record{
		"another row": func(recs []store.Record) []store.Record {
			recs[last] = forgery[forged.Receipt.Index]
			return recs
		},
		"a row found under another artifact": func(recs []store.Record) []store.Record {
			recs[last].Keys = append(recs[last].Keys, store.Key{Kind: store.Subject, Value: string(digest(666))})
			return recs
		},
		"a row missing": func(recs []store.Record) []store.Record { return recs[:last] },
	} {
		t.Run(name, func(t *testing.T) {
			edited, _ := read(h)
			idx := memory.NewIndex()
			if err := idx.Apply(t.Context(), 0, at, edit(edited)); err != nil {
				t.Fatal(err)
			}
			f, err := follow.New(t.Context(), h.FollowConfig(idx))
			if err != nil {
				t.Fatal(err)
			}
			found := 0
			for p, err := range f.Check(t.Context()) {
				if err != nil {
					t.Fatal(err)
				}
				if p.Entry != uint64(last) {
					t.Errorf("entry %d: %v", p.Entry, p.Err)
				}
				found++
			}
			if found != 1 {
				t.Errorf("%d problems found, want 1", found)
			}
			again, err := follow.New(t.Context(), h.FollowConfig(memory.NewIndex()))
			if err != nil {
				t.Fatal(err)
			}
			if err := again.CatchUp(t.Context()); err != nil {
				t.Fatal(err)
			}
			if a, b := rows(t, h.Follow), rows(t, again); a != b {
				t.Errorf("made again, it differs:\n%s\n%s", a, b)
			}
		})
	}
}
