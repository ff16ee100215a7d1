package register_test

import (
	"bytes"
	"context"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/sekisho-dev/sekisho/attest"
	"github.com/sekisho-dev/sekisho/internal/testhouse"
	"github.com/sekisho-dev/sekisho/server/register"
	"github.com/sekisho-dev/sekisho/sign"
	"github.com/sekisho-dev/sekisho/sign/keyfile"
	"github.com/sekisho-dev/sekisho/tlog"
	"github.com/sekisho-dev/sekisho/verifier"
)

var artifact = attest.SHA256([]byte("an artifact"))

const localBuilder = "https://localhost/builder"

// checkReceipt verifies a registration's receipt as a stranger would: against
// the log's key, with the leaf rebuilt from what is kept.
func checkReceipt(t *testing.T, h *testhouse.House, r register.Registration) {
	t.Helper()
	for e, err := range h.Log.Entries(t.Context(), r.Receipt.Checkpoint, r.Receipt.Index) {
		if err != nil {
			t.Fatal(err)
		}
		if err := tlog.VerifyReceipt(h.Log.Verifier(), e.Data, r.Receipt); err != nil {
			t.Errorf("receipt of entry %d: %v", r.Receipt.Index, err)
		}
		return
	}
	t.Errorf("no entry %d", r.Receipt.Index)
}

func TestRegisterStatement(t *testing.T) {
	h := testhouse.New(t, testhouse.Options{})
	r := h.Statement(t, testhouse.Provenance(artifact, localBuilder))
	checkReceipt(t, h, r)
	if !r.Indexed || r.AlreadyRegistered {
		t.Errorf("indexed %v, alreadyRegistered %v; want true, false", r.Indexed, r.AlreadyRegistered)
	}
	if r.Facts.KeyID() != h.Signer.Key().ID || len(r.Facts.ProvenBy()) != 1 {
		t.Errorf("signed by %s", r.Facts.KeyID())
	}
}

func TestRegisterTwiceReturnsTheFirst(t *testing.T) {
	h := testhouse.New(t, testhouse.Options{})
	first := h.Statement(t, testhouse.Provenance(artifact, localBuilder))
	second := h.Statement(t, testhouse.Provenance(artifact, localBuilder))
	if !second.AlreadyRegistered || second.Receipt.Index != first.Receipt.Index || second.Facts.Attestation() != first.Facts.Attestation() {
		t.Errorf("second: already %v, index %d; want true, %d", second.AlreadyRegistered, second.Receipt.Index, first.Receipt.Index)
	}
	checkReceipt(t, h, second)
}

func TestRegisterAtTheSameTimeIsOnce(t *testing.T) {
	h := testhouse.New(t, testhouse.Options{})
	var wg sync.WaitGroup
	indexes := make([]uint64, 16)
	for i := range indexes {
		wg.Go(func() { indexes[i] = h.Statement(t, testhouse.Provenance(artifact, localBuilder)).Receipt.Index })
	}
	wg.Wait()
	for _, i := range indexes {
		if i != indexes[0] {
			t.Fatalf("registered at %v, want one index", indexes)
		}
	}
}

func TestRegisterBundles(t *testing.T) {
	h := testhouse.New(t, testhouse.Options{})
	for file, level := range map[string]attest.Level{
		"MODULE.bazel.intoto.jsonl":                               attest.L2,
		"sigstore-js-2.1.0-bundle.json":                           attest.L2,
		"bundle-provenance.json":                                  attest.L2,
		"container-based-v2.1.0.build.slsa":                       attest.L3,
		"github_provenance_demo-0.0.12-py3-none-any-bundle.jsonl": attest.L2,
		"bundle-publish.json":                                     attest.L0,
	} {
		r := h.Bundle(t, bytes.TrimSpace(testhouse.Testdata(t, "provenance", file)))
		checkReceipt(t, h, r)
		if b := h.Follow.Control().Trust.Believe(r.Facts); b.Level != level || b.Err != nil {
			t.Errorf("%s: level %v (%v), want %v", file, b.Level, b.Err, level)
		}
	}
}

func TestRegisterEnvelopeOfSeveralSignatures(t *testing.T) {
	h := testhouse.New(t, testhouse.Options{})
	other, err := keyfile.Create(filepath.Join(t.TempDir(), "k.pem"), attest.ECDSAP384SHA384)
	if err != nil {
		t.Fatal(err)
	}
	payload := testhouse.Provenance(artifact, localBuilder)
	e, err := sign.Envelope(t.Context(), h.Root, attest.PayloadTypeInToto, payload)
	if err != nil {
		t.Fatal(err)
	}
	e2, err := sign.Envelope(t.Context(), other, attest.PayloadTypeInToto, payload)
	if err != nil {
		t.Fatal(err)
	}
	e.Signatures = append(e.Signatures, e2.Signatures[0], e2.Signatures[0], attest.Signature{Sig: []byte("nonsense")})
	regs, err := h.Register.Register(t.Context(), register.Submission{Caller: testhouse.Admin, Envelope: e.JSON(), PublicKey: other.Key().Public})
	if err != nil {
		t.Fatal(err)
	}
	if len(regs) != 2 || regs[0].Receipt.Index == regs[1].Receipt.Index {
		t.Fatalf("%d registrations, want one for each key that signed", len(regs))
	}
	for _, r := range regs {
		checkReceipt(t, h, r)
	}
}

// TestRegisterBundleByKey: a bundle that is signed by a key gives a hint at most,
// so that the key has to come with it or be in the trust root.
func TestRegisterBundleByKey(t *testing.T) {
	h := testhouse.New(t, testhouse.Options{})
	stranger, err := keyfile.Create(filepath.Join(t.TempDir(), "k.pem"), attest.ECDSAP256SHA256)
	if err != nil {
		t.Fatal(err)
	}
	e, err := sign.Envelope(t.Context(), stranger, attest.PayloadTypeInToto, testhouse.Provenance(artifact, localBuilder))
	if err != nil {
		t.Fatal(err)
	}
	for _, mediaType := range []string{"application/vnd.dev.sigstore.bundle+json;version=0.1", "application/vnd.dev.sigstore.bundle.v0.3+json"} {
		s := register.Submission{Caller: testhouse.Admin, Bundle: []byte(`{"mediaType":"` + mediaType + `","verificationMaterial":{"publicKey":{"hint":"mine"}},"dsseEnvelope":` + string(e.JSON()) + `}`)}
		if _, err := h.Register.Register(t.Context(), s); !errors.Is(err, verifier.ErrUnknownKey) {
			t.Errorf("%s, no key: %v, want %v", mediaType, err, verifier.ErrUnknownKey)
		}
		s.PublicKey = h.Root.Key().Public
		if _, err := h.Register.Register(t.Context(), s); !errors.Is(err, verifier.ErrSignature) {
			t.Errorf("%s, another key: %v, want %v", mediaType, err, verifier.ErrSignature)
		}
		s.PublicKey = stranger.Key().Public
		regs, err := h.Register.Register(t.Context(), s)
		if err != nil || len(regs) != 1 || regs[0].Facts.KeyID() != stranger.Key().ID {
			t.Fatalf("%s, its key: %d registrations, %v", mediaType, len(regs), err)
		}
		checkReceipt(t, h, regs[0])
		if b := h.Follow.Control().Trust.Believe(regs[0].Facts); !errors.Is(b.Err, verifier.ErrUnknownSigner) {
			t.Errorf("%s: %+v; a key that came along is nobody's", mediaType, b)
		}
	}
}

func TestRegisterRefuses(t *testing.T) {
	h := testhouse.New(t, testhouse.Options{})
	stranger, err := keyfile.Create(filepath.Join(t.TempDir(), "k.pem"), attest.ECDSAP256SHA256)
	if err != nil {
		t.Fatal(err)
	}
	good := testhouse.Provenance(artifact, localBuilder)
	envelope := func(s sign.Signer, payloadType string, payload []byte) []byte {
		e, err := sign.Envelope(t.Context(), s, payloadType, payload)
		if err != nil {
			t.Fatal(err)
		}
		return e.JSON()
	}
	bundle := bytes.TrimSpace(testhouse.Testdata(t, "provenance", "MODULE.bazel.intoto.jsonl"))
	replace := func(from, to string) []byte { return bytes.Replace(good, []byte(from), []byte(to), 1) }
	before := h.Follow.Progress().Size

	for name, c := range map[string]struct {
		s    register.Submission
		want error
	}{
		"nothing":               {register.Submission{}, register.ErrBadRequest},
		"two documents":         {register.Submission{Statement: good, Bundle: bundle}, register.ErrBadRequest},
		"malformed":             {register.Submission{Statement: []byte("{")}, attest.ErrMalformed},
		"oversized":             {register.Submission{Statement: make([]byte, register.MaxDocument+1)}, register.ErrTooLarge},
		"no digest":             {register.Submission{Statement: replace(`"sha256"`, `"blake2b"`)}, attest.ErrNoDigest},
		"null subject":          {register.Submission{Statement: []byte(`{"_type":"https://in-toto.io/Statement/v1","subject":[null],"predicateType":"https://slsa.dev/provenance/v1","predicate":{}}`)}, attest.ErrMalformed},
		"somebody else":         {register.Submission{Caller: verifier.Caller{Issuer: "token:ci", Subject: "bot"}, Statement: good}, verifier.ErrNotAllowed},
		"another builder":       {register.Submission{Statement: replace(localBuilder, "https://github.com/acme/app/.github/workflows/b.yml@refs/heads/main")}, verifier.ErrNotAllowed},
		"builder look-alike":    {register.Submission{Statement: replace(localBuilder, "https://localhost.evil.example/")}, verifier.ErrNotAllowed},
		"a policy to be signed": {register.Submission{Statement: attest.ControlStatement(attest.PolicyType, "policy", []byte("name: evil"))}, verifier.ErrControlStatement},
		"a VSA to be signed":    {register.Submission{Statement: replace("https://slsa.dev/provenance/v1", "https://slsa.dev/verification_summary/v1")}, verifier.ErrControlStatement},
		"wrong predicate type":  {register.Submission{Statement: replace("https://slsa.dev/provenance/v1", "https://slsa.dev/provenance/v1.0")}, verifier.ErrNotAllowed},
		"unknown key":           {register.Submission{Envelope: envelope(stranger, attest.PayloadTypeInToto, good)}, verifier.ErrUnknownKey},
		"wrong payload type":    {register.Submission{Envelope: envelope(h.Signer, "application/json", good)}, attest.ErrPayloadType},
		"signature over other bytes": {register.Submission{Envelope: bytes.Replace(envelope(h.Signer, attest.PayloadTypeInToto, good), []byte(`"payload":"eyJ`), []byte(`"payload":"IHs`), 1)},
			attest.ErrMalformed},
		"bare DSSE with a short-lived certificate": {register.Submission{Envelope: bytes.TrimSpace(testhouse.Testdata(t, "provenance", "bare-dsse.intoto.jsonl"))}, verifier.ErrNoTransparency},
		"tampered bundle":                          {register.Submission{Bundle: bytes.Replace(bundle, []byte(`"sig":"MEU`), []byte(`"sig":"MEY`), 1)}, nil},
		"message signature":                        {register.Submission{Bundle: testhouse.Testdata(t, "sigstore", "conformance", "happy-path-v0.3", "bundle.sigstore.json")}, verifier.ErrNotAttestation},
	} {
		if c.s.Caller == (verifier.Caller{}) {
			c.s.Caller = testhouse.Admin
		}
		regs, err := h.Register.Register(t.Context(), c.s)
		if err == nil || c.want != nil && !errors.Is(err, c.want) {
			t.Errorf("%s: %d registrations, err = %v; want %v", name, len(regs), err, c.want)
		}
	}
	if after := h.Follow.Progress().Size; after != before {
		t.Errorf("%d entries were logged by what was refused", after-before)
	}
}

func TestRegisterValidateOnlyLogsNothing(t *testing.T) {
	h := testhouse.New(t, testhouse.Options{})
	before := h.Follow.Progress().Size
	for _, s := range []register.Submission{
		{Statement: testhouse.Provenance(artifact, localBuilder)},
		{Bundle: bytes.TrimSpace(testhouse.Testdata(t, "provenance", "MODULE.bazel.intoto.jsonl"))},
	} {
		s.Caller, s.ValidateOnly = testhouse.Admin, true
		if _, err := h.Register.Register(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	if cp, err := h.Log.Checkpoint(t.Context()); err != nil || cp.Size != before {
		t.Errorf("the log holds %d entries, want %d (%v)", cp.Size, before, err)
	}
}

func TestRegisterLargePayloadIsKeptApart(t *testing.T) {
	h := testhouse.New(t, testhouse.Options{})
	large := bytes.Replace(testhouse.Provenance(artifact, localBuilder), []byte(`"buildType"`),
		[]byte(`"internalParameters":{"log":"`+strings.Repeat("x", 64<<10)+`"},"buildType"`), 1)
	r := h.Statement(t, large)
	checkReceipt(t, h, r)
	if !r.Indexed {
		t.Error("a payload that does not live in its record was not followed")
	}
}

// callerGone is a signer whose caller goes away while it signs.
type callerGone struct {
	sign.Signer
	cancel context.CancelFunc
}

func (c callerGone) Sign(ctx context.Context, digest []byte) ([]byte, error) {
	c.cancel()
	return c.Signer.Sign(ctx, digest)
}

func TestRegisterGoesOnWithoutItsCaller(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	h := testhouse.New(t, testhouse.Options{Signer: func(s sign.Signer) sign.Signer { return callerGone{s, cancel} }})
	_, err := h.Register.Register(ctx, register.Submission{Caller: testhouse.Admin, Statement: testhouse.Provenance(artifact, localBuilder)})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("err = %v, want that the caller is gone", err)
	}
	if r := h.Statement(t, testhouse.Provenance(artifact, localBuilder)); r.Receipt.Index != 2 {
		t.Errorf("registered at %d, want once, at 2", r.Receipt.Index)
	}
}
