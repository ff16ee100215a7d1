// Package strictyaml reads configuration: YAML in which a mistake is an error.
// Unknown and duplicate keys, anchors, aliases, several documents and values of
// the wrong kind are all refused, many of them in one go, each with its line and
// column: a policy with a misspelt key must not load as a weaker policy.
package strictyaml

import (
	"bytes"
	"encoding"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// Limits on a document.
const (
	MaxSize  = 4 << 20
	MaxDepth = 32
)

// ErrInvalid is wrapped by every error of this package.
var ErrInvalid = errors.New("invalid YAML")

// Decode reads exactly one document into v, a pointer to a struct whose fields
// have `yaml:"name"` tags (only the name and "-" are understood). Absent keys
// leave fields as they are, and so does null. Faults in a document that is YAML are
// [Errors].
func Decode(data []byte, v any) error {
	if len(data) > MaxSize {
		return fmt.Errorf("%w: %d bytes, at most %d", ErrInvalid, len(data), MaxSize)
	}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc yaml.Node
	if err := dec.Decode(&doc); errors.Is(err, io.EOF) {
		return Errors{Pos{1, 1}.Errorf("the document is empty")}
	} else if err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if err := dec.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return Errors{Pos{1, 1}.Errorf("more than one document")}
	}
	var d decoder
	d.value(doc.Content[0], reflect.ValueOf(v).Elem(), 0)
	return d.faults.Err()
}

type decoder struct{ faults Faults }

func at(n *yaml.Node) Pos { return Pos{n.Line, n.Column} }

func (d *decoder) errorf(n *yaml.Node, format string, args ...any) {
	d.faults.Addf(at(n), format, args...)
}

// value reads one node into one value.
func (d *decoder) value(n *yaml.Node, v reflect.Value, depth int) {
	switch {
	case depth > MaxDepth:
		d.errorf(n, "nested deeper than %d", MaxDepth)
		return
	case n.Kind == yaml.AliasNode || n.Anchor != "":
		d.errorf(n, "anchors and aliases are not allowed")
		return
	case n.Kind == yaml.ScalarNode && n.Tag == "!!null":
		return
	}
	if d.custom(n, v) {
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			v.Set(reflect.New(v.Type().Elem()))
		}
		d.value(n, v.Elem(), depth)
	case reflect.Struct:
		d.structure(n, v, depth)
	case reflect.Map:
		d.mapping(n, v, depth)
	case reflect.Slice:
		d.sequence(n, v, depth)
	case reflect.Interface:
		d.anything(n, v, depth)
	default:
		d.scalar(n, v)
	}
}

// custom reads a value that knows how to read itself.
func (d *decoder) custom(n *yaml.Node, v reflect.Value) bool {
	if !v.CanAddr() {
		return false
	}
	switch u := v.Addr().Interface().(type) {
	case *time.Duration:
		d.duration(n, u)
	case *time.Time:
		if err := n.Decode(u); err != nil || n.Kind != yaml.ScalarNode {
			d.errorf(n, "want a time such as 2026-01-31T00:00:00Z, found %s", describe(n))
		}
	case yaml.Unmarshaler:
		if err := u.UnmarshalYAML(n); err != nil {
			d.fail(n, err)
		}
	case encoding.TextUnmarshaler:
		if n.Kind != yaml.ScalarNode {
			d.errorf(n, "want a string, found %s", describe(n))
		} else if err := u.UnmarshalText([]byte(n.Value)); err != nil {
			d.fail(n, err)
		}
	default:
		return false
	}
	return true
}

// fail keeps an error's own place, where it has one.
func (d *decoder) fail(n *yaml.Node, err error) {
	if errors.Is(err, ErrInvalid) {
		d.faults.Add(err)
		return
	}
	d.errorf(n, "%s", err)
}

func (d *decoder) duration(n *yaml.Node, v *time.Duration) {
	parsed, err := time.ParseDuration(n.Value)
	if n.Kind != yaml.ScalarNode || err != nil {
		d.errorf(n, "want a duration such as 168h or 5s, found %s", describe(n))
		return
	}
	*v = parsed
}

func (d *decoder) structure(n *yaml.Node, v reflect.Value, depth int) {
	if n.Kind != yaml.MappingNode {
		d.errorf(n, "want a mapping, found %s", describe(n))
		return
	}
	fields := map[string]reflect.Value{}
	var names []string
	for i := range v.NumField() {
		f := v.Type().Field(i)
		switch name := f.Tag.Get("yaml"); {
		case f.Type == reflect.TypeFor[Pos]() && f.IsExported():
			v.Field(i).Set(reflect.ValueOf(at(n)))
		case name != "" && name != "-":
			fields[name] = v.Field(i)
			names = append(names, name)
		}
	}
	d.pairs(n, func(key, value *yaml.Node) {
		field, ok := fields[key.Value]
		if !ok {
			d.errorf(key, "unknown key %.80q; known here: %s", key.Value, strings.Join(names, ", "))
			return
		}
		d.value(value, field, depth+1)
	})
}

func (d *decoder) mapping(n *yaml.Node, v reflect.Value, depth int) {
	if n.Kind != yaml.MappingNode {
		d.errorf(n, "want a mapping, found %s", describe(n))
		return
	}
	m := reflect.MakeMap(v.Type())
	d.pairs(n, func(key, value *yaml.Node) {
		e := reflect.New(v.Type().Elem()).Elem()
		d.value(value, e, depth+1)
		m.SetMapIndex(reflect.ValueOf(key.Value).Convert(v.Type().Key()), e)
	})
	v.Set(m)
}

// pairs calls f for each pair of a mapping, and refuses keys that occur twice or
// are not plain strings.
func (d *decoder) pairs(n *yaml.Node, f func(key, value *yaml.Node)) {
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		switch {
		case key.Kind != yaml.ScalarNode || key.Tag == "!!merge" || key.Anchor != "":
			d.errorf(key, "a key must be a plain string")
		case seen[key.Value]:
			d.errorf(key, "key %.80q occurs twice", key.Value)
		default:
			seen[key.Value] = true
			f(key, n.Content[i+1])
		}
	}
}

func (d *decoder) sequence(n *yaml.Node, v reflect.Value, depth int) {
	if n.Kind != yaml.SequenceNode {
		d.errorf(n, "want a list, found %s", describe(n))
		return
	}
	// A list that is there but empty differs from one that is absent.
	list := reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content))
	for i, e := range n.Content {
		d.value(e, list.Index(i), depth+1)
	}
	v.Set(list)
}

// anything reads a value of no fixed kind: string, bool, number, []any, map[string]any.
func (d *decoder) anything(n *yaml.Node, v reflect.Value, depth int) {
	switch n.Kind {
	case yaml.MappingNode:
		m := map[string]any{}
		d.mapping(n, reflect.ValueOf(&m).Elem(), depth)
		v.Set(reflect.ValueOf(m))
	case yaml.SequenceNode:
		list := []any{}
		d.sequence(n, reflect.ValueOf(&list).Elem(), depth)
		v.Set(reflect.ValueOf(list))
	default:
		var x any
		if err := n.Decode(&x); err != nil {
			d.errorf(n, "%s", err)
			return
		}
		v.Set(reflect.ValueOf(x))
	}
}

// scalar reads a string, bool or number. YAML's own idea of a value's kind
// decides: `version: "3"` is a string and no number.
func (d *decoder) scalar(n *yaml.Node, v reflect.Value) {
	want := map[reflect.Kind]string{
		reflect.String: "!!str", reflect.Bool: "!!bool", reflect.Float64: "!!float",
		reflect.Int: "!!int", reflect.Int64: "!!int", reflect.Uint64: "!!int",
	}[v.Kind()]
	ok := n.Kind == yaml.ScalarNode && want != "" && (n.Tag == want || want == "!!float" && n.Tag == "!!int")
	if !ok || n.Decode(v.Addr().Interface()) != nil {
		d.errorf(n, "want a %s, found %s", v.Kind(), describe(n))
	}
}

func describe(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	}
	return fmt.Sprintf("%.60q", n.Value)
}
