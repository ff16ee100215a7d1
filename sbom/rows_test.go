package sbom

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/sekisho-dev/sekisho/attest"
)

func TestRows(t *testing.T) {
	sha, other := strings.Repeat("a", 64), strings.Repeat("b", 64)
	for name, c := range map[string]struct {
		component Component
		want      Row
	}{
		"everything": {
			Component{Name: "n", Version: "1", PURL: "pkg:npm/n@1", Licenses: []string{"MIT"}, Supplier: "s", Type: "library", Hashes: []Hash{{"sha256", sha}}},
			Row{Name: "n", Version: "1", PURL: "pkg:npm/n@1", Licenses: []string{"MIT"}, Supplier: "s", Type: "library", Hashes: map[string]string{"sha256": sha}},
		},
		"nothing": {Component{}, Row{}},
		"a bad package URL": {
			Component{Name: "n", BadPURL: "n\x1b@1"},
			Row{Name: "n", Note: `package URL is malformed and not indexed: "n\x1b@1"`},
		},
		"a digest twice":    {Component{Hashes: []Hash{{"sha256", sha}, {"sha256", sha}}}, Row{Hashes: map[string]string{"sha256": sha}}},
		"two digests":       {Component{Hashes: []Hash{{"sha256", sha}, {"sha256", other}, {"sha256", sha}}}, Row{Hashes: map[string]string{}, Note: "it gives two sha256 digests"}},
		"a digest too long": {Component{Hashes: []Hash{{"sha256", sha}, {"sha1", sha}, {"sha1", sha}}}, Row{Hashes: map[string]string{"sha256": sha}, Note: "what it gives as sha1 digest is none"}},
		"both": {
			Component{BadPURL: "x", Hashes: []Hash{{"sha256", ""}}},
			Row{Hashes: map[string]string{}, Note: `package URL is malformed and not indexed: "x"; what it gives as sha256 digest is none`},
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := &Document{Components: []Component{c.component}}
			if got := d.Rows(); len(got) != 1 || !reflect.DeepEqual(got[0], c.want) {
				t.Errorf("%+v\nwant %+v", got, c.want)
			}
		})
	}
}

func TestRowsAreSorted(t *testing.T) {
	d := &Document{Components: []Component{
		{Name: "b", Version: "2"}, {Name: "b", Version: "1"}, {Name: "z", PURL: "pkg:npm/b@1"}, {Name: "y", PURL: "pkg:npm/a@1"}, {Name: "a", Version: "3"},
	}}
	var got []string
	for _, r := range d.Rows() {
		got = append(got, r.PURL+" "+r.Name+" "+r.Version)
	}
	want := []string{" a 3", " b 1", " b 2", "pkg:npm/a@1 y ", "pkg:npm/b@1 z "}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if (&Document{}).Rows() == nil || d.Components[0].Version != "2" {
		t.Error("the document was changed, or an empty one has no rows")
	}
}

// The corpus has a document with a package URL that is none: it is read, and only
// that component is not found by it.
func TestRowsOfMalformedPURL(t *testing.T) {
	doc := read(t, string(file(t, "documents/trivy-invalid-purl.json")))
	notes := 0
	for _, r := range doc.Rows() {
		if r.Note == "" {
			continue
		}
		notes++
		if r.PURL != "" || !strings.Contains(r.Note, "not indexed") {
			t.Errorf("%+v", r)
		}
	}
	if notes != 1 {
		t.Errorf("%d rows have a note, want 1", notes)
	}
}

func TestContradictions(t *testing.T) {
	a, b, c := strings.Repeat("a", 64), strings.Repeat("b", 64), strings.Repeat("c", 128)
	hash := func(values ...string) (hs []Hash) {
		for _, v := range values {
			hs = append(hs, Hash{"sha256", v})
		}
		return hs
	}
	for name, x := range map[string]struct {
		roots []Component
		want  int // sentences
	}{
		"no root":                {nil, 0},
		"no claim":               {[]Component{{Name: "n", Version: "1.0", PURL: "pkg:npm/n@1.0"}}, 0},
		"the same":               {[]Component{{Hashes: hash(a)}}, 0},
		"another":                {[]Component{{Hashes: hash(b)}}, 1},
		"another algorithm":      {[]Component{{Hashes: []Hash{{"sha384", b}}}}, 0},
		"a weak algorithm":       {[]Component{{Hashes: []Hash{{"sha1", b}}}}, 0},
		"the same and another":   {[]Component{{Hashes: hash(a, b)}}, 1},
		"one right, one wrong":   {[]Component{{Hashes: []Hash{{"sha256", a}, {"sha512", strings.Repeat("d", 128)}}}}, 1},
		"both wrong":             {[]Component{{Hashes: []Hash{{"sha256", b}, {"sha512", strings.Repeat("d", 128)}}}}, 2},
		"image by purl":          {[]Component{{PURL: "pkg:oci/n@sha256:" + a}}, 0},
		"another image by purl":  {[]Component{{PURL: "pkg:oci/n@sha256:" + b + "?arch=amd64"}}, 1},
		"image by version":       {[]Component{{Version: "sha256:" + a}}, 0},
		"another by version":     {[]Component{{Version: "sha256:" + b, PURL: "pkg:oci/n@sha256:" + b}}, 1},
		"another by either":      {[]Component{{Version: "sha256:" + b, PURL: "pkg:oci/n@sha256:" + strings.Repeat("e", 64)}}, 2},
		"one root of two":        {[]Component{{Hashes: hash(b)}, {Hashes: hash(a)}}, 0},
		"neither root":           {[]Component{{Hashes: hash(b)}, {Hashes: hash(strings.Repeat("e", 64))}}, 2},
		"a conflicting root":     {[]Component{{Hashes: hash(b)}, {Hashes: hash(a, b)}}, 2},
		"more than can be read":  {[]Component{{Hashes: hash(slices.Repeat([]string{b}, 1000)...)}}, MaxContradictions},
		"and one that agrees":    {[]Component{{Hashes: hash(append(slices.Repeat([]string{b}, 1000), a)...)}}, MaxContradictions},
		"and a root that agrees": {append(slices.Repeat([]Component{{Hashes: hash(b)}}, 1000), Component{Hashes: hash(a)}), 0},
	} {
		t.Run(name, func(t *testing.T) {
			d := &Document{Roots: x.roots}
			got := d.Contradictions(attest.Resource{Digest: attest.DigestSet{"sha256": a, "sha512": c, "sha1": strings.Repeat("0", 40)}})
			if len(got) != x.want {
				t.Fatalf("%q, want %d", got, x.want)
			}
			for _, s := range got {
				if !strings.Contains(s, "sha") || strings.ContainsAny(s, "\n\x1b") {
					t.Errorf("%q", s)
				}
			}
		})
	}
}

// Both formats say what they are about, so that another artifact's is noticed.
func TestContradictionsOfDocuments(t *testing.T) {
	a, b := strings.Repeat("a", 64), strings.Repeat("b", 64)
	for name, doc := range map[string]string{
		"CycloneDX": bom(fmt.Sprintf(`,"metadata":{"component":{"type":"file","name":"n\u001b[2J","hashes":[{"alg":"SHA-256","content":%q}]}}`, strings.ToUpper(a))),
		"SPDX": spdxDoc(fmt.Sprintf(`,"documentDescribes":["SPDXRef-\u006e"],"packages":[{"SPDXID":"SPDXRef-n","name":"n","downloadLocation":"NONE","checksums":[{"algorithm":"SHA256","checksumValue":%q}]},
			{"SPDXID":"SPDXRef-m","name":"m","downloadLocation":"NONE","checksums":[{"algorithm":"SHA256","checksumValue":%q}]}]`, a, b)),
	} {
		d := read(t, doc)
		if got := d.Contradictions(attest.Resource{Digest: attest.DigestSet{"sha256": a}}); got != nil {
			t.Errorf("%s: %q, want none", name, got)
		}
		got := d.Contradictions(attest.Resource{Digest: attest.DigestSet{"sha256": b}})
		if len(got) != 1 || !strings.Contains(got[0], a) || !strings.Contains(got[0], b) || strings.Contains(got[0], "\x1b") {
			t.Errorf("%s: %q", name, got)
		}
	}
}
