// Package sbom reads software bills of materials, CycloneDX and SPDX, into one
// Document: what an artifact is made of.
//
// A document is data about an artifact and proves nothing. It is read strictly,
// because others will read the same bytes with other readers and must not find
// other components in them; it is kept and signed byte for byte as it was handed
// in, because every writer drops what it does not know.
package sbom

import (
	"errors"

	"github.com/sekisho-dev/sekisho/attest"
)

// Errors of this package.
var (
	// ErrFormat: not an SBOM in a format that is read here.
	ErrFormat = errors.New("not a CycloneDX or SPDX document in JSON")
	// ErrVersion: a format that is read here, in a version that is not.
	ErrVersion = errors.New("unsupported SBOM version")
	// ErrMalformed: bytes that two readers could read differently, or a document
	// that breaks the schema of its version.
	ErrMalformed = errors.New("malformed SBOM")
	// ErrTooLarge: a limit was exceeded.
	ErrTooLarge = errors.New("SBOM too large")
	// ErrPURL: not a package URL.
	ErrPURL = errors.New("malformed package URL")
)

// A Format is a family of SBOM formats.
type Format string

// The formats that are read.
const (
	CycloneDX Format = "CycloneDX" // 1.4, 1.5, 1.6, 1.7; JSON
	SPDX      Format = "SPDX"      // 2.3; JSON
)

// A Document is an SBOM that has been read.
type Document struct {
	Format      Format
	SpecVersion string // as the format counts, without its name: "1.6", "2.3"

	// Components are the parts of the artifact, nested ones too, in the order of
	// the document. Of CycloneDX they are the components, without what
	// metadata.component is; of SPDX the packages, without those that the
	// document describes unless it describes them all.
	Components []Component

	// Roots are what the document says it is about: metadata.component of
	// CycloneDX, the described packages of SPDX. Often one, sometimes none.
	Roots []Component

	digest attest.Digest // of the bytes it was read from
}

// A Component is one part of an artifact, as the document describes it. None of
// it is verified, and its text may hold any character, for a terminal or a
// browser too.
type Component struct {
	Name     string // behind its CycloneDX group and a slash, if it has one
	Version  string
	PURL     string // canonical; empty if there is none, or none that is well formed
	BadPURL  string // as written: the first package URL that is not well formed
	Licenses []string
	Supplier string
	Type     string // "library", "container", …; of SPDX the primary purpose, in lower case
	Hashes   []Hash // in the order of the document; algorithms may repeat
}

// A Hash is a digest that a document claims for a component. Algorithms are
// spelled as in-toto spells them ("sha256", "sha3_256"), values are lower-case
// hex of any length: what the schema allows is not always a digest.
type Hash struct{ Algorithm, Value string }
