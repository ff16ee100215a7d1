package sbom

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sekisho-dev/sekisho/attest"
)

// Whatever is handed in, Read refuses it with one of its errors, or reads a
// document that can be shown, indexed and signed; and what was read is read again
// out of the statement.
func FuzzRead(f *testing.F) {
	for _, pattern := range []string{"cyclonedx/*/valid-*.json", "documents/*"} {
		paths, err := filepath.Glob(testdata + pattern)
		if err != nil {
			f.Fatal(err)
		}
		for _, path := range paths {
			if data := file(f, strings.TrimPrefix(filepath.ToSlash(path), testdata)); len(data) < 8000 {
				f.Add(data)
			}
		}
	}
	f.Add([]byte(spdxDoc(`,"packages":[null]`)))
	f.Add([]byte(bom(`,"components":[{"type":"file","name":"a","purl":"pkg:npm/a@1"}]`)))
	f.Fuzz(func(t *testing.T, data []byte) {
		doc, err := Read(data)
		if err != nil {
			if !typed(err) {
				t.Errorf("an error without a sentinel: %v", err)
			}
			if len(err.Error()) > 1000 {
				t.Errorf("an error of %d bytes", len(err.Error()))
			}
			return
		}
		if !json.Valid(data) {
			t.Error("read what is not JSON")
		}
		for _, c := range doc.Components {
			if keys := SearchKeys(c.PURL); (c.PURL != "") != (len(keys) > 0 && keys[0] == c.PURL) {
				t.Errorf("%q is found under %q", c.PURL, keys)
			}
		}
		if rows := doc.Rows(); len(rows) != len(doc.Components) {
			t.Errorf("%d rows of %d components", len(rows), len(doc.Components))
		}
		doc.Contradictions(artifact)
		payload, err := Statement(doc, data, []attest.Resource{artifact})
		if err != nil {
			t.Fatal(err)
		}
		s, err := attest.ParseStatement(payload)
		if err != nil || !IsPredicateType(s.PredicateType) || !bytes.Equal(s.Predicate, bytes.Trim(data, " \t\r\n")) {
			t.Errorf("the statement does not carry the document: %v", err)
		}
	})
}
