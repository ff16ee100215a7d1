package sbom

import (
	"cmp"
	"strings"

	"github.com/go-json-experiment/json"
)

// What is read of a component. These are not the types of cyclonedx-go: they
// refuse documents that are valid by the schema of 1.7 (a patent's asserter given
// by reference) for members that nobody here looks at, and their decoder folds
// the case of names. The tests compare the two readers where they must agree.
type (
	cyclonedxComponent struct {
		Type         string               `json:"type"`
		Supplier     cyclonedxEntity      `json:"supplier"`
		Manufacturer cyclonedxEntity      `json:"manufacturer"`
		Publisher    string               `json:"publisher"`
		Group        string               `json:"group"`
		Name         string               `json:"name"`
		Version      string               `json:"version"`
		Hashes       []cyclonedxHash      `json:"hashes"`
		Licenses     []cyclonedxLicense   `json:"licenses"`
		PackageURL   string               `json:"purl"`
		Components   []cyclonedxComponent `json:"components"`
	}
	cyclonedxEntity struct {
		Name string `json:"name"`
	}
	cyclonedxHash struct {
		Algorithm string `json:"alg"`
		Value     string `json:"content"`
	}
	cyclonedxLicense struct {
		License struct {
			ID   string `json:"id"`
			Name string `json:"name"`
		} `json:"license"`
		Expression string `json:"expression"`
	}
)

// decodeCycloneDX reads the components of a BOM that is valid by its schema.
// Services, tools, ancestors and formulation are not components of the artifact.
func (d *Document) decodeCycloneDX(data []byte) error {
	var bom struct {
		Metadata struct {
			Component *cyclonedxComponent `json:"component"`
		} `json:"metadata"`
		Components []cyclonedxComponent `json:"components"`
	}
	if err := json.Unmarshal(data, &bom); err != nil {
		return unreadable(err)
	}
	n := count(bom.Components)
	if bom.Metadata.Component != nil {
		n += count(bom.Metadata.Component.Components)
	}
	d.Components = make([]Component, 0, n)
	if root := bom.Metadata.Component; root != nil {
		d.Roots = []Component{root.component()}
		d.addNested(root.Components)
	}
	d.addNested(bom.Components)
	return nil
}

// count counts components and those nested in them.
func count(cs []cyclonedxComponent) int {
	n := len(cs)
	for i := range cs {
		n += count(cs[i].Components)
	}
	return n
}

// addNested adds components, each followed by those nested in it. Nesting is as
// deep as the scan allowed.
func (d *Document) addNested(cs []cyclonedxComponent) {
	for i := range cs {
		d.Components = append(d.Components, cs[i].component())
		d.addNested(cs[i].Components)
	}
}

func (c *cyclonedxComponent) component() Component {
	out := Component{
		Name:     c.Name,
		Version:  c.Version,
		Type:     c.Type,
		Supplier: cmp.Or(c.Supplier.Name, c.Manufacturer.Name, c.Publisher),
		Licenses: cyclonedxLicenses(c.Licenses),
	}
	if c.Group != "" {
		out.Name = c.Group + "/" + c.Name
	}
	for _, h := range c.Hashes {
		out.Hashes = append(out.Hashes, Hash{cyclonedxAlgorithm(h.Algorithm), strings.ToLower(h.Value)})
	}
	out.identify(c.PackageURL)
	return out
}

// cyclonedxLicenses lists licenses as they stand, each once: by SPDX id, by name,
// or as an expression.
func cyclonedxLicenses(ls []cyclonedxLicense) (names []string) {
	seen := map[string]bool{"": true}
	for _, l := range ls {
		name := cmp.Or(l.License.ID, l.License.Name, l.Expression)
		if !seen[name] {
			seen[name] = true
			names = append(names, name)
		}
	}
	return names
}

// cyclonedxAlgorithm spells SHA-256 as sha256, and SHA3-256 as sha3_256.
func cyclonedxAlgorithm(name string) string {
	name = strings.ToLower(name)
	if rest, ok := strings.CutPrefix(name, "sha-"); ok {
		return "sha" + rest
	}
	return strings.ReplaceAll(name, "-", "_")
}
