package sbom

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sekisho-dev/sekisho/attest"
)

const testdata = "../testdata/sbom/"

func file(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(testdata + name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// A document says what is read of a file of testdata, or why it is refused.
type document struct {
	File       string
	Format     Format
	Version    string
	Components int
	Roots      int
	PURLs      int // components with a package URL, well formed or not
	Hashes     int
	Licenses   int // components with a licence
	Error      string
	Reason     string
}

func documents(t testing.TB) (ds []document) {
	t.Helper()
	if err := json.Unmarshal(file(t, "documents.json"), &ds); err != nil {
		t.Fatal(err)
	}
	return ds
}

func TestReadDocuments(t *testing.T) {
	sentinels := map[string]error{"FORMAT": ErrFormat, "VERSION": ErrVersion, "MALFORMED": ErrMalformed}
	for _, want := range documents(t) {
		t.Run(want.File, func(t *testing.T) {
			doc, err := Read(file(t, "documents/"+want.File))
			if want.Error != "" {
				if !errors.Is(err, sentinels[want.Error]) || !strings.Contains(err.Error(), want.Reason) {
					t.Errorf("%v, want %s: …%s…", err, want.Error, want.Reason)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			got := document{
				File: want.File, Format: doc.Format, Version: doc.SpecVersion,
				Components: len(doc.Components), Roots: len(doc.Roots),
			}
			for _, c := range doc.Components {
				if c.PURL != "" || c.BadPURL != "" {
					got.PURLs++
				}
				if len(c.Licenses) > 0 {
					got.Licenses++
				}
				got.Hashes += len(c.Hashes)
			}
			if got != want {
				t.Errorf("read  %+v\nwant %+v", got, want)
			}
		})
	}
}

// The cases of the CycloneDX specification itself.
func TestReadCycloneDXConformance(t *testing.T) {
	files, err := filepath.Glob(testdata + "cyclonedx/*/*.json")
	if err != nil {
		t.Fatal(err)
	}
	valid, invalid := 0, 0
	for _, path := range files {
		name := strings.TrimPrefix(filepath.ToSlash(path), testdata)
		doc, err := Read(file(t, name))
		if strings.HasPrefix(filepath.Base(path), "invalid-") {
			invalid++
			if !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrFormat) {
				t.Errorf("%s: %v, want a refusal", name, err)
			}
			continue
		}
		valid++
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if version := filepath.Base(filepath.Dir(path)); doc.SpecVersion != version {
			t.Errorf("%s: read as %s", name, doc.SpecVersion)
		}
	}
	if valid < 100 || invalid < 50 {
		t.Errorf("%d valid and %d invalid cases: the testdata is not all there", valid, invalid)
	}
}

// bom is a CycloneDX 1.6 document with these members besides.
func bom(members string) string {
	return `{"bomFormat":"CycloneDX","specVersion":"1.6","version":1` + members + `}`
}

// spdxDoc is an SPDX 2.3 document with these members besides.
func spdxDoc(members string) string {
	return `{"spdxVersion":"SPDX-2.3","SPDXID":"SPDXRef-DOCUMENT","dataLicense":"CC0-1.0","name":"n",` +
		`"documentNamespace":"https://example.com/n","creationInfo":{"created":"2026-01-02T03:04:05Z","creators":["Tool: t-1"]}` + members + `}`
}

func nested(open, inner, close string, n int) string {
	return strings.Repeat(open, n) + inner + strings.Repeat(close, n)
}

func TestReadRefuses(t *testing.T) {
	component := `{"type":"file","name":"a"}`
	for name, c := range map[string]struct {
		doc    string
		want   error
		reason string
	}{
		"nothing":                    {"", ErrMalformed, "unexpected EOF"},
		"half a document":            {bom(`,"components":[`), ErrMalformed, "invalid character"},
		"cut short":                  {`{"bomFormat":"CycloneDX","specVersion":"1.6"`, ErrMalformed, "EOF"},
		"an array":                   {`[` + bom("") + `]`, ErrFormat, "not a JSON object"},
		"a broken array":             {`[` + bom(""), ErrMalformed, ""},
		"null":                       {"null", ErrFormat, "not a JSON object"},
		"a byte order mark":          {"\xef\xbb\xbf" + bom(""), ErrMalformed, ""},
		"another document":           {bom("") + bom(""), ErrMalformed, "after the document"},
		"a comma behind":             {bom("") + ",", ErrMalformed, ""},
		"bad UTF-8":                  {bom(`,"components":[{"type":"file","name":"` + "\xff" + `"}]`), ErrMalformed, "UTF-8"},
		"half a surrogate":           {bom(`,"components":[{"type":"file","name":"\ud800"}]`), ErrMalformed, ""},
		"a name twice":               {bom(`,"components":[],"components":[]`), ErrMalformed, "duplicate"},
		"a name twice, deep":         {bom(`,"components":[{"type":"file","name":"a","name":"b"}]`), ErrMalformed, "duplicate"},
		"a name twice, once escaped": {bom(`,"components":[{"type":"file","name":"a","n\u0061me":"b"}]`), ErrMalformed, "duplicate"},
		"format twice":               {`{"bomFormat":"CycloneDX","bomFormat":"CycloneDX","specVersion":"1.6"}`, ErrMalformed, "duplicate"},
		"case":                       {bom(`,"Components":[]`), ErrMalformed, `"Components" is not allowed`},
		"case in a component":        {bom(`,"components":[{"type":"file","name":"a","Purl":"pkg:npm/a@1"}]`), ErrMalformed, `"Purl" is not allowed`},
		"case in a package":          {spdxDoc(`,"packages":[{"SPDXID":"SPDXRef-a","name":"a","downloadLocation":"NONE","Name":"b"}]`), ErrMalformed, `"Name" is not allowed`},

		"no format":        {`{"specVersion":"1.6"}`, ErrFormat, "neither bomFormat nor spdxVersion"},
		"two formats":      {bom(`,"spdxVersion":"SPDX-2.3"`), ErrFormat, "both"},
		"format in a nest": {`{"predicate":` + bom("") + `}`, ErrFormat, "neither"},
		"another format":   {`{"bomFormat":"CYCLONEDX","specVersion":"1.6"}`, ErrFormat, `"CYCLONEDX"`},
		"format a number":  {`{"bomFormat":1,"specVersion":"1.6"}`, ErrMalformed, "bomFormat is not a string"},
		"format an object": {`{"bomFormat":{"bomFormat":"CycloneDX"},"specVersion":"1.6"}`, ErrMalformed, "bomFormat is not a string"},
		"no version":       {`{"bomFormat":"CycloneDX"}`, ErrMalformed, "no specVersion"},
		"version a number": {`{"bomFormat":"CycloneDX","specVersion":1.6}`, ErrMalformed, "specVersion is not a string"},
		"CycloneDX 1.3":    {`{"bomFormat":"CycloneDX","specVersion":"1.3","version":1}`, ErrVersion, `CycloneDX "1.3"`},
		"CycloneDX 1.8":    {`{"bomFormat":"CycloneDX","specVersion":"1.8","version":1}`, ErrVersion, `CycloneDX "1.8"`},
		"CycloneDX 2.0":    {`{"bomFormat":"CycloneDX","specVersion":"2.0","version":1}`, ErrVersion, `CycloneDX "2.0"`},
		"CycloneDX 1.60":   {`{"bomFormat":"CycloneDX","specVersion":"1.60","version":1}`, ErrVersion, `"1.60"`},
		"SPDX 2.2":         {strings.Replace(spdxDoc(""), "SPDX-2.3", "SPDX-2.2", 1), ErrVersion, "SPDX-2.2"},
		"SPDX 3":           {`{"@context":"https://spdx.org/rdf/3.0.1/spdx-context.jsonld","@graph":[]}`, ErrVersion, "SPDX 3"},
		"not SPDX":         {`{"spdxVersion":"2.3"}`, ErrFormat, `"2.3"`},
		"XML":              {`<?xml version="1.0"?><bom/>`, ErrFormat, "XML"},
		"tag-value":        {"SPDXVersion: SPDX-2.3\n", ErrFormat, "tag-value"},

		"components not an array": {bom(`,"components":{}`), ErrMalformed, `"/components": got object, want array`},
		"component null":          {bom(`,"components":[null]`), ErrMalformed, `"/components/0": got null, want object`},
		"component nameless":      {bom(`,"components":[` + component + `,{"type":"file"}]`), ErrMalformed, `"/components/1": missing property 'name'`},
		"component twice":         {bom(`,"components":[` + component + `,` + component + `]`), ErrMalformed, "/components"},
		"licence two things":      {bom(`,"components":[{"type":"file","name":"a","licenses":[{"license":{"id":"MIT"},"expression":"MIT"}]}]`), ErrMalformed, "/components/0/licenses"},
		"version zero":            {`{"bomFormat":"CycloneDX","specVersion":"1.6","version":0}`, ErrMalformed, "/version"},
		"package null":            {spdxDoc(`,"packages":[null]`), ErrMalformed, `"/packages/0": got null`},
		"relationship null":       {spdxDoc(`,"relationships":[null]`), ErrMalformed, `"/relationships/0": got null`},
		"two packages of one id":  {spdxDoc(`,"packages":[{"SPDXID":"SPDXRef-a","name":"a","downloadLocation":"NONE"},{"SPDXID":"SPDXRef-\u0061","name":"b","downloadLocation":"NONE"}]`), ErrMalformed, "two packages"},

		"too large":              {bom(strings.Repeat(" ", MaxSize)), ErrTooLarge, "bytes"},
		"too deep":               {bom(`,"x":` + nested("[", "", "]", attest.MaxDepth)), ErrTooLarge, "nested deeper"},
		"a deep bomb":            {strings.Repeat("[", MaxSize), ErrTooLarge, ""},
		"a deep bomb of objects": {strings.Repeat(`{"a":`, MaxSize/5), ErrTooLarge, "nested deeper"},
		"too many values":        {bom(`,"x":[` + strings.Repeat("0,", MaxValues) + `0]`), ErrTooLarge, "values"},
	} {
		t.Run(name, func(t *testing.T) {
			doc, err := Read([]byte(c.doc))
			if !errors.Is(err, c.want) || !strings.Contains(fmt.Sprint(err), c.reason) {
				t.Errorf("%v, %v; want %v: …%s…", doc, err, c.want, c.reason)
			}
			if err != nil && len(err.Error()) > 1000 {
				t.Errorf("the error has %d bytes", len(err.Error()))
			}
		})
	}
}

func TestReadAtTheLimits(t *testing.T) {
	padded := bom("") + strings.Repeat(" ", MaxSize-len(bom("")))
	deep := bom(`,"components":[` + nested(`{"type":"file","name":"a","components":[`, "", "]}", attest.MaxDepth/2-1) + "]")
	for name, c := range map[string]struct {
		doc        string
		components int
	}{
		"bytes":             {padded, 0},
		"depth":             {deep, attest.MaxDepth/2 - 1},
		"space around":      {"\n\t " + bom("") + "\r\n", 0},
		"an escaped format": {`{"bomForm\u0061t":"Cyclone\u0044X","specVersion":"1.6"}`, 0},
	} {
		t.Run(name, func(t *testing.T) {
			doc, err := Read([]byte(c.doc))
			if err != nil {
				t.Fatal(err)
			}
			if len(doc.Components) != c.components {
				t.Errorf("%d components, want %d", len(doc.Components), c.components)
			}
		})
	}
	if _, err := Read([]byte(strings.Replace(deep, `"components":[]`, `"components":[[]]`, 1))); !errors.Is(err, ErrTooLarge) {
		t.Errorf("a level more: %v, want ErrTooLarge", err)
	}
}

// Reading does not change its input, and keeps nothing of it.
func TestReadKeepsNothingOfItsInput(t *testing.T) {
	data := []byte(bom(`,"components":[{"type":"file","name":"abc","purl":"pkg:npm/abc@1"}]`))
	before := bytes.Clone(data)
	doc, err := Read(data)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(data, before) {
		t.Error("the input was changed")
	}
	for i := range data {
		data[i] = 'x'
	}
	if c := doc.Components[0]; c.Name != "abc" || c.PURL != "pkg:npm/abc@1" || c.Type != "file" {
		t.Errorf("%+v changed with the input", c)
	}
}
