package policy

import (
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/semver"
)

// refs returns how many ways of naming a ref are used.
func (s *Source) refs() int {
	n := 0
	for _, ref := range [...]string{s.Branch, s.Tag, s.Semver} {
		if ref != "" {
			n++
		}
	}
	return n
}

// ref describes the ref that is expected; "" if none is.
func (s *Source) ref() string {
	switch {
	case s.Branch != "":
		return "refs/heads/" + s.Branch
	case s.Tag != "":
		return "refs/tags/" + s.Tag
	case s.Semver != "":
		return "refs/tags/v…, a version in " + s.Semver
	}
	return ""
}

// matchesRef compares whole refs: a prefix would let refs/tags/v1-evil pass for
// refs/tags/v1, and a branch may be called refs/tags/v1.
func (s *Source) matchesRef(ref string) bool {
	short, branch := strings.CutPrefix(ref, "refs/heads/")
	if s.Branch != "" {
		return branch && short == s.Branch
	}
	tag, tagged := strings.CutPrefix(ref, "refs/tags/")
	if s.Tag != "" {
		return tagged && tag == s.Tag
	}
	return s.Semver == "" || tagged && s.versions.has(tag)
}

// sameRepository compares repositories exactly, but for what is no difference: a
// leading "git+", a trailing ".git", and the case of scheme and host.
func sameRepository(a, b string) bool {
	schemeA, hostA, pathA := splitRepository(a)
	schemeB, hostB, pathB := splitRepository(b)
	return pathA == pathB && strings.EqualFold(hostA, hostB) && strings.EqualFold(schemeA, schemeB)
}

// splitRepository takes "git+https://Host/path.git" apart. Without a scheme all
// of it is the path, so that nothing with a scheme is equal to it.
func splitRepository(uri string) (scheme, host, path string) {
	uri = strings.TrimSuffix(uri, ".git")
	scheme, rest, ok := strings.Cut(strings.TrimPrefix(uri, "git+"), "://")
	if !ok {
		return "", "", uri
	}
	host, path, _ = strings.Cut(rest, "/")
	return scheme, host, path
}

// A versionRange is the versions from low up to but not including high; with no
// high it is low alone.
type versionRange struct{ low, high string }

// has reports whether a tag is a version in the range. A range holds releases
// only, written in full: neither v1.2 nor v1.2.3-rc.1 nor v1.2.3+build is in 1.2.
func (r versionRange) has(tag string) bool {
	if r.high == "" {
		return tag == r.low && r.low != ""
	}
	return semver.Canonical(tag) == tag && tag != "" && semver.Prerelease(tag) == "" &&
		semver.Compare(tag, r.low) >= 0 && semver.Compare(tag, r.high) < 0
}

// parseRange reads a version range: "1.2.3" or "1.2.3-rc.1" is that version alone, "1.2"
// and "1" every release that begins so, "~1.2.3" 1.2.3 and later in 1.2, "^1.2.3"
// 1.2.3 and later that promise to be compatible (in 1; of ^0.2.3 in 0.2; of ^0.0.3 itself).
func parseRange(s string) (versionRange, error) {
	bad := fmt.Errorf("semver %.80q is not a version range; write 1.2.3, 1.2, ^1.2 or ~1.2", s)
	text := strings.TrimPrefix(s, "v")
	operator := ""
	if text != "" && strings.ContainsRune("^~", rune(text[0])) {
		operator, text = text[:1], strings.TrimPrefix(text[1:], "v")
	} else if v := "v" + text; strings.Count(text, ".") >= 2 {
		if semver.Canonical(v) != v {
			return versionRange{}, bad
		}
		return versionRange{low: v}, nil
	}
	parts := strings.Split(text, ".")
	if len(parts) > 3 {
		return versionRange{}, bad
	}
	var low, high [3]uint64
	for i, part := range parts {
		n, err := strconv.ParseUint(part, 10, 32)
		if err != nil || strconv.FormatUint(n, 10) != part {
			return versionRange{}, bad
		}
		low[i] = n
	}
	bump := len(parts) - 1
	switch operator {
	case "~":
		bump = min(bump, 1)
	case "^":
		for i, n := range low[:len(parts)] {
			if n != 0 {
				bump = i
				break
			}
		}
	}
	copy(high[:bump], low[:bump])
	high[bump] = low[bump] + 1
	return versionRange{low: spell(low), high: spell(high)}, nil
}

func spell(v [3]uint64) string { return fmt.Sprintf("v%d.%d.%d", v[0], v[1], v[2]) }
