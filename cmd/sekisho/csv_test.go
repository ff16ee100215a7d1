package main

import (
	"encoding/csv"
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestWriteCSV(t *testing.T) {
	rows := [][]string{{"a, \"b\"\nc", "1", "s;t", " x", "MIT OR X, MIT"}, {"", "", "", "", ""}}
	var b strings.Builder
	if err := writeCSV(&b, []string{"A", "B", "C", "D", "E"}, rows); err != nil {
		t.Fatal(err)
	}
	want := "A,B,C,D,E\r\n\"a, \"\"b\"\"\nc\",1,\"s;t\",\" x\",\"MIT OR X, MIT\"\r\n,,,,\r\n"
	if b.String() != want {
		t.Errorf("%q\nwant %q", b.String(), want)
	}
	got, err := csv.NewReader(strings.NewReader(b.String())).ReadAll()
	if err != nil || !slices.EqualFunc(got[1:], rows, slices.Equal[[]string]) {
		t.Errorf("read back: %q, %v", got, err)
	}
}

// A spreadsheet takes no cell for a formula, and a terminal none for a command,
// whatever a document calls its parts.
func TestWriteCSVDefuses(t *testing.T) {
	armed := []string{
		"=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "\tx", "\rx", " =1", "\u00a0=1", "\x00=1", "\u200b=1", "\ufeff=1", "=HYPERLINK(\"http://x\")",
		"＝1", "＋1", "－1", "＠1", "=cmd|' /C calc'!A0", "\v\f =1", "\x1b=1",
	}
	harmless := []string{"", "a", "a=1", "1-2", "pkg:npm/a@1", "'=1", "a\t=1", "a\nb", "(=1)", "n;=1", "é—名"}
	commands := []string{"a\x1b[2J", "a\u009b2J", "a\x07", "a\x7f", "a\u202eb", "a\u2066b", "a\rb"}
	var rows [][]string
	for _, s := range slices.Concat(armed, harmless, commands) {
		rows = append(rows, []string{s, s})
	}
	var b strings.Builder
	if err := writeCSV(&b, []string{"A", "B"}, rows); err != nil {
		t.Fatal(err)
	}
	if i := strings.IndexFunc(strings.ReplaceAll(b.String(), "\r\n", "\n"), func(r rune) bool { return plainRune(r) != r && r != '\t' && r != '\n' }); i >= 0 {
		t.Errorf("a control character stands at %d of %q", i, b.String())
	}
	got, err := csv.NewReader(strings.NewReader(b.String())).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for i, record := range got[1:] {
		for _, cell := range record {
			switch {
			case i < len(armed) && !strings.HasPrefix(cell, "'"):
				t.Errorf("%q is a formula", cell)
			case i >= len(armed) && i < len(armed)+len(harmless) && cell != rows[i][0]:
				t.Errorf("%q became %q for nothing", rows[i][0], cell)
			}
		}
	}
}

type full struct{ error }

func (f full) Write([]byte) (int, error) { return 0, f.error }

func TestWriteCSVReportsTheWriter(t *testing.T) {
	broken := errors.New("disk full")
	if err := writeCSV(full{broken}, []string{"A"}, slices.Repeat([][]string{{strings.Repeat("a", 100)}}, 5000)); !errors.Is(err, broken) {
		t.Errorf("%v, want %v", err, broken)
	}
}
