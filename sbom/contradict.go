package sbom

import (
	"fmt"

	"github.com/package-url/packageurl-go"

	"github.com/sekisho-dev/sekisho/attest"
)

// MaxContradictions is the most sentences that are made of one document.
const MaxContradictions = 16

// Contradictions compares an artifact with the digests that the document itself
// claims for what it describes: the hashes of its roots, and the digest that is
// the version of a container image. It returns one sentence for each that is
// another than the artifact's by the same algorithm, and none if one of the roots
// is the artifact. They are warnings: an index is often described where one of
// its images was meant, and a document that claims nothing contradicts nothing.
//
// No more than [MaxContradictions] are listed: a document may claim as many as it
// has room for.
func (d *Document) Contradictions(artifact attest.Resource) []string {
	var sentences []string
	for i := range d.Roots {
		c := &d.Roots[i]
		agree, differ := false, false
		for _, claim := range c.claims() {
			is, ok := artifact.Digest[claim.Algorithm]
			switch {
			case !ok || !attest.Acceptable(claim.Algorithm):
			case is == claim.Value:
				agree = true
			default:
				differ = true
				if len(sentences) < MaxContradictions {
					sentences = append(sentences, fmt.Sprintf("the document describes %.100q with %s digest %.128s; the artifact's is %s",
						c.Name, claim.Algorithm, claim.Value, is))
				}
			}
		}
		if agree && !differ {
			return nil
		}
	}
	return sentences
}

// claims returns every digest that the document claims for a component.
func (c *Component) claims() []Hash {
	claims := c.Hashes[:len(c.Hashes):len(c.Hashes)]
	versions := []string{c.Version}
	if p, err := packageurl.FromString(c.PURL); err == nil {
		versions = append(versions, p.Version)
	}
	seen := map[string]bool{}
	for _, v := range versions {
		if d, err := attest.ParseDigest(v); err == nil && !seen[v] {
			seen[v] = true
			claims = append(claims, Hash{d.Algorithm(), d.Hex()})
		}
	}
	return claims
}
