package hammer

import (
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// TestKillNine is the short run of the hammer: three rounds.
func TestKillNine(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "sekishod")
	if out, err := exec.Command("go", "build", "-o", binary, "github.com/sekisho-dev/sekisho/cmd/sekishod").CombinedOutput(); err != nil {
		t.Fatalf("building sekishod: %v\n%s", err, out)
	}
	n, err := Run(t.Context(), Options{Binary: binary, Data: filepath.Join(t.TempDir(), "data"), Rounds: 3, Workers: 64, Length: time.Second, Out: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d acknowledged, none lost", n)
}
