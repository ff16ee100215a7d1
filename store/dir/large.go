package dir

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/sekisho-dev/sekisho/store"
)

// copySize is how much of a large blob is in memory at a time, in bytes.
const copySize = 256 << 10

func (b *Blobs) largePath(n name) string {
	return filepath.Join(b.path, "large", hex.EncodeToString(n[:]))
}

// loadLarge learns which large blobs there are. Their content is verified when
// it is read; a blob that is in a segment too is read from there, unless spoilt.
func (b *Blobs) loadLarge() error {
	large := filepath.Join(b.path, "large")
	entries, err := os.ReadDir(large)
	if err != nil {
		return err
	}
	for _, e := range entries {
		sum, err := hex.DecodeString(e.Name())
		if err != nil || len(sum) != len(name{}) {
			continue // not ours; Each names it
		}
		n := name(sum)
		if _, ok := b.at[n]; !ok || b.spoilt[n] {
			b.at[n] = place{}
			delete(b.spoilt, n)
		}
	}
	// A process that was killed may have renamed and not synchronised.
	return b.syncDir(large)
}

func (b *Blobs) clearTmp() error {
	tmp := filepath.Join(b.path, "tmp")
	entries, err := os.ReadDir(tmp)
	for _, e := range entries {
		err = errors.Join(err, os.RemoveAll(filepath.Join(tmp, e.Name())))
	}
	return err
}

// putLarge streams a blob into a file and then gives it its name:
// write → fsync → rename → fsync directory.
func (b *Blobs) putLarge(_ context.Context, n name, key string, size int64, r io.Reader) error {
	f, err := os.CreateTemp(filepath.Join(b.path, "tmp"), "blob-")
	if err != nil {
		return err
	}
	err = b.writeLarge(f, key, size, r)
	if err == nil {
		err = b.disk.sync(f)
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), b.largePath(n))
	}
	if err != nil {
		return cleanUp(err, os.Remove(f.Name()))
	}
	if err := b.syncDir(filepath.Join(b.path, "large")); err != nil {
		return err
	}
	b.mu.Lock()
	b.at[n] = place{}
	delete(b.spoilt, n)
	b.mu.Unlock()
	return nil
}

// writeLarge writes a file of one entry. The header, with the checksum in it,
// is written last, over the room left for it.
func (b *Blobs) writeLarge(f *os.File, key string, size int64, r io.Reader) error {
	var m marker
	rand.Read(m[:])
	head := append([]byte(magic), m[:]...)
	room := make([]byte, fileHead+entryHead+len(key))
	out := diskWriter{b.disk, f}
	if _, err := out.Write(room); err != nil {
		return err
	}
	sum := crc32.New(castagnoli)
	got, err := io.CopyBuffer(io.MultiWriter(out, sum), io.LimitReader(r, size), make([]byte, copySize))
	if err != nil {
		return err
	}
	if got < size {
		return fmt.Errorf("%w: declared %d bytes, got %d", store.ErrSize, size, got)
	}
	if err := atEnd(r, size); err != nil {
		return err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	_, err = out.Write(header{key: key, size: size, sum: sum.Sum32()}.appendTo(head, m))
	return err
}

// getLarge opens a large blob and checks all but its body, which its reader does.
func (b *Blobs) getLarge(n name, key string) (io.ReadCloser, error) {
	f, err := os.Open(b.largePath(n))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, b.spoil(n, key, "was removed from large/")
	}
	if err != nil {
		return nil, fmt.Errorf("reading blob %s: %w", key, err)
	}
	h, err := readLargeHead(f)
	if err == nil && h.key != key {
		err = fmt.Errorf("%w: is that of %s", store.ErrCorrupt, h.key)
	}
	if err != nil {
		f.Close() //nolint:errcheck // only read
		if isCorrupt(err) {
			return nil, b.spoil(n, key, "has a damaged header")
		}
		return nil, fmt.Errorf("reading blob %s: %w", key, err)
	}
	return &largeReader{b: b, n: n, h: h, f: f, sum: crc32.New(castagnoli), rest: h.size}, nil
}

// readLargeHead reads a large file up to its body. [store.ErrCorrupt] if what
// it says is not so.
func readLargeHead(f *os.File) (header, error) {
	head := make([]byte, fileHead+entryHead+store.MaxBlobKey)
	got, err := f.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return header{}, err
	}
	m, err := parseFileHead(head[:got])
	if err != nil {
		return header{}, err
	}
	h, ok := parseHeader(head[fileHead:got], m)
	if !ok {
		return header{}, fmt.Errorf("%w: its header does not match its checksum", store.ErrCorrupt)
	}
	body := int64(fileHead + entryHead + len(h.key))
	info, err := f.Stat()
	if err != nil {
		return header{}, err
	}
	if info.Size()-body != h.size {
		return header{}, fmt.Errorf("%w: its file has %d bytes after the header, want %d", store.ErrCorrupt, info.Size()-body, h.size)
	}
	_, err = f.Seek(body, io.SeekStart)
	return h, err
}

// largeReader reads a large blob and compares its checksum at the end, where
// it returns [store.ErrCorrupt] in the place of io.EOF.
type largeReader struct {
	b    *Blobs
	n    name
	h    header
	f    *os.File
	sum  hash.Hash32
	rest int64
}

// Read implements [io.Reader].
func (l *largeReader) Read(p []byte) (int, error) {
	if l.rest == 0 {
		if l.sum.Sum32() != l.h.sum {
			return 0, l.b.spoil(l.n, l.h.key, "does not match its checksum")
		}
		return 0, io.EOF
	}
	got, err := l.f.Read(p[:min(int64(len(p)), l.rest)])
	l.sum.Write(p[:got])
	l.rest -= int64(got)
	if errors.Is(err, io.EOF) {
		err = l.b.spoil(l.n, l.h.key, "was cut short")
	}
	return got, err
}

// Close implements [io.Closer].
func (l *largeReader) Close() error { return l.f.Close() }

// diskWriter writes to a file through the seam for faults.
type diskWriter struct {
	disk disk
	f    *os.File
}

func (w diskWriter) Write(p []byte) (int, error) { return w.disk.write(w.f, p) }
