package policy

import (
	"bytes"
	"fmt"
	"time"

	"github.com/sekisho-dev/sekisho/attest"
	"github.com/sekisho-dev/sekisho/internal/strictyaml"
)

// A Policy says what is expected of artifacts, environment by environment. It is
// made by [Parse] and never changed. (Contract, "Policy".)
type Policy struct {
	Pos          strictyaml.Pos `yaml:"-"`
	Name         string         `yaml:"name"`
	Version      uint64         `yaml:"version"` // grows with every change; 1 or more
	Environments []Environment  `yaml:"environments"`

	document []byte
}

// Bytes returns the document that the policy was read from. It must not be changed.
func (p *Policy) Bytes() []byte { return p.document }

// The modes of an environment. A mode that is absent is Enforce.
const (
	Enforce = "enforce"
	Audit   = "audit" // always allow, and say what would have been refused
)

// An Environment is a place to deploy to, and its rules. The first rule that
// names the artifact counts; an artifact without one is refused.
type Environment struct {
	Pos   strictyaml.Pos `yaml:"-"`
	Name  string         `yaml:"name"`
	Mode  string         `yaml:"mode"`
	Rules []Rule         `yaml:"rules"`
}

// A Rule is what is expected of some artifacts. Whatever else it says, it demands
// believed provenance; what is absent is not demanded, except that absent
// ExternalParameters refuse.
type Rule struct {
	Pos                strictyaml.Pos `yaml:"-"`
	Artifacts          []string       `yaml:"artifacts"` // patterns; see [Rule.Covers]
	Build              Build          `yaml:"build"`
	Source             Source         `yaml:"source"`
	ExternalParameters *Parameters    `yaml:"externalParameters"`
	Require            []Requirement  `yaml:"require"`
	SBOM               SBOM           `yaml:"sbom"`

	path         string // "environments[default].rules[0]"
	parametersAt string
	wants        demands // Build and Source
	needs        []need  // Require and SBOM, in order
}

// Build is what is expected of the build.
type Build struct {
	Pos        strictyaml.Pos `yaml:"-"`
	MinLevel   attest.Level   `yaml:"minLevel"`   // 1 to 3; absent is 1
	Builders   []string       `yaml:"builders"`   // names or ids in the trust root, any of them; absent is any that it names
	BuildTypes []string       `yaml:"buildTypes"` // exact, any of them
}

// Source is where the source is expected to come from.
type Source struct {
	Pos        strictyaml.Pos `yaml:"-"`
	Repository string         `yaml:"repository"` // "git+https://github.com/acme/app"
	Branch     string         `yaml:"branch"`     // "main", which is refs/heads/main and nothing else
	Tag        string         `yaml:"tag"`        // "v1.2.3", which is refs/tags/v1.2.3 and nothing else
	Semver     string         `yaml:"semver"`     // see [Question]; refs/tags/vX.Y.Z within the range
	// FromQuestion says that it is the caller who names the source. It demands
	// nothing by itself: what a question names is demanded anyway.
	FromQuestion bool `yaml:"fromQuestion"`

	versions versionRange // Semver, read
}

// A Requirement is an attestation that must be there beside the provenance.
type Requirement struct {
	Pos           strictyaml.Pos `yaml:"-"`
	PredicateType string         `yaml:"predicateType"` // exact
	Signers       []string       `yaml:"signers"`       // names in the trust root; any one of them
	Result        string         `yaml:"result"`        // exact, such as PASSED
	MaxAge        *time.Duration `yaml:"maxAge"`        // by the time it claims; an absent time refuses
}

// SBOM demands that an SBOM is registered for the artifact.
type SBOM struct {
	Pos      strictyaml.Pos `yaml:"-"`
	Required bool           `yaml:"required"`
	Formats  []string       `yaml:"formats"` // spdx, cyclonedx; absent is either
	Signers  []string       `yaml:"signers"` // names in the trust root; absent is any that it believes
}

// Parse reads a policy. It refuses unknown and repeated keys, empty values, lists
// and names, patterns with characters that other pattern languages give a meaning
// to, and everything else that could make a mistake into a weaker policy.
//
// The error wraps [strictyaml.ErrInvalid] and tells the faults, one a line, each
// with its line and column; beyond [strictyaml.MaxFaults] it only counts them.
func Parse(document []byte) (*Policy, error) {
	p := &Policy{document: bytes.Clone(document)}
	var faults strictyaml.Faults
	read(p.document, p, &faults)
	p.check(&faults)
	if err := faults.Err(); err != nil {
		return nil, fmt.Errorf("reading policy:\n%w", err)
	}
	return p, nil
}
