package attest

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// The predicate types of SLSA provenance that we read. "https://slsa.dev/provenance/v1.0"
// occurs in the wild and is not one of them.
const (
	ProvenanceV1        = "https://slsa.dev/provenance/v1"
	ProvenanceV02       = "https://slsa.dev/provenance/v0.2"
	ProvenanceV01       = "https://slsa.dev/provenance/v0.1"
	ProvenanceV01InToto = "https://in-toto.io/Provenance/v0.1"
)

// IsProvenance reports whether a predicate type is SLSA provenance.
func IsProvenance(predicateType string) bool {
	switch predicateType {
	case ProvenanceV1, ProvenanceV02, ProvenanceV01, ProvenanceV01InToto:
		return true
	}
	return false
}

// Provenance is SLSA build provenance of any version, in the words of v1.
type Provenance struct {
	BuilderID          string
	BuildType          string
	ExternalParameters map[string]jsontext.Value
	// Complete says that the external parameters are all there are. In v1 that
	// follows from the builder; in v0.2 the document has to claim it.
	Complete     bool
	Dependencies []Resource
	InvocationID string
	StartedOn    time.Time // zero if absent
	FinishedOn   time.Time // zero if absent
	Source       SourceRef
}

// SourceRef is what provenance says about where the source came from. It is an
// expectation to compare, in the spelling that policies use.
type SourceRef struct {
	Repository string // "git+https://github.com/owner/repo", no ref; "" if the document does not say
	Ref        string // "refs/heads/main", "refs/tags/v1.2.3"; "" if the document does not say
	Commit     string // hex; "" if the document does not say
}

// Provenance reads the predicate as SLSA provenance v1, v0.2 or v0.1. A missing
// builder id or build type is [ErrMalformed]; a statement of another type is
// [ErrPredicateType].
func (s *Statement) Provenance() (*Provenance, error) {
	var (
		p   *Provenance
		err error
	)
	switch s.PredicateType {
	case ProvenanceV1:
		p, err = readProvenanceV1(s.Predicate)
	case ProvenanceV02:
		p, err = readProvenanceV02(s.Predicate)
	case ProvenanceV01, ProvenanceV01InToto:
		p, err = readProvenanceV01(s.Predicate)
	default:
		return nil, fmt.Errorf("%w: %.100q is not SLSA provenance", ErrPredicateType, s.PredicateType)
	}
	if err != nil {
		return nil, fmt.Errorf("reading provenance: %w", err)
	}
	if p.BuilderID == "" || p.BuildType == "" {
		return nil, fmt.Errorf("reading provenance: %w: builder id and build type are required", ErrMalformed)
	}
	return p, nil
}

func readProvenanceV1(predicate []byte) (*Provenance, error) {
	var wire struct {
		BuildDefinition struct {
			BuildType            string                    `json:"buildType"`
			ExternalParameters   map[string]jsontext.Value `json:"externalParameters"`
			ResolvedDependencies resources                 `json:"resolvedDependencies"`
		} `json:"buildDefinition"`
		RunDetails struct {
			Builder struct {
				ID string `json:"id"`
			} `json:"builder"`
			Metadata struct {
				InvocationID string    `json:"invocationId"`
				StartedOn    time.Time `json:"startedOn"`
				FinishedOn   time.Time `json:"finishedOn"`
			} `json:"metadata"`
		} `json:"runDetails"`
	}
	def := &wire.BuildDefinition
	def.ResolvedDependencies.max, def.ResolvedDependencies.what = MaxDependencies, "resolvedDependencies"
	if err := decodeStrict(predicate, &wire); err != nil {
		return nil, err
	}
	p := &Provenance{
		BuilderID:          wire.RunDetails.Builder.ID,
		BuildType:          def.BuildType,
		ExternalParameters: def.ExternalParameters,
		Complete:           true,
		Dependencies:       def.ResolvedDependencies.list,
		InvocationID:       wire.RunDetails.Metadata.InvocationID,
		StartedOn:          wire.RunDetails.Metadata.StartedOn,
		FinishedOn:         wire.RunDetails.Metadata.FinishedOn,
	}
	p.Source = sourceV1(p)
	return p, nil
}

// sourceV1 finds the source where the build types that we know put it; an
// unknown build type that names exactly one git dependency means that one.
func sourceV1(p *Provenance) SourceRef {
	var src SourceRef
	if raw, ok := p.ExternalParameters["workflow"]; ok { // GitHub Actions workflow, both registries
		var w struct {
			Repository string `json:"repository"`
			Ref        string `json:"ref"`
		}
		if decodeStrict(raw, &w) == nil && w.Repository != "" {
			src = SourceRef{Repository: gitURI(w.Repository), Ref: w.Ref}
		}
	}
	for _, key := range []string{"source", "sourceToBuild", "buildConfigSource"} { // container-based, delegator, Google Cloud Build
		if raw, ok := p.ExternalParameters[key]; ok && src.Repository == "" {
			src = sourceParameter(raw)
		}
	}
	var git []SourceRef
	for _, d := range p.Dependencies {
		if strings.HasPrefix(d.URI, "git+") {
			repo, ref := splitRef(d.URI)
			git = append(git, SourceRef{Repository: gitURI(repo), Ref: ref, Commit: commitOf(d.Digest)})
		}
	}
	if src.Repository == "" && len(git) == 1 {
		return git[0]
	}
	for _, d := range git {
		if src.Commit == "" && d.Repository == src.Repository && (d.Ref == "" || src.Ref == "" || d.Ref == src.Ref) {
			src.Commit = d.Commit
			if src.Ref == "" {
				src.Ref = d.Ref
			}
		}
	}
	return src
}

// sourceParameter reads a source given as a URI string or as a descriptor.
func sourceParameter(raw jsontext.Value) SourceRef {
	if raw.Kind() == '"' {
		var uri string
		if decodeStrict(raw, &uri) != nil {
			return SourceRef{}
		}
		repo, ref := splitRef(uri)
		return SourceRef{Repository: gitURI(repo), Ref: ref}
	}
	var d struct {
		URI        string    `json:"uri"`
		Repository string    `json:"repository"`
		Ref        string    `json:"ref"`
		Digest     DigestSet `json:"digest"`
	}
	if decodeStrict(raw, &d) != nil {
		return SourceRef{}
	}
	if d.URI == "" {
		d.URI = d.Repository
	}
	repo, ref := splitRef(d.URI)
	if ref == "" {
		ref = d.Ref
	}
	if repo == "" {
		return SourceRef{}
	}
	return SourceRef{Repository: gitURI(repo), Ref: ref, Commit: commitOf(d.Digest)}
}

func readProvenanceV02(predicate []byte) (*Provenance, error) {
	var wire struct {
		Builder struct {
			ID string `json:"id"`
		} `json:"builder"`
		BuildType  string `json:"buildType"`
		Invocation struct {
			ConfigSource struct {
				URI        string    `json:"uri"`
				Digest     DigestSet `json:"digest"`
				EntryPoint string    `json:"entryPoint"`
			} `json:"configSource"`
			Parameters jsontext.Value `json:"parameters"`
		} `json:"invocation"`
		Metadata struct {
			BuildInvocationID string    `json:"buildInvocationId"`
			OtherSpelling     string    `json:"buildInvocationID"` // by in-toto-golang, so by BuildKit and slsa-github-generator
			BuildStartedOn    time.Time `json:"buildStartedOn"`
			BuildFinishedOn   time.Time `json:"buildFinishedOn"`
			Completeness      struct {
				Parameters bool `json:"parameters"`
			} `json:"completeness"`
		} `json:"metadata"`
		Materials resources `json:"materials"`
	}
	wire.Materials.max, wire.Materials.what = MaxDependencies, "materials"
	if err := decodeStrict(predicate, &wire); err != nil {
		return nil, err
	}
	p := &Provenance{
		BuilderID:    wire.Builder.ID,
		BuildType:    wire.BuildType,
		Complete:     wire.Metadata.Completeness.Parameters,
		Dependencies: wire.Materials.list,
		InvocationID: cmp.Or(wire.Metadata.BuildInvocationID, wire.Metadata.OtherSpelling),
		StartedOn:    wire.Metadata.BuildStartedOn,
		FinishedOn:   wire.Metadata.BuildFinishedOn,
	}
	config := wire.Invocation.ConfigSource
	p.ExternalParameters = legacyParameters(config.URI, config.EntryPoint, wire.Invocation.Parameters)
	repo, ref := splitRef(config.URI)
	p.Source = SourceRef{Repository: gitURI(repo), Ref: ref, Commit: commitOf(config.Digest)}
	return p, nil
}

func readProvenanceV01(predicate []byte) (*Provenance, error) {
	var wire struct {
		Builder struct {
			ID string `json:"id"`
		} `json:"builder"`
		Recipe struct {
			Type              string         `json:"type"`
			DefinedInMaterial materialIndex  `json:"definedInMaterial"`
			EntryPoint        string         `json:"entryPoint"`
			Arguments         jsontext.Value `json:"arguments"`
		} `json:"recipe"`
		Metadata struct {
			BuildInvocationID string    `json:"buildInvocationId"`
			BuildStartedOn    time.Time `json:"buildStartedOn"`
			BuildFinishedOn   time.Time `json:"buildFinishedOn"`
			Completeness      struct {
				Arguments bool `json:"arguments"`
			} `json:"completeness"`
		} `json:"metadata"`
		Materials resources `json:"materials"`
	}
	wire.Materials.max, wire.Materials.what = MaxDependencies, "materials"
	if err := decodeStrict(predicate, &wire); err != nil {
		return nil, err
	}
	p := &Provenance{
		BuilderID:    wire.Builder.ID,
		BuildType:    wire.Recipe.Type,
		Complete:     wire.Metadata.Completeness.Arguments,
		Dependencies: wire.Materials.list,
		InvocationID: wire.Metadata.BuildInvocationID,
		StartedOn:    wire.Metadata.BuildStartedOn,
		FinishedOn:   wire.Metadata.BuildFinishedOn,
	}
	// v0.1 says which material holds the recipe; without it (or if none does) the
	// first one is the source, by the convention of the builders that wrote v0.1.
	at := max(0, int(wire.Recipe.DefinedInMaterial))
	uri := ""
	if at < len(p.Dependencies) {
		uri = p.Dependencies[at].URI
		repo, ref := splitRef(uri)
		p.Source = SourceRef{Repository: gitURI(repo), Ref: ref, Commit: commitOf(p.Dependencies[at].Digest)}
	}
	p.ExternalParameters = legacyParameters(uri, wire.Recipe.EntryPoint, wire.Recipe.Arguments)
	return p, nil
}

// A materialIndex is a number, or a number in a string: Google Cloud Build writes
// an int64 as protojson does, and "-1" if no material holds the recipe.
type materialIndex int32

// UnmarshalJSONFrom refuses what is not a decimal integer.
func (m *materialIndex) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	t, err := dec.ReadToken()
	if err != nil || t.Kind() == 'n' {
		return err
	}
	if k := t.Kind(); k != '"' && k != '0' {
		return fmt.Errorf("%w: definedInMaterial is not a number", ErrMalformed)
	}
	n, err := strconv.ParseInt(t.String(), 10, 32)
	if err != nil {
		return fmt.Errorf("%w: definedInMaterial is no index: %.40q", ErrMalformed, t.String())
	}
	*m = materialIndex(n)
	return nil
}

// legacyParameters maps the parameters of v0.2 and v0.1 to v1's
// externalParameters, as the SLSA v1 migration table does. Unset, null and empty
// are equal in v1, so that an empty `parameters` object leaves no key behind.
func legacyParameters(source, entryPoint string, parameters jsontext.Value) map[string]jsontext.Value {
	m := map[string]jsontext.Value{}
	if source != "" {
		m["source"] = quote(source)
	}
	if entryPoint != "" {
		m["entryPoint"] = quote(entryPoint)
	}
	if !emptyJSON(parameters) {
		m["parameters"] = parameters
	}
	return m
}

// emptyJSON reports whether a value is absent, null, "", {} or [].
func emptyJSON(v jsontext.Value) bool {
	c := v.Clone()
	if len(c) == 0 || c.Compact() != nil {
		return len(c) == 0
	}
	switch string(c) {
	case "null", `""`, "{}", "[]":
		return true
	}
	return false
}

// splitRef splits "git+https://host/repo@refs/tags/v1" at the ref. Repositories
// and refs may both contain "@", so the split is at the last "@refs/", else at
// an "@" in the last path segment.
func splitRef(uri string) (repo, ref string) {
	if i := strings.LastIndex(uri, "@refs/"); i >= 0 {
		return uri[:i], uri[i+1:]
	}
	if i := strings.LastIndexByte(uri, '@'); i > strings.LastIndexByte(uri, '/') && i >= 0 {
		return uri[:i], uri[i+1:]
	}
	return uri, ""
}

// gitURI spells a repository as SPDX does, "git+https://host/path".
func gitURI(repo string) string {
	repo = strings.TrimSuffix(repo, ".git")
	if strings.HasPrefix(repo, "https://") {
		return "git+" + repo
	}
	return repo
}

// commitOf returns the commit that a digest set names. Builders of v0.2 and
// Google Cloud Build write it as sha1.
func commitOf(d DigestSet) string {
	if c := d["gitCommit"]; c != "" {
		return c
	}
	return d["sha1"]
}
