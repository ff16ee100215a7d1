package follow

import (
	"context"
	"sync"

	"github.com/sekisho-dev/sekisho/attest"
	"github.com/sekisho-dev/sekisho/tlog"
)

// maxExpected bounds what is derived ahead of the log.
const maxExpected = 4096

// Expect derives an entry that is about to be logged, from what is stored of
// it, while the log is still publishing it. Nothing is believed sooner for it:
// the result is the one that following would come to, from the same bytes and by
// the same verification, and it counts when the log holds the entry, if ever.
// What goes wrong here is found again, and told, when it is followed.
func (f *Follower) Expect(ctx context.Context, entry []byte) {
	material := f.Control().Trust
	if !f.expected.begin() {
		return
	}
	go func() {
		defer f.expected.end()
		d, err := f.derive(context.WithoutCancel(ctx), tlog.Entry{Data: entry}, material)
		if err == nil {
			f.expected.put(attest.LeafHash(entry), expectation{d, material.Authorities()})
		}
	}()
}

// An expectation is what an entry says, and under which authorities.
type expectation struct {
	derived
	authorities attest.Digest
}

// expected are entries that were derived ahead. Its zero value holds nothing.
type expected struct {
	slots chan struct{} // so many at a time
	mu    *sync.Mutex
	by    map[attest.Hash]expectation
}

func newExpected() expected {
	return expected{make(chan struct{}, maxExpected), new(sync.Mutex), map[attest.Hash]expectation{}}
}

// begin reports whether there is room to derive one more. If not, following does
// it when its time comes.
func (x *expected) begin() bool {
	select {
	case x.slots <- struct{}{}:
		return true
	default:
		return false
	}
}

func (x *expected) end() { <-x.slots }

func (x *expected) put(leaf attest.Hash, e expectation) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if len(x.by) >= maxExpected {
		clear(x.by) // appends that failed left these behind
	}
	x.by[leaf] = e
}

// take returns what was derived of an entry, once, if that was under the same
// authorities.
func (x *expected) take(e tlog.Entry, authorities attest.Digest) (derived, bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	leaf := attest.LeafHash(e.Data)
	found, ok := x.by[leaf]
	delete(x.by, leaf)
	if !ok || found.authorities != authorities {
		return derived{}, false
	}
	found.record.Index = e.Index
	return found.derived, true
}
