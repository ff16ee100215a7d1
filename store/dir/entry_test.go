package dir

import (
	"bytes"
	"hash/crc32"
	"testing"
)

// segmentOf returns the bytes of a segment with these bodies.
func segmentOf(m marker, bodies ...string) []byte {
	data := append([]byte(magic), m[:]...)
	for i, body := range bodies {
		h := header{key: string(rune('a' + i)), size: int64(len(body)), sum: crc32.Checksum([]byte(body), castagnoli)}
		data = append(h.appendTo(data, m), body...)
	}
	return data
}

// FuzzScan feeds the scanner segments whose marker the fuzzer knows. Whatever
// they hold, the pieces follow one another without a gap, the sound ones are exactly
// what their headers say, and only the last is torn.
func FuzzScan(f *testing.F) {
	m := marker{1, 2, 3, 4, 5, 6, 7, 8}
	whole := segmentOf(m, "", "one", "\x01\x02\x03\x04\x05\x06\x07\x08", string(segmentOf(m, "inner")))
	f.Add(whole)
	f.Add(whole[:len(whole)-1])
	f.Add(append(bytes.Clone(whole), whole[fileHead:]...))
	broken := bytes.Clone(whole)
	broken[fileHead+markerSize] ^= 1
	f.Add(broken)
	f.Add([]byte(magic))
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) < fileHead {
			return
		}
		end, last := fileHead, sound
		for p := range scan(data, m) {
			if p.off != end || p.end <= p.off || p.end > len(data) || last == torn {
				t.Fatalf("piece [%d, %d) in state %d after %d", p.off, p.end, p.state, end)
			}
			end, last = p.end, p.state
			if p.state != sound {
				continue
			}
			h := header{key: p.key, size: int64(len(p.body)), sum: crc32.Checksum(p.body, castagnoli)}
			if again := append(h.appendTo(nil, m), p.body...); !bytes.Equal(again, data[p.off:p.end]) {
				t.Fatalf("piece [%d, %d) is not what it is written as", p.off, p.end)
			}
		}
		if end != len(data) {
			t.Fatalf("scanned %d of %d bytes", end, len(data))
		}
	})
}
