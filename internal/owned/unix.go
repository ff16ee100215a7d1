//go:build unix

package owned

import (
	"errors"
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// Group is this process's own.
func Group() int { return os.Getegid() }

func self() int { return os.Geteuid() }

func ids(about fs.FileInfo) (owner, group int, err error) {
	st, ok := about.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, 0, errors.ErrUnsupported
	}
	return int(st.Uid), int(st.Gid), nil
}

// Locked reports whether another process holds the lock of an open file. It asks by
// trying, and lets go of what it gets at once.
func Locked(f *os.File) (bool, error) {
	err := unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return true, nil
	}
	if err == nil {
		err = unix.Flock(int(f.Fd()), unix.LOCK_UN)
	}
	return false, err
}
