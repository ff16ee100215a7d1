package tiles

import (
	"fmt"
	"sync"

	"github.com/sekisho-dev/sekisho/attest"
	"github.com/sekisho-dev/sekisho/tlog"
	"github.com/transparency-dev/tessera"
)

// sequenced is what Append has handed to Tessera and no signed checkpoint covers yet,
// by the index that Tessera gave it. It is how the signer knows the leaves of a new
// tree without reading the files that Tessera has written.
type sequenced struct {
	mu      sync.Mutex
	news    sync.Cond       // an entry has an index, or has failed
	tickets uint64          // entries handed over, ever
	open    map[uint64]bool // those of which nothing is known yet
	floor   uint64          // indices below it are signed
	leaves  map[uint64]sequencedLeaf
}

type sequencedLeaf struct {
	hash   attest.Hash
	ticket uint64
	failed bool
}

func newSequenced(floor uint64) *sequenced {
	s := &sequenced{floor: floor, open: map[uint64]bool{}, leaves: map[uint64]sequencedLeaf{}}
	s.news.L = &s.mu
	return s
}

// hand notes that an entry is being handed over, and returns its ticket.
func (s *sequenced) hand() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tickets++
	s.open[s.tickets] = true
	return s.tickets
}

// settle notes what Tessera says of the entry with that ticket. An index that is
// signed for already is [tlog.ErrInconsistent]: Tessera's state was taken back.
//
// An entry that failed may be in the tree all the same, where Tessera only could not
// make sure that its state is on disk. So it is remembered too, until another entry
// is given its index.
func (s *sequenced) settle(ticket uint64, leaf attest.Hash, index tessera.Index, failure error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, ticket)
	s.news.Broadcast()
	l := sequencedLeaf{leaf, ticket, failure != nil}
	have, known := s.leaves[index.Index]
	switch {
	case index.Index < s.floor && failure == nil:
		return fmt.Errorf("%w: a new entry was given index %d, and %d entries are signed: %s was deleted or set back", tlog.ErrInconsistent, index.Index, s.floor, stateFile)
	case index.Index < s.floor, known && l.failed && !have.failed:
	case !known, have.failed && !l.failed, ticket > have.ticket:
		s.leaves[index.Index] = l
	}
	return nil
}

// issued returns the ticket of the entry that was handed over last.
func (s *sequenced) issued() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tickets
}

// between returns the leaves [from, to), waiting while one of them may yet be told:
// Tessera publishes before it has told everybody what index they have. With all it
// waits for every entry up to the ticket, so that nothing is missing that will be told.
func (s *sequenced) between(from, to, ticket uint64, all bool) ([]attest.Hash, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for all && s.waits(ticket) {
		s.news.Wait()
	}
	var leaves []attest.Hash
	for index := from; index < to; {
		l, known := s.leaves[index]
		switch {
		case known:
			leaves = append(leaves, l.hash)
			index++
		case s.waits(ticket):
			s.news.Wait()
		default:
			return nil, fmt.Errorf("%w: the tree has %d entries, and entry %d is none that this process was given", tlog.ErrInconsistent, to, index)
		}
	}
	return leaves, nil
}

func (s *sequenced) waits(ticket uint64) bool {
	for t := range s.open {
		if t <= ticket {
			return true
		}
	}
	return false
}

// forget lets go of the leaves [from, to), which are signed.
func (s *sequenced) forget(from, to uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for index := from; index < to; index++ {
		delete(s.leaves, index)
	}
	s.floor = to
}
