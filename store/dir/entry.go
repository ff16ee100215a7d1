package dir

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"iter"

	"github.com/sekisho-dev/sekisho/store"
)

// The format of every file here, segment or large (integers big-endian):
//
//	file   magic (8 bytes) ‖ marker (8, random) ‖ entry…
//	entry  marker ‖ header sum (4) ‖ body sum (4) ‖ body size (8) ‖ key size (2) ‖ key ‖ body
//
// Sums are CRC-32C; the header's covers what stands between it and the body.
//
// The marker is each file's own. After a damaged header it is what the next entry
// is found by, and since nobody outside knows it, no body that
// a caller hands in can look like an entry.
const (
	magic      = "sekblob1" // the last byte is the format's version
	markerSize = 8
	fileHead   = len(magic) + markerSize
	entryHead  = markerSize + 4 + 4 + 8 + 2
)

type marker [markerSize]byte

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// header is what stands before a body.
type header struct {
	key  string
	size int64
	sum  uint32 // of the body
}

// appendTo appends the encoded header, entryHead+len(key) bytes.
func (h header) appendTo(b []byte, m marker) []byte {
	b = append(b, m[:]...)
	sum := len(b)
	b = append(b, 0, 0, 0, 0)
	b = binary.BigEndian.AppendUint32(b, h.sum)
	b = binary.BigEndian.AppendUint64(b, uint64(h.size))
	b = binary.BigEndian.AppendUint16(b, uint16(len(h.key)))
	b = append(b, h.key...)
	binary.BigEndian.PutUint32(b[sum:], crc32.Checksum(b[sum+4:], castagnoli))
	return b
}

// parseHeader reads the header that data begins with.
func parseHeader(data []byte, m marker) (h header, ok bool) {
	if len(data) < entryHead || !bytes.HasPrefix(data, m[:]) {
		return h, false
	}
	end := entryHead + int(binary.BigEndian.Uint16(data[entryHead-2:]))
	if len(data) < end || crc32.Checksum(data[markerSize+4:end], castagnoli) != binary.BigEndian.Uint32(data[markerSize:]) {
		return h, false
	}
	h = header{
		key:  string(data[entryHead:end]),
		size: int64(binary.BigEndian.Uint64(data[markerSize+8:])),
		sum:  binary.BigEndian.Uint32(data[markerSize+4:]),
	}
	// Nobody but us writes here, but a name is checked again before it is used.
	return h, h.size >= 0 && store.CheckBlobKey(h.key) == nil
}

// parseFileHead reads the head of a file. [store.ErrVersion] if another edition
// wrote it, else [store.ErrCorrupt].
func parseFileHead(data []byte) (m marker, err error) {
	if len(data) < fileHead || string(data[:len(magic)-1]) != magic[:len(magic)-1] {
		return m, fmt.Errorf("%w: not a file of blobs", store.ErrCorrupt)
	}
	if v := data[len(magic)-1]; v != magic[len(magic)-1] {
		return m, fmt.Errorf("%w: format %q, want %q", store.ErrVersion, v, magic[len(magic)-1])
	}
	return marker(data[len(magic):fileHead]), nil
}

// What scan can find.
type state int

const (
	sound   state = iota // as it was written
	damaged              // not so, and it may have been acknowledged
	torn                 // the beginning of an entry at the end of the segment, as a crash leaves it
)

// A piece is a stretch of a segment: an entry, or what cannot be read as one.
type piece struct {
	state    state
	off, end int
	key      string // "" if the header cannot be read
	body     []byte // if sound
}

// scan cuts a segment, its head included, into pieces that follow one another
// without a gap up to its end.
func scan(data []byte, m marker) iter.Seq[piece] {
	return func(yield func(piece) bool) {
		for off := fileHead; off < len(data); {
			p := pieceAt(data, off, m)
			if !yield(p) {
				return
			}
			off = p.end
		}
	}
}

func pieceAt(data []byte, off int, m marker) piece {
	h, ok := parseHeader(data[off:], m)
	if ok && h.size <= smallSize {
		body := off + entryHead + len(h.key)
		if end := body + int(h.size); end <= len(data) {
			p := piece{state: damaged, off: off, end: end, key: h.key}
			if crc32.Checksum(data[body:end], castagnoli) == h.sum {
				p.state, p.body = sound, data[body:end]
			}
			return p
		}
	}
	p := piece{state: damaged, off: off}
	if ok {
		p.key = h.key
	}
	next := false
	if p.end, next = nextHeader(data, off+1, m); !next && (ok || unfinished(data[off:])) {
		p.state = torn
	}
	return p
}

// unfinished reports whether what has no readable header is too short for one,
// or blank, as some file systems fill a file after a power cut. Anything else had its
// header once; it may have been acknowledged, and is kept for somebody to look at.
func unfinished(tail []byte) bool {
	return len(tail) < entryHead+store.MaxBlobKey || len(bytes.Trim(tail, "\x00")) == 0
}

// nextHeader finds the first readable header from off on, or the end.
func nextHeader(data []byte, off int, m marker) (int, bool) {
	for {
		i := bytes.Index(data[off:], m[:])
		if i < 0 {
			return len(data), false
		}
		off += i
		if _, ok := parseHeader(data[off:], m); ok {
			return off, true
		}
		off++
	}
}
