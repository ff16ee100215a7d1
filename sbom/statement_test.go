package sbom

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/sekisho-dev/sekisho/attest"
)

var artifact = attest.Resource{
	Name:   "a <b> \"c\" \u2028",
	Digest: attest.DigestSet{"sha512": strings.Repeat("ab", 64), "sha256": strings.Repeat("cd", 32)},
}

// The predicate is the document byte for byte, whatever it looks like, and an
// attest statement that says what was asked for.
func TestStatementCarriesTheOriginalBytes(t *testing.T) {
	originals := map[string][]byte{
		"spaced":     []byte("\n{ \"bomFormat\" : \"CycloneDX\",\r\n\t\"specVersion\":\"1.6\" , \"version\":1.0 }\n\n"),
		"escaped":    []byte(`{"bomFormat":"Cyclone\u0044X","specVersion":"1.4","version":1e0,"components":[{"type":"file","name":"\/\u00e9\u2028é<>&"}]}`),
		"unsorted":   []byte(`{"version":1,"specVersion":"1.7","bomFormat":"CycloneDX"}`),
		"SPDX":       []byte(spdxDoc(``)),
		"a real one": file(t, "documents/protobom-vt.spdx.json"),
	}
	for name, original := range originals {
		t.Run(name, func(t *testing.T) {
			doc := read(t, string(original))
			payload, err := Statement(doc, original, []attest.Resource{artifact})
			if err != nil {
				t.Fatal(err)
			}
			if n := bytes.Count(payload, original); n != 1 {
				t.Errorf("the document stands %d times in the statement", n)
			}
			s, err := attest.ParseStatement(payload)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(s.Predicate, bytes.TrimSpace(original)) {
				t.Errorf("predicate %.100q", s.Predicate)
			}
			if got := Original(payload, s); !bytes.Equal(got, original) {
				t.Errorf("comes back as %.100q", got)
			}
			if !IsPredicateType(s.PredicateType) || strings.Contains(s.PredicateType, "spdx") != (doc.Format == SPDX) {
				t.Errorf("%s is a %s", doc.Format, s.PredicateType)
			}
			if len(s.Subjects) != 1 || s.Subjects[0].Name != artifact.Name || !reflect.DeepEqual(s.Subjects[0].Digest, artifact.Digest) {
				t.Errorf("subjects %+v", s.Subjects)
			}
			again, err := Read(s.Predicate)
			if err != nil || !reflect.DeepEqual(again.Components, doc.Components) {
				t.Errorf("read back: %v", err)
			}
			if !json.Valid(payload) {
				t.Error("not JSON")
			}
			if same, _ := Statement(doc, original, []attest.Resource{artifact}); !bytes.Equal(same, payload) {
				t.Error("the same call makes another statement")
			}
		})
	}
}

// Of a statement that others wrote the predicate's value is all there is.
func TestOriginalOfOthers(t *testing.T) {
	const digest = `"sha256":"cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd"`
	for name, payload := range map[string]string{
		"spaced":         `{"_type":"` + attest.StatementV1 + `", "predicate": {"a":1} ,"predicateType":"https://spdx.dev/Document","subject":[{"digest":{` + digest + `}}]}`,
		"another order":  `{"_type":"` + attest.StatementV1 + `","predicateType":"https://spdx.dev/Document","predicate": {"a":1} ,"subject":[{"digest":{` + digest + `}}]}`,
		"another behind": `{"_type":"` + attest.StatementV1 + `","predicate": {"a":1} ,"subject":[{"digest":{` + digest + `}}],"predicateType":"https://spdx.dev/Document"}`,
	} {
		s, err := attest.ParseStatement([]byte(payload))
		if err != nil {
			t.Fatal(err)
		}
		if got := Original([]byte(payload), s); string(got) != `{"a":1}` {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// What is signed as an SBOM is one, of the format and version that its type names.
func TestReadPredicate(t *testing.T) {
	for name, c := range map[string]struct {
		typ, doc string
		want     error
	}{
		"CycloneDX":         {"https://cyclonedx.org/bom", bom(""), nil},
		"by its version":    {"https://cyclonedx.org/bom/v1.6", bom(""), nil},
		"SPDX":              {"https://spdx.dev/Document", spdxDoc(""), nil},
		"SPDX 2.3":          {"https://spdx.dev/Document/v2.3", spdxDoc(""), nil},
		"another version":   {"https://cyclonedx.org/bom/v1.5", bom(""), ErrFormat},
		"CycloneDX as SPDX": {"https://spdx.dev/Document", bom(""), ErrFormat},
		"SPDX as CycloneDX": {"https://cyclonedx.org/bom", spdxDoc(""), ErrFormat},
		"as something else": {"https://slsa.dev/provenance/v1", bom(""), ErrFormat},
		"malformed":         {"https://cyclonedx.org/bom", bom(`,"components":[{}]`), ErrMalformed},
		"nothing":           {"https://cyclonedx.org/bom", "{}", ErrFormat},
		"no predicate":      {"https://cyclonedx.org/bom", "", ErrMalformed},
	} {
		if doc, err := ReadPredicate(&attest.Statement{PredicateType: c.typ, Predicate: []byte(c.doc)}); !errors.Is(err, c.want) || (doc == nil) != (c.want != nil) {
			t.Errorf("%s: %v, %v; want %v", name, doc, err, c.want)
		}
	}
}

func TestStatementRefuses(t *testing.T) {
	original := []byte(bom(""))
	doc := read(t, string(original))
	digests := attest.DigestSet{"sha256": strings.Repeat("cd", 32)}
	for i := range attest.MaxDigests {
		digests[strings.Repeat("x", i+1)] = "00"
	}
	for name, c := range map[string]struct {
		doc      *Document
		original []byte
		subjects []attest.Resource
		want     error
	}{
		"no document":          {nil, original, []attest.Resource{artifact}, ErrMalformed},
		"a made-up document":   {&Document{Format: CycloneDX, SpecVersion: "1.6"}, original, []attest.Resource{artifact}, ErrMalformed},
		"another document":     {doc, []byte(bom(`,"components":[]`)), []attest.Resource{artifact}, ErrMalformed},
		"the same, but spaced": {doc, append([]byte(" "), original...), []attest.Resource{artifact}, ErrMalformed},
		"no bytes":             {doc, nil, []attest.Resource{artifact}, ErrMalformed},
		"no subject":           {doc, original, nil, attest.ErrNoDigest},
		"a name alone":         {doc, original, []attest.Resource{artifact, {Name: "a"}}, attest.ErrNoDigest},
		"a weak digest alone":  {doc, original, []attest.Resource{{Digest: attest.DigestSet{"sha1": strings.Repeat("a", 40)}}}, attest.ErrNoDigest},
		"half a digest":        {doc, original, []attest.Resource{{Digest: attest.DigestSet{"sha256": "abc"}}}, attest.ErrDigest},
		"a digest in capitals": {doc, original, []attest.Resource{{Digest: attest.DigestSet{"sha256": strings.Repeat("AB", 32)}}}, attest.ErrDigest},
		"too many subjects":    {doc, original, make([]attest.Resource, attest.MaxSubjects+1), attest.ErrTooLarge},
		"too many digests":     {doc, original, []attest.Resource{{Digest: digests}}, attest.ErrTooLarge},
		"a name not UTF-8":     {doc, original, []attest.Resource{{Name: "\xff", Digest: artifact.Digest}}, ErrMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			if payload, err := Statement(c.doc, c.original, c.subjects); !errors.Is(err, c.want) || payload != nil {
				t.Errorf("%s, %v; want %v", payload, err, c.want)
			}
		})
	}
}

// Types are matched whole: cosign's CVE-2022-35929 and its kin were types that
// nobody looked at closely.
func TestIsPredicateType(t *testing.T) {
	for typ, want := range map[string]bool{
		"https://cyclonedx.org/bom":       true,
		"https://cyclonedx.org/bom/v1.4":  true,
		"https://cyclonedx.org/bom/v1.7":  true,
		"https://spdx.dev/Document":       true,
		"https://spdx.dev/Document/v2.3":  true,
		"https://cyclonedx.org/bom/v1.3":  false,
		"https://cyclonedx.org/bom/":      false,
		"https://cyclonedx.org/bom.evil":  false,
		"https://cyclonedx.org/BOM":       false,
		"http://cyclonedx.org/bom":        false,
		"https://spdx.dev/Document/v2.2":  false,
		"https://spdx.dev/Document/v3":    false,
		" https://spdx.dev/Document":      false,
		"https://slsa.dev/provenance/v1":  false,
		"https://spdx.dev/Document/v2.3 ": false,
		"":                                false,
	} {
		if got := IsPredicateType(typ); got != want {
			t.Errorf("%q: %v", typ, got)
		}
	}
}
