package dir

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/sekisho-dev/sekisho/store"
)

// readerContext is a reader that stops when its context does.
type readerContext struct {
	ctx context.Context
	r   io.Reader
}

func (r readerContext) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}

// atEnd reports whether r, of which size bytes have been read, has no more.
func atEnd(r io.Reader, size int64) error {
	var more [1]byte
	if got, err := io.ReadFull(r, more[:]); got > 0 {
		return fmt.Errorf("%w: declared %d bytes, got more", store.ErrSize, size)
	} else if err != io.EOF {
		return err
	}
	return nil
}

func isCorrupt(err error) bool { return errors.Is(err, store.ErrCorrupt) }
