package policy_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/sekisho-dev/sekisho/internal/strictyaml"
	"github.com/sekisho-dev/sekisho/policy"
)

// TestParseTellsWhatCanBeRead: a document of four megabytes in which everything is wrong is
// refused in a screenful, whether in form, in meaning, or by what is empty.
func TestParseTellsWhatCanBeRead(t *testing.T) {
	for name, document := range map[string]string{
		"unknown keys":  beginning + strings.Repeat("      - {artifact: [a]}\n", 80000),
		"bad meanings":  beginning + strings.Repeat("      - {artifacts: [\"[a]\"], build: {minLevel: 7}}\n", 60000),
		"empty values":  beginning + strings.Repeat("      - {artifacts: []}\n", 80000),
		"a long name":   strings.Replace(beginning, "default", strings.Repeat("e", 1<<20), 1) + strings.Repeat("      - {artifacts: [a], build: {minLevel: 1}}\n", 10000),
		"a long string": beginning + "      - {artifacts: [\"[" + strings.Repeat("a", 1<<20) + "\"]}\n",
		"one thing":     beginning + "      - artifacts: [" + strings.Repeat("a, ", 1<<20) + "a]\n",
	} {
		_, err := policy.Parse([]byte(document))
		if !errors.Is(err, strictyaml.ErrInvalid) {
			t.Errorf("%s: %.200v", name, err)
			continue
		}
		if n, lines := len(err.Error()), strings.Count(err.Error(), "\n"); n > 12000 || lines > strictyaml.MaxFaults+2 {
			t.Errorf("%s: %d bytes in %d lines", name, n, lines)
		}
	}
}

const beginning = "name: acme\nversion: 1\nenvironments:\n  - name: default\n    rules:\n"
