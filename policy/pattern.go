package policy

import (
	"fmt"
	"slices"
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
		return fmt.Errorf("%.200q has the character %q; a pattern is the whole name, in which only * is special", pattern, pattern[i])
	}
	segments := strings.Split(pattern, "/")
	for i, s := range segments {
		switch {
		case s == "" || s == "." || s == "..":
			return fmt.Errorf("%.200q has a segment %q, which no name has", pattern, s)
		case strings.Contains(s, "**") && (s != "**" || i != len(segments)-1):
			return fmt.Errorf("%.200q: ** stands for whole segments and must be the last one", pattern)
		}
	}
	return nil
}

func matchName(pattern, name string) bool {
	if slices.Contains(strings.FieldsFunc(name, isSeparator), "..") {
		return false
	}
	separators := "/"
	if strings.HasPrefix(pattern, "pkg:") {
		name = trimPurl(pattern, name)
		separators = "/@"
	}
	for {
		if pattern == "**" {
			return name != ""
		}
		p, n := strings.IndexAny(pattern, separators), strings.IndexAny(name, separators)
		if p < 0 || n < 0 {
			return p == n && matchSegment(pattern, name)
		}
		if pattern[p] != name[n] || !matchSegment(pattern[:p], name[:n]) {
			return false
		}
		pattern, name = pattern[p+1:], name[n+1:]
	}
}

// isSeparator reports whether c ends a segment, in a path or in a package URL.
func isSeparator(c rune) bool { return strings.ContainsRune("/@?#", c) }

// trimPurl cuts from a package URL the parts that the pattern does not speak of.
func trimPurl(pattern, name string) string {
	path, version, qualifiers, subpath := splitPurl(name)
	_, v, q, s := splitPurl(pattern)
	if v != "" {
		path += version
	}
	if q != "" {
		path += qualifiers
	}
	if s != "" {
		path += subpath
	}
	return path
}

// splitPurl takes a package URL apart, from the right (package URL specification).
// Each part but the path keeps the character that it begins with. An "@" that
// begins a segment is a scope's, as in pkg:npm/@scope/name, and no version's.
func splitPurl(s string) (path, version, qualifiers, subpath string) {
	path, subpath = cutFrom(s, strings.IndexByte(s, '#'))
	path, qualifiers = cutFrom(path, strings.IndexByte(path, '?'))
	if at := strings.LastIndexByte(path, '@'); at > strings.LastIndexByte(path, '/')+1 {
		path, version = cutFrom(path, at)
	}
	return path, version, qualifiers, subpath
}

// cutFrom splits s at i; at its end if i is negative.
func cutFrom(s string, i int) (before, after string) {
	if i < 0 {
		return s, ""
	}
	return s[:i], s[i:]
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
