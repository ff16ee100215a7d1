package sbom

import (
	"fmt"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// A kind is one version of one format.
type kind struct {
	format  Format
	version string
}

// claims are the top-level members by which a document names its format; nil
// where the value is not a string.
type claims map[string]*string

func isClaim(name string) bool {
	switch name {
	case "bomFormat", "specVersion", "spdxVersion", "@context":
		return true
	}
	return false
}

// note keeps the value of a claim, of which this is the first token.
func (c claims) note(name string, first jsontext.Token) {
	c[name] = nil
	if first.Kind() == '"' {
		text := first.String()
		c[name] = &text
	}
}

// kind returns what the claims say that the document is. There is no guessing
// from other members: a document that does not name itself is none.
//
// Errors: [ErrFormat], [ErrVersion], [ErrMalformed].
func (c claims) kind() (kind, error) {
	_, cdx := c["bomFormat"]
	_, spdx := c["spdxVersion"]
	_, linked := c["@context"]
	switch {
	case cdx && (spdx || linked):
		return kind{}, fmt.Errorf("%w: it claims to be both CycloneDX and SPDX", ErrFormat)
	case cdx:
		return c.cyclonedx()
	case spdx:
		return c.spdx()
	case linked:
		return kind{}, fmt.Errorf("%w: JSON-LD, as SPDX 3 is written; SPDX is read as 2.3", ErrVersion)
	}
	return kind{}, fmt.Errorf("%w: it has neither bomFormat nor spdxVersion", ErrFormat)
}

func (c claims) cyclonedx() (kind, error) {
	format, err := c.text("bomFormat")
	if err != nil {
		return kind{}, err
	}
	if format != string(CycloneDX) {
		return kind{}, fmt.Errorf("%w: its bomFormat is %.40q", ErrFormat, format)
	}
	version, err := c.text("specVersion")
	if err != nil {
		return kind{}, err
	}
	switch version {
	case "1.4", "1.5", "1.6", "1.7":
		return kind{CycloneDX, version}, nil
	}
	return kind{}, fmt.Errorf("%w: CycloneDX %.40q; read are 1.4, 1.5, 1.6 and 1.7", ErrVersion, version)
}

func (c claims) spdx() (kind, error) {
	version, err := c.text("spdxVersion")
	if err != nil {
		return kind{}, err
	}
	if version == "SPDX-2.3" {
		return kind{SPDX, "2.3"}, nil
	}
	if !strings.HasPrefix(version, "SPDX-") {
		return kind{}, fmt.Errorf("%w: its spdxVersion is %.40q", ErrFormat, version)
	}
	return kind{}, fmt.Errorf("%w: %.40q; read is SPDX-2.3", ErrVersion, version)
}

// text returns a claim that must be a string.
func (c claims) text(name string) (string, error) {
	v, ok := c[name]
	if !ok {
		return "", fmt.Errorf("%w: no %s", ErrMalformed, name)
	}
	if v == nil {
		return "", fmt.Errorf("%w: %s is not a string", ErrMalformed, name)
	}
	return *v, nil
}
