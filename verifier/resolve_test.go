package verifier

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"strings"
	"testing"

	"github.com/sekisho-dev/sekisho/attest"
)

// TestSignedOtherwise: what a known key did sign, and no leaf can hold, is refused
// by the name of its algorithm, and not as if somebody had changed the bytes.
func TestSignedOtherwise(t *testing.T) {
	w := newWorld(t)
	payload := []byte(provenance)
	pae := attest.PAE(attest.PayloadTypeInToto, payload)
	digest := func(h crypto.Hash) []byte {
		d := h.New()
		d.Write(pae)
		return d.Sum(nil)
	}
	newRSA := func(bits int) *rsa.PrivateKey {
		k, err := rsa.GenerateKey(rand.Reader, bits)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	newECDSA := func(c elliptic.Curve) *ecdsa.PrivateKey {
		k, err := ecdsa.GenerateKey(c, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	long, short, p224, p384 := newRSA(2048), newRSA(1024), newECDSA(elliptic.P224()), newECDSA(elliptic.P384())
	for name, c := range map[string]struct {
		key  crypto.Signer
		opts crypto.SignerOpts
		want error // nil: it is loggable
		says string
	}{
		"RSA":                      {long, crypto.SHA256, nil, ""},
		"RSA-PSS":                  {long, &rsa.PSSOptions{Hash: crypto.SHA256}, attest.ErrNotLoggable, "RSA-PSS with SHA-256"},
		"RSA-PSS, SHA-512":         {long, &rsa.PSSOptions{Hash: crypto.SHA512}, attest.ErrNotLoggable, "RSA-PSS with SHA-512"},
		"RSA with another hash":    {long, crypto.SHA512, attest.ErrNotLoggable, "2048 bits with SHA-512"},
		"RSA too short":            {short, crypto.SHA256, attest.ErrNotLoggable, "1024 bits"},
		"P-384":                    {p384, crypto.SHA384, nil, ""},
		"P-384 with another hash":  {p384, crypto.SHA256, attest.ErrNotLoggable, "ECDSA P-384 with SHA-256"},
		"a curve that nobody logs": {p224, crypto.SHA256, attest.ErrNotLoggable, "ECDSA P-224"},
	} {
		sig, err := c.key.Sign(rand.Reader, digest(c.opts.HashFunc()), c.opts)
		if err != nil {
			t.Fatal(name, err)
		}
		e := &attest.Envelope{PayloadType: attest.PayloadTypeInToto, Payload: payload, Signatures: []attest.Signature{{Sig: sig}}}
		_, err = w.Resolve(e, c.key.Public())
		if !errors.Is(err, c.want) || (err == nil) != (c.want == nil) || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v; want %v that names %q", name, err, c.want, c.says)
		}
		// Somebody else's key made none of them, whatever the algorithm.
		if _, err := w.Resolve(e, newECDSA(elliptic.P384()).Public()); !errors.Is(err, ErrSignature) {
			t.Errorf("%s, another key: %v, want %v", name, err, ErrSignature)
		}
	}
}

// TestDelegatedBuilders: whoever delegates is believed by the delegator's word and
// not their own, of a full version, and nobody else by it.
func TestDelegatedBuilders(t *testing.T) {
	const workflows = "https://github.com/slsa-framework/slsa-github-generator/.github/workflows/"
	w := newWorld(t)
	real, err := verifyBundle(w.TrustRoot, testdata(t, "gradle-v1.9.0.build.slsa"))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		identity, builder string
		level             attest.Level
		want              error
	}{
		"as it is":                        {real.identity, real.provenance.BuilderID, attest.L3, nil},
		"the other delegator":             {workflows + "delegator_generic_slsa3.yml@refs/tags/v2.1.0", workflows + "builder_maven_slsa3.yml@refs/tags/v2.1.0", attest.L3, nil},
		"a delegator of a branch":         {workflows + "delegator_generic_slsa3.yml@refs/heads/main", workflows + "builder_maven_slsa3.yml@refs/tags/v2.1.0", attest.L0, ErrSignerBuilderMismatch},
		"a delegator of a short tag":      {workflows + "delegator_generic_slsa3.yml@refs/tags/v2", workflows + "builder_maven_slsa3.yml@refs/tags/v2.1.0", attest.L0, ErrSignerBuilderMismatch},
		"a builder of a branch":           {real.identity, workflows + "builder_gradle_slsa3.yml@refs/heads/main", attest.L0, ErrSignerBuilderMismatch},
		"somebody else's builder":         {real.identity, "https://github.com/acme/trw/.github/workflows/builder_gradle_slsa3.yml@refs/tags/v1.9.0", attest.L0, ErrSignerBuilderMismatch},
		"a builder that signs for itself": {real.identity, workflows + "builder_go_slsa3.yml@refs/tags/v1.9.0", attest.L0, ErrSignerBuilderMismatch},
		"one that delegates, by own word": {workflows + "builder_gradle_slsa3.yml@refs/tags/v1.9.0", workflows + "builder_gradle_slsa3.yml@refs/tags/v1.9.0", attest.L0, ErrBuildType},
		"somebody else's delegator":       {"https://github.com/acme/slsa-github-generator/.github/workflows/delegator_generic_slsa3.yml@refs/tags/v2.1.0", workflows + "builder_maven_slsa3.yml@refs/tags/v2.1.0", attest.L0, ErrSignerBuilderMismatch},
	} {
		f, p := *real, *real.provenance
		f.identity, f.provenance, p.BuilderID = c.identity, &p, c.builder
		if b := w.Believe(&f); b.Level != c.level || !errors.Is(b.Err, c.want) || (b.Err == nil) != (c.want == nil) {
			t.Errorf("%s: %+v, want level %v and %v", name, b, c.level, c.want)
		}
	}
}
