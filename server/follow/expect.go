package follow

import (
	"sync"

	"github.com/sekisho-dev/sekisho/attest"
	"github.com/sekisho-dev/sekisho/tlog"
)

// maxExpected bounds the rows that are kept of entries on their way into the log, in
// bytes.
const maxExpected = 32 << 20

// Expect takes the row of an entry that is about to be logged. Whoever logs it has
// verified the very bytes that its leaf commits to, and following would come to the same
// row from them; it counts when the log holds the entry, if ever. Where there is no
// room for it, following derives it when its time comes.
func (f *Follower) Expect(r Row) { f.expected.put(r) }

// expected are rows that were made ahead of the log. Its zero value holds none.
type expected struct {
	mu   sync.Mutex
	by   map[attest.Hash]Row
	size int
}

func (x *expected) put(r Row) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if _, twice := x.by[r.leaf]; twice {
		return
	}
	if x.size+r.size() > maxExpected {
		x.by, x.size = nil, 0 // appends that failed left these behind
	}
	if r.size() > maxExpected {
		return
	}
	if x.by == nil {
		x.by = map[attest.Hash]Row{}
	}
	x.by[r.leaf] = r
	x.size += r.size()
}

// take returns the row of an entry, once, if it was made under the same authorities.
func (x *expected) take(e tlog.Entry, authorities attest.Digest) (Row, bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	r, ok := x.by[attest.LeafHash(e.Data)]
	if !ok {
		return Row{}, false
	}
	delete(x.by, r.leaf)
	x.size -= r.size()
	r.record.Index = e.Index
	return r, r.authorities == authorities
}
