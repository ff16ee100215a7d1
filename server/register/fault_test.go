package register_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/sekisho-dev/sekisho/attest"
	"github.com/sekisho-dev/sekisho/internal/testhouse"
	"github.com/sekisho-dev/sekisho/server/follow"
	"github.com/sekisho-dev/sekisho/server/register"
	"github.com/sekisho-dev/sekisho/sign"
	"github.com/sekisho-dev/sekisho/store"
	"github.com/sekisho-dev/sekisho/store/memory"
	"github.com/sekisho-dev/sekisho/store/storetest"
)

var errFault = errors.New("a fault of the test")

// failing is a signer or time authority that does its work, or not, and fails.
type failing struct {
	sign.Signer
	sign.TimeAuthority
	done  bool
	armed *bool
}

func (f failing) Sign(ctx context.Context, digest []byte) ([]byte, error) {
	if !*f.armed {
		return f.Signer.Sign(ctx, digest)
	}
	if f.done {
		f.Signer.Sign(ctx, digest) // the answer is lost on the way
	}
	return nil, fmt.Errorf("%w: %w", sign.ErrUnavailable, errFault)
}

func (f failing) Timestamp(ctx context.Context, sig []byte) ([]byte, error) {
	if !*f.armed {
		return f.TimeAuthority.Timestamp(ctx, sig)
	}
	if f.done {
		f.TimeAuthority.Timestamp(ctx, sig) // the answer is lost on the way
	}
	return nil, fmt.Errorf("%w: %w", sign.ErrUnavailable, errFault)
}

// TestFaults is the crash sentence, step by step: *a crash before the append
// leaves blobs nobody refers to; a crash after it leaves nothing undone.* Each step
// of Register fails, having done nothing or having been done, and then: the log
// holds what it held or the whole registration, everything checks, handing the
// document in again works, and replay from zero equals live.
func TestFaults(t *testing.T) {
	large := func() []byte {
		p := string(testhouse.Provenance(artifact, localBuilder))
		return []byte(strings.Replace(p, `"buildType"`, `"internalParameters":{"x":"`+strings.Repeat("x", 64<<10)+`"},"buildType"`, 1))
	}()
	steps := map[string]func(o *testhouse.Options, armed *bool, done bool){
		"sign": func(o *testhouse.Options, armed *bool, done bool) {
			o.Signer = func(s sign.Signer) sign.Signer { return failing{Signer: s, done: done, armed: armed} }
		},
		"timestamp": func(o *testhouse.Options, armed *bool, done bool) {
			o.Time = func(a sign.TimeAuthority) sign.TimeAuthority {
				return failing{TimeAuthority: a, done: done, armed: armed}
			}
		},
		"put payload": func(o *testhouse.Options, armed *bool, done bool) { o.Blobs = puts(1, armed, done) },
		"put record":  func(o *testhouse.Options, armed *bool, done bool) { o.Blobs = puts(2, armed, done) },
		"append": func(o *testhouse.Options, armed *bool, done bool) {
			o.LogFault = func(_ []byte, logged bool) error {
				if *armed && logged == done {
					return errFault
				}
				return nil
			}
		},
	}
	for name, step := range steps {
		for _, done := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/done=%v", name, done), func(t *testing.T) {
				var o testhouse.Options
				armed := false
				step(&o, &armed, done)
				h := testhouse.New(t, o)
				before := h.Follow.Progress().Size

				armed = true
				_, err := h.Register.Register(t.Context(), register.Submission{Caller: testhouse.Admin, Statement: large})
				if !errors.Is(err, register.ErrUncommitted) || !errors.Is(err, errFault) && !errors.Is(err, storetest.ErrInjected) {
					t.Fatalf("err = %v, want ErrUncommitted with its cause", err)
				}
				want := before
				if name == "append" && done {
					want++ // the one place where it was done all the same
				}
				checkHouse(t, h, want)

				armed = false
				r := h.Statement(t, large)
				if name == "append" && done && !r.AlreadyRegistered {
					t.Error("what the log had was not found again")
				}
				if !(name == "append" && done) {
					want++
				}
				checkReceipt(t, h, r)
				checkHouse(t, h, want)
			})
		}
	}
}

// puts makes the nth Put fail, counted from when it is armed.
func puts(n int, armed *bool, done bool) func(store.Blobs) store.Blobs {
	return func(b store.Blobs) store.Blobs {
		f := &storetest.Fault{Call: storetest.Put, N: n, Done: done}
		return armedBlobs{b, f.Blobs(b), armed}
	}
}

type armedBlobs struct {
	store.Blobs
	faulty store.Blobs
	armed  *bool
}

func (a armedBlobs) Put(ctx context.Context, key string, size int64, r io.Reader) error {
	if *a.armed {
		return a.faulty.Put(ctx, key, size, r)
	}
	return a.Blobs.Put(ctx, key, size, r)
}

// checkHouse checks log, blobs and index against each other, that the log holds
// so many entries, and that a replay from zero says what was followed live.
func checkHouse(t *testing.T, h *testhouse.House, size uint64) {
	t.Helper()
	if err := h.Follow.CatchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := h.Follow.Progress().Size; got != size {
		t.Errorf("the log holds %d entries, want %d", got, size)
	}
	for p, err := range h.Follow.Check(t.Context()) {
		t.Errorf("entry %d: %v (%v)", p.Entry, p.Err, err)
	}
	replay, err := follow.New(t.Context(), h.FollowConfig(memory.NewIndex()))
	if err != nil {
		t.Fatal(err)
	}
	if err := replay.CatchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	if live, again := dump(t, h.Follow), dump(t, replay); live != again {
		t.Errorf("replay differs from live:\n%s\n%s", live, again)
	}
}

// dump writes everything that an index holds.
func dump(t *testing.T, f *follow.Follower) string {
	t.Helper()
	var b strings.Builder
	err := f.View(t.Context(), func(s store.Snapshot, c *follow.Control) error {
		fmt.Fprintf(&b, "%d %x trust %d %s policy %s\n", s.Checkpoint().Size, s.Checkpoint().Root, c.Trust.Version(), c.TrustRef.Digest, c.PolicyRef.Digest)
		for rec, err := range s.Find(store.Key{}, 0) {
			if err != nil {
				return err
			}
			if rec, err = s.Record(rec.Index); err != nil {
				return err
			}
			fmt.Fprintf(&b, "%d %x %d\n", rec.Index, attest.SHA256(rec.Value), len(rec.Keys))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}
