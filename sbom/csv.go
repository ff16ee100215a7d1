package sbom

import (
	"bufio"
	"io"
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// WriteCSV writes rows as comma-separated values (RFC 4180) with a line of
// headings. Every cell is quoted, so that a spreadsheet which splits at semicolons
// splits at ours alone; and a cell that a spreadsheet would take for a formula
// begins with an apostrophe, which makes it text.
func WriteCSV(w io.Writer, rows []Row) error {
	b := bufio.NewWriter(w)
	writeLine(b, "name", "version", "purl", "licenses", "supplier", "type", "digests", "note")
	for _, r := range rows {
		digests := make([]string, 0, len(r.Hashes))
		for _, alg := range slices.Sorted(maps.Keys(r.Hashes)) {
			digests = append(digests, alg+":"+r.Hashes[alg])
		}
		writeLine(b, r.Name, r.Version, r.PURL, strings.Join(r.Licenses, ", "), r.Supplier, r.Type, strings.Join(digests, " "), r.Note)
	}
	return b.Flush()
}

// writeLine writes one line; an error of the writer waits for Flush.
func writeLine(b *bufio.Writer, cells ...string) {
	for i, c := range cells {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(`"` + strings.ReplaceAll(defuse(c), `"`, `""`) + `"`)
	}
	b.WriteString("\r\n")
}

// defuse makes a cell text to a spreadsheet. Characters that cannot be seen before
// the sign of a formula do not disarm it everywhere, nor does its full width; a
// tab or a line end can begin a cell of its own.
func defuse(cell string) string {
	text := strings.TrimLeftFunc(cell, func(r rune) bool {
		return unicode.IsSpace(r) || unicode.IsControl(r) || unicode.Is(unicode.Cf, r)
	})
	first, _ := utf8.DecodeRuneInString(text)
	if strings.ContainsRune("=+-@＝＋－＠", first) || strings.IndexAny(cell, "\t\r\n") == 0 {
		return "'" + cell
	}
	return cell
}
