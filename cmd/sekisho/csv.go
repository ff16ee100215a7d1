package main

import (
	"bufio"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

// writeCSV writes RFC 4180. What stands in a cell comes from whoever wrote the
// document: it must neither be a formula to a spreadsheet nor a command to the
// terminal that shows the file.
func writeCSV(w io.Writer, headings []string, rows [][]string) error {
	b := bufio.NewWriter(w)
	for _, row := range append([][]string{headings}, rows...) {
		if _, err := b.WriteString(csvLine(row)); err != nil {
			return err
		}
	}
	return b.Flush()
}

// csvLine writes one line. A cell with a semicolon is quoted too: where numbers have
// decimal commas, spreadsheets split at semicolons, and what follows one would be a
// cell of its own.
func csvLine(cells []string) string {
	var b strings.Builder
	for i, c := range cells {
		if i > 0 {
			b.WriteByte(',')
		}
		c = defuse(c)
		if strings.ContainsAny(c, "\",;\t\n") || strings.HasPrefix(c, " ") {
			c = `"` + strings.ReplaceAll(c, `"`, `""`) + `"`
		}
		b.WriteString(c)
	}
	b.WriteString("\r\n")
	return b.String()
}

// defuse makes a cell text. Characters that cannot be seen before the sign of a
// formula do not disarm it everywhere, nor does its full width; a tab or a line end
// can begin a cell of its own. An apostrophe makes text of all of them. Lines may
// end within a cell, but not be written over; control characters are replaced.
func defuse(cell string) string {
	text := strings.TrimLeftFunc(cell, func(r rune) bool {
		return unicode.IsSpace(r) || unicode.IsControl(r) || unicode.Is(unicode.Cf, r)
	})
	first, _ := utf8.DecodeRuneInString(text)
	armed := strings.ContainsRune("=+-@＝＋－＠", first) || strings.IndexAny(cell, "\t\r\n") == 0
	cell = strings.Map(func(r rune) rune {
		if r == '\t' || r == '\n' {
			return r
		}
		return plainRune(r)
	}, strings.ReplaceAll(cell, "\r\n", "\n"))
	if armed {
		return "'" + cell
	}
	return cell
}
