package decide_test

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sekisho-dev/sekisho/attest"
	"github.com/sekisho-dev/sekisho/internal/testhouse"
	"github.com/sekisho-dev/sekisho/policy"
	"github.com/sekisho-dev/sekisho/policy/policytest"
	"github.com/sekisho-dev/sekisho/server/decide"
	"github.com/sekisho-dev/sekisho/server/register"
	"github.com/sekisho-dev/sekisho/sign"
	"github.com/sekisho-dev/sekisho/sign/keyfile"
)

// Why a decision that is written down cannot be brought about by statements that
// somebody signs under a trust root. Each is a reason that must stay true: what is
// not listed here runs.
const (
	noRevocations  = "revocations are not built yet"
	noCertificate  = "it takes a certificate, and a key has none"
	notRegistered  = "what is refused for this is not registered"
	noSuchLevel    = "no trust root rates a builder so"
	oneLevel       = "one signer and builder have one level"
	noOtherDigest  = "the artifact has one digest, and nothing can contradict it in another"
	otherParameter = "provenance of this version has other parameters"
	hasClock       = "a house has a clock"
)

// TestDecisions brings the decisions that are written down as data about in a whole
// house: each piece of evidence is a statement, signed by a key, timestamped, logged,
// indexed and weighed by a trust root, and the answer must be the one that package
// policy is held to. Reasons that hand on the verifier's words have other words here.
func TestDecisions(t *testing.T) {
	cases, err := policytest.Load(os.DirFS(filepath.Join("..", "..", "testdata", "decisions")))
	if err != nil {
		t.Fatal(err)
	}
	keys := &keyring{dir: t.TempDir(), keys: map[string]*keyfile.Signer{}}
	ran, skipped := 0, map[string]int{}
	for _, c := range cases {
		if why := inexpressible(&c); why != "" {
			skipped[why]++
			continue
		}
		ran++
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel() // a house waits for its log more than it computes
			bringAbout(t, &c, keys)
		})
	}
	for _, why := range slices.Sorted(maps.Keys(skipped)) {
		t.Logf("%d not run: %s", skipped[why], why)
	}
	if ran*100 < len(cases)*90 {
		t.Errorf("%d of %d ran, want 90%%: a trust root can say more than this test lets it", ran, len(cases))
	}
}

// inexpressible says why a case cannot be brought about, or "".
func inexpressible(c *policytest.Case) string {
	if c.NoClock {
		return hasClock
	}
	levels := map[[2]string]int{}
	for _, e := range c.Evidence {
		switch policytest.Code(e.Refusal) {
		case policy.SourceMismatch:
			return noCertificate
		case policy.NoTransparencyEvidence, policy.LogEntryMismatch:
			return notRegistered
		}
		pair := [2]string{e.Signer, e.BuilderID}
		was, rated := levels[pair]
		switch {
		case e.Revoked:
			return noRevocations
		case e.CertificateSource != "":
			return noCertificate
		case e.Match == "conflict" && len(c.Question.Artifact) < 2:
			return noOtherDigest
		case e.Type == attest.ProvenanceV02 && len(e.Parameters) > 0:
			return otherParameter
		case !attest.Level(e.Level).Valid():
			return noSuchLevel
		case rated && was != e.Level && believed(&e) && attest.IsProvenance(e.Type):
			return oneLevel
		}
		if believed(&e) && attest.IsProvenance(e.Type) {
			levels[pair] = e.Level
		}
	}
	return ""
}

func believed(e *policytest.Evidence) bool { return e.Signer != "" && e.Refusal == "" }

// A keyring has a key for each name, made once.
type keyring struct {
	dir  string
	mu   sync.Mutex
	keys map[string]*keyfile.Signer
}

func (k *keyring) of(t *testing.T, name string) *keyfile.Signer {
	t.Helper()
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.keys[name] == nil {
		s, err := keyfile.Create(filepath.Join(k.dir, strconv.Itoa(len(k.keys))+".pem"), attest.ECDSAP256SHA256)
		if err != nil {
			t.Fatal(err)
		}
		k.keys[name] = s
	}
	return k.keys[name]
}

// signer names who signs a piece of evidence: who is believed by the name that the
// trust root has for them, who is refused by why, and who is unknown not at all.
func signer(e *policytest.Evidence) string {
	switch code := policytest.Code(e.Refusal); {
	case believed(e):
		return e.Signer
	case code == policy.Unspecified, code == policy.UnknownSigner:
		return "nobody"
	}
	return "refused: " + e.Refusal
}

// A clocklessAuthority is the house's, or proves nothing where the test says so.
type clocklessAuthority struct {
	sign.TimeAuthority
	nothing *bool
}

func (a clocklessAuthority) Timestamp(ctx context.Context, signature []byte) ([]byte, error) {
	if *a.nothing {
		signature = []byte("another signature")
	}
	return a.TimeAuthority.Timestamp(ctx, signature)
}

// longAgo is further back than any evidence is old.
const longAgo = 5 * 365 * 24 * time.Hour

func bringAbout(t *testing.T, c *policytest.Case, keys *keyring) {
	nothing := false
	h := testhouse.New(t, testhouse.Options{Bare: true, Time: func(a sign.TimeAuthority) sign.TimeAuthority { return clocklessAuthority{a, &nothing} }})
	h.Clock.Advance(-time.Duration(h.Clock.Now().Nanosecond())) // timestamps are in whole seconds
	was := h.Control(t, attest.TrustRootType, h.Initial.Bytes())
	h.Control(t, attest.TrustRootType, trustRoot(t, h, c, keys, was.Facts.Attestation()))
	if c.Policy != nil {
		h.Control(t, attest.PolicyType, c.Policy)
	}
	h.Clock.Advance(longAgo)
	now := h.Clock.Now().UTC()

	order := make([]*policytest.Evidence, len(c.Evidence))
	at := map[*policytest.Evidence]uint64{}
	for i := range c.Evidence {
		order[i] = &c.Evidence[i]
		at[order[i]] = c.Evidence[i].Attestation(i, now).LogIndex
	}
	slices.SortFunc(order, func(a, b *policytest.Evidence) int { return int(at[a]) - int(at[b]) })
	named := map[attest.Digest]*policytest.Evidence{}
	for _, e := range order {
		statement := statementOf(t, e, c.Question.Artifact, now)
		key := keys.of(t, signer(e))
		envelope, err := sign.Envelope(t.Context(), key, attest.PayloadTypeInToto, statement)
		if err != nil {
			t.Fatal(err)
		}
		// What a key's window refuses is refused for its time, so that there is one.
		var ago time.Duration
		nothing = e.Proven == nil && policytest.Code(e.Refusal) != policy.OutsideValidity
		if e.Proven != nil {
			ago = *e.Proven
		}
		h.Clock.Advance(-ago)
		regs, err := h.Register.Register(t.Context(), register.Submission{Caller: testhouse.Admin, Envelope: envelope.JSON(), PublicKey: key.Key().Public})
		h.Clock.Advance(ago)
		if err != nil {
			t.Fatalf("%s: %v", e.Name, err)
		}
		named[regs[0].Facts.Attestation()] = e
	}

	answers, err := h.Decide.Decide(t.Context(), decide.Question{Question: c.Question})
	if errors.Is(err, decide.ErrNoArtifact) || errors.Is(err, attest.ErrDigest) {
		if len(c.Want.Reasons) != 1 || c.Want.Reasons[0].Code != policy.BadQuestion.String() {
			t.Errorf("%v, and an answer is wanted", err)
		}
		return // the flow asks nothing about what is no artifact
	}
	if err != nil {
		t.Fatal(err)
	}
	d := answers[0].Decision
	_, _, more, err := h.Decide.Explain(t.Context(), decide.Question{Question: c.Question}, 0, func(f decide.Finding) bool {
		e := named[f.Digest]
		if e == nil {
			t.Fatalf("%s was never registered", f.Digest)
		}
		same(t, e, f.Attestation, now)
		return true
	})
	if more || err != nil {
		t.Fatal(more, err)
	}
	// The words of the data stand for digests that are known only now.
	for i, digest := range d.Used {
		d.Used[i] = policytest.Digest(named[digest].Name)
	}
	want := c.Want
	want.Reasons = slices.Clone(want.Reasons)
	for i, r := range d.Reasons {
		if r.Nearest == nil {
			continue
		}
		e := named[r.Nearest.Attestation]
		r.Nearest.Attestation = policytest.Digest(e.Name)
		if i < len(want.Reasons) && !believed(e) {
			want.Reasons[i].Found = ""
		}
	}
	if err := want.Check(d, answers[0].EvaluatedAt); err != nil {
		t.Error(err)
	}
}

// same compares what was weighed with what the data says of it.
func same(t *testing.T, e *policytest.Evidence, got policy.Attestation, now time.Time) {
	t.Helper()
	want := e.Attestation(0, now)
	if want.Refusal == policy.Unspecified && want.Signer == "" {
		want.Refusal = policy.UnknownSigner
	}
	if want.Refusal != policy.Unspecified { // then nobody asks what it would be worth
		want.Signer, want.Builder, want.Level, got.ProvenBy, want.ProvenBy = "", "", 0, time.Time{}, time.Time{}
	}
	if !attest.IsProvenance(e.Type) {
		want.Level, want.Builder, want.BuilderID, want.ParametersComplete = 0, "", "", false
	} else {
		got.ExternalParameters = maps.Clone(got.ExternalParameters)
		if e.Type == attest.ProvenanceV02 {
			delete(got.ExternalParameters, "source")
		}
	}
	for what, pair := range map[string][2]any{
		"type": {got.PredicateType, want.PredicateType}, "match": {got.Match, want.Match}, "signer": {got.Signer, want.Signer}, "refusal": {got.Refusal, want.Refusal},
		"level": {got.Level, want.Level}, "builder": {got.Builder, want.Builder}, "builder id": {got.BuilderID, want.BuilderID}, "build type": {got.BuildType, want.BuildType},
		"repository": {got.Source.Repository, want.Source.Repository}, "ref": {got.Source.Ref, want.Source.Ref}, "complete": {got.ParametersComplete, want.ParametersComplete},
		"parameters": {len(got.ExternalParameters), len(want.ExternalParameters)}, "result": {got.Result, want.Result},
		"proven": {got.ProvenBy.Unix(), want.ProvenBy.Unix()}, "claimed": {got.ClaimedAt.Unix(), want.ClaimedAt.Unix()},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s: %s is %v, want %v", e.Name, what, pair[0], pair[1])
		}
	}
}

// statementOf makes the statement that says what a piece of evidence says.
func statementOf(t *testing.T, e *policytest.Evidence, artifact attest.DigestSet, now time.Time) []byte {
	t.Helper()
	digest := maps.Clone(artifact)
	if len(artifact.Acceptable()) == 0 || artifact.Validate() != nil { // the question is wrong, and not the statement
		digest = attest.SHA256([]byte(policytest.Artifact)).Set()
	}
	switch e.Match {
	case "conflict": // right by one algorithm, wrong by the others
		for _, algorithm := range slices.Sorted(maps.Keys(digest))[1:] {
			digest[algorithm] = strings.Repeat("f", len(digest[algorithm]))
		}
	case "none":
		digest = attest.SHA256([]byte("something else")).Set()
	}
	claimed := ""
	if e.Claimed != nil {
		claimed = now.Add(-*e.Claimed).Format(time.RFC3339)
	}
	raw, err := json.Marshal(map[string]any{
		"_type": attest.StatementV1, "predicateType": e.Type, "predicate": predicateOf(e, claimed),
		"subject": []any{map[string]any{"name": e.Name, "digest": digest}}, // the name tells apart what says the same
	})
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

type object = map[string]any

// some leaves out what is empty.
func some(o object) object {
	maps.DeleteFunc(o, func(_ string, v any) bool { return v == "" })
	return o
}

func predicateOf(e *policytest.Evidence, claimed string) object {
	source := e.Repository
	if e.Ref != "" {
		source += "@" + e.Ref
	}
	switch e.Type {
	case attest.ProvenanceV1:
		parameters := object{}
		for name, value := range e.Parameters {
			parameters[name] = json.RawMessage(value)
		}
		definition := object{"buildType": e.BuildType, "externalParameters": parameters}
		if source != "" {
			definition["resolvedDependencies"] = []any{object{"uri": source}}
		}
		return object{"buildDefinition": definition, "runDetails": object{"builder": object{"id": e.BuilderID}, "metadata": some(object{"finishedOn": claimed})}}
	case attest.ProvenanceV02:
		metadata := some(object{"buildFinishedOn": claimed})
		metadata["completeness"] = object{"parameters": !e.Incomplete}
		return object{"builder": object{"id": e.BuilderID}, "buildType": e.BuildType, "metadata": metadata, "invocation": object{"configSource": some(object{"uri": source})}}
	case "https://in-toto.io/attestation/test-result/v0.1":
		return some(object{"result": e.Result})
	case "https://slsa.dev/verification_summary/v1":
		return some(object{"verificationResult": e.Result, "timeVerified": claimed})
	case "https://in-toto.io/attestation/vulns/v0.2":
		return object{"metadata": some(object{"scanFinishedOn": claimed})}
	}
	return object{"metadata": some(object{"timestamp": claimed})} // as CycloneDX has it
}

// trustRoot writes the trust root that makes of the evidence what the case says.
func trustRoot(t *testing.T, h *testhouse.House, c *policytest.Case, keys *keyring, previous attest.Digest) []byte {
	t.Helper()
	var chain []byte
	for _, cert := range h.Time.Certificates() {
		chain = append(chain, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw})...)
	}
	root := object{"threshold": 1, "keys": []any{object{"pem": testhouse.PublicPEM(h.Root)}}}
	signers, builders := map[string]object{}, map[string]object{}
	for i := range c.Evidence {
		e := &c.Evidence[i]
		name, code := signer(e), policytest.Code(e.Refusal)
		if name == "nobody" {
			continue
		}
		key := object{"pem": testhouse.PublicPEM(keys.of(t, name))}
		switch code {
		case policy.OutsideValidity:
			key["compromisedSince"] = h.Clock.Now().UTC().Format(time.RFC3339)
		case policy.NoTrustedTime:
			key["notBefore"] = h.Clock.Now().UTC().Format(time.RFC3339)
		}
		signers[name] = object{"name": name, "keys": []any{key}}
		if !attest.IsProvenance(e.Type) || code == policy.SignerBuilderMismatch { // no builder lists them
			continue
		}
		b := object{"id": e.BuilderID, "signers": []string{name}, "maxLevel": e.Level}
		if e.Builder != "" {
			b["name"] = e.Builder
		}
		if code == policy.BuildTypeMismatch {
			b["buildTypes"] = []string{e.BuildType + "/another"}
		}
		builders[fmt.Sprint(name, " ", e.BuilderID)] = b
	}
	list := func(m map[string]object) []object {
		out := []object{}
		for _, k := range slices.Sorted(maps.Keys(m)) {
			out = append(out, m[k])
		}
		return out
	}
	raw, err := json.MarshalIndent(object{ // JSON is YAML
		"version": 2, "previous": previous, "roots": root, "policyKeys": root, "signers": list(signers), "builders": list(builders),
		"timeAuthorities": []any{object{"name": "sekisho", "certificate": string(chain)}},
	}, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return raw
}
