package sbom

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"
	"testing"

	spdxjson "github.com/spdx/tools-golang/json"
)

func TestSPDXPackage(t *testing.T) {
	for name, c := range map[string]struct {
		members string // beside SPDXID, name and downloadLocation
		want    Component
	}{
		"nothing more":    {``, Component{}},
		"version":         {`,"versionInfo":"1.0"`, Component{Version: "1.0"}},
		"organization":    {`,"supplier":"Organization: Acme: \"the\" one (a@example.com)"`, Component{Supplier: `Acme: "the" one (a@example.com)`}},
		"person":          {`,"supplier":"Person: Caf\u00e9"`, Component{Supplier: "Café"}},
		"no supplier":     {`,"supplier":"NOASSERTION"`, Component{}},
		"purpose":         {`,"primaryPackagePurpose":"OPERATING_SYSTEM"`, Component{Type: "operating-system"}},
		"licences":        {`,"licenseConcluded":"MIT","licenseDeclared":"Apache-2.0"`, Component{Licenses: []string{"MIT", "Apache-2.0"}}},
		"one licence":     {`,"licenseConcluded":"NOASSERTION","licenseDeclared":"Apache-2.0"`, Component{Licenses: []string{"Apache-2.0"}}},
		"licence twice":   {`,"licenseConcluded":"MIT","licenseDeclared":"MIT"`, Component{Licenses: []string{"MIT"}}},
		"no licence":      {`,"licenseConcluded":"NONE","licenseDeclared":"NOASSERTION"`, Component{}},
		"checksums":       {`,"checksums":[{"algorithm":"SHA256","checksumValue":"` + strings.Repeat("A", 64) + `"},{"algorithm":"SHA3-256","checksumValue":"00"}]`, Component{Hashes: []Hash{{"sha256", strings.Repeat("a", 64)}, {"sha3_256", "00"}}}},
		"purl":            {refs("PACKAGE-MANAGER", "purl", "pkg:npm/a@1"), Component{PURL: "pkg:npm/a@1"}},
		"purl by IRI":     {refs("PACKAGE_MANAGER", "http://spdx.org/rdf/references/purl", "pkg:npm/a@1"), Component{PURL: "pkg:npm/a@1"}},
		"bad purl":        {refs("PACKAGE-MANAGER", "purl", "a@1"), Component{BadPURL: "a@1"}},
		"not a purl":      {refs("SECURITY", "cpe23Type", "pkg:npm/a@1"), Component{}},
		"bad, then good":  {refs("PACKAGE-MANAGER", "purl", "a@1", "pkg:npm/a@1", "pkg:npm/b@1"), Component{PURL: "pkg:npm/a@1", BadPURL: "a@1"}},
		"escaped locator": {strings.Replace(refs("PACKAGE-MANAGER", "purl", "pkg:npm/a@1"), "npm", `n\u0070m`, 1), Component{PURL: "pkg:npm/a@1"}},
	} {
		t.Run(name, func(t *testing.T) {
			want := c.want
			want.Name = "n"
			doc := read(t, spdxDoc(`,"packages":[{"SPDXID":"SPDXRef-n","name":"n","downloadLocation":"NOASSERTION"`+c.members+`}]`))
			if len(doc.Components) != 1 || !reflect.DeepEqual(doc.Components[0], want) {
				t.Errorf("read %+v\nwant %+v", doc.Components, want)
			}
		})
	}
}

func refs(category, typ string, locators ...string) string {
	var rs []string
	for _, l := range locators {
		rs = append(rs, fmt.Sprintf(`{"referenceCategory":%q,"referenceType":%q,"referenceLocator":%q}`, category, typ, l))
	}
	return `,"externalRefs":[` + strings.Join(rs, ",") + `]`
}

func TestSPDXRoots(t *testing.T) {
	packages := `,"packages":[{"SPDXID":"SPDXRef-a","name":"a","downloadLocation":"NONE"},{"SPDXID":"SPDXRef-b","name":"b","downloadLocation":"NONE"},{"SPDXID":"SPDXRef-c","name":"c","downloadLocation":"NONE"}]`
	for name, c := range map[string]struct{ members, roots, components string }{
		"none":              {``, "", "abc"},
		"documentDescribes": {`,"documentDescribes":["SPDXRef-b"]`, "b", "ac"},
		"DESCRIBES":         {`,"relationships":[{"spdxElementId":"SPDXRef-DOCUMENT","relationshipType":"DESCRIBES","relatedSpdxElement":"SPDXRef-a"}]`, "a", "bc"},
		"DESCRIBED_BY":      {`,"relationships":[{"spdxElementId":"SPDXRef-c","relationshipType":"DESCRIBED_BY","relatedSpdxElement":"SPDXRef-DOCUMENT"}]`, "c", "ab"},
		"escaped":           {`,"documentDescribes":["SPDXRef-\u0062"]`, "b", "ac"},
		"both ways":         {`,"documentDescribes":["SPDXRef-b"],"relationships":[{"spdxElementId":"SPDXRef-DOCUMENT","relationshipType":"DESCRIBES","relatedSpdxElement":"SPDXRef-b"}]`, "b", "ac"},
		"several":           {`,"documentDescribes":["SPDXRef-b","SPDXRef-c"]`, "bc", "abc"},
		"of another":        {`,"relationships":[{"spdxElementId":"SPDXRef-a","relationshipType":"DESCRIBES","relatedSpdxElement":"SPDXRef-b"}]`, "", "abc"},
		"another relation":  {`,"relationships":[{"spdxElementId":"SPDXRef-DOCUMENT","relationshipType":"CONTAINS","relatedSpdxElement":"SPDXRef-b"}]`, "", "abc"},
		"nowhere":           {`,"documentDescribes":["SPDXRef-elsewhere"]`, "", "abc"},
		"elsewhere":         {`,"documentDescribes":["DocumentRef-x:SPDXRef-a"]`, "", "abc"},
	} {
		t.Run(name, func(t *testing.T) {
			doc := read(t, spdxDoc(packages+c.members))
			names := func(cs []Component) (s string) {
				for _, c := range cs {
					s += c.Name
				}
				return s
			}
			if names(doc.Roots) != c.roots || names(doc.Components) != c.components {
				t.Errorf("roots %q, components %q; want %q, %q", names(doc.Roots), names(doc.Components), c.roots, c.components)
			}
		})
	}
}

// Of every document of testdata the SPDX library reads the same packages.
func TestSPDXAgreesWithTheLibrary(t *testing.T) {
	compared := 0
	for _, d := range documents(t) {
		if d.Error != "" || d.Format != SPDX {
			continue
		}
		data := file(t, "documents/"+d.File)
		theirs, err := spdxjson.Read(bytes.NewReader(data))
		if err != nil {
			t.Errorf("%s: %v", d.File, err)
			continue
		}
		want := map[string]int{}
		for _, p := range theirs.Packages {
			s := p.PackageName + " " + p.PackageVersion
			for _, sum := range p.PackageChecksums {
				s += " " + strings.ToLower(sum.Value)
			}
			want[s]++
		}
		got := map[string]int{}
		doc := read(t, string(data))
		cs := doc.Components
		if len(doc.Roots) == 1 {
			cs = append(cs, doc.Roots[0])
		}
		for _, c := range cs {
			s := c.Name + " " + c.Version
			for _, h := range c.Hashes {
				s += " " + h.Value
			}
			got[s]++
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: read %v\nwant %v", d.File, got, want)
		}
		compared += len(cs)
	}
	if compared < 100 {
		t.Errorf("%d packages were compared", compared)
	}
}
