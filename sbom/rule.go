package sbom

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// anything is the rule of values of which a schema says nothing.
var anything = &jsonschema.Schema{DraftVersion: 7, Bool: new(true)}

// rules takes compiled schemas apart, each once: schemas refer to each other in
// circles.
type rules struct {
	made map[*jsonschema.Schema]*rule
	err  error // that a schema has a keyword which the walk does not know
}

// ruleOf returns the rule of a schema. A keyword that the walk does not implement
// is an error, not a rule that overlooks it.
func ruleOf(s *jsonschema.Schema) (*rule, error) {
	m := rules{made: map[*jsonschema.Schema]*rule{}}
	r := m.one(s)
	return r, m.err
}

// one returns the rule of a schema; of none, one that anything satisfies.
func (m *rules) one(s *jsonschema.Schema) *rule {
	if s == nil {
		s = anything
	}
	r, ok := m.made[s]
	if ok {
		return r
	}
	if unknown(s) {
		m.err = errors.Join(m.err, fmt.Errorf("schema %s has a keyword that is not implemented", s.Location))
	}
	r = &rule{own: own(s)}
	m.made[s] = r
	if s.Ref != nil {
		r.ref = m.one(s.Ref)
		return r
	}
	m.within(r, s)
	r.all, r.any, r.one = m.many(s.AllOf), m.many(s.AnyOf), m.many(s.OneOf)
	if s.Not != nil {
		r.not = m.one(s.Not)
	}
	if s.If != nil {
		r.cond, r.then, r.other = m.one(s.If), m.one(s.Then), m.one(s.Else)
	}
	return r
}

func (m *rules) many(ss []*jsonschema.Schema) (rs []*rule) {
	for _, s := range ss {
		rs = append(rs, m.one(s))
	}
	return rs
}

// within sets what a schema says of members and elements.
func (m *rules) within(r *rule, s *jsonschema.Schema) {
	r.plain = plain(r.own)
	r.closed = s.AdditionalProperties == false
	r.names = slices.Sorted(maps.Keys(s.Properties))
	r.props = map[string]*rule{}
	for name, p := range s.Properties {
		r.props[name] = m.one(p)
	}
	switch items := s.Items.(type) {
	case *jsonschema.Schema:
		r.items = m.one(items)
	case []*jsonschema.Schema:
		r.tuple, r.items = m.many(items), m.one(nil)
	default:
		r.items = m.one(nil)
	}
}

// own returns what a schema says of a value itself: the schemas of what is
// within it are left out, or replaced by ones that anything satisfies.
func own(s *jsonschema.Schema) *jsonschema.Schema {
	c := *s
	c.Ref, c.AllOf, c.AnyOf, c.OneOf, c.Not, c.If, c.Then, c.Else = nil, nil, nil, nil, nil, nil, nil, nil
	c.Properties, c.AdditionalProperties = nil, nil
	if several, ok := s.Items.([]*jsonschema.Schema); ok {
		c.Items = slices.Repeat([]*jsonschema.Schema{anything}, len(several))
	} else {
		c.Items, c.AdditionalItems = nil, nil // the latter means nothing but beside several items
	}
	return &c
}

// plain returns the type of which a schema speaks if it says no more than that
// and what is required. What it says of numbers is no matter: they are not plain.
func plain(s *jsonschema.Schema) string {
	if s.Types == nil || len(s.Types.ToStrings()) != 1 ||
		s.Bool != nil || s.Const != nil || s.Enum != nil || s.Format != nil ||
		s.Pattern != nil || s.MinLength != nil || s.MaxLength != nil ||
		s.Items != nil || s.MinItems != nil || s.MaxItems != nil || s.UniqueItems ||
		s.MinProperties != nil || s.MaxProperties != nil {
		return ""
	}
	return s.Types.ToStrings()[0]
}

// unknown reports whether a schema has a keyword that the walk does not implement.
func unknown(s *jsonschema.Schema) bool {
	_, additionalItems := s.AdditionalItems.(*jsonschema.Schema)
	_, additionalProperties := s.AdditionalProperties.(*jsonschema.Schema)
	return s.DraftVersion != 7 || additionalItems || additionalProperties ||
		s.PropertyNames != nil || len(s.PatternProperties) > 0 || len(s.Dependencies) > 0 ||
		s.Contains != nil || s.ContentEncoding != nil || s.ContentMediaType != nil || len(s.Extensions) > 0
}
