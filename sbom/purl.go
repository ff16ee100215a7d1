package sbom

import (
	"fmt"
	"slices"
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
	again, err := packageurl.FromString(p.ToString())
	if err != nil || again.ToString() != p.ToString() {
		return refuse("it has no canonical form")
	}
	return p, nil
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

// SearchKeys returns the spellings under which a component is found, most
// specific first: its package URL whole, without its version, without its
// qualifiers and subpath, and without any of these. A search for a package URL
// looks for exactly its canonical form among them, so that one without a version
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
		if s := k.ToString(); !slices.Contains(keys, s) {
			keys = append(keys, s)
		}
	}
	return keys
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
