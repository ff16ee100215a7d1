package testhouse_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestTrustPage: each test that docs/trust.md names is there, so that a cell cannot
// outlive what shows it.
func TestTrustPage(t *testing.T) {
	page, err := os.ReadFile("../../docs/trust.md")
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile("`([a-z/]+)\\.(Test\\w+)`").FindAllStringSubmatch(string(page), -1)
	if len(named) < 15 {
		t.Fatalf("%d tests are named: the page has another form than this test reads", len(named))
	}
	for _, n := range named {
		files, err := filepath.Glob(filepath.Join("../..", n[1], "*_test.go"))
		if err != nil || len(files) == 0 {
			t.Errorf("%s: no tests there (%v)", n[1], err)
			continue
		}
		found := false
		for _, f := range files {
			raw, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			found = found || strings.Contains(string(raw), "\nfunc "+n[2]+"(t *testing.T)")
		}
		if !found {
			t.Errorf("%s has no %s", n[1], n[2])
		}
	}
}

// TestNothingThatDecidesOpensAConnection: neither what is verified nor what is decided
// can lead to a registry or anywhere else, because nothing here imports what
// could go there. (sigstore-go can; it is given its roots and no client.)
func TestNothingThatDecidesOpensAConnection(t *testing.T) {
	const module = "github.com/sekisho-dev/sekisho/"
	for _, room := range []string{"attest", "policy", "sbom", "verifier", "server/decide", "server/follow", "server/register"} {
		out, err := exec.Command("go", "list", "-f", `{{join .Imports "\n"}}`, module+room).Output()
		if err != nil {
			t.Fatal(err)
		}
		for _, imported := range strings.Fields(string(out)) {
			switch imported {
			case "net", "net/http", "google.golang.org/grpc", "os/exec":
				t.Errorf("%s imports %s", room, imported)
			}
		}
	}
}
