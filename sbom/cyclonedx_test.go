package sbom

import (
	"reflect"
	"strings"
	"testing"

	cdx "github.com/CycloneDX/cyclonedx-go"
)

func read(t testing.TB, doc string) *Document {
	t.Helper()
	d, err := Read([]byte(doc))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestCycloneDXComponent(t *testing.T) {
	for name, c := range map[string]struct {
		members string // beside type and name
		want    Component
	}{
		"nothing more":  {``, Component{}},
		"group":         {`,"group":"org.example"`, Component{Name: "org.example/n"}},
		"version":       {`,"version":"1.0"`, Component{Version: "1.0"}},
		"purl":          {`,"purl":"pkg:NPM/%40a/B@1?z=1&b=2"`, Component{PURL: "pkg:npm/%40a/B@1?b=2&z=1"}},
		"no purl":       {`,"purl":""`, Component{}},
		"bad purl":      {`,"purl":"npm:a@1"`, Component{BadPURL: "npm:a@1"}},
		"publisher":     {`,"publisher":"P"`, Component{Supplier: "P"}},
		"manufacturer":  {`,"publisher":"P","manufacturer":{"name":"M"}`, Component{Supplier: "M"}},
		"supplier":      {`,"publisher":"P","manufacturer":{"name":"M"},"supplier":{"name":"S","url":["https://example.com"]}`, Component{Supplier: "S"}},
		"no supplier":   {`,"publisher":"P","supplier":{}`, Component{Supplier: "P"}},
		"licence id":    {`,"licenses":[{"license":{"id":"MIT"}},{"license":{"id":"MIT","url":"https://example.com"}}]`, Component{Licenses: []string{"MIT"}}},
		"licence name":  {`,"licenses":[{"license":{"id":"MIT"}},{"license":{"name":"Ours"}}]`, Component{Licenses: []string{"MIT", "Ours"}}},
		"licence expr":  {`,"licenses":[{"expression":"MIT OR Apache-2.0","acknowledgement":"concluded"}]`, Component{Licenses: []string{"MIT OR Apache-2.0"}}},
		"no licences":   {`,"licenses":[]`, Component{}},
		"hashes":        {`,"hashes":[{"alg":"SHA-1","content":"` + strings.Repeat("A", 40) + `"},{"alg":"SHA3-512","content":"` + strings.Repeat("b", 128) + `"},{"alg":"BLAKE2b-256","content":"` + strings.Repeat("c", 64) + `"}]`, Component{Hashes: []Hash{{"sha1", strings.Repeat("a", 40)}, {"sha3_512", strings.Repeat("b", 128)}, {"blake2b_256", strings.Repeat("c", 64)}}}},
		"of no concern": {`,"cpe":"cpe:2.3:a:x:y:1:*:*:*:*:*:*:*","swid":{"tagId":"a","name":"b"},"pedigree":{"ancestors":[{"type":"file","name":"old","purl":"pkg:npm/old@1"}]}`, Component{}},
	} {
		t.Run(name, func(t *testing.T) {
			want := c.want
			want.Type = "library"
			if want.Name == "" {
				want.Name = "n"
			}
			doc := read(t, bom(`,"components":[{"type":"library","name":"n"`+c.members+`}]`))
			if len(doc.Components) != 1 || !reflect.DeepEqual(doc.Components[0], want) {
				t.Errorf("read %+v\nwant %+v", doc.Components, want)
			}
		})
	}
}

// Nested components are components; tools, services and formulation are not.
func TestCycloneDXComponents(t *testing.T) {
	doc := read(t, bom(`,"metadata":{"tools":{"components":[{"type":"application","name":"tool"}]},
		"component":{"type":"application","name":"root","components":[{"type":"file","name":"in root"}]}},
		"components":[{"type":"library","name":"a","bom-ref":"x","components":[{"type":"library","name":"b","components":[{"type":"library","name":"c"}]}]},
			{"type":"library","name":"d","bom-ref":"x"}],
		"services":[{"name":"service"}],
		"dependencies":[{"ref":"x","dependsOn":["x","nowhere"]}],
		"formulation":[{"components":[{"type":"application","name":"compiler"}]}]`))
	var names []string
	for _, c := range doc.Components {
		names = append(names, c.Name)
	}
	if want := []string{"in root", "a", "b", "c", "d"}; !reflect.DeepEqual(names, want) {
		t.Errorf("components %q, want %q", names, want)
	}
	if len(doc.Roots) != 1 || doc.Roots[0].Name != "root" {
		t.Errorf("roots %+v", doc.Roots)
	}
}

// Of every document of testdata the library reads the same components, where it
// can read it.
func TestCycloneDXAgreesWithTheLibrary(t *testing.T) {
	compared := 0
	for _, d := range documents(t) {
		if d.Error != "" || d.Format != CycloneDX {
			continue
		}
		data := file(t, "documents/"+d.File)
		var theirs cdx.BOM
		if err := cdx.NewBOMDecoder(strings.NewReader(string(data)), cdx.BOMFileFormatJSON).Decode(&theirs); err != nil {
			t.Errorf("%s: %v", d.File, err)
			continue
		}
		var want []string
		var walk func(cs *[]cdx.Component)
		walk = func(cs *[]cdx.Component) {
			if cs == nil {
				return
			}
			for _, c := range *cs {
				name := c.Name
				if c.Group != "" {
					name = c.Group + "/" + name
				}
				want = append(want, string(c.Type)+" "+name+" "+c.Version)
				walk(c.Components)
			}
		}
		if theirs.Metadata != nil && theirs.Metadata.Component != nil {
			walk(theirs.Metadata.Component.Components)
		}
		walk(theirs.Components)
		var got []string
		for _, c := range read(t, string(data)).Components {
			got = append(got, c.Type+" "+c.Name+" "+c.Version)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: read %q\nwant %q", d.File, got, want)
		}
		compared += len(got)
	}
	if compared < 100 {
		t.Errorf("%d components were compared", compared)
	}
}
