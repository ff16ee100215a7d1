package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v3"
)

// inline replaces every sigstore trustedRoot of a trust root that names a file, by
// that file's content: what is registered must say all that it means. A document
// that names none stays byte for byte as it is.
func inline(path string, raw []byte) ([]byte, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(raw, &doc); err != nil {
		return nil, fmt.Errorf("not YAML: %w", err)
	}
	if len(doc.Content) != 1 {
		return nil, errors.New("want one YAML document")
	}
	changed := false
	for _, entry := range items(member(doc.Content[0], "sigstore")) {
		root := member(entry, "trustedRoot")
		if root == nil || root.Kind != yaml.ScalarNode || strings.HasPrefix(strings.TrimSpace(root.Value), "{") {
			continue
		}
		file := root.Value
		if !filepath.IsAbs(file) {
			file = filepath.Join(filepath.Dir(path), file)
		}
		content, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("line %d: trustedRoot: %w", root.Line, err)
		}
		*root = yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Style: yaml.LiteralStyle, Value: string(content)}
		changed = true
	}
	if !changed {
		return raw, nil
	}
	var b bytes.Buffer
	enc := yaml.NewEncoder(&b)
	enc.SetIndent(2)
	if err := enc.Encode(&doc); err != nil {
		return nil, err
	}
	return b.Bytes(), enc.Close()
}

// member is the value of a mapping's key, nil if there is none.
func member(n *yaml.Node, key string) *yaml.Node {
	if n == nil || n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}

func items(n *yaml.Node) []*yaml.Node {
	if n == nil || n.Kind != yaml.SequenceNode {
		return nil
	}
	return n.Content
}
