package tiles

import (
	"errors"
	"testing"

	"github.com/sekisho-dev/sekisho/tlog"
	"golang.org/x/sys/unix"
)

// Where the kernel sees no conflict within one process, ours is seen anyway.
func TestLockedWithoutFlock(t *testing.T) {
	dir := t.TempDir()
	l, err := acquire(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Flock(int(l.file.Fd()), unix.LOCK_UN); err != nil {
		t.Fatal(err)
	}
	if _, err := acquire(dir); !errors.Is(err, tlog.ErrLocked) {
		t.Errorf("a second time: %v", err)
	}
	if err := l.release(); err != nil {
		t.Fatal(err)
	}
	if l, err = acquire(dir); err != nil {
		t.Fatalf("after release: %v", err)
	}
	if err := l.release(); err != nil {
		t.Fatal(err)
	}
}
