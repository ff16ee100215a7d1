package policy

import (
	"errors"

	"go.yaml.in/yaml/v3"

	"github.com/sekisho-dev/sekisho/internal/strictyaml"
)

// read reads the document into p, and collects what is wrong with its form.
func read(document []byte, p *Policy, faults *strictyaml.Faults) {
	err := strictyaml.Decode(document, p)
	faults.Add(err)
	var several strictyaml.Errors
	if err != nil && !errors.As(err, &several) {
		return // not YAML: there is nothing to look at further
	}
	var root yaml.Node
	if yaml.Unmarshal(document, &root) == nil {
		empties(&root, faults)
	}
}

// empties finds empty values. `builders: []` reads as "no builder" to its author
// and would be "any builder" to us, as would an empty string or a null: none of
// them may stand in a policy. Only external parameters may be expected empty.
func empties(n *yaml.Node, faults *strictyaml.Faults) {
	if n.Kind == yaml.ScalarNode && n.Value == "" || n.Tag == "!!null" ||
		(n.Kind == yaml.SequenceNode || n.Kind == yaml.MappingNode) && len(n.Content) == 0 {
		faults.Addf(strictyaml.Pos{Line: n.Line, Column: n.Column}, "an empty value; give one or leave the key out")
		return
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
		empties(c, faults)
	}
}
