package sbom

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// typed reports whether an error of Read is one that callers can tell apart.
func typed(err error) bool {
	return errors.Is(err, ErrFormat) || errors.Is(err, ErrVersion) || errors.Is(err, ErrMalformed) || errors.Is(err, ErrTooLarge)
}

// A11, CVE-2026-44309: no two readers may find different components in the bytes
// that were signed.
func TestAdvisoryA11_ParserDifferentials(t *testing.T) {
	const harmless, vulnerable = `{"type":"library","name":"harmless"}`, `{"type":"library","name":"log4j"}`
	for name, doc := range map[string]string{
		"components twice":       bom(`,"components":[` + vulnerable + `],"components":[` + harmless + `]`),
		"components, by case":    bom(`,"components":[` + vulnerable + `],"COMPONENTS":[` + harmless + `]`),
		"components, Kelvin":     bom(`,"components":[` + vulnerable + `],"component\u017f":[` + harmless + `]`), // ſ folds to s
		"name twice":             bom(`,"components":[{"type":"library","name":"log4j","name":"harmless"}]`),
		"name, by case":          bom(`,"components":[{"type":"library","name":"log4j","NAME":"harmless"}]`),
		"name, escaped":          bom(`,"components":[{"type":"library","name":"log4j","\u006eame":"harmless"}]`),
		"hash, by case":          bom(`,"components":[{"type":"library","name":"a","hashes":[{"alg":"MD5","content":"` + strings.Repeat("a", 32) + `","Content":"x"}]}]`),
		"supplier, by case":      bom(`,"components":[{"type":"library","name":"a","supplier":{"name":"a","Name":"b"}}]`),
		"license, by case":       bom(`,"components":[{"type":"library","name":"a","licenses":[{"license":{"id":"MIT","ID":"Apache-2.0"}}]}]`),
		"metadata, by case":      bom(`,"metadata":{"component":` + harmless + `,"Component":` + vulnerable + `}`),
		"packages, by case":      spdxDoc(`,"packages":[],"Packages":[]`),
		"checksum, by case":      spdxDoc(`,"packages":[{"SPDXID":"SPDXRef-a","name":"a","downloadLocation":"NONE","checksums":[{"algorithm":"MD5","checksumValue":"00","CHECKSUMVALUE":"01"}]}]`),
		"a document behind":      bom(`,"components":[`+vulnerable+`]`) + bom(`,"components":[`+harmless+`]`),
		"a zero byte behind":     bom("") + "\x00",
		"a comment":              bom(`/*,"components":[` + vulnerable + `]*/`),
		"overlong UTF-8":         bom(`,"components":[{"type":"library","name":"log4j` + "\xc0\xae" + `"}]`),
		"the id of two packages": spdxDoc(`,"packages":[{"SPDXID":"SPDXRef-a","name":"a","downloadLocation":"NONE"},{"SPDXID":"SPDXRef-a","name":"b","downloadLocation":"NONE"}]`),
	} {
		if d, err := Read([]byte(doc)); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %+v, %v; want ErrMalformed", name, d, err)
		}
	}
}

// D6, CVE-2023-30551: nothing is unpacked, so that no bomb goes off.
func TestAdvisoryD6_CompressedDocuments(t *testing.T) {
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	if _, err := w.Write(bytes.Repeat([]byte(" "), 64<<20)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{
		"gzip":  packed.Bytes(),
		"zip":   []byte("PK\x03\x04\x14\x00"),
		"zstd":  file(t, "documents/guac-busybox-cyclonedx.json.zst"),
		"bzip2": file(t, "documents/guac-busybox-cyclonedx.json.bz2"),
	} {
		if _, err := Read(data); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: %v, want ErrFormat", name, err)
		}
	}
}

// D7, CVE-2023-33199: every member of real documents made null, empty, of another
// type, or left out, is read or refused.
func TestAdvisoryD7_EveryMemberAbsentNullEmpty(t *testing.T) {
	absent := any(func() {})
	others := []any{absent, nil, "", 0, false, []any{}, map[string]any{}, []any{nil}, map[string]any{"": nil}}
	for _, name := range []string{"documents/sbomqs-cdx-1-7-valid-sbom.cdx.json", "documents/sbomqs-spdx-perfect-score.json", "documents/trivy-bom.json"} {
		refused, taken := 0, 0
		var doc any
		if err := json.Unmarshal(file(t, name), &doc); err != nil {
			t.Fatal(err)
		}
		try := func() {
			data, err := json.Marshal(doc)
			if err != nil {
				t.Fatal(err)
			}
			d, err := Read(data)
			if err != nil {
				refused++
				if !typed(err) {
					t.Errorf("%s: an error without a sentinel: %v", name, err)
				}
				return
			}
			taken++
			d.Rows()
			d.Contradictions(artifact)
		}
		var walk func(v any)
		walk = func(v any) {
			switch v := v.(type) {
			case map[string]any:
				for _, k := range slices.Sorted(maps.Keys(v)) {
					was := v[k]
					for _, other := range others {
						if v[k] = other; fmt.Sprintf("%p", other) == fmt.Sprintf("%p", absent) {
							delete(v, k)
						}
						try()
					}
					v[k] = was
					walk(was)
				}
			case []any:
				for i, was := range v {
					for _, other := range others[1:] {
						v[i] = other
						try()
					}
					v[i] = was
					walk(was)
				}
			}
		}
		walk(doc)
		if refused < 100 || taken < 50 {
			t.Errorf("%s: %d refused, %d read", name, refused, taken)
		}
	}
}

// I1, CVE-2024-38374: XML is refused before anything parses it, entities or not.
func TestAdvisoryI1_XML(t *testing.T) {
	for _, doc := range []string{
		`<?xml version="1.0"?><!DOCTYPE bom [<!ENTITY x SYSTEM "file:///etc/passwd">]><bom xmlns="http://cyclonedx.org/schema/bom/1.6">&x;</bom>`,
		"\n \t<bom/>",
		`<!DOCTYPE x>`,
	} {
		if _, err := Read([]byte(doc)); !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), "XML") {
			t.Errorf("%s: %v, want ErrFormat", doc, err)
		}
	}
	if _, err := Read([]byte("\xef\xbb\xbf<bom/>")); err == nil {
		t.Error("XML behind a byte order mark was read")
	}
}

// I3, GHSA-jp9v-w6vw-9m5v: what a document calls things is data, as it stands.
func TestAdvisoryI3_NamesAreData(t *testing.T) {
	const name = `<script>alert('x')</script>${jndi:ldap://x}{{.}}`
	doc := read(t, bom(fmt.Sprintf(`,"components":[{"type":"library","name":%q,"version":%q}]`, name, name)))
	if r := doc.Rows()[0]; r.Name != name || r.Version != name {
		t.Errorf("%+v", r)
	}
}

// Documents written to exhaust their reader cost no more than large ones.
func TestHostileDocumentsAreBounded(t *testing.T) {
	many := func(s string, n int) string { return strings.Repeat(s+",", n-1) + s }
	distinct := func(format string, n int) string {
		var b strings.Builder
		for i := range n {
			if i > 0 {
				b.WriteByte(',')
			}
			fmt.Fprintf(&b, format, i)
		}
		return b.String()
	}
	for name, c := range map[string]struct {
		doc  string
		want error
	}{
		"wrong components":   {bom(`,"components":[` + many(`{}`, MaxValues-10) + `]`), ErrMalformed},
		"wrong licences":     {bom(`,"components":[{"type":"file","name":"a","licenses":[` + many(`{}`, MaxValues-10) + `]}]`), ErrMalformed},
		"wrong packages":     {spdxDoc(`,"packages":[` + many(`0`, MaxValues-20) + `]`), ErrMalformed},
		"unknown members":    {bom(`,` + distinct(`"x%d":0`, 500_000)), ErrMalformed},
		"many licences":      {bom(`,"components":[{"type":"file","name":"a","licenses":[` + distinct(`{"license":{"name":"l%d"}}`, 300_000) + `]}]`), nil},
		"many hashes":        {bom(`,"metadata":{"component":{"type":"file","name":"a","hashes":[` + many(`{"alg":"SHA-256","content":"`+strings.Repeat("e", 64)+`"}`, 150_000) + `]}}`), nil},
		"many components":    {bom(`,"components":[` + distinct(`{"type":"file","name":"f%d"}`, 340_000) + `]`), nil},
		"many packages":      {spdxDoc(`,"packages":[` + distinct(`{"SPDXID":"SPDXRef-%[1]d","name":"","downloadLocation":"","supplier":"NOASSERTION"}`, 150_000) + `]`), nil},
		"one long name":      {bom(`,"components":[{"type":"file","name":"` + strings.Repeat("\\u0000", 2<<20) + `"}]`), nil},
		"one long wrong key": {bom(`,"` + strings.Repeat("k", 15<<20) + `":1`), ErrMalformed},
		"a long name twice":  {bom(`,"` + strings.Repeat("k", 7<<20) + `":1,"` + strings.Repeat("k", 7<<20) + `":1`), ErrMalformed},
		"a long bad string":  {bom(`,"serialNumber":"` + strings.Repeat("k", 15<<20) + `"`), ErrMalformed},
		"a number so deep":   {bom(`,"` + strings.Repeat("k", 7<<20) + `":1e999`), ErrMalformed},
		"a large number":     {`{"bomFormat":"CycloneDX","specVersion":"1.6","version":1e999999999}`, ErrMalformed},
		"a small number":     {`{"bomFormat":"CycloneDX","specVersion":"1.6","version":1e-999999999}`, ErrMalformed},
		"a long number":      {`{"bomFormat":"CycloneDX","specVersion":"1.6","version":1` + strings.Repeat("0", 1<<20) + `}`, ErrMalformed},
		"a long fraction":    {`{"bomFormat":"CycloneDX","specVersion":"1.6","version":0.` + strings.Repeat("3", 1<<20) + `}`, ErrMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			if len(c.doc) > MaxSize {
				t.Fatalf("the document has %d bytes", len(c.doc))
			}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			d, err := Read([]byte(c.doc))
			if !errors.Is(err, c.want) {
				t.Errorf("%v, want %v", err, c.want)
			}
			if err == nil {
				d.Rows()
				if n := len(d.Contradictions(artifact)); n > MaxContradictions {
					t.Errorf("%d contradictions", n)
				}
			} else if len(err.Error()) > 1000 {
				t.Errorf("the error has %d bytes", len(err.Error()))
			}
			runtime.ReadMemStats(&after)
			if spent := after.TotalAlloc - before.TotalAlloc; spent > 1<<30 {
				t.Errorf("%d MiB were allocated for %d bytes", spent>>20, len(c.doc))
			} else {
				t.Logf("%d MiB allocated for %d KiB", spent>>20, len(c.doc)>>10)
			}
		})
	}
}
