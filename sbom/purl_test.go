package sbom

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func TestCanonicalPURL(t *testing.T) {
	for purl, want := range map[string]string{
		"pkg:npm/lodash@4.17.21":                         "pkg:npm/lodash@4.17.21",
		"pkg:npm/%40angular/core@16.0.0":                 "pkg:npm/%40angular/core@16.0.0",
		"pkg:npm/@angular/core@16.0.0":                   "pkg:npm/%40angular/core@16.0.0",
		"PKG:NPM/a@1":                                    "pkg:npm/a@1",
		"pkg://npm/a@1":                                  "pkg:npm/a@1",
		"pkg:pypi/Django_x@1":                            "pkg:pypi/django-x@1",
		"pkg:golang/GitHub.com/Foo/Bar@v1.0.0":           "pkg:golang/github.com/foo/bar@v1.0.0",
		"pkg:deb/debian/curl@7.50.3-1?distro=x&arch=386": "pkg:deb/debian/curl@7.50.3-1?arch=386&distro=x",
		"pkg:deb/debian/curl@1?arch=":                    "pkg:deb/debian/curl@1",
		"pkg:oci/alpine@sha256%3Aabc":                    "pkg:oci/alpine@sha256:abc",
		"pkg:maven/org.apache/log4j@2.14.1?type=jar":     "pkg:maven/org.apache/log4j@2.14.1?type=jar",
		"pkg:generic/a%20b@1+2":                          "pkg:generic/a%20b@1%2B2",
		"pkg:npm/a@1#x/y":                                "pkg:npm/a@1#x/y",
		"pkg:npm/a@1#/x//y/":                             "pkg:npm/a@1#x/y",
		"pkg:npm/a@1#./x":                                "pkg:npm/a@1#x",
		"pkg:pypi/zope.interface@5":                      "pkg:pypi/zope.interface@5",
	} {
		got, err := CanonicalPURL(purl)
		if err != nil || got != want {
			t.Errorf("%s: %q, %v; want %q", purl, got, err, want)
			continue
		}
		if again, err := CanonicalPURL(got); err != nil || again != got {
			t.Errorf("%s: the canonical form of %q is %q, %v", purl, got, again, err)
		}
	}
}

func TestCanonicalPURLRefuses(t *testing.T) {
	for _, purl := range []string{
		"", "a", "pkg:", "pkg:npm", "pkg:npm/", "pkg:/a@1", "npm:a@1", "pkg:npm/@1", "pkg:1npm/a@1", "pkg:n pm/a",
		"pkg:npm/a@%zz", "pkg:npm/%ff@1", "pkg:npm/a%00b@1", "pkg:npm/a@1%0a2", "pkg:npm/a\nb@1", "pkg:npm/\xff@1",
		"pkg:npm/a@1?x=%07", "pkg:npm/a@1?1x=1", "pkg:npm/a@1?x=1&x=2", "pkg:npm/a@1#%1b", "https://example.com/a",
		"pkg:npm/" + strings.Repeat("a", MaxPURL),
	} {
		if got, err := CanonicalPURL(purl); !errors.Is(err, ErrPURL) {
			t.Errorf("%.60q: %q, %v; want ErrPURL", purl, got, err)
		} else if len(err.Error()) > 600 {
			t.Errorf("%.60q: the error has %d bytes", purl, len(err.Error()))
		}
		if keys := SearchKeys(purl); keys != nil {
			t.Errorf("%.60q is found under %q", purl, keys)
		}
	}
}

func TestSearchKeys(t *testing.T) {
	for purl, want := range map[string][]string{
		"pkg:npm/a@1":   {"pkg:npm/a@1", "pkg:npm/a"},
		"pkg:npm/a":     {"pkg:npm/a"},
		"PKG:npm//a@1":  {"pkg:npm/a@1", "pkg:npm/a"},
		"pkg:npm/a@1#x": {"pkg:npm/a@1#x", "pkg:npm/a#x", "pkg:npm/a@1", "pkg:npm/a"},
		"pkg:deb/debian/curl@7?distro=x&arch=386": {
			"pkg:deb/debian/curl@7?arch=386&distro=x", "pkg:deb/debian/curl?arch=386&distro=x", "pkg:deb/debian/curl@7", "pkg:deb/debian/curl",
		},
	} {
		if got := SearchKeys(purl); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %q, want %q", purl, got, want)
		}
	}
}

// Whatever spelling somebody asks for, it is one under which the component is found.
func TestSearchKeysAreWhatIsAskedFor(t *testing.T) {
	component := "pkg:pypi/Flask_Login@0.6.3?file_name=Flask-Login-0.6.3.tar.gz"
	for _, asked := range []string{
		component, "pkg:pypi/flask-login", "pkg:pypi/Flask-Login@0.6.3", "PKG:pypi/flask_login", "pkg:pypi/flask-login?file_name=Flask-Login-0.6.3.tar.gz",
	} {
		want, err := CanonicalPURL(asked)
		if err != nil {
			t.Fatal(err)
		}
		found := false
		for _, k := range SearchKeys(component) {
			found = found || k == want
		}
		if !found {
			t.Errorf("asked for %s (%s), not among %q", asked, want, SearchKeys(component))
		}
	}
	for _, asked := range []string{"pkg:pypi/flask", "pkg:pypi/flask-login@0.6", "pkg:npm/flask-login", "pkg:pypi/flask-login?file_name=x"} {
		for _, k := range SearchKeys(component) {
			if k == asked {
				t.Errorf("%s is found under %s", component, asked)
			}
		}
	}
}

// A search means every name that the registry takes for the same.
func TestSearchKeyOfPyPI(t *testing.T) {
	for _, component := range []string{"pkg:pypi/zope.interface@5.0", "pkg:pypi/Zope_Interface@5.0", "pkg:pypi/zope-interface@5.0", "pkg:pypi/zope.-_interface@5.0"} {
		for _, asked := range []string{"pkg:pypi/zope.interface", "pkg:pypi/zope_interface@5.0", "pkg:pypi/ZOPE-Interface", "pkg:pypi/zope--interface"} {
			key, err := SearchKey(asked)
			if err != nil || !slices.Contains(SearchKeys(component), key) {
				t.Errorf("%s is not found as %s: %q, %v", component, asked, key, err)
			}
		}
	}
	if key, err := SearchKey("pkg:npm/lodash.merge"); err != nil || key != "pkg:npm/lodash.merge" {
		t.Errorf("npm: %q, %v", key, err)
	}
	if _, err := SearchKey("zope.interface"); !errors.Is(err, ErrPURL) {
		t.Errorf("%v, want ErrPURL", err)
	}
}

// A document is found by its components and by what it is about, each once.
func TestDocumentSearchKeys(t *testing.T) {
	for name, doc := range map[string]string{
		"CycloneDX": bom(`,"metadata":{"component":{"type":"file","name":"a","purl":"pkg:npm/a@1","components":[{"type":"file","name":"b","purl":"pkg:npm/b@1"}]}},
			"components":[{"type":"file","name":"b2","purl":"pkg:npm/b@2"},{"type":"file","name":"c","purl":"c"}]`),
		"SPDX": spdxDoc(`,"documentDescribes":["SPDXRef-a"],"packages":[{"SPDXID":"SPDXRef-a","name":"a","downloadLocation":"NONE"` + refs("PACKAGE-MANAGER", "purl", "pkg:npm/a@1") + `},
			{"SPDXID":"SPDXRef-b","name":"b","downloadLocation":"NONE"` + refs("PACKAGE-MANAGER", "purl", "pkg:npm/b@1") + `},
			{"SPDXID":"SPDXRef-b2","name":"b","downloadLocation":"NONE"` + refs("PACKAGE-MANAGER", "purl", "pkg:npm/b@2") + `}]`),
	} {
		got := read(t, doc).SearchKeys(1 << 20)
		slices.Sort(got)
		if want := []string{"pkg:npm/a", "pkg:npm/a@1", "pkg:npm/b", "pkg:npm/b@1", "pkg:npm/b@2"}; !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

func TestUnindexed(t *testing.T) {
	const good, bad, other = `{"type":"file","name":"a","purl":"pkg:npm/a@1"}`, `{"type":"file","name":"b","purl":"b\u001b[2J"}`, `{"type":"file","name":"c","purl":"c"}`
	for members, want := range map[string]string{
		"":                "",
		good:              "",
		good + "," + bad:  `1 component has a malformed package URL, "b\x1b[2J", and cannot be searched for`,
		bad + "," + other: `2 components have malformed package URLs, the first "b\x1b[2J", and cannot be searched for`,
	} {
		if got := read(t, bom(`,"components":[`+members+`]`)).Unindexed(); got != want {
			t.Errorf("%s: %q, want %q", members, got, want)
		}
	}
}

func FuzzCanonicalPURL(f *testing.F) {
	for _, s := range []string{"pkg:npm/%40a/b@1?x=y#z", "pkg:golang/github.com/a%2Fb@v1", "pkg:mlflow/A@1?repository_url=https://x.databricks.com", "pkg:npm/a@1@2", "pkg:a/b?c=d%26e", "pkg:a/..%2f/b#../c"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := CanonicalPURL(s)
		if err != nil {
			if !errors.Is(err, ErrPURL) {
				t.Errorf("an error without a sentinel: %v", err)
			}
			return
		}
		if again, err := CanonicalPURL(p); err != nil || again != p {
			t.Errorf("%q becomes %q, and that %q, %v", s, p, again, err)
		}
		if k, err := SearchKey(s); err != nil || !slices.Contains(SearchKeys(s), k) {
			t.Errorf("%q is not found as itself: %q, %v", s, k, err)
		}
		for _, k := range SearchKeys(s) {
			if c, err := CanonicalPURL(k); err != nil || c != k {
				t.Errorf("%q is found under %q, which asked for is %q, %v", s, k, c, err)
			}
		}
	})
}
