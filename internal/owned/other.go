//go:build !unix

package owned

import (
	"errors"
	"io/fs"
	"os"
)

// Group is this process's own.
func Group() int { return NoGroup }

func self() int { return NoGroup }

func ids(fs.FileInfo) (owner, group int, err error) {
	return 0, 0, errors.ErrUnsupported
}

// Locked reports whether another process holds the lock of an open file.
func Locked(*os.File) (bool, error) { return false, errors.ErrUnsupported }
