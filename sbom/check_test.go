package sbom

import (
	"bytes"
	"encoding/json"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// library returns the schema of a kind as the schema library checks it.
func library(t testing.TB, k kind) *jsonschema.Schema {
	t.Helper()
	id := "http://cyclonedx.org/schema/bom-" + k.version + ".schema.json"
	if k.format == SPDX {
		id = "https://sekisho.dev/schema/spdx-" + k.version + ".schema.json"
	}
	s, err := compile(id)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// The walk over the document is ours, so its verdicts are compared with those of
// the schema library: on every document of testdata, and on what becomes of it
// when one value after another is damaged.
func TestCheckAgreesWithTheSchemaLibrary(t *testing.T) {
	var files []string
	for _, pattern := range []string{"cyclonedx/*/*.json", "documents/*.json"} {
		found, err := filepath.Glob(testdata + pattern)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, found...)
	}
	oracles := map[kind]*jsonschema.Schema{}
	for k := range schemas {
		oracles[k] = library(t, k)
	}
	verdicts := map[bool]int{}
	rng := rand.New(rand.NewPCG(1, 2))
	for _, path := range files {
		data := file(t, strings.TrimPrefix(filepath.ToSlash(path), testdata))
		k, err := identify(data)
		if err != nil || len(data) > 40_000 {
			continue
		}
		r, err := schemas[k]()
		if err != nil {
			t.Fatal(err)
		}
		for range 60 {
			var doc any
			if err := json.Unmarshal(data, &doc); err != nil {
				t.Fatal(err)
			}
			for range rng.IntN(3) {
				doc = damage(rng, doc)
			}
			want, got := oracles[k].Validate(doc), r.check(doc)
			verdicts[want == nil]++
			if (want == nil) != (got == nil) {
				b, _ := json.Marshal(doc)
				t.Fatalf("%s, damaged: we say %v, the library says %v\n%.2000s", path, got, want, b)
			}
		}
	}
	if verdicts[true] < 1000 || verdicts[false] < 1000 {
		t.Errorf("%d valid and %d invalid documents show little", verdicts[true], verdicts[false])
	}
}

// damage changes one value of a document, deeper ones as likely as others.
func damage(rng *rand.Rand, v any) any {
	other := []any{nil, "", "x", 0.0, -1.0, 2.5, true, map[string]any{}, []any{}, "NOASSERTION", "MIT", "2026-01-02T03:04:05Z"}
	if rng.IntN(5) == 0 {
		return other[rng.IntN(len(other))]
	}
	switch v := v.(type) {
	case map[string]any:
		names := slices.Sorted(maps.Keys(v))
		if len(names) == 0 || rng.IntN(8) == 0 {
			v["unheardOf"] = "x"
			return v
		}
		name := names[rng.IntN(len(names))]
		if rng.IntN(8) == 0 {
			delete(v, name)
			return v
		}
		v[name] = damage(rng, v[name])
		return v
	case []any:
		if len(v) == 0 || rng.IntN(8) == 0 {
			return append(v, other[rng.IntN(len(other))])
		}
		i := rng.IntN(len(v))
		if rng.IntN(8) == 0 {
			return append(v, v[i])
		}
		v[i] = damage(rng, v[i])
		return v
	}
	return other[rng.IntN(len(other))]
}

// schemaOf compiles a schema and takes it apart.
func schemaOf(t *testing.T, text string) (*jsonschema.Schema, *rule, error) {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft7)
	c.UseLoader(noLoader{})
	if err := c.AddResource("https://example.com/s", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("https://example.com/s")
	if err != nil {
		t.Fatal(err)
	}
	r, err := ruleOf(s)
	return s, r, err
}

func TestCheckKeywords(t *testing.T) {
	for _, c := range []struct {
		schema     string
		right      []string
		wrong      []string
		firstFault string // of the first wrong one
	}{
		{`{"type":"object","required":["a"],"additionalProperties":false,"properties":{"a":{"type":"string"},"b":{}}}`,
			[]string{`{"a":""}`, `{"a":"","b":1}`}, []string{`{"a":1}`, `{}`, `{"a":"","c":1}`, `[]`}, `at "/a": got number, want string`},
		{`{"items":{"type":"string"},"uniqueItems":true,"minItems":1}`,
			[]string{`["a"]`, `1`}, []string{`["a",1]`, `[]`, `["a","a"]`}, `at "/1": got number, want string`},
		{`{"items":[{"type":"string"},{"type":"number"}],"additionalItems":false}`,
			[]string{`[]`, `["a"]`, `["a",1]`}, []string{`[1]`, `["a","b"]`, `["a",1,1]`}, `at "/0": got number, want string`},
		{`{"items":[{"type":"string"}]}`, []string{`["a",1,null]`}, []string{`[1]`}, `at "/0": got number, want string`},
		{`{"items":false}`, []string{`[]`}, []string{`[1]`}, `at "/0": false schema`},
		{`{"items":{"type":"string"},"additionalItems":false}`, []string{`["a","b"]`}, []string{`[1]`}, `at "/0": got number, want string`},
		{`{"allOf":[{"type":"string"},{"minLength":2}]}`, []string{`"ab"`}, []string{`1`, `"a"`}, `got number, want string`},
		{`{"anyOf":[{"properties":{"a":{"type":"string"}}},{"type":"string"}]}`, []string{`{"a":""}`, `""`, `{}`}, []string{`{"a":1}`}, `at "/a": got number, want string`},
		{`{"oneOf":[{"required":["a"]},{"required":["b"]}]}`, []string{`{"a":1}`, `{"b":1}`}, []string{`{"a":1,"b":1}`, `{}`}, `is two things of which it must be one`},
		{`{"not":{"type":"string"}}`, []string{`1`}, []string{`""`}, `is what it must not be`},
		{`{"if":{"type":"string"},"then":{"minLength":1},"else":{"minimum":1}}`, []string{`"a"`, `1`}, []string{`""`, `0`}, `minLength: got 0, want 1`},
		{`{"if":{"type":"string"},"else":{"type":"number"}}`, []string{`""`, `1`}, []string{`null`}, `got null, want number`},
		{`{"if":{"type":"string"},"then":{"minLength":1}}`, []string{`"a"`, `1`}, []string{`""`}, `minLength: got 0, want 1`},
		{`{"$ref":"#/definitions/a","definitions":{"a":{"type":"array","items":{"$ref":"#"}}}}`, []string{`[]`, `[[],[[]]]`}, []string{`[[],[1]]`}, `at "/1/0": got number, want array`},
		{`{"$ref":"#/definitions/a","type":"string","definitions":{"a":{"type":"number"}}}`, []string{`1`}, []string{`""`}, `got string, want number`},
		{`{"properties":{"a":true,"b":false}}`, []string{`{"a":1}`}, []string{`{"b":1}`}, `at "/b": false schema`},
		{`{"properties":{"a/b~c":false}}`, []string{`{}`}, []string{`{"a/b~c":1}`}, `at "/a~1b~0c": false schema`},
		{`{"minimum":1,"maximum":2}`, []string{`1`, `2`, `1.5`}, []string{`3`, `0`}, `maximum: got 3, want 2`},
		{`{"enum":["a"],"type":"string"}`, []string{`"a"`}, []string{`"b"`}, `value must be 'a'`},
		{`{"format":"date-time"}`, []string{`"2026-01-02T03:04:05Z"`}, []string{`"yesterday"`}, ``},
	} {
		oracle, r, err := schemaOf(t, c.schema)
		if err != nil {
			t.Errorf("%s: %v", c.schema, err)
			continue
		}
		for i, text := range append(slices.Clone(c.right), c.wrong...) {
			v, err := jsonschema.UnmarshalJSON(bytes.NewReader([]byte(text)))
			if err != nil {
				t.Fatal(err)
			}
			f := r.check(v)
			if right := i < len(c.right); (f == nil) != right || (oracle.Validate(v) == nil) != right {
				t.Errorf("%s: %s: %v; the library says %v", c.schema, text, f, oracle.Validate(v))
			}
			if i == len(c.right) && f != nil && !strings.Contains(f.Error(), c.firstFault) {
				t.Errorf("%s: %s: %v, want …%s…", c.schema, text, f, c.firstFault)
			}
		}
	}
}

// A keyword that the walk does not implement is an error when the schema is
// compiled: nothing is valid by a rule that was overlooked.
func TestCheckRefusesUnknownKeywords(t *testing.T) {
	for _, schema := range []string{
		`{"patternProperties":{"^a":{"type":"string"}}}`,
		`{"propertyNames":{"type":"string"}}`,
		`{"additionalProperties":{"type":"string"}}`,
		`{"items":[{}],"additionalItems":{"type":"string"}}`,
		`{"contains":{"type":"string"}}`,
		`{"dependencies":{"a":["b"]}}`,
		`{"properties":{"a":{"anyOf":[{"contains":{"type":"string"}}]}}}`,
		`{"definitions":{"a":{"propertyNames":{"type":"string"}}},"items":{"$ref":"#/definitions/a"}}`,
		`{"$schema":"https://json-schema.org/draft/2020-12/schema","unevaluatedProperties":false}`,
	} {
		if _, _, err := schemaOf(t, schema); err == nil {
			t.Errorf("%s was taken", schema)
		}
	}
}

// Nothing is fetched to compile a schema.
func TestSchemasAreEmbedded(t *testing.T) {
	for k, compiled := range schemas {
		if _, err := compiled(); err != nil {
			t.Errorf("%v: %v", k, err)
		}
	}
	if _, err := compile("https://example.com/elsewhere.json"); err == nil {
		t.Error("a schema that is not embedded was found")
	}
}
