package sbom

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/sekisho-dev/sekisho/attest"
)

// A Row is one component as a table shows it.
type Row struct {
	Name     string
	Version  string
	PURL     string // canonical; empty if the document gives none that is well formed
	Licenses []string
	Supplier string
	Type     string
	Hashes   map[string]string // by algorithm; only what is a digest, and not claimed in two values

	// Note says, in sentences, what of the component was left out of the row, and
	// out of the index: "package URL is malformed and not indexed: …".
	Note string
}

// Rows returns the components, sorted by package URL, name and version.
func (d *Document) Rows() []Row {
	rows := make([]Row, len(d.Components))
	for i := range d.Components {
		rows[i] = d.Components[i].row()
	}
	slices.SortStableFunc(rows, func(a, b Row) int {
		return cmp.Or(cmp.Compare(a.PURL, b.PURL), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Version, b.Version))
	})
	return rows
}

func (c *Component) row() Row {
	r := Row{
		Name:     c.Name,
		Version:  c.Version,
		PURL:     c.PURL,
		Licenses: c.Licenses,
		Supplier: c.Supplier,
		Type:     c.Type,
	}
	var notes []string
	if c.BadPURL != "" {
		notes = append(notes, fmt.Sprintf("package URL is malformed and not indexed: %.100q", c.BadPURL))
	}
	r.Hashes, notes = c.digests(notes)
	r.Note = strings.Join(notes, "; ")
	return r
}

// digests returns the hashes that are digests, and notes on those that are not.
func (c *Component) digests(notes []string) (map[string]string, []string) {
	if len(c.Hashes) == 0 {
		return nil, notes
	}
	set, refused := map[string]string{}, map[string]bool{}
	for _, h := range c.Hashes {
		err := attest.DigestSet{h.Algorithm: h.Value}.Validate()
		other, twice := set[h.Algorithm]
		switch {
		case refused[h.Algorithm]:
		case err != nil:
			notes = append(notes, "what it gives as "+h.Algorithm+" digest is none")
			refused[h.Algorithm] = true
			delete(set, h.Algorithm)
		case twice && other != h.Value:
			notes = append(notes, "it gives two "+h.Algorithm+" digests")
			refused[h.Algorithm] = true
			delete(set, h.Algorithm)
		default:
			set[h.Algorithm] = h.Value
		}
	}
	return set, notes
}
