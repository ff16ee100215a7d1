// Package testhouse builds a whole house in memory for the tests of the flows
// and the edges: a real log, real blobs and index (the hostile ones), real keys,
// the starter trust root and policy, with a clock and faults in the test's hands.
package testhouse

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/sekisho-dev/sekisho/attest"
	"github.com/sekisho-dev/sekisho/policy"
	"github.com/sekisho-dev/sekisho/server/decide"
	"github.com/sekisho-dev/sekisho/server/follow"
	"github.com/sekisho-dev/sekisho/server/register"
	"github.com/sekisho-dev/sekisho/sign"
	"github.com/sekisho-dev/sekisho/sign/keyfile"
	"github.com/sekisho-dev/sekisho/sign/tsa"
	"github.com/sekisho-dev/sekisho/store"
	"github.com/sekisho-dev/sekisho/store/memory"
	"github.com/sekisho-dev/sekisho/tlog/memlog"
	"github.com/sekisho-dev/sekisho/verifier"
)

// Admin is the caller whom the starter trust root lets have statements signed.
var Admin = verifier.Caller{Issuer: "token:admin", Subject: "admin"}

// A Clock is a clock in a test's hands.
type Clock struct {
	mu sync.Mutex
	t  time.Time
}

// Now returns the clock's time.
func (c *Clock) Now() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.t }

// Advance moves the clock on.
func (c *Clock) Advance(d time.Duration) { c.mu.Lock(); defer c.mu.Unlock(); c.t = c.t.Add(d) }

// A House is a house in memory.
type House struct {
	Clock    *Clock
	Log      *memlog.Log
	Blobs    *memory.Blobs // as they are, without the faults
	Index    store.Index
	Signer   *keyfile.Signer
	Root     *keyfile.Signer // root and policy key
	Time     *tsa.Authority
	Initial  *verifier.TrustRoot
	Follow   *follow.Follower
	Register *register.Registrar
	Decide   *decide.Decider
}

// Options change how a house is built.
type Options struct {
	LogFault func(entry []byte, logged bool) error
	Blobs    func(store.Blobs) store.Blobs // puts faults in between
	Index    func(store.Index) store.Index
	Signer   func(sign.Signer) sign.Signer
	Time     func(sign.TimeAuthority) sign.TimeAuthority
	// Bare leaves the starter trust root and policy unregistered.
	Bare bool
	// Still does not follow in the background; the test calls CatchUp.
	Still bool
	// PerArtifact is the quota of a caller for one artifact.
	PerArtifact int
}

// New builds a house. What it follows stops with the test.
func New(t testing.TB, o Options) *House {
	t.Helper()
	h := &House{Clock: &Clock{t: time.Now()}, Blobs: memory.NewBlobs(), Index: memory.NewIndex()}
	dir := t.TempDir()
	var err error
	check := func() {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	h.Log, err = memlog.New(memlog.Config{Fault: o.LogFault})
	check()
	h.Signer, err = keyfile.Create(filepath.Join(dir, "statements.pem"), attest.ECDSAP256SHA256)
	check()
	h.Root, err = keyfile.Create(filepath.Join(dir, "root.pem"), attest.ECDSAP256SHA256)
	check()
	h.Time, err = tsa.OpenOrCreate(filepath.Join(dir, "time"), h.Clock.Now)
	check()
	starter, err := verifier.StarterTrustRoot(verifier.Starter{
		Statements: PublicPEM(h.Signer), Root: PublicPEM(h.Root), TimeAuthority: certificatesPEM(h.Time.Certificates()), Admin: Admin,
	})
	check()
	h.Initial, err = verifier.ParseTrustRoot(starter)
	check()

	var blobs store.Blobs = h.Blobs
	if o.Blobs != nil {
		blobs = o.Blobs(blobs)
	}
	index := h.Index
	if o.Index != nil {
		index = o.Index(index)
	}
	h.Follow, err = follow.New(t.Context(), h.FollowConfig(index))
	check()
	var signer sign.Signer = h.Signer
	if o.Signer != nil {
		signer = o.Signer(signer)
	}
	var authority sign.TimeAuthority = h.Time
	if o.Time != nil {
		authority = o.Time(authority)
	}
	h.Register = register.New(register.Config{
		Log: h.Log, Blobs: blobs, Follow: h.Follow, Signer: signer, Time: authority, Now: h.Clock.Now, IndexWait: 5 * time.Second, PerArtifact: o.PerArtifact,
	})
	h.Decide = decide.New(h.Follow, time.Second, h.Clock.Now)
	if !o.Still {
		h.run(t)
	}
	if !o.Bare {
		h.Control(t, attest.TrustRootType, starter)
		h.Control(t, attest.PolicyType, policy.Starter())
	}
	return h
}

// FollowConfig is the configuration of a follower of this house on an index.
func (h *House) FollowConfig(index store.Index) follow.Config {
	return follow.Config{
		Log: h.Log, Blobs: h.Blobs, Index: index, Initial: h.Initial, Now: h.Clock.Now, Poll: 2 * time.Millisecond,
		Fresh: func() (store.Index, func() error, error) {
			return memory.NewIndex(), func() error { return nil }, nil
		},
	}
}

func (h *House) run(t testing.TB) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); h.Follow.Run(ctx) }() //nolint:errcheck // the test sees what comes of it
	t.Cleanup(func() { cancel(); <-done })
}

// Control registers a control document, signed by the root key.
func (h *House) Control(t testing.TB, predicateType string, document []byte) register.Registration {
	t.Helper()
	regs, err := h.TryControl(t.Context(), h.Root, predicateType, document)
	if err != nil {
		t.Fatal(err)
	}
	return regs[0]
}

// TryControl registers a control document, signed by some key.
func (h *House) TryControl(ctx context.Context, key sign.Signer, predicateType string, document []byte) ([]register.Registration, error) {
	e, err := sign.Envelope(ctx, key, attest.PayloadTypeInToto, attest.ControlStatement(predicateType, "control", document))
	if err != nil {
		return nil, err
	}
	return h.Register.Register(ctx, register.Submission{Caller: Admin, Envelope: e.JSON(), PublicKey: key.Key().Public})
}

// Statement has a statement signed and registered.
func (h *House) Statement(t testing.TB, statement []byte) register.Registration {
	t.Helper()
	regs, err := h.Register.Register(t.Context(), register.Submission{Caller: Admin, Statement: statement})
	if err != nil {
		t.Fatal(err)
	}
	return regs[0]
}

// Bundle registers a Sigstore bundle.
func (h *House) Bundle(t testing.TB, bundle []byte) register.Registration {
	t.Helper()
	regs, err := h.Register.Register(t.Context(), register.Submission{Caller: Admin, Bundle: bundle})
	if err != nil {
		t.Fatal(err)
	}
	return regs[0]
}

// Provenance is a statement that an artifact was built by a builder on this machine.
func Provenance(artifact attest.Digest, builder string) []byte {
	return []byte(`{"_type":"https://in-toto.io/Statement/v1","subject":[{"name":"app","digest":{"` + artifact.Algorithm() + `":"` + artifact.Hex() + `"}}],` +
		`"predicateType":"https://slsa.dev/provenance/v1","predicate":{"buildDefinition":{"buildType":"https://localhost/make@v1",` +
		`"externalParameters":{"source":"git+https://github.com/acme/app@refs/heads/main"}},"runDetails":{"builder":{"id":"` + builder + `"}}}}`)
}

// Testdata reads a file below the repository's testdata directory.
func Testdata(t testing.TB, path ...string) []byte {
	t.Helper()
	_, here, _, _ := runtime.Caller(0)
	raw, err := os.ReadFile(filepath.Join(append([]string{filepath.Dir(here), "..", "..", "testdata"}, path...)...))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// PublicPEM returns a signer's public key in PEM.
func PublicPEM(s sign.Signer) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: s.Key().SPKI}))
}

func certificatesPEM(certs []*x509.Certificate) string {
	var out []byte
	for _, c := range certs {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	return string(out)
}
