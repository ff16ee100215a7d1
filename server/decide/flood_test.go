package decide_test

import (
	"context"
	"fmt"
	"iter"
	"path/filepath"
	"reflect"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/sekisho-dev/sekisho/attest"
	"github.com/sekisho-dev/sekisho/internal/testhouse"
	"github.com/sekisho-dev/sekisho/policy"
	"github.com/sekisho-dev/sekisho/server/decide"
	"github.com/sekisho-dev/sekisho/server/register"
	"github.com/sekisho-dev/sekisho/sign"
	"github.com/sekisho-dev/sekisho/sign/keyfile"
	"github.com/sekisho-dev/sekisho/store"
	"github.com/sekisho-dev/sekisho/verifier"
)

// counted counts the rows of an index that are read.
type counted struct {
	store.Index
	rows *atomic.Int64
}

func (c counted) View(ctx context.Context, f func(store.Snapshot) error) error {
	return c.Index.View(ctx, func(s store.Snapshot) error { return f(countedSnapshot{s, c.rows}) })
}

type countedSnapshot struct {
	store.Snapshot
	rows *atomic.Int64
}

func (s countedSnapshot) Record(index uint64) (store.Record, error) {
	s.rows.Add(1)
	return s.Snapshot.Record(index)
}

func (s countedSnapshot) Count(k store.Key) (uint64, error) {
	s.rows.Add(1)
	return s.Snapshot.Count(k)
}

func (s countedSnapshot) Find(k store.Key, from uint64) iter.Seq2[store.Record, error] {
	return tally(s.rows, s.Snapshot.Find(k, from))
}

func (s countedSnapshot) Indexes(k store.Key, from uint64) iter.Seq2[uint64, error] {
	return tally(s.rows, s.Snapshot.Indexes(k, from))
}

func (s countedSnapshot) Values(kind store.Kind, first string) iter.Seq2[string, error] {
	return tally(s.rows, s.Snapshot.Values(kind, first))
}

func tally[T any](rows *atomic.Int64, seq iter.Seq2[T, error]) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		rows.Add(1) // to look is to read one
		for one, err := range seq {
			if rows.Add(1); !yield(one, err) {
				return
			}
		}
	}
}

// rowsRead is how many rows of the index a question reads.
func rowsRead(t *testing.T, h *testhouse.House, rows *atomic.Int64, qs ...decide.Question) (int64, []decide.Answer) {
	t.Helper()
	before := rows.Load()
	answers, err := h.Decide.Decide(t.Context(), qs...)
	if err != nil {
		t.Fatal(err)
	}
	return rows.Load() - before, answers
}

// TestFloodIsNotRead: what no signer of the trust root signed is not read to decide,
// however much of it somebody registers about an artifact, by one key or by many: the
// answer costs what it cost before, and a denial a few rows more.
func TestFloodIsNotRead(t *testing.T) {
	var rows atomic.Int64
	h := testhouse.New(t, testhouse.Options{Index: func(x store.Index) store.Index { return counted{x, &rows} }, PerArtifact: 1 << 20})
	artifact := attest.DigestSet{"sha256": attest.SHA256([]byte("app")).Hex(), "sha512": attest.SHA512([]byte("app")).Hex()}
	about := func(n int) []byte {
		return fmt.Appendf(nil, `{"_type":"https://in-toto.io/Statement/v1","subject":[{"name":"app","digest":{"sha256":%q,"sha512":%q}}],`+
			`"predicateType":"https://slsa.dev/provenance/v1","predicate":{"n":%d,"buildDefinition":{"buildType":"https://localhost/make@v1"},"runDetails":{"builder":{"id":"https://localhost/builder"}}}}`,
			artifact["sha256"], artifact["sha512"], n)
	}
	h.Statement(t, about(0))
	allowed := decide.Question{Question: policy.Question{Artifact: artifact, MinLevel: attest.L1}}
	denied := decide.Question{Question: policy.Question{Artifact: artifact, MinLevel: attest.L3}}
	_, wanted := rowsRead(t, h, &rows, allowed)
	_, wantedDenial := rowsRead(t, h, &rows, denied)

	one := newKey(t)
	flood := func(n int) (allowing, denying int64) {
		for i := range n {
			envelope(t, h, one, about(1000*n+i))
			if i%3 == 0 {
				envelope(t, h, newKey(t), about(1000*n+i))
			}
		}
		var got, gotDenial []decide.Answer
		allowing, got = rowsRead(t, h, &rows, allowed)
		denying, gotDenial = rowsRead(t, h, &rows, denied)
		if got[0].Verdict != policy.Allow || !reflect.DeepEqual(got[0].Used, wanted[0].Used) {
			t.Errorf("it is decided otherwise: %+v", got[0].Decision)
		}
		if !reflect.DeepEqual(gotDenial[0].Reasons, wantedDenial[0].Reasons) {
			t.Errorf("it is denied otherwise: %+v", gotDenial[0].Reasons)
		}
		return allowing, denying
	}
	before, deniedBefore := flood(30)
	after, deniedAfter := flood(270)
	if after != before || deniedAfter != deniedBefore {
		t.Errorf("an answer reads %d rows, a denial %d; where there were 40 attestations and not 400 they read %d and %d", after, deniedAfter, before, deniedBefore)
	}

	// An artifact that is asked for twice is read once, also where it is denied.
	for _, c := range []struct {
		q    decide.Question
		want int64
	}{{allowed, after}, {denied, deniedAfter}} {
		if n, answers := rowsRead(t, h, &rows, slices.Repeat([]decide.Question{c.q}, 100)...); n != c.want || len(answers) != 100 {
			t.Errorf("a batch of 100 about one artifact reads %d rows, one question %d", n, c.want)
		}
	}

	// And all of it is there to be seen, in order, a page at a time.
	var shown []uint64
	for from, more := uint64(0), true; more; {
		n := 0
		var err error
		_, from, more, err = h.Decide.Explain(t.Context(), allowed, from, func(f decide.Finding) bool {
			if n++; n > 60 {
				return false
			}
			shown = append(shown, f.LogIndex)
			return true
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(shown) != 401 {
		t.Errorf("%d findings, want 401", len(shown))
	}
	for i := range shown {
		if shown[i] != uint64(i)+2 {
			t.Fatalf("finding %d is of entry %d", i, shown[i])
		}
	}
}

// TestStrangersExplainOnly: whatever strangers register, an answer that denies goes on
// denying, and one that allows goes on allowing.
func TestStrangersExplainOnly(t *testing.T) {
	h := testhouse.New(t, testhouse.Options{})
	app, none := attest.SHA256([]byte("app")), attest.SHA256([]byte("none"))
	h.Statement(t, testhouse.Provenance(app, "https://localhost/builder"))
	for _, d := range []attest.Digest{app, none} {
		envelope(t, h, newKey(t), testhouse.Provenance(d, "https://localhost/builder"))
	}
	if a := ask(t, h, policy.Question{Artifact: app.Set(), MinLevel: attest.L1}); a.Verdict != policy.Allow {
		t.Errorf("denied: %+v", a.Reasons)
	}
	a := ask(t, h, policy.Question{Artifact: none.Set(), MinLevel: attest.L1})
	if a.Verdict != policy.Deny || len(a.Reasons) != 1 || a.Reasons[0].Code != policy.UnknownSigner || len(a.Evidence) != 0 {
		t.Errorf("decided %+v on %d pieces of evidence, want UNKNOWN_SIGNER", a.Decision, len(a.Evidence))
	}
}

// TestFarAheadIsRefusedAtOnce: a question from somebody who has seen quite another log
// does not wait for this one to grow.
func TestFarAheadIsRefusedAtOnce(t *testing.T) {
	h := testhouse.New(t, testhouse.Options{})
	patient := decide.New(h.Follow, 1<<62, h.Clock.Now) // it would wait for ever
	_, err := patient.Decide(t.Context(), decide.Question{Question: policy.Question{Artifact: attest.SHA256(nil).Set()}, MinLogSize: 1 << 60})
	if err == nil {
		t.Error("answered")
	}
}

func newKey(t *testing.T) *keyfile.Signer {
	t.Helper()
	k, err := keyfile.Create(filepath.Join(t.TempDir(), "key.pem"), attest.ECDSAP256SHA256)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// envelope registers a statement under somebody's own key.
func envelope(t *testing.T, h *testhouse.House, key *keyfile.Signer, statement []byte) {
	t.Helper()
	e, err := sign.Envelope(t.Context(), key, attest.PayloadTypeInToto, statement)
	if err == nil {
		_, err = h.Register.Register(t.Context(), register.Submission{
			Caller: verifier.Caller{Issuer: "token:ci", Subject: "build-bot"}, Envelope: e.JSON(), PublicKey: key.Key().Public,
		})
	}
	if err != nil {
		t.Fatal(err)
	}
}
