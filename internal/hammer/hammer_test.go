package hammer

import (
	"path/filepath"
	"testing"
	"time"
)

// TestKillNine is the short run of the hammer: three rounds.
func TestKillNine(t *testing.T) {
	n, err := Run(t.Context(), Options{Binary: build(t), Data: filepath.Join(t.TempDir(), "data"), Rounds: 3, Workers: 64, Length: time.Second, Out: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d acknowledged, none lost", n)
}
