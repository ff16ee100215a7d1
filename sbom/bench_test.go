package sbom

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// large makes a document of about so many bytes out of the components of a real
// one, each with a name and a package URL of its own.
func large(b *testing.B, name, list string, size int) []byte {
	b.Helper()
	var doc map[string]any
	if err := json.Unmarshal(file(b, "documents/"+name), &doc); err != nil {
		b.Fatal(err)
	}
	one, err := json.Marshal(doc[list])
	if err != nil {
		b.Fatal(err)
	}
	var all []any
	for i := range size/len(one) + 1 {
		var some []any
		text := strings.NewReplacer(`"SPDXRef-`, fmt.Sprintf(`"SPDXRef-%d-`, i), `"pkg:`, fmt.Sprintf(`"pkg:generic/r%d-`, i)).Replace(string(one))
		if err := json.Unmarshal([]byte(text), &some); err != nil {
			b.Fatal(err)
		}
		for _, c := range some {
			c := c.(map[string]any)
			c["name"] = fmt.Sprintf("%v-%d", c["name"], i)
			if ref, ok := c["bom-ref"]; ok {
				c["bom-ref"] = fmt.Sprintf("%v-%d", ref, i)
			}
			all = append(all, c)
		}
	}
	doc[list] = all
	delete(doc, "relationships")
	delete(doc, "dependencies")
	data, err := json.Marshal(doc)
	if err != nil {
		b.Fatal(err)
	}
	return data
}

func BenchmarkRead(b *testing.B) {
	for _, c := range []struct {
		name, file, list string
		size             int
	}{
		{"CycloneDX-5MB", "cyclonedx-examples-bom.1.4.json", "components", 5 << 20},
		{"CycloneDX-15MB", "cyclonedx-examples-bom.1.4.json", "components", 15 << 20},
		{"SPDX-5MB", "protobom-trivy-0.42.1_mageia-5.1.spdx.json", "packages", 5 << 20},
	} {
		data := large(b, c.file, c.list, c.size)
		b.Run(c.name, func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Read(data); err != nil {
					b.Fatal(err)
				}
			}
		})
		if c.size > 5<<20 {
			continue
		}
		k, err := identify(data)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(c.name+"/scan", func(b *testing.B) {
			for b.Loop() {
				if _, err := identify(data); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(c.name+"/validate", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := k.validate(data); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(c.name+"/decode", func(b *testing.B) {
			for b.Loop() {
				if err := (&Document{Format: k.format}).decode(data); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkCompile is what the first document of each version waits for.
func BenchmarkCompile(b *testing.B) {
	for b.Loop() {
		s, err := compile("http://cyclonedx.org/schema/bom-1.7.schema.json")
		if err != nil {
			b.Fatal(err)
		}
		if _, err := ruleOf(s); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSearchKeys(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		SearchKeys("pkg:deb/debian/curl@7.50.3-1?arch=386&distro=jessie")
	}
}
