package attest

import (
	"fmt"
	"strconv"
	"strings"
)

// A Level is a SLSA build level, 0 to 3 (SLSA v1.2, build track). The zero
// value is L0, which anything has.
type Level int

// The build levels. There is no L4.
const (
	L0 Level = iota
	L1
	L2
	L3
)

// String returns the SLSA spelling, "SLSA_BUILD_LEVEL_2".
func (l Level) String() string { return "SLSA_BUILD_LEVEL_" + strconv.Itoa(int(l)) }

// Valid reports whether l is one of L0 to L3.
func (l Level) Valid() bool { return L0 <= l && l <= L3 }

// ParseLevel reads "2", "L2" or "SLSA_BUILD_LEVEL_2". The error wraps [ErrLevel].
func ParseLevel(s string) (Level, error) {
	digits, ok := strings.CutPrefix(s, "SLSA_BUILD_LEVEL_")
	if !ok {
		digits = strings.TrimPrefix(s, "L")
	}
	if len(digits) == 1 && '0' <= digits[0] && digits[0] <= '3' {
		return Level(digits[0] - '0'), nil
	}
	return L0, fmt.Errorf("%w: %.40q: build levels are 0 to 3", ErrLevel, s)
}

// A Track is a SLSA track with levels.
type Track string

// The approved tracks of SLSA v1.2.
const (
	Build  Track = "BUILD"
	Source Track = "SOURCE"
)

// MaxLevel returns the highest level of a track, or -1 for a track that is not approved.
func (t Track) MaxLevel() int {
	switch t {
	case Build:
		return 3
	case Source:
		return 4
	}
	return -1
}

// Levels are the results in a verification summary's `verifiedLevels`, reduced
// to what they prove: the level of each approved track, and properties.
type Levels struct {
	Track      map[Track]int   // absent: no claim
	Properties map[string]bool // verified properties and custom values, by their exact string
	Failed     bool            // the summary says FAILED
}

// ParseLevels reads a list of SlsaResult strings (SLSA v1.2, verification
// summary). Two different levels of one track, or FAILED beside anything else,
// contradict the specification and are refused with [ErrLevel]. Unknown or
// out-of-range SLSA results prove nothing and are ignored: a level is never
// clamped into one that exists.
func ParseLevels(results []string) (Levels, error) {
	ls := Levels{Track: map[Track]int{}, Properties: map[string]bool{}}
	for _, r := range results {
		switch {
		case r == "FAILED":
			ls.Failed = true
		case !strings.HasPrefix(r, "SLSA_"):
			ls.Properties[r] = true
		case r == "SLSA_SOURCE_TWO_PARTY_REVIEWED", r == "SLSA_BUILD_REPRODUCED":
			ls.Properties[r] = true
		case strings.HasSuffix(r, "_LEVEL_UNEVALUATED"):
			ls.Properties[r] = true
		default:
			track, digits, ok := strings.Cut(strings.TrimPrefix(r, "SLSA_"), "_LEVEL_")
			if !ok || len(digits) != 1 || digits[0] < '0' || digits[0] > '9' {
				continue
			}
			t, n := Track(track), int(digits[0]-'0')
			if n > t.MaxLevel() {
				continue
			}
			if have, ok := ls.Track[t]; ok && have != n {
				return Levels{}, fmt.Errorf("%w: two levels of the %s track", ErrLevel, t)
			}
			ls.Track[t] = n
		}
	}
	if ls.Failed && (len(ls.Track) > 0 || len(ls.Properties) > 0) {
		return Levels{}, fmt.Errorf("%w: FAILED beside another result", ErrLevel)
	}
	return ls, nil
}
