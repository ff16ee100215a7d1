package sbom

import (
	"encoding/csv"
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestWriteCSV(t *testing.T) {
	var b strings.Builder
	rows := []Row{
		{Name: "a, \"b\"\nc", Version: "1", PURL: "pkg:npm/a@1", Licenses: []string{"MIT", "Apache-2.0"}, Supplier: "s;t", Type: "library",
			Hashes: map[string]string{"sha512": "02", "sha256": "01"}, Note: "n"},
		{},
	}
	if err := WriteCSV(&b, rows); err != nil {
		t.Fatal(err)
	}
	got, err := csv.NewReader(strings.NewReader(b.String())).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	want := [][]string{
		{"name", "version", "purl", "licenses", "supplier", "type", "digests", "note"},
		{"a, \"b\"\nc", "1", "pkg:npm/a@1", "MIT, Apache-2.0", "s;t", "library", "sha256:01 sha512:02", "n"},
		make([]string, 8),
	}
	if !slices.EqualFunc(got, want, slices.Equal[[]string]) {
		t.Errorf("%q\nwant %q", got, want)
	}
	if !strings.HasPrefix(b.String(), "\"name\",") || strings.Count(b.String(), "\r\n") != 3 {
		t.Errorf("not every cell is quoted, or lines end otherwise:\n%s", b.String())
	}
}

// A spreadsheet takes no cell for a formula, whatever a document calls its parts.
func TestWriteCSVDefusesFormulas(t *testing.T) {
	armed := []string{
		"=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "\tx", "\rx", " =1", "\u00a0=1", "\x00=1", "\u200b=1", "\ufeff=1", "=HYPERLINK(\"http://x\")",
		"＝1", "＋1", "－1", "＠1", "=cmd|' /C calc'!A0", "\v\f =1",
	}
	harmless := []string{"", "a", "a=1", "1-2", "pkg:npm/a@1", "'=1", "a\t=1", "(=1)", "n;=1"}
	var rows []Row
	for _, s := range append(slices.Clone(armed), harmless...) {
		rows = append(rows, Row{Name: s, Version: s, PURL: s, Licenses: []string{s, "b"}, Supplier: s, Type: s, Hashes: map[string]string{s: "00"}, Note: s})
	}
	var b strings.Builder
	if err := WriteCSV(&b, rows); err != nil {
		t.Fatal(err)
	}
	got, err := csv.NewReader(strings.NewReader(b.String())).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for i, record := range got[1:] {
		for j, cell := range record {
			switch in := i < len(armed); {
			case in && !strings.HasPrefix(cell, "'"):
				t.Errorf("row %d, cell %d: %q is a formula", i, j, cell)
			case !in && strings.HasPrefix(cell, "'") && !strings.HasPrefix(rows[i].Name, "'"):
				t.Errorf("row %d, cell %d: %q was changed for nothing", i, j, cell)
			}
		}
	}
}

type full struct{ error }

func (f full) Write([]byte) (int, error) { return 0, f.error }

func TestWriteCSVReportsTheWriter(t *testing.T) {
	broken := errors.New("disk full")
	if err := WriteCSV(full{broken}, make([]Row, 5000)); !errors.Is(err, broken) {
		t.Errorf("%v, want %v", err, broken)
	}
}
