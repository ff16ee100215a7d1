package policy

import (
	"maps"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"go.yaml.in/yaml/v3"

	"github.com/sekisho-dev/sekisho/attest"
	"github.com/sekisho-dev/sekisho/internal/strictyaml"
)

// Parameters are the external parameters that a build is expected to have: those
// named, with these values, and no others. As SLSA has it, a parameter that is
// unset, null or empty ("", {}, []) is the same as one that is not there; beyond
// that values are equal only as whole JSON values.
//
// In YAML `{any: true}` in place of a value accepts every value of that parameter,
// and in place of the mapping all parameters. `{}` expects none.
type Parameters struct {
	any   bool
	named map[string]parameter
}

// A parameter is what is expected of one value.
type parameter struct {
	any  bool
	json string // canonical; "" if expected to be empty
}

// UnmarshalYAML reads what is expected. It keeps to what strictyaml promises of
// the rest of the document: no repeated keys, no aliases, faults with their place.
func (p *Parameters) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind != yaml.MappingNode {
		return faultAt(n, "want a mapping from parameter names to values, or {any: true}")
	}
	if isAny, err := readAny(n); err != nil || isAny {
		p.any = isAny
		return err
	}
	p.named = map[string]parameter{}
	for i := 0; i < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if _, twice := p.named[key.Value]; twice || key.Tag != "!!str" || key.Anchor != "" {
			return faultAt(key, "want the name of a parameter, once and as a plain string")
		}
		isAny, err := readAny(value)
		if err != nil {
			return err
		}
		if isAny {
			p.named[key.Value] = parameter{any: true}
			continue
		}
		text, err := appendJSON(nil, value, 0)
		if err != nil {
			return err
		}
		expected, ok := canonical(text)
		if !ok {
			return faultAt(value, "not a value that JSON can have")
		}
		p.named[key.Value] = parameter{json: expected}
	}
	return nil
}

// readAny reports whether n is {any: true}. A mapping with "any" beside something
// else, or with another value than true, is a mistake: it would be compared as a
// value, and its author meant a wildcard.
func readAny(n *yaml.Node) (bool, error) {
	if n.Kind != yaml.MappingNode {
		return false, nil
	}
	for i := 0; i < len(n.Content); i += 2 {
		value := n.Content[i+1]
		if n.Content[i].Value != "any" || value.Kind == yaml.MappingNode { // a parameter called any: {any: {any: true}}
			continue
		}
		if len(n.Content) != 2 || n.Content[i].Anchor != "" || value.Tag != "!!bool" || value.Value != "true" || value.Anchor != "" {
			return false, faultAt(n.Content[i], "want {any: true} and nothing beside it")
		}
		return true, nil
	}
	return false, nil
}

// appendJSON appends a YAML value as JSON. Numbers keep their text.
func appendJSON(b []byte, n *yaml.Node, depth int) ([]byte, error) {
	var err error
	switch {
	case depth > strictyaml.MaxDepth:
		return nil, faultAt(n, "nested deeper than %d", strictyaml.MaxDepth)
	case n.Kind == yaml.AliasNode || n.Anchor != "":
		return nil, faultAt(n, "anchors and aliases are not allowed")
	case n.Kind == yaml.MappingNode:
		b = append(b, '{')
		for i, c := range n.Content {
			if i%2 == 0 && c.Tag != "!!str" {
				return nil, faultAt(c, "a key must be a plain string")
			}
			if b, err = appendJSON(b, c, depth+1); err != nil {
				return nil, err
			}
			b = append(b, ":,"[i%2])
		}
		return append(trimComma(b), '}'), nil
	case n.Kind == yaml.SequenceNode:
		b = append(b, '[')
		for _, c := range n.Content {
			if b, err = appendJSON(b, c, depth+1); err != nil {
				return nil, err
			}
			b = append(b, ',')
		}
		return append(trimComma(b), ']'), nil
	}
	switch n.Tag {
	case "!!str", "!!timestamp": // JSON has no times: an unquoted date is its text
		return jsontext.AppendQuote(b, n.Value)
	case "!!bool":
		return append(b, strings.ToLower(n.Value)...), nil
	case "!!null":
		return append(b, "null"...), nil
	case "!!int", "!!float":
		return append(b, n.Value...), nil // canonical refuses what JSON would not write so
	}
	return nil, faultAt(n, "a value of kind %s cannot be expected", n.Tag)
}

func trimComma(b []byte) []byte {
	if b[len(b)-1] == ',' {
		return b[:len(b)-1]
	}
	return b
}

func faultAt(n *yaml.Node, format string, args ...any) error {
	return strictyaml.Pos{Line: n.Line, Column: n.Column}.Errorf(format, args...)
}

// canonical spells a JSON value so that equal values are equal strings; every
// empty value is "".
func canonical(v jsontext.Value) (string, bool) {
	c, ok := attest.CanonicalJSON(v)
	return string(c), ok
}

// same reports whether a value is the expected one, and how it is shown. A value that
// is kept by its hash alone is compared by it.
func (p parameter) same(v jsontext.Value) (found string, ok bool) {
	if attest.HashedJSON(v) {
		expected := string(attest.HashJSON(jsontext.Value(p.json)))
		return "a value of " + string(v), p.any || p.json != "" && expected == string(v)
	}
	found, ok = canonical(v)
	if !ok {
		return "a value that is not JSON", false
	}
	return found, p.any || found == p.json
}

// judge compares what the provenance says with what is expected, parameter by
// parameter, in the order of their names.
func (p *Parameters) judge(f *faults, rule string) {
	a := f.of
	switch {
	case p == nil:
		f.add(Reason{Code: UnexpectedParameter, Rule: rule, Expected: "externalParameters in the rule", Found: "none",
			Remedy: "say under externalParameters what the build's parameters may be, or {any: true} if every value is safe"}, "externalParameters")
		return
	case p.any:
		return
	case !a.ParametersComplete:
		f.add(Reason{Code: UnexpectedParameter, Rule: rule, Expected: "all external parameters", Found: "a document that does not claim to list them all",
			Remedy: "use a builder that records complete parameters (SLSA provenance v1, or completeness.parameters in v0.2)"}, "externalParameters")
	}
	for _, name := range p.names(a.ExternalParameters) {
		expected, known := p.named[name]
		found, ok := expected.same(a.ExternalParameters[name])
		if ok {
			continue // equal, or empty where nothing is expected
		}
		r := Reason{Code: UnexpectedParameter, Rule: rule, Expected: orNone(expected.json), Found: orNone(found),
			Remedy: "build with the expected value of " + name + ", or change it under externalParameters if the new one is right"}
		if !known {
			r.Expected = "no parameter " + name
			r.Remedy = "build without " + name + ", or name it under externalParameters if it is safe"
		}
		if expected.any {
			r.Expected = "any value"
		}
		f.add(r, "externalParameters."+name)
	}
}

// names returns the names that are expected or found, sorted.
func (p *Parameters) names(found map[string]jsontext.Value) []string {
	names := slices.AppendSeq(make([]string, 0, len(found)+len(p.named)), maps.Keys(found))
	names = slices.AppendSeq(names, maps.Keys(p.named))
	slices.Sort(names)
	return slices.Compact(names)
}
