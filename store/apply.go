package store

import (
	"fmt"

	"github.com/sekisho-dev/sekisho/attest"
)

// CheckApply reports whether an index that stands at `have` may apply these
// arguments, as [Index.Apply] says. Drivers call it inside their transaction,
// so that the comparison and the write are one. Errors: [ErrInvalid], [ErrPosition].
func CheckApply(have attest.Checkpoint, from uint64, to attest.Checkpoint, recs []Record) error {
	if to.Size < from {
		return fmt.Errorf("%w: applying %d entries to an index of %d", ErrInvalid, to.Size, from)
	}
	next := from
	for _, r := range recs {
		if r.Index < next || r.Index >= to.Size {
			return fmt.Errorf("%w: record %d, want one in [%d, %d) in ascending order", ErrInvalid, r.Index, next, to.Size)
		}
		if err := r.Check(); err != nil {
			return err
		}
		next = r.Index + 1
	}
	return checkPosition(have, from, to)
}

// checkPosition compares position and log. A size alone is not a position: two
// logs, or two forks of one, can be of equal size, and records of both
// in one index would be evidence that no log ever held.
func checkPosition(have attest.Checkpoint, from uint64, to attest.Checkpoint) error {
	if have.Size != from {
		return fmt.Errorf("%w: it holds %d entries, want %d", ErrPosition, have.Size, from)
	}
	if have.Size == 0 && have.Origin == "" { // nothing applied yet: any log may be the one
		return nil
	}
	if have.Origin != to.Origin {
		return fmt.Errorf("%w: it holds the log %.100q, want %.100q", ErrPosition, have.Origin, to.Origin)
	}
	if have.Size == to.Size && have.Root != to.Root {
		return fmt.Errorf("%w: it holds another tree of %d entries: root %x, want %x", ErrPosition, have.Size, have.Root, to.Root)
	}
	return nil
}

// Check reports whether an index takes the record: it is asked before an entry is
// logged, for what is logged has to be indexed. The error is [ErrInvalid].
func (r *Record) Check() error {
	if len(r.Keys) > MaxKeys {
		return fmt.Errorf("%w: record %d has %d keys, want at most %d", ErrInvalid, r.Index, len(r.Keys), MaxKeys)
	}
	if len(r.Value) > MaxValue {
		return fmt.Errorf("%w: record %d has a value of %d bytes, want at most %d", ErrInvalid, r.Index, len(r.Value), MaxValue)
	}
	for _, k := range r.Keys {
		if err := k.check(); err != nil {
			return fmt.Errorf("record %d: %w", r.Index, err)
		}
	}
	return nil
}
