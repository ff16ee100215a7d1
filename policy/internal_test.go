package policy

import (
	"strings"
	"testing"
	"unicode/utf8"
)

// TestPanicDenies: whatever was decided before a panic is forgotten (CVE-2026-44310:
// a panic that was swallowed ended well).
func TestPanicDenies(t *testing.T) {
	d := func() (d Decision) {
		defer refusePanic(&d)
		d = Decision{Verdict: Allow, Level: 3, Rule: "x", Audit: true}
		panic("a panic of the test")
	}()
	if d.Verdict != Deny || d.Level != 0 || d.Audit || len(d.Reasons) != 1 || d.Reasons[0].Code != Internal || d.Reasons[0].Remedy == "" {
		t.Errorf("%+v", d)
	}
}

// TestEveryCodeHasARemedy: each code that is explained by nothing but its code has a
// remedy of its own. The others are explained where they are found.
func TestEveryCodeHasARemedy(t *testing.T) {
	where := map[Code]string{
		RefMismatch: "refRemedy", BuilderMismatch: "mend", UnexpectedParameter: "Parameters.judge", Internal: "it is what stays",
	}
	seen := map[string]Code{}
	for c := NoPolicy; c <= Internal; c++ {
		r := remedy(c)
		if r == remedy(Internal) && where[c] == "" {
			t.Errorf("%v blames the service", c)
		}
		if other, twice := seen[r]; twice && where[c] == "" {
			t.Errorf("%v and %v have the same remedy", c, other)
		}
		seen[r] = c
	}
}

func TestClip(t *testing.T) {
	for in, want := range map[string]string{
		"":                             "",
		"häuser":                       "häuser",
		"a\r\nb\x00\x7f\u0085":         "a??b???",
		"\u202egpj.exe\u2066\u2028":    "?gpj.exe??",
		"\xff\xfe":                     "??",
		strings.Repeat("x", 300):       strings.Repeat("x", 300),
		strings.Repeat("x", 301):       strings.Repeat("x", 300) + "…",
		strings.Repeat("ä", 151):       strings.Repeat("ä", 150) + "…",
		"x" + strings.Repeat("ä", 9e6): "x" + strings.Repeat("ä", 149) + "…",
	} {
		if got := clip(in); got != want {
			t.Errorf("clip(%.20q…) = %q", in, got)
		}
	}
	if got := clip(strings.Repeat("\x80", 1000)); !utf8.ValidString(got) || len(got) > 310 {
		t.Errorf("%q", got)
	}
}

func TestNear(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{"production", "prodution", true},
		{"production", "Production", true},
		{"production", "staging", false},
		{"production", "production", false}, // that is no misspelling
		{"ab", "ac", false},                 // nor is everything short
		{"main", "mian", false},
		{strings.Repeat("x", 201), strings.Repeat("x", 200), false},
		{"", "", false},
	} {
		if got := near(c.a, c.b); got != c.want || near(c.b, c.a) != got && len(c.a) == len(c.b) {
			t.Errorf("near(%q, %q) = %v", c.a, c.b, got)
		}
	}
}
