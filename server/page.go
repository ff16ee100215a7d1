package server

import (
	"fmt"
	"strconv"

	"google.golang.org/protobuf/proto"
)

// Limits on one page of any list, whatever number of elements was asked for. Elements
// and rows are as large as whoever registered them made them.
const (
	pageBytes = 3 << 20  // of encoded elements: a gRPC client takes 4 MiB unless told otherwise
	pageRows  = 10000    // read of the index, also by filters that pass over them
	pageRead  = 64 << 20 // bytes of such rows
)

// A page is what there is still room for on a page. Every page takes at least one row,
// and an element at least if that row has one, so that each goes on where the one
// before ended; a page that is empty, and not the last, is legal.
type page struct {
	count, bytes   int // of elements
	rows, read     int // of the index
	looked, filled bool
}

// newPage begins a page of as many elements as were asked for, and usual where no
// number was given.
func newPage(asked int32, usual, most int) *page {
	count := int(asked)
	if count <= 0 {
		count = usual
	}
	return &page{count: min(count, most), bytes: pageBytes, rows: pageRows, read: pageRead}
}

// look reports whether another row, of so many bytes, may be looked at.
func (p *page) look(size int) bool {
	if p.looked && (p.rows < 1 || p.read < size) {
		return false
	}
	p.looked, p.rows, p.read = true, p.rows-1, p.read-size
	return true
}

// take reports whether elements that belong together find room on a page.
func take[M proto.Message](p *page, elements ...M) bool {
	size := 0
	for _, e := range elements {
		size += proto.Size(e) + 6 // a tag, and the length
	}
	if p.filled && (p.count < 1 || p.bytes < size) {
		return false
	}
	p.filled = p.filled || len(elements) > 0
	p.count, p.bytes = p.count-len(elements), p.bytes-size
	return true
}

// Pages are cut at log indexes: a token is where the next one starts.

func pageToken(next uint64) string { return strconv.FormatUint(next, 36) }

func pageStart(token string) (uint64, error) {
	if token == "" {
		return 0, nil
	}
	from, err := strconv.ParseUint(token, 36, 63)
	if err != nil {
		return 0, fmt.Errorf("%w: pageToken is not one of ours", errBadRequest)
	}
	return from, nil
}
