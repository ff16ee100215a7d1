package verifier

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const (
	defaultIdentity = "https://github.com/sigstore-conformance/extremely-dangerous-public-oidc-beacon/.github/workflows/extremely-dangerous-oidc-beacon.yml@refs/heads/main"
	defaultIssuer   = "https://token.actions.githubusercontent.com"
)

// TestSigstoreConformance runs the bundles of sigstore-conformance. A case whose
// name ends in _fail must be refused; every other must be accepted.
func TestSigstoreConformance(t *testing.T) {
	cases, err := filepath.Glob("../testdata/sigstore/conformance/*")
	if err != nil || len(cases) < 42 {
		t.Fatalf("%d cases, want at least 42 (%v)", len(cases), err)
	}
	for _, dir := range cases {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			err := verifyCase(t, dir)
			if wantFail := strings.HasSuffix(dir, "_fail"); (err != nil) != wantFail {
				t.Errorf("err = %v, want refusal %v", err, wantFail)
			}
		})
	}
}

func verifyCase(t *testing.T, dir string) error {
	t.Helper()
	optional := func(name, or string) []byte {
		raw, err := os.ReadFile(filepath.Join(dir, name))
		if os.IsNotExist(err) && or != "" {
			raw, err = os.ReadFile(or)
		}
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		return raw
	}
	p := ArtifactPolicy{Identity: defaultIdentity, Issuer: defaultIssuer}
	if v := strings.TrimSpace(string(optional("identity", ""))); v != "" {
		p.Identity = v
	}
	if v := strings.TrimSpace(string(optional("issuer", ""))); v != "" {
		p.Issuer = v
	}
	if raw := optional("key.pub", ""); raw != nil {
		block, _ := pem.Decode(raw)
		key, err := x509.ParsePKIXPublicKey(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		p = ArtifactPolicy{Key: key}
	}
	artifact := optional("artifact", "../testdata/sigstore/a.txt")
	trusted := optional("trusted_root.json", "roots/public-good.json")
	return VerifyArtifact(optional("bundle.sigstore.json", ""), trusted, bytes.NewReader(artifact), p)
}
