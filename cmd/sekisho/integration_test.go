//go:build integration

package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestIntegration has stock clients verify what the service signed, with a key file
// and with a key in Vault: cosign, and npm's sigstore. scripts/integration.sh
// builds and installs them, and says which are there.
func TestIntegration(t *testing.T) {
	p := scripts(t, "testdata/integration")
	setup := p.Setup
	p.Setup = func(e *testscript.Env) error {
		for _, name := range []string{"COSIGN", "NPM_SIGSTORE"} {
			e.Setenv(name, os.Getenv(name))
		}
		e.Setenv("PATH", e.Getenv("PATH")+string(os.PathListSeparator)+filepath.Dir(os.Getenv("OFFLINE")))
		return setup(e)
	}
	p.Condition = func(name string) (bool, error) { return os.Getenv(name) != "", nil }
	testscript.Run(t, p)
}
