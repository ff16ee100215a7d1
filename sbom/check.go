package sbom

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// A rule is one compiled schema, taken apart into what it says of a value itself
// and what it says of the values within. The schema library judges the former;
// the walk over the latter is ours, because the library has no limit on faults: it
// keeps one for every wrong value of the document, which of three megabytes that
// were written for the purpose makes a gigabyte. The walk ends at the first.
type rule struct {
	own    *jsonschema.Schema // without the schemas of what is within
	plain  string             // if own says no more than a type and what is required: the type
	ref    *rule              // in draft 7 it replaces everything else
	names  []string           // of properties, sorted, so that the first fault is always the same
	props  map[string]*rule
	closed bool // to properties without a name of these
	items  *rule
	tuple  []*rule
	all    []*rule
	any    []*rule
	one    []*rule
	not    *rule
	cond   *rule
	then   *rule
	other  *rule
}

// A fault is the first place where a document breaks its schema.
type fault struct {
	at  []string // from the innermost name or index outwards
	why error
}

// Error words the fault, with the place as a JSON pointer.
func (f *fault) Error() string {
	var b strings.Builder
	for _, name := range slices.Backward(f.at) {
		b.WriteString("/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(name))
	}
	if b.Len() == 0 {
		return limit(reason(f.why))
	}
	return fmt.Sprintf("at %q: %s", limit(b.String()), limit(reason(f.why)))
}

// limit keeps a text to the length of a line or two: both what is wrong and what
// would be right can be long.
func limit(s string) string {
	const most = 200
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}

// within says in what the fault was found.
func (f *fault) within(name string) *fault {
	if f != nil {
		f.at = append(f.at, name)
	}
	return f
}

// check returns the first fault of a value, or nil.
func (r *rule) check(v any) *fault {
	if r.ref != nil {
		return r.ref.check(v)
	}
	if !r.plainly(v) {
		if err := r.own.Validate(v); err != nil {
			return &fault{why: err}
		}
	}
	switch v := v.(type) {
	case map[string]any:
		if f := r.members(v); f != nil {
			return f
		}
	case []any:
		for i, element := range v {
			if f := r.element(i).check(element); f != nil {
				return f.within(strconv.Itoa(i))
			}
		}
	}
	return r.combined(v)
}

// plainly reports whether a value is right by a schema that says little of it, as
// they do of most. It spares the library the work; what it does not know to be
// right the library decides.
func (r *rule) plainly(v any) bool {
	switch v := v.(type) {
	case string:
		return r.plain == "string"
	case []any:
		return r.plain == "array"
	case map[string]any:
		for _, name := range r.own.Required {
			if _, ok := v[name]; !ok {
				return false
			}
		}
		return r.plain == "object"
	}
	return false
}

// members checks the members of an object.
func (r *rule) members(v map[string]any) *fault {
	known := 0
	for _, name := range r.names {
		if member, ok := v[name]; ok {
			known++
			if f := r.props[name].check(member); f != nil {
				return f.within(name)
			}
		}
	}
	if !r.closed || known == len(v) {
		return nil
	}
	var first *string
	for name := range v {
		if r.props[name] == nil && (first == nil || name < *first) {
			first = &name
		}
	}
	return &fault{why: fmt.Errorf("property %.100q is not allowed", *first)}
}

// element returns the rule of an array's element.
func (r *rule) element(i int) *rule {
	if i < len(r.tuple) {
		return r.tuple[i]
	}
	return r.items
}

// combined checks what the schema says by other schemas of the same value.
func (r *rule) combined(v any) *fault {
	for _, s := range r.all {
		if f := s.check(v); f != nil {
			return f
		}
	}
	if f := choose(r.any, v, len(r.any)); f != nil {
		return f
	}
	if f := choose(r.one, v, 1); f != nil {
		return f
	}
	if r.not != nil && r.not.check(v) == nil {
		return &fault{why: errors.New("is what it must not be")}
	}
	if r.cond == nil {
		return nil
	}
	if r.cond.check(v) == nil {
		return r.then.check(v)
	}
	return r.other.check(v)
}

// choose checks that a value is right by at least one of the rules, and by at
// most so many. If it is by none, the fault is that of the nearest miss: the one
// found deepest in the document.
func choose(rules []*rule, v any, most int) *fault {
	var nearest *fault
	right := 0
	for _, s := range rules {
		f := s.check(v)
		switch {
		case f == nil:
			right++
		case nearest == nil || len(f.at) > len(nearest.at):
			nearest = f
		}
		if right > 0 && most > 1 {
			return nil
		}
	}
	if right > most {
		return &fault{why: errors.New("is two things of which it must be one")}
	}
	if right > 0 {
		return nil
	}
	return nearest
}

// reason words what the library found at one value.
func reason(err error) string {
	var invalid *jsonschema.ValidationError
	if errors.As(err, &invalid) {
		for _, unit := range invalid.BasicOutput().Errors {
			if unit.Error != nil {
				return unit.Error.String()
			}
		}
	}
	return err.Error()
}
