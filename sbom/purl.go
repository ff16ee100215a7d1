package sbom

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/package-url/packageurl-go"
)

// MaxPURL is the longest package URL that is read, in bytes.
const MaxPURL = 4096

// CanonicalPURL returns the canonical spelling of a package URL, by which
// package URLs are compared: never compare them as they were written. The error
// wraps [ErrPURL].
func CanonicalPURL(purl string) (string, error) {
	p, err := parsePURL(purl)
	if err != nil {
		return "", err
	}
	return p.ToString(), nil
}

// parsePURL reads a package URL. One whose canonical spelling reads as something
// else is refused, as it would be found under one name and shown under another.
func parsePURL(purl string) (packageurl.PackageURL, error) {
	refuse := func(why string) (packageurl.PackageURL, error) {
		return packageurl.PackageURL{}, fmt.Errorf("%w: %s: %.100q", ErrPURL, why, purl)
	}
	if len(purl) > MaxPURL {
		return refuse("too long")
	}
	p, err := packageurl.FromString(purl)
	if err != nil {
		return packageurl.PackageURL{}, fmt.Errorf("%w: %s", ErrPURL, limit(err.Error()))
	}
	for _, part := range append([]string{p.Namespace, p.Name, p.Version, p.Subpath}, values(p.Qualifiers)...) {
		if !printable(part) {
			return refuse("it has characters that cannot be shown")
		}
	}
	p.Subpath = segments(p.Subpath)
	again, err := packageurl.FromString(p.ToString())
	if err != nil || again.ToString() != p.ToString() {
		return refuse("it has no canonical form")
	}
	return p, nil
}

// segments leaves out of a subpath what says nothing: package-url has empty segments
// and those of dots discarded.
func segments(subpath string) string {
	return strings.Join(slices.DeleteFunc(strings.Split(subpath, "/"), func(s string) bool { return s == "" || s == "." || s == ".." }), "/")
}

func values(qs packageurl.Qualifiers) (vs []string) {
	for _, q := range qs {
		vs = append(vs, q.Value)
	}
	return vs
}

func printable(s string) bool {
	for _, r := range s {
		if r == utf8.RuneError || unicode.IsControl(r) {
			return false
		}
	}
	return true
}

// SearchKey returns the spelling under which a search looks for a package URL,
// among the [SearchKeys] of components. The error wraps [ErrPURL].
func SearchKey(purl string) (string, error) {
	p, err := parsePURL(purl)
	if err != nil {
		return "", err
	}
	return searchKey(p), nil
}

// searchKey is the canonical spelling, except where a registry takes several names
// for one that package-url keeps apart: PyPI's zope.interface is its
// zope-interface (PEP 503).
func searchKey(p packageurl.PackageURL) string {
	if p.Type == packageurl.TypePyPi {
		p.Name = pypiSeparators.ReplaceAllLiteralString(p.Name, "-")
	}
	return p.ToString()
}

var pypiSeparators = regexp.MustCompile(`[-_.]+`)

// SearchKeys returns the spellings under which a component is found, most
// specific first: its package URL whole, without its version, without its
// qualifiers and subpath, and without any of these. A search for a package URL
// looks for exactly its [SearchKey] among them, so that one without a version
// finds every version. A package URL that is not well formed has no keys.
func SearchKeys(purl string) []string {
	p, err := parsePURL(purl)
	if err != nil {
		return nil
	}
	versionless, bare := p, p
	versionless.Version = ""
	bare.Qualifiers, bare.Subpath = nil, ""
	least := bare
	least.Version = ""
	var keys []string
	for _, k := range []packageurl.PackageURL{p, versionless, bare, least} {
		if s := searchKey(k); !slices.Contains(keys, s) {
			keys = append(keys, s)
		}
	}
	return keys
}

// SearchKeys returns the spellings under which the document is found: those of its
// components, and of what it is about, which whoever looks for a component means
// too. None twice, and the first so many at most.
func (d *Document) SearchKeys(most int) []string {
	var keys []string
	seen := map[string]bool{}
	for _, cs := range [][]Component{d.Components, d.Roots} {
		for i := range cs {
			for _, k := range SearchKeys(cs[i].PURL) {
				if len(keys) == most {
					return keys
				}
				if !seen[k] {
					seen[k] = true
					keys = append(keys, k)
				}
			}
		}
	}
	return keys
}

// Unindexed says, in a sentence, that components will not be found because the
// package URLs that they have are not well formed. It is empty if all will.
func (d *Document) Unindexed() string {
	n, first := 0, ""
	for i := range d.Components {
		if c := &d.Components[i]; c.PURL == "" && c.BadPURL != "" {
			if n++; n == 1 {
				first = c.BadPURL
			}
		}
	}
	switch n {
	case 0:
		return ""
	case 1:
		return fmt.Sprintf("1 component has a malformed package URL, %.100q, and cannot be searched for", first)
	}
	return fmt.Sprintf("%d components have malformed package URLs, the first %.100q, and cannot be searched for", n, first)
}

// identify gives the component a package URL. The first that is well formed
// counts; one that is not is no fault of the whole document, and is kept as it
// was written so that somebody may see it.
func (c *Component) identify(purl string) {
	if purl == "" {
		return
	}
	canonical, err := CanonicalPURL(purl)
	switch {
	case err != nil && c.BadPURL == "":
		c.BadPURL = purl
	case err == nil && c.PURL == "":
		c.PURL = canonical
	}
}
