package attest

import (
	"errors"
	"testing"
)

func TestParseLevel(t *testing.T) {
	for s, want := range map[string]Level{
		"0": L0, "1": L1, "2": L2, "3": L3, "L0": L0, "L1": L1, "L2": L2, "L3": L3,
		"SLSA_BUILD_LEVEL_0": L0, "SLSA_BUILD_LEVEL_3": L3,
	} {
		if l, err := ParseLevel(s); l != want || err != nil {
			t.Errorf("%s: %v, %v", s, l, err)
		}
	}
	for _, s := range []string{
		"", "4", "L4", "SLSA_BUILD_LEVEL_4", "-1", "+1", "01", "1 ", " 1", "1.0", "1e0", "L", "l3", "LL3", "SLSA_BUILD_LEVEL_", "SLSA_BUILD_LEVEL_L3",
		"SLSA_BUILD_LEVEL_03", "slsa_build_level_3", "SLSA_SOURCE_LEVEL_3", "SLSA_BUILD_LEVEL_UNEVALUATED", "LSLSA_BUILD_LEVEL_3", "\u0663",
	} {
		if l, err := ParseLevel(s); l != L0 || !errors.Is(err, ErrLevel) {
			t.Errorf("%q: %v, %v", s, l, err)
		}
	}
	for l := Level(-1); l <= 5; l++ {
		again, err := ParseLevel(l.String())
		if l.Valid() != (err == nil) || l.Valid() && again != l {
			t.Errorf("%s: %v, %v", l, again, err)
		}
	}
}

func TestParseLevels(t *testing.T) {
	type list = []string
	for _, c := range []struct {
		name          string
		in            list
		build, source int // -1: no claim
		properties    list
		failed        bool
	}{
		{name: "nothing", build: -1, source: -1},
		{name: "one of each track", in: list{"SLSA_BUILD_LEVEL_3", "SLSA_SOURCE_LEVEL_4"}, build: 3, source: 4},
		{name: "level 0 is a claim", in: list{"SLSA_BUILD_LEVEL_0"}, build: 0, source: -1},
		{name: "the same twice", in: list{"SLSA_BUILD_LEVEL_2", "SLSA_BUILD_LEVEL_2"}, build: 2, source: -1},
		{name: "failed", in: list{"FAILED"}, build: -1, source: -1, failed: true},
		{name: "failed in another case is a value of somebody's own", in: list{"Failed"}, build: -1, source: -1, properties: list{"Failed"}},
		// Clamped, these would become the highest level there is.
		{name: "too high", in: list{"SLSA_BUILD_LEVEL_4", "SLSA_SOURCE_LEVEL_5", "SLSA_BUILD_LEVEL_9"}, build: -1, source: -1},
		{name: "no digit", in: list{"SLSA_BUILD_LEVEL_", "SLSA_BUILD_LEVEL_03", "SLSA_BUILD_LEVEL_-1", "SLSA_BUILD_LEVEL_3 ", "SLSA_BUILD_LEVEL_L3", "SLSA_BUILD_LEVEL_\u0663"}, build: -1, source: -1},
		{name: "unknown tracks", in: list{"SLSA_DEPENDENCY_LEVEL_2", "SLSA_build_LEVEL_3", "SLSA__LEVEL_1", "SLSA_BUILD_LEVEL_1_LEVEL_2", "SLSA_LEVEL_3", "SLSA_BUILD_3"}, build: -1, source: -1},
		{name: "unevaluated is no level", in: list{"SLSA_BUILD_LEVEL_UNEVALUATED"}, build: -1, source: -1, properties: list{"SLSA_BUILD_LEVEL_UNEVALUATED"}},
		{name: "properties", in: list{"SLSA_SOURCE_TWO_PARTY_REVIEWED", "SLSA_BUILD_REPRODUCED", "ORG_SOURCE_X", "slsa_build_level_3"}, build: -1, source: -1,
			properties: list{"SLSA_SOURCE_TWO_PARTY_REVIEWED", "SLSA_BUILD_REPRODUCED", "ORG_SOURCE_X", "slsa_build_level_3"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			ls, err := ParseLevels(c.in)
			if err != nil {
				t.Fatal(err)
			}
			for track, want := range map[Track]int{Build: c.build, Source: c.source} {
				if got, ok := ls.Track[track]; ok != (want >= 0) || ok && got != want {
					t.Errorf("%s: %d (%v), want %d", track, got, ok, want)
				}
			}
			if len(ls.Properties) != len(c.properties) || ls.Failed != c.failed {
				t.Errorf("read %+v", ls)
			}
			for _, p := range c.properties {
				if !ls.Properties[p] {
					t.Errorf("%s is lost", p)
				}
			}
		})
	}
	for _, in := range []list{
		{"SLSA_BUILD_LEVEL_1", "SLSA_BUILD_LEVEL_3"},
		{"SLSA_BUILD_LEVEL_3", "SLSA_BUILD_LEVEL_1"},
		{"SLSA_BUILD_LEVEL_0", "SLSA_BUILD_LEVEL_1"},
		{"FAILED", "SLSA_BUILD_LEVEL_1"},
		{"SLSA_SOURCE_LEVEL_1", "FAILED"},
		{"FAILED", "ORG_X"},
		{"FAILED", "SLSA_BUILD_LEVEL_UNEVALUATED"},
	} {
		if ls, err := ParseLevels(in); !errors.Is(err, ErrLevel) || ls.Track != nil || ls.Properties != nil {
			t.Errorf("%v: %+v, %v", in, ls, err)
		}
	}
	// It may not be read as passed because what stands beside it proves nothing.
	if ls, err := ParseLevels([]string{"FAILED", "SLSA_BUILD_LEVEL_9"}); err == nil && !ls.Failed {
		t.Errorf("%+v", ls)
	}
	for track, want := range map[Track]int{Build: 3, Source: 4, "": -1, "build": -1, "DEPENDENCY": -1} {
		if track.MaxLevel() != want {
			t.Errorf("%q goes to %d", track, track.MaxLevel())
		}
	}
}
