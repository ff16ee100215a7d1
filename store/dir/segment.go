package dir

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/sekisho-dev/sekisho/store"
)

// A segment is a file of small blobs. Only the committer appends, and only to
// the last.
type segment struct {
	no     uint32
	f      *os.File
	marker marker
	size   int64 // of what is committed; a later byte counts for nothing
	fault  error // why the file's head cannot be read, if so
}

func segmentName(no uint32) string { return fmt.Sprintf("segment-%08d", no) }

// segmentNumbers lists the segments in the directory, ascending.
func (b *Blobs) segmentNumbers() ([]uint32, error) {
	entries, err := os.ReadDir(b.path)
	if err != nil {
		return nil, err
	}
	var nos []uint32
	for _, e := range entries {
		var no uint32
		if _, err := fmt.Sscanf(e.Name(), "segment-%d", &no); err == nil && no > 0 && e.Name() == segmentName(no) {
			nos = append(nos, no)
		}
	}
	slices.Sort(nos)
	return nos, nil
}

// loadSegments learns where each blob lies.
func (b *Blobs) loadSegments() error {
	nos, err := b.segmentNumbers()
	if err != nil {
		return err
	}
	var buf []byte
	for i, no := range nos {
		b.last = no
		if buf, err = b.loadSegment(no, i == len(nos)-1, buf); err != nil {
			return fmt.Errorf("reading %s: %w", segmentName(no), err)
		}
	}
	return nil
}

func (b *Blobs) loadSegment(no uint32, last bool, buf []byte) ([]byte, error) {
	f, err := os.OpenFile(filepath.Join(b.path, segmentName(no)), os.O_RDWR, 0)
	if err != nil {
		return buf, err
	}
	s := &segment{no: no, f: f}
	b.segments[no] = s // so that closeFiles finds it, come what may
	info, err := f.Stat()
	if err != nil {
		return buf, err
	}
	s.size = info.Size()
	if buf, err = readSegment(f, s.size, buf); err != nil {
		return buf, err
	}
	if last && len(buf) < fileHead {
		return buf, b.removeSegment(s) // the crash came before its first entry
	}
	if s.marker, err = parseFileHead(buf); isCorrupt(err) {
		s.fault = err // what was in it is lost, and Each says so; the rest is not
		return buf, nil
	} else if err != nil {
		return buf, err
	}
	for p := range scan(buf, s.marker) {
		if p.state == torn && last {
			s.size = int64(p.off)
			break
		}
		b.learn(s, p)
	}
	if last {
		b.current = s
	}
	// A process that was killed may have left entries that are in the file and
	// not on the disk. From here on they count as stored, so they had better be.
	return buf, b.settle(s)
}

// settle cuts off what is beyond a segment's committed size, if anything, and
// puts the rest on the disk.
func (b *Blobs) settle(s *segment) error {
	if err := s.f.Truncate(s.size); err != nil {
		return err
	}
	return b.disk.sync(s.f)
}

// learn notes where an entry lies. A sound one supersedes what came before it: that
// is how a damaged blob was mended. A damaged one supersedes nothing.
func (b *Blobs) learn(s *segment, p piece) {
	if p.key == "" {
		return
	}
	n := nameOf(p.key)
	if _, ok := b.at[n]; ok && p.state != sound {
		return
	}
	length := min(p.end-p.off, entryHead+store.MaxBlobKey+smallSize) // damage may seem to be longer
	b.at[n] = place{s.no, uint32(p.off), uint32(length)}
	delete(b.spoilt, n)
	if p.state != sound {
		b.spoilt[n] = true
	}
}

// newSegment makes the next segment. Its head, and its name in the directory,
// are on disk only once the first commit has put them there.
func (b *Blobs) newSegment() (*segment, error) {
	s := &segment{no: b.last + 1, size: int64(fileHead)}
	rand.Read(s.marker[:]) // it does not fail
	f, err := os.OpenFile(filepath.Join(b.path, segmentName(s.no)), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	s.f = f
	b.last = s.no
	b.mu.Lock()
	b.segments[s.no] = s
	b.mu.Unlock()
	if _, err := b.disk.write(f, append([]byte(magic), s.marker[:]...)); err != nil {
		return nil, cleanUp(err, b.removeSegment(s))
	}
	return s, nil
}

// removeSegment removes a segment that holds no entry.
func (b *Blobs) removeSegment(s *segment) error {
	b.mu.Lock()
	delete(b.segments, s.no)
	b.mu.Unlock()
	s.f.Close() //nolint:errcheck // there is nothing in it
	return os.Remove(filepath.Join(b.path, segmentName(s.no)))
}

// readSegment reads a whole segment into buf, grown if need be.
func readSegment(f *os.File, size int64, buf []byte) ([]byte, error) {
	buf = slices.Grow(buf[:0], int(size))[:size]
	_, err := io.ReadFull(io.NewSectionReader(f, 0, size), buf)
	return buf, err
}

// getSmall reads one entry and believes nothing of it but what its sums prove.
func (b *Blobs) getSmall(s *segment, at place, n name, key string) (io.ReadCloser, error) {
	entry := make([]byte, at.length)
	if _, err := s.f.ReadAt(entry, int64(at.offset)); err == io.EOF {
		return nil, b.spoil(n, key, "lies beyond the end of "+segmentName(s.no))
	} else if err != nil {
		return nil, fmt.Errorf("reading blob %s: %w", key, err)
	}
	h, ok := parseHeader(entry, s.marker)
	if !ok || h.key != key || entryHead+len(key)+int(h.size) != len(entry) {
		return nil, b.spoil(n, key, "has a damaged header in "+segmentName(s.no))
	}
	body := entry[entryHead+len(key):]
	if crc32.Checksum(body, castagnoli) != h.sum {
		return nil, b.spoil(n, key, "does not match its checksum in "+segmentName(s.no))
	}
	return io.NopCloser(bytes.NewReader(body)), nil
}
