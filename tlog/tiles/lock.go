package tiles

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"github.com/sekisho-dev/sekisho/tlog"
	"golang.org/x/sys/unix"
)

// lockFile is the file, in the log's directory, on which its writer holds a flock.
const lockFile = ".lock"

// held names the directories that this process has open, by resolved path. It is
// the house's one global, because what it guards is one for the process: where
// flock is made of fcntl locks (NFS, some container file systems) the kernel
// sees no conflict between two holders in one process, and would let two
// appenders corrupt the log.
var held = struct {
	sync.Mutex
	dirs map[string]bool
}{dirs: map[string]bool{}}

// A lock is the right to write to a log's directory.
type lock struct {
	dir  string
	file *os.File
}

// acquire makes the directory if need be and locks it against everybody else.
func acquire(dir string) (*lock, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	dir, err := resolve(dir)
	if err != nil {
		return nil, err
	}
	held.Lock()
	defer held.Unlock()
	if held.dirs[dir] {
		return nil, fmt.Errorf("%w: this process has it open already", tlog.ErrLocked)
	}
	f, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close() //nolint:errcheck // nothing was written to it
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("%w: another process has it open; stop it first", tlog.ErrLocked)
		}
		return nil, fmt.Errorf("locking %s: %w", lockFile, err)
	}
	held.dirs[dir] = true
	return &lock{dir, f}, nil
}

// release lets the next one in. The file stays: removing it would let two
// processes lock two files of one name.
func (l *lock) release() error {
	held.Lock()
	defer held.Unlock()
	delete(held.dirs, l.dir)
	return l.file.Close()
}

func resolve(dir string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(dir)
}
