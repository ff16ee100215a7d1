package policy

import (
	"cmp"
	"errors"
	"slices"

	"go.yaml.in/yaml/v3"

	"github.com/sekisho-dev/sekisho/internal/strictyaml"
)

// read reads the document into p and returns what is wrong with its form.
func read(document []byte, p *Policy) strictyaml.Errors {
	var faults strictyaml.Errors
	if err := strictyaml.Decode(document, p); err != nil && !errors.As(err, &faults) {
		return strictyaml.Errors{err} // not YAML: there is nothing to look at further
	}
	var root yaml.Node
	if yaml.Unmarshal(document, &root) == nil {
		faults = append(faults, empties(&root)...)
	}
	return faults
}

// empties finds empty values. `builders: []` reads as "no builder" to its author
// and would be "any builder" to us, as would an empty string or a null: none of
// them may stand in a policy. Only external parameters may be expected empty.
func empties(n *yaml.Node) (faults strictyaml.Errors) {
	if n.Kind == yaml.ScalarNode && n.Value == "" || n.Tag == "!!null" ||
		(n.Kind == yaml.SequenceNode || n.Kind == yaml.MappingNode) && len(n.Content) == 0 {
		at := strictyaml.Pos{Line: n.Line, Column: n.Column}
		return strictyaml.Errors{at.Errorf("an empty value; give one or leave the key out")}
	}
	for i, c := range n.Content {
		if n.Kind == yaml.MappingNode {
			if i%2 == 0 { // a key; its value comes next
				continue
			}
			if n.Content[i-1].Value == "externalParameters" && c.Kind == yaml.MappingNode {
				continue
			}
		}
		faults = append(faults, empties(c)...)
	}
	return faults
}

// inOrder returns the faults by their place, or nil if there are none.
func inOrder(faults strictyaml.Errors) error {
	if len(faults) == 0 {
		return nil
	}
	slices.SortStableFunc(faults, func(a, b error) int {
		p, q := place(a), place(b)
		return cmp.Or(cmp.Compare(p.Line, q.Line), cmp.Compare(p.Column, q.Column))
	})
	return faults
}

// place returns where a fault is; the beginning if it does not say.
func place(err error) strictyaml.Pos {
	if e := (*strictyaml.Error)(nil); errors.As(err, &e) {
		return e.Pos
	}
	return strictyaml.Pos{}
}
