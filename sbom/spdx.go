package sbom

import (
	"fmt"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
)

// The members of an SPDX 2.3 document that are read. They are not the types of
// spdx/tools-golang: those take identifiers and suppliers from the JSON text
// without undoing its escapes, so that "SPDXRef-\u0041" and "SPDXRef-A" are two
// packages to them and one to everybody else. The tests compare the two readers
// where they must agree.
type (
	spdxDocument struct {
		Describes     []string           `json:"documentDescribes"`
		Packages      []spdxPackage      `json:"packages"`
		Relationships []spdxRelationship `json:"relationships"`
	}
	spdxPackage struct {
		ID        string `json:"SPDXID"`
		Name      string `json:"name"`
		Version   string `json:"versionInfo"`
		Supplier  string `json:"supplier"`
		Concluded string `json:"licenseConcluded"`
		Declared  string `json:"licenseDeclared"`
		Purpose   string `json:"primaryPackagePurpose"`
		Checksums []struct {
			Algorithm string `json:"algorithm"`
			Value     string `json:"checksumValue"`
		} `json:"checksums"`
		References []struct {
			Type    string `json:"referenceType"`
			Locator string `json:"referenceLocator"`
		} `json:"externalRefs"`
	}
	spdxRelationship struct {
		From string `json:"spdxElementId"`
		Type string `json:"relationshipType"`
		To   string `json:"relatedSpdxElement"`
	}
)

// spdxSelf is the identifier of every document itself (SPDX 2.3, section 6.3).
const spdxSelf = "SPDXRef-DOCUMENT"

// decodeSPDX reads the packages of a document that is valid by its schema. Files
// and snippets are not components.
func (d *Document) decodeSPDX(data []byte) error {
	var doc spdxDocument
	if err := json.Unmarshal(data, &doc); err != nil {
		return unreadable(err)
	}
	described := doc.described()
	seen := map[string]bool{}
	for i := range doc.Packages {
		p := &doc.Packages[i]
		if seen[p.ID] { // else it depends on the reader which of them the document describes
			return fmt.Errorf("%w: two packages are %.100q", ErrMalformed, p.ID)
		}
		seen[p.ID] = true
		c := p.component()
		if described[p.ID] {
			d.Roots = append(d.Roots, c)
		}
		d.Components = append(d.Components, c)
	}
	if len(d.Roots) != 1 { // several things described are parts of what is shipped
		return nil
	}
	for i := range doc.Packages {
		if described[doc.Packages[i].ID] {
			d.Components = append(d.Components[:i], d.Components[i+1:]...)
			return nil
		}
	}
	return nil
}

// described returns the elements that the document says it describes, in either
// of the two ways of SPDX 2.3 (sections 6 and 11).
func (d *spdxDocument) described() map[string]bool {
	ids := map[string]bool{}
	for _, id := range d.Describes {
		ids[id] = true
	}
	for _, r := range d.Relationships {
		switch {
		case r.Type == "DESCRIBES" && r.From == spdxSelf:
			ids[r.To] = true
		case r.Type == "DESCRIBED_BY" && r.To == spdxSelf:
			ids[r.From] = true
		}
	}
	return ids
}

func (p *spdxPackage) component() Component {
	c := Component{
		Name:    p.Name,
		Version: p.Version,
		Type:    strings.ToLower(strings.ReplaceAll(p.Purpose, "_", "-")),
	}
	if _, name, ok := strings.Cut(p.Supplier, ":"); ok { // "Organization: …", "Person: …"; NOASSERTION has no colon
		c.Supplier = strings.TrimSpace(name)
	}
	for _, l := range []string{p.Concluded, p.Declared} {
		if l != "" && l != "NOASSERTION" && l != "NONE" && !slices.Contains(c.Licenses, l) {
			c.Licenses = append(c.Licenses, l)
		}
	}
	for _, h := range p.Checksums {
		c.Hashes = append(c.Hashes, Hash{strings.ToLower(strings.ReplaceAll(h.Algorithm, "-", "_")), strings.ToLower(h.Value)})
	}
	for _, r := range p.References {
		if r.Type == "purl" || strings.HasSuffix(r.Type, "/purl") { // some write the type as its IRI
			c.identify(r.Locator)
		}
	}
	return c
}
