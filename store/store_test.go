package store_test

import (
	"bytes"
	"errors"
	"os"
	"syscall"
	"testing"

	"github.com/sekisho-dev/sekisho/store"
)

// FuzzKey: no key's encoding is a prefix of another's, whatever the values.
func FuzzKey(f *testing.F) {
	f.Add(uint8(1), "a", uint8(1), "a\x00")
	f.Add(uint8(1), "", uint8(2), "")
	f.Add(uint8(1), "\x00\x01a", uint8(1), "\x00\x01")
	f.Fuzz(func(t *testing.T, kind1 uint8, value1 string, kind2 uint8, value2 string) {
		a, b := store.Key{Kind: store.Kind(kind1), Value: value1}, store.Key{Kind: store.Kind(kind2), Value: value2}
		if a.CheckFind() != nil || b.CheckFind() != nil || a == b {
			return
		}
		if x, y := a.AppendTo(nil), b.AppendTo(nil); bytes.HasPrefix(x, y) || bytes.HasPrefix(y, x) {
			t.Errorf("%q is encoded as %x and %q as %x", a, x, b, y)
		}
	})
}

// TestKindsAreNamed: the numbers are part of what is on disk.
func TestKindsAreNamed(t *testing.T) {
	for want, kind := range []store.Kind{store.All, store.Subject, store.PredicateType, store.Component, store.Builder,
		store.Signer, store.Payload, store.Attestation, store.Leaf, store.Control, store.Evidence, store.Statement, store.Quota} {
		if int(kind) != want || kind.String() == "" {
			t.Errorf("%v is number %d, want %d", kind, kind, want)
		}
	}
	if got := store.Kind(77).String(); got != "kind 77" {
		t.Errorf("an unknown kind is %q", got)
	}
}

func TestDiskError(t *testing.T) {
	for _, errno := range []syscall.Errno{syscall.ENOSPC, syscall.EDQUOT, syscall.EFBIG} {
		err := store.DiskError(&os.PathError{Op: "write", Path: "x", Err: errno})
		if !errors.Is(err, store.ErrFull) || !errors.Is(err, errno) {
			t.Errorf("%v is %v, want both it and ErrFull", errno, err)
		}
	}
	if err := store.DiskError(syscall.EIO); !errors.Is(err, syscall.EIO) {
		t.Errorf("EIO is %v, want as it was", err)
	}
	if err := store.DiskError(nil); err != nil {
		t.Errorf("nil is %v", err)
	}
}
