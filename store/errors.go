package store

import (
	"errors"
	"fmt"
	"syscall"
)

// What a store can answer instead of doing as it was told. Drivers wrap these,
// with what was being done and to which key.
var (
	// ErrPosition: the index does not hold exactly the entries that an Apply
	// builds on. Somebody else applied them first, or the index is of another log.
	ErrPosition = errors.New("index is at another position")
	// ErrNotFound: nothing is stored under this key or log index.
	ErrNotFound = errors.New("not found in store")
	// ErrLocked: another process, or another part of this one, has the
	// directory or file open. Only one may.
	ErrLocked = errors.New("store is in use by another process")
	// ErrCorrupt: what is stored is not what was written. An index is then
	// rebuilt; a blob is restored from a copy by another Put.
	ErrCorrupt = errors.New("store is corrupt")
	// ErrFull: the disk or the quota is full. Nothing acknowledged is lost, and
	// the next write works once there is space.
	ErrFull = errors.New("no space left in store")
	// ErrVersion: written by an edition whose format this one does not read. An
	// index is then rebuilt beside it.
	ErrVersion = errors.New("store has another format version")
	// ErrClosed: used after Close, or a Snapshot after its View.
	ErrClosed = errors.New("store is closed")
	// ErrInvalid: an argument breaks the rules of this package.
	ErrInvalid = errors.New("invalid argument to store")
	// ErrSize: a blob's bytes are more or fewer than was declared.
	ErrSize = errors.New("blob is not of the declared size")
)

// DiskError returns err, wrapped in [ErrFull] if it says that the disk or the
// quota is full, or that the process may not make a file any larger. It is for drivers.
func DiskError(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EFBIG) {
		return fmt.Errorf("%w: %w", ErrFull, err)
	}
	return err
}
