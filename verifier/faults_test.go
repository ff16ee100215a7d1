package verifier

import (
	"errors"
	"strings"
	"testing"

	"github.com/sekisho-dev/sekisho/attest"
	"github.com/sekisho-dev/sekisho/internal/strictyaml"
)

// TestTrustRootFaultsAreFew: a trust root in which everything is wrong is refused in a
// screenful, and what is not allowed is quoted shortly.
func TestTrustRootFaultsAreFew(t *testing.T) {
	for name, document := range map[string]string{
		"unknown keys": strings.Repeat("k: 1\n", 500000),
		"no names":     "version: 1\nsigners:\n" + strings.Repeat("  - {name: \"\"}\n", 20000),
		"a long name":  "version: 1\nsigners:\n  - {name: \"" + strings.Repeat("n", 1<<20) + "\"}\n",
	} {
		_, err := ParseTrustRoot([]byte(document))
		if !errors.Is(err, ErrTrustRoot) {
			t.Errorf("%s: %.200v", name, err)
			continue
		}
		if n, lines := len(err.Error()), strings.Count(err.Error(), "\n"); n > 12000 || lines > strictyaml.MaxFaults+2 {
			t.Errorf("%s: %d bytes in %d lines", name, n, lines)
		}
	}
	w := newWorld(t)
	long := strings.Repeat("A", 1<<20)
	for _, s := range []*attest.Statement{{PredicateType: long}, {PredicateType: "https://sekisho.dev/" + long}} {
		if err := w.SpeaksFor(Caller{}, s); err == nil || len(err.Error()) > 1000 {
			t.Errorf("%.200v", err)
		}
	}
}
