package verifier

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sekisho-dev/sekisho/attest"
)

const (
	defaultIdentity = "https://github.com/sigstore-conformance/extremely-dangerous-public-oidc-beacon/.github/workflows/extremely-dangerous-oidc-beacon.yml@refs/heads/main"
	defaultIssuer   = "https://token.actions.githubusercontent.com"
)

// refusals are the cases that are refused for something else than what a verified
// bundle says, so that a case which is only misread is no refusal.
var refusals = map[string]error{
	"bundle-empty-certificate-chain_fail":         ErrBundle,
	"bundle-invalid-base64-signature_fail":        ErrBundle,
	"bundle-malformed-json_fail":                  attest.ErrMalformed,
	"bundle-negative-log-index_fail":              ErrBundle,
	"bundle-unknown-version_fail":                 ErrBundle,
	"bundle-with-root-cert_fail":                  ErrBundle,
	"invalid-inclusion-proof_fail":                ErrBundle,
	"managed-key-no-key_fail":                     ErrUnknownKey,
	"rekor2-no-inclusion-proof_fail":              ErrBundle,
	"rekor2-timestamp-with-incorrect-time_fail":   ErrBundle,
	"trust-root-tlog-missing-validity-start_fail": ErrTrustRoot,
}

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
			var want error
			if strings.HasSuffix(dir, "_fail") {
				if want = refusals[filepath.Base(dir)]; want == nil {
					want = ErrSignature
				}
			}
			if !errors.Is(err, want) || (err == nil) != (want == nil) {
				t.Errorf("err = %v, want %v", err, want)
			}
		})
	}
}

// TestSigstoreConformanceIsNotRegistered: most of the bundles sign a file. That may
// be verified, and registering it is refused for being no attestation.
func TestSigstoreConformanceIsNotRegistered(t *testing.T) {
	cases, err := filepath.Glob("../testdata/sigstore/conformance/*/bundle.sigstore.json")
	if err != nil {
		t.Fatal(err)
	}
	files := 0
	for _, path := range cases {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Contains(raw, []byte(`"messageSignature"`)) {
			continue
		}
		files++
		want := ErrNotAttestation
		if strings.Contains(path, "unknown-version") {
			want = ErrBundle // what it would be is not known
		}
		if _, _, err := ReadBundle(raw); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", filepath.Dir(path), err, want)
		}
	}
	if files != 34 {
		t.Errorf("%d cases sign a file, want 34", files)
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
