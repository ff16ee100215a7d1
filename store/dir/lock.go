package dir

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"github.com/sekisho-dev/sekisho/store"
)

// takeLock takes the directory for this Blobs. The kernel lets go of the lock when the
// process ends, however it ends, so that no stale one is left to be removed by hand.
func (b *Blobs) takeLock() error {
	f, err := os.OpenFile(filepath.Join(b.path, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	b.lock = f
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return fmt.Errorf("%w: stop the one that has it open", store.ErrLocked)
	}
	return err
}
