package verifier

import (
	"bytes"
	"embed"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"text/template"
)

// roots are the public Sigstore roots and registry keys that the starter trust
// root begins with; SOURCES.md says where they are from.
//
//go:embed roots starter.yaml.tmpl
var roots embed.FS

// Starter is what a starter trust root is made of: the service's own keys, all
// of them public, in PEM.
type Starter struct {
	Statements    string // signs what callers hand in
	Root          string // signs the next trust root, and policies
	TimeAuthority string // certificate chain, its own certificate first
	Admin         Caller // may have statements signed for builders under https://localhost/
}

// generators are the builders of slsa-github-generator that sign for
// themselves, each rated at level 3 at a full version only.
var generators = []string{
	"builder_go_slsa3", "builder_container-based_slsa3", "generator_generic_slsa3", "generator_container_slsa3",
	"delegator_generic_slsa3", "delegator_lowperms-generic_slsa3",
}

// delegated are the builders of slsa-github-generator that its delegator signs
// for ("bring your own builder"): the certificate names the delegator, which has
// checked by their own token who called it, and the provenance names them.
var delegated = []string{"builder_nodejs_slsa3", "builder_maven_slsa3", "builder_gradle_slsa3", "builder_bazel_slsa3"}

// StarterTrustRoot writes version 1 of a trust root with which everything can be
// tried: the public-good and GitHub Sigstore roots, the builders that the SLSA
// community rates, npm's registry, and the service's own keys.
func StarterTrustRoot(s Starter) ([]byte, error) {
	registry, err := registryKeys()
	if err != nil {
		return nil, fmt.Errorf("writing the starter trust root: %w", err)
	}
	data := struct {
		Starter
		PublicGood, GitHub string
		NPM                []registryKey
		Generators         []string
		Delegated          []string
	}{Starter: s, NPM: registry, Generators: generators, Delegated: delegated}
	for name, into := range map[string]*string{"roots/public-good.json": &data.PublicGood, "roots/github.json": &data.GitHub} {
		raw, err := roots.ReadFile(name)
		if err != nil {
			return nil, err
		}
		var compact bytes.Buffer // JSON is YAML, on one line
		if err := json.Compact(&compact, raw); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		*into = compact.String()
	}
	t, err := template.New("starter.yaml.tmpl").Funcs(template.FuncMap{"json": quoteJSON}).ParseFS(roots, "starter.yaml.tmpl")
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if err := t.Execute(&out, data); err != nil {
		return nil, fmt.Errorf("writing the starter trust root: %w", err)
	}
	return out.Bytes(), nil
}

func quoteJSON(s string) (string, error) {
	b, err := json.Marshal(s)
	return string(b), err
}

// A registryKey is a key with which npm's registry signs publish attestations.
type registryKey struct{ PEM, From, To string }

func registryKeys() ([]registryKey, error) {
	raw, err := roots.ReadFile("roots/npm-keys.json")
	if err != nil {
		return nil, err
	}
	var doc struct {
		Keys []struct {
			KeyUsage  string `json:"keyUsage"`
			PublicKey struct {
				RawBytes string `json:"rawBytes"`
				ValidFor struct {
					Start string `json:"start"`
					End   string `json:"end"`
				} `json:"validFor"`
			} `json:"publicKey"`
		} `json:"keys"`
	}
	if err := json.Unmarshal(raw, &doc); err != nil {
		return nil, fmt.Errorf("npm keys: %w", err)
	}
	var keys []registryKey
	for _, k := range doc.Keys {
		if k.KeyUsage != "npm:attestations" {
			continue
		}
		der, err := base64.StdEncoding.DecodeString(k.PublicKey.RawBytes)
		if err != nil {
			return nil, fmt.Errorf("npm keys: %w", err)
		}
		text := string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
		keys = append(keys, registryKey{text, k.PublicKey.ValidFor.Start, k.PublicKey.ValidFor.End})
	}
	return keys, nil
}
