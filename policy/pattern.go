package policy

import (
	"fmt"
	"strings"
)

// Covers reports whether the rule is for an artifact that goes by these names.
//
// The pattern "*" covers everything, also what has no name. Any other pattern is
// compared with each name as a whole and by case: "*" is any run of characters
// but "/" (and, in a package URL, "@"), a last segment "**" is one or more
// segments, and every other character is itself. A package URL is compared
// without its version, qualifiers and subpath unless the pattern has them, so that
// "pkg:oci/app" covers every version of app. A name with a ".." in it is covered
// by "*" alone.
func (r *Rule) Covers(names []string) bool {
	for _, pattern := range r.Artifacts {
		if pattern == "*" {
			return true
		}
		for _, name := range names {
			if matchName(pattern, name) {
				return true
			}
		}
	}
	return false
}

// checkPattern refuses what looks like another pattern language: to its author
// "[!a]*" or "^app$" means something that it would not mean here.
func checkPattern(pattern string) error {
	special := `[]{}()\^$|!`
	if !strings.HasPrefix(pattern, "pkg:") {
		special += "?"
	}
	if i := strings.IndexAny(pattern, special+" \t\r\n"); i >= 0 {
		return fmt.Errorf("%q has the character %q; a pattern is the whole name, in which only * is special", pattern, pattern[i])
	}
	segments := strings.Split(pattern, "/")
	for i, s := range segments {
		switch {
		case s == "" || s == "." || s == "..":
			return fmt.Errorf("%q has a segment %q, which no name has", pattern, s)
		case strings.Contains(s, "**") && (s != "**" || i != len(segments)-1):
			return fmt.Errorf("%q: ** stands for whole segments and must be the last one", pattern)
		}
	}
	return nil
}

func matchName(pattern, name string) bool {
	if strings.Contains("/"+name+"/", "/../") {
		return false
	}
	separators := "/"
	if strings.HasPrefix(pattern, "pkg:") {
		name = trimPurl(pattern, name)
		separators = "/@"
	}
	for {
		p, n := strings.IndexAny(pattern, separators), strings.IndexAny(name, separators)
		if p < 0 || n < 0 {
			return p == n && matchSegment(pattern, name)
		}
		if pattern[p] != name[n] || !matchSegment(pattern[:p], name[:n]) {
			return false
		}
		pattern, name = pattern[p+1:], name[n+1:]
		if pattern == "**" {
			return name != ""
		}
	}
}

// trimPurl cuts from a package URL the parts that the pattern does not speak of.
// From the right: subpath, qualifiers, version (package URL specification).
func trimPurl(pattern, name string) string {
	if !strings.Contains(pattern, "#") {
		name, _, _ = strings.Cut(name, "#")
	}
	if !strings.Contains(pattern, "?") {
		name, _, _ = strings.Cut(name, "?")
	}
	if at := strings.LastIndexByte(name, '@'); at > strings.LastIndexByte(name, '/') && !strings.Contains(pattern, "@") {
		name = name[:at]
	}
	return name
}

// matchSegment matches one segment. The first piece is anchored at the start, the
// last at the end, and those between are taken where they first occur, which is
// never worse than later: no backtracking, whatever the name.
func matchSegment(pattern, s string) bool {
	first, rest, star := strings.Cut(pattern, "*")
	if !star {
		return pattern == s
	}
	s, ok := strings.CutPrefix(s, first)
	for ok {
		var piece string
		if piece, rest, star = strings.Cut(rest, "*"); !star {
			return strings.HasSuffix(s, piece)
		}
		_, s, ok = strings.Cut(s, piece)
	}
	return false
}
