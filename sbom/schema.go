package sbom

import (
	"bytes"
	"embed"
	"fmt"
	"sync"

	"github.com/go-json-experiment/json"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

// The schemas of CycloneDX are OWASP's, as published with 1.7.1; the one of SPDX
// is ours, written from the specification.
//
//go:embed schema/*.json
var schemaFiles embed.FS

// schemas compiles the schema of each kind, once, when it is first needed: 1.7
// takes as long to compile as a megabyte takes to validate.
var schemas = map[kind]func() (*rule, error){
	{CycloneDX, "1.4"}: once("http://cyclonedx.org/schema/bom-1.4.schema.json"),
	{CycloneDX, "1.5"}: once("http://cyclonedx.org/schema/bom-1.5.schema.json"),
	{CycloneDX, "1.6"}: once("http://cyclonedx.org/schema/bom-1.6.schema.json"),
	{CycloneDX, "1.7"}: once("http://cyclonedx.org/schema/bom-1.7.schema.json"),
	{SPDX, "2.3"}:      once("https://sekisho.dev/schema/spdx-2.3.schema.json"),
}

func once(id string) func() (*rule, error) {
	return sync.OnceValues(func() (*rule, error) {
		schema, err := compile(id)
		if err != nil {
			return nil, err
		}
		return ruleOf(schema)
	})
}

// compile compiles an embedded schema. What it refers to must be embedded too.
func compile(id string) (*jsonschema.Schema, error) {
	c := jsonschema.NewCompiler()
	c.UseLoader(noLoader{})
	files, err := schemaFiles.ReadDir("schema")
	if err != nil {
		return nil, err
	}
	for _, f := range files {
		raw, err := schemaFiles.ReadFile("schema/" + f.Name())
		if err != nil {
			return nil, err
		}
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
		if err != nil {
			return nil, err
		}
		own, _ := doc.(map[string]any)["$id"].(string)
		if err := c.AddResource(own, doc); err != nil {
			return nil, err
		}
	}
	return c.Compile(id)
}

// noLoader loads no schema: what is not embedded is not fetched from anywhere.
type noLoader struct{}

func (noLoader) Load(url string) (any, error) {
	return nil, fmt.Errorf("schema %s is not embedded", url)
}

// validate checks a document against the schema of its kind.
func (k kind) validate(data []byte) error {
	schema, err := schemas[k]()
	if err != nil {
		return fmt.Errorf("compiling its schema: %w", err)
	}
	var doc any
	if err := json.Unmarshal(data, &doc); err != nil {
		return unreadable(err)
	}
	if f := schema.check(doc); f != nil {
		return fmt.Errorf("%w: %w", ErrMalformed, f)
	}
	return nil
}
