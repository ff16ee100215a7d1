package follow_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sekisho-dev/sekisho/attest"
	"github.com/sekisho-dev/sekisho/internal/testhouse"
	"github.com/sekisho-dev/sekisho/server/follow"
	"github.com/sekisho-dev/sekisho/store"
	"github.com/sekisho-dev/sekisho/store/memory"
	"github.com/sekisho-dev/sekisho/store/storetest"
	"github.com/sekisho-dev/sekisho/tlog"
	"github.com/sekisho-dev/sekisho/tlog/memlog"
	"github.com/sekisho-dev/sekisho/verifier"
)

const localBuilder = "https://localhost/builder"

func digest(i int) attest.Digest { return attest.SHA256(fmt.Append(nil, i)) }

// replaced are blobs of which one answers something else, or nothing.
type replaced struct {
	store.Blobs
	key  atomic.Pointer[string]
	with []byte // nil: missing
}

func (r *replaced) Get(ctx context.Context, key string) (io.ReadCloser, error) {
	if k := r.key.Load(); k == nil || *k != key {
		return r.Blobs.Get(ctx, key)
	}
	if r.with == nil {
		return nil, store.ErrNotFound
	}
	return io.NopCloser(bytes.NewReader(r.with)), nil
}

// TestDamage: where a record is missing, swapped for another's, or holds another
// signature or payload, following stops there, everything that asks is refused
// with ErrDamaged, and once it is restored everything goes on.
func TestDamage(t *testing.T) {
	h := testhouse.New(t, testhouse.Options{})
	a := h.Statement(t, testhouse.Provenance(digest(1), localBuilder))
	b := h.Statement(t, testhouse.Provenance(digest(2), localBuilder))
	read := func(leaf attest.Hash) []byte {
		r, err := h.Blobs.Get(t.Context(), follow.RecordKey(leaf))
		if err != nil {
			t.Fatal(err)
		}
		raw, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	good := read(b.Receipt.LeafHash)
	for name, with := range map[string][]byte{
		"missing":           nil,
		"swapped":           read(a.Receipt.LeafHash),
		"not a record":      []byte("{}"),
		"not JSON":          []byte("x"),
		"another signature": bytes.Replace(good, []byte(`"sig":"ME`), []byte(`"sig":"MF`), 1),
		"another payload":   bytes.Replace(good, []byte(`"payload":"eyJ`), []byte(`"payload":"eyK`), 1),
	} {
		t.Run(name, func(t *testing.T) {
			blobs := &replaced{Blobs: h.Blobs, with: with}
			key := follow.RecordKey(b.Receipt.LeafHash)
			blobs.key.Store(&key)
			c := h.FollowConfig(memory.NewIndex())
			c.Blobs = blobs
			f, err := follow.New(t.Context(), c)
			if err != nil {
				t.Fatal(err)
			}
			err = f.CatchUp(t.Context())
			if !errors.Is(err, follow.ErrDamaged) || !strings.Contains(err.Error(), fmt.Sprint("entry ", b.Receipt.Index)) {
				t.Fatalf("CatchUp: %v, want ErrDamaged from entry %d", err, b.Receipt.Index)
			}
			if err := f.Ready(0); !errors.Is(err, follow.ErrDamaged) {
				t.Errorf("Ready: %v, want ErrDamaged", err)
			}
			if got := f.Progress().Size; got != b.Receipt.Index {
				t.Errorf("followed up to %d, want %d", got, b.Receipt.Index)
			}
			blobs.key.Store(nil) // restored
			if err := f.CatchUp(t.Context()); err != nil {
				t.Errorf("after it was restored: %v", err)
			}
			if err := f.Ready(h.Follow.Progress().Size); err != nil {
				t.Errorf("after it was restored: %v", err)
			}
		})
	}
}

// TestSubmitterIsDisplayOnly: what the leaf does not commit to changes nothing
// that is derived.
func TestSubmitterIsDisplayOnly(t *testing.T) {
	h := testhouse.New(t, testhouse.Options{})
	r := h.Statement(t, testhouse.Provenance(digest(1), localBuilder))
	key := follow.RecordKey(r.Receipt.LeafHash)
	rc, err := h.Blobs.Get(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := io.ReadAll(rc)
	if err != nil {
		t.Fatal(err)
	}
	blobs := &replaced{Blobs: h.Blobs, with: bytes.Replace(raw, []byte(`"submittedBy":"token:admin/admin"`), []byte(`"submittedBy":"token:root/evil"`), 1)}
	blobs.key.Store(&key)
	c := h.FollowConfig(memory.NewIndex())
	c.Blobs = blobs
	f, err := follow.New(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.CatchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	if a, b := rows(t, h.Follow), rows(t, f); a != b {
		t.Errorf("the submitter changed what was derived:\n%s\n%s", a, b)
	}
}

// TestIndexFaults: an Apply that fails, or fails but was done, is made up for.
func TestIndexFaults(t *testing.T) {
	h := testhouse.New(t, testhouse.Options{})
	for i := range 5 {
		h.Statement(t, testhouse.Provenance(digest(i), localBuilder))
	}
	for _, done := range []bool{false, true} {
		fault := &storetest.Fault{Call: storetest.Apply, N: 1, Done: done}
		f, err := follow.New(t.Context(), h.FollowConfig(fault.Index(memory.NewIndex())))
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			err = f.CatchUp(t.Context())
		}
		if err != nil || !fault.Fired() {
			t.Errorf("done=%v: %v (fired %v)", done, err, fault.Fired())
		}
		if a, b := rows(t, h.Follow), rows(t, f); a != b {
			t.Errorf("done=%v: index differs:\n%s\n%s", done, a, b)
		}
	}
}

// TestReplayEqualsLive replays from zero after trust root and policy changed.
func TestReplayEqualsLive(t *testing.T) {
	h := testhouse.New(t, testhouse.Options{})
	h.Bundle(t, bytes.TrimSpace(testhouse.Testdata(t, "provenance", "MODULE.bazel.intoto.jsonl")))
	h.Statement(t, testhouse.Provenance(digest(1), localBuilder))
	h.Control(t, attest.TrustRootType, nextTrust(h, func(s string) string { return s }))
	h.Statement(t, testhouse.Provenance(digest(2), localBuilder))
	f, err := follow.New(t.Context(), h.FollowConfig(memory.NewIndex()))
	if err != nil {
		t.Fatal(err)
	}
	if err := f.CatchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	if a, b := rows(t, h.Follow), rows(t, f); a != b {
		t.Errorf("replay differs from live:\n%s\n%s", a, b)
	}
	if v := f.Control().Trust.Version(); v != 2 {
		t.Errorf("trust root version %d after replay, want 2", v)
	}
}

// TestRestartKeepsControl: a follower on an index that is up to date knows trust
// root and policy without following anything.
func TestRestartKeepsControl(t *testing.T) {
	h := testhouse.New(t, testhouse.Options{})
	h.Control(t, attest.TrustRootType, nextTrust(h, func(s string) string { return s }))
	f, err := follow.New(t.Context(), h.FollowConfig(h.Index))
	if err != nil {
		t.Fatal(err)
	}
	was, is := h.Follow.Control(), f.Control()
	if is.Size != was.Size || is.TrustRef != was.TrustRef || is.PolicyRef != was.PolicyRef || is.Trust.Version() != 2 || is.Policy == nil {
		t.Errorf("control is %+v, want %+v", is, was)
	}
}

// nextTrust is version 2 of the trust root in force, edited.
func nextTrust(h *testhouse.House, edit func(string) string) []byte {
	c := h.Follow.Control()
	s := strings.Replace(string(c.Trust.Bytes()), "version: 1", fmt.Sprintf("version: %d\nprevious: %s", c.Trust.Version()+1, c.TrustRef.Digest), 1)
	return []byte(edit(s))
}

// TestTrustRootChain: a trust root that is not the next, names another
// predecessor, or is signed by a key that may not, never takes effect, and
// whoever hands it in is told.
func TestTrustRootChain(t *testing.T) {
	h := testhouse.New(t, testhouse.Options{})
	for name, doc := range map[string][]byte{
		"a gap": nextTrust(h, func(s string) string { return strings.Replace(s, "version: 2", "version: 3", 1) }),
		"another predecessor": nextTrust(h, func(s string) string {
			return strings.Replace(s, "previous: sha256:", "previous: sha256:0", 1)[:len(s)]
		}),
		"not a trust root": []byte("version: 2\n"),
	} {
		if _, err := h.TryControl(t.Context(), h.Root, attest.TrustRootType, doc); err == nil {
			t.Errorf("%s was registered", name)
		}
	}
	if _, err := h.TryControl(t.Context(), h.Signer, attest.TrustRootType, nextTrust(h, func(s string) string { return s })); !errors.Is(err, verifier.ErrThreshold) {
		t.Errorf("signed by the statements key: %v, want ErrThreshold", err)
	}
	if v := h.Follow.Control().Trust.Version(); v != 1 {
		t.Fatalf("version %d is in force", v)
	}
	second := nextTrust(h, func(s string) string { return s })
	h.Control(t, attest.TrustRootType, second)
	if c := h.Follow.Control(); c.Trust.Version() != 2 || !bytes.Equal(c.Trust.Bytes(), second) {
		t.Errorf("version %d is in force, want 2", c.Trust.Version())
	}
}

// TestPolicyRollback (advisory B15): an older signed policy is refused.
func TestAdvisoryB15_PolicyRollback(t *testing.T) {
	h := testhouse.New(t, testhouse.Options{})
	starter := string(h.Follow.Control().Policy.Bytes())
	h.Control(t, attest.PolicyType, []byte(strings.Replace(starter, "version: 1", "version: 5", 1)))
	_, err := h.TryControl(t.Context(), h.Root, attest.PolicyType, []byte(strings.Replace(starter, "version: 1", "version: 4", 1)))
	if !errors.Is(err, follow.ErrNotNext) {
		t.Errorf("err = %v, want ErrNotNext", err)
	}
	if v := h.Follow.Control().Policy.Version; v != 5 {
		t.Errorf("policy version %d is in force, want 5", v)
	}
}

// TestOtherAuthorities: when the trust root names other authorities, facts are
// derived again under them, also those of long ago.
func TestOtherAuthorities(t *testing.T) {
	h := testhouse.New(t, testhouse.Options{})
	bundle := h.Bundle(t, bytes.TrimSpace(testhouse.Testdata(t, "provenance", "MODULE.bazel.intoto.jsonl")))
	believed := func() (b verifier.Belief) {
		t.Helper()
		err := h.Follow.View(t.Context(), func(s store.Snapshot, c *follow.Control) error {
			rec, err := s.Record(bundle.Receipt.Index)
			if err != nil {
				return err
			}
			facts, err := verifier.RestoreFacts(rec.Value)
			b = c.Trust.Believe(facts)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	if b := believed(); b.Level != attest.L2 {
		t.Fatalf("level %v (%v), want 2", b.Level, b.Err)
	}
	// Two timestamps are wanted, and the bundle has one: it verifies no more.
	h.Control(t, attest.TrustRootType, nextTrust(h, func(s string) string {
		return strings.Replace(s, "require: {log: 1, timestamps: 1, sct: 1}", "require: {log: 1, timestamps: 2, sct: 1}", 1)
	}))
	waitFor(t, func() bool { return believed().Level == attest.L0 })
	h.Control(t, attest.TrustRootType, nextTrust3(h))
	waitFor(t, func() bool { return believed().Level == attest.L2 })

	f, err := follow.New(t.Context(), h.FollowConfig(memory.NewIndex()))
	if err != nil {
		t.Fatal(err)
	}
	if err := f.CatchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	if a, b := rows(t, h.Follow), rows(t, f); a != b {
		t.Errorf("replay differs from live:\n%s\n%s", a, b)
	}
}

// nextTrust3 is version 3, with the requirements of version 1.
func nextTrust3(h *testhouse.House) []byte {
	c := h.Follow.Control()
	s := string(c.Trust.Bytes())
	s = strings.Replace(s, "version: 2\n", "version: 3\n", 1)
	i := strings.Index(s, "previous: ")
	s = s[:i] + "previous: " + string(c.TrustRef.Digest) + s[i+len("previous: ")+len(c.TrustRef.Digest):]
	return []byte(strings.Replace(s, "timestamps: 2, sct: 1", "timestamps: 1, sct: 1", 1))
}

func waitFor(t *testing.T, ok func() bool) {
	t.Helper()
	for range 500 {
		if ok() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("it did not come to pass")
}

// TestStale: an index that is behind what the caller has seen, or was not known
// to be current for too long, does not answer.
func TestStale(t *testing.T) {
	h := testhouse.New(t, testhouse.Options{Still: true, Bare: true})
	if err := h.Follow.Ready(0); !errors.Is(err, follow.ErrStale) {
		t.Errorf("before it caught up: %v, want ErrStale", err)
	}
	if err := h.Follow.CatchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := h.Follow.Ready(0); err != nil {
		t.Error(err)
	}
	if err := h.Follow.Ready(1); !errors.Is(err, follow.ErrStale) {
		t.Errorf("behind the caller: %v, want ErrStale", err)
	}
	h.Clock.Advance(6 * time.Second)
	if err := h.Follow.Ready(0); !errors.Is(err, follow.ErrStale) {
		t.Errorf("6 s later: %v, want ErrStale", err)
	}
}

// TestRollback: a log that is smaller, or another, than what was followed.
func TestRollback(t *testing.T) {
	h := testhouse.New(t, testhouse.Options{})
	h.Statement(t, testhouse.Provenance(digest(1), localBuilder))
	other, err := memlog.New(memlog.Config{})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := other.Append(t.Context(), []byte("something else")); err != nil {
			t.Fatal(err)
		}
	}
	empty, err := memlog.New(memlog.Config{})
	if err != nil {
		t.Fatal(err)
	}
	for name, log := range map[string]tlog.Reader{"another": other, "empty": empty} {
		c := h.FollowConfig(h.Index)
		c.Log = log
		f, err := follow.New(t.Context(), c)
		if err == nil {
			err = f.CatchUp(t.Context())
		}
		if err == nil {
			t.Errorf("%s log was followed", name)
		}
		// A shorter one is said to be that before anything is read by the index's positions.
		if name == "empty" && !errors.Is(err, follow.ErrRollback) {
			t.Errorf("%s log: %v, want ErrRollback", name, err)
		}
	}
}

// rows writes everything that an index holds, with the control state.
func rows(t *testing.T, f *follow.Follower) string {
	t.Helper()
	var b strings.Builder
	err := f.View(t.Context(), func(s store.Snapshot, c *follow.Control) error {
		fmt.Fprintf(&b, "%d trust %d %v policy %v\n", s.Checkpoint().Size, c.Trust.Version(), c.TrustRef, c.PolicyRef)
		for rec, err := range s.Find(store.Key{}, 0) {
			if err != nil {
				return err
			}
			if rec, err = s.Record(rec.Index); err != nil {
				return err
			}
			fmt.Fprintf(&b, "%d %s %d keys\n", rec.Index, attest.SHA256(rec.Value), len(rec.Keys))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}
