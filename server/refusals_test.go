package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/sekisho-dev/sekisho/attest"
	"github.com/sekisho-dev/sekisho/client"
	"github.com/sekisho-dev/sekisho/internal/testhouse"
	sekishov1 "github.com/sekisho-dev/sekisho/proto/sekisho/v1"
	"github.com/sekisho-dev/sekisho/server/decide"
	"github.com/sekisho-dev/sekisho/server/follow"
	"github.com/sekisho-dev/sekisho/sign"
	"github.com/sekisho-dev/sekisho/sign/keyfile"
	"github.com/sekisho-dev/sekisho/store"
	"github.com/sekisho-dev/sekisho/store/memory"
	"github.com/sekisho-dev/sekisho/tlog"
)

const localBuilder = "https://localhost/builder"

// reasonOf returns the code and the reason of an error that crossed the wire.
func reasonOf(err error) (codes.Code, string) {
	s := status.Convert(err)
	for _, d := range s.Details() {
		if info, ok := d.(*errdetails.ErrorInfo); ok && info.GetDomain() == ErrorDomain && info.GetMetadata()["requestId"] != "" {
			return s.Code(), info.GetReason()
		}
	}
	return s.Code(), ""
}

// TestRefusals: each kind of bad input has a code and a reason of its own, says
// what was found, and leaves nothing in the log.
func TestRefusals(t *testing.T) {
	h := testhouse.New(t, testhouse.Options{})
	addr, _, _ := start(t, h)
	conn := dial(t, addr)
	attestations, admission := sekishov1.NewAttestationServiceClient(conn), sekishov1.NewAdmissionServiceClient(conn)
	boms, logs := sekishov1.NewSbomServiceClient(conn), sekishov1.NewLogServiceClient(conn)
	stranger := newKey(t)
	app := attest.SHA256([]byte("app"))
	good := testhouse.Provenance(app, localBuilder)
	h.Statement(t, good)
	before := h.Follow.Progress().Size

	create := func(r *sekishov1.CreateAttestationRequest) func(context.Context) error {
		return func(ctx context.Context) error { _, err := attestations.CreateAttestation(ctx, r); return err }
	}
	statement := func(raw []byte) func(context.Context) error {
		return create(&sekishov1.CreateAttestationRequest{Document: &sekishov1.CreateAttestationRequest_Statement{Statement: raw}})
	}
	envelope := func(raw []byte, key string) func(context.Context) error {
		return create(&sekishov1.CreateAttestationRequest{Document: &sekishov1.CreateAttestationRequest_Envelope{Envelope: raw}, PublicKey: key})
	}
	bundle := func(raw []byte) func(context.Context) error {
		return create(&sekishov1.CreateAttestationRequest{Document: &sekishov1.CreateAttestationRequest_Bundle{Bundle: raw}})
	}
	signed := func(s sign.Signer, payloadType string, payload []byte) []byte {
		return envelopeBy(t, s, payloadType, payload).JSON()
	}
	otherBytes := envelopeBy(t, stranger, attest.PayloadTypeInToto, good)
	otherBytes.Payload = testhouse.Provenance(attest.SHA256([]byte("other")), localBuilder)
	control := func(predicateType, document string) func(context.Context) error {
		return envelope(signed(h.Root, attest.PayloadTypeInToto, attest.ControlStatement(predicateType, "control", []byte(document))), "")
	}
	evaluate := func(r *sekishov1.EvaluateDeploymentRequest) func(context.Context) error {
		return func(ctx context.Context) error { _, err := admission.EvaluateDeployment(ctx, r); return err }
	}
	upload := func(document string) func(context.Context) error {
		return func(ctx context.Context) error {
			_, err := boms.UploadSbom(ctx, &sekishov1.UploadSbomRequest{Artifact: &sekishov1.Artifact{Digest: app.Set()}, Document: []byte(document)})
			return err
		}
	}
	real := bytes.TrimSpace(testhouse.Testdata(t, "provenance", "MODULE.bazel.intoto.jsonl"))

	for name, c := range map[string]struct {
		call   func(context.Context) error
		code   codes.Code
		reason client.Reason
	}{
		"nothing":                  {create(&sekishov1.CreateAttestationRequest{}), codes.InvalidArgument, client.ErrBadRequest},
		"malformed statement":      {statement([]byte(`{"_type":`)), codes.InvalidArgument, client.ErrMalformed},
		"a member twice":           {statement(bytes.Replace(good, []byte(`{`), []byte(`{"predicateType":"https://slsa.dev/provenance/v1",`), 1)), codes.InvalidArgument, client.ErrMalformed},
		"malformed envelope":       {envelope([]byte(`{"payload":1}`), ""), codes.InvalidArgument, client.ErrMalformed},
		"malformed bundle":         {bundle([]byte(`{"mediaType":"application/vnd.dev.sigstore.bundle.v9+json"}`)), codes.InvalidArgument, client.ErrMalformedBundle},
		"oversized":                {statement(make([]byte, 16<<20+1)), codes.ResourceExhausted, client.ErrDocumentTooLarge},
		"over a count":             {statement(withSubjects(1025)), codes.InvalidArgument, client.ErrOverLimit},
		"wrong payload type":       {envelope(signed(h.Signer, "application/json", good), ""), codes.InvalidArgument, client.ErrUnsupportedPayloadType},
		"wrong statement type":     {statement([]byte(`{"_type":"https://in-toto.io/Statement/v2"}`)), codes.InvalidArgument, client.ErrUnsupportedStatementType},
		"unknown key":              {envelope(signed(stranger, attest.PayloadTypeInToto, good), ""), codes.InvalidArgument, client.ErrUnknownKey},
		"signature of other bytes": {envelope(otherBytes.JSON(), testhouse.PublicPEM(stranger)), codes.InvalidArgument, client.ErrBadSignature},
		"tampered bundle":          {bundle(tampered(t, real)), codes.InvalidArgument, client.ErrBadSignature},
		"entry of another":         {bundle(withEntryOf(t, real, testhouse.Testdata(t, "provenance", "bundle-provenance.json"))), codes.InvalidArgument, client.ErrLogEntryMismatch},
		"no transparency evidence": {envelope(bytes.TrimSpace(testhouse.Testdata(t, "provenance", "bare-dsse.intoto.jsonl")), ""), codes.InvalidArgument, client.ErrNoTransparency},
		"a signature over a file":  {bundle(testhouse.Testdata(t, "sigstore", "conformance", "happy-path-v0.3", "bundle.sigstore.json")), codes.InvalidArgument, client.ErrNotAnAttestation},
		"no digest":                {statement(bytes.Replace(good, []byte(`"sha256"`), []byte(`"blake2b"`), 1)), codes.InvalidArgument, client.ErrNoDigest},
		"a short digest":           {statement(bytes.Replace(good, []byte(app.Hex()), []byte("abcd"), 1)), codes.InvalidArgument, client.ErrMalformedDigest},
		"somebody else's builder":  {statement(testhouse.Provenance(app, "https://ci.acme.example/")), codes.PermissionDenied, client.ErrSubmitterNotAllowed},
		"a policy to be signed":    {statement(attest.ControlStatement(attest.PolicyType, "policy", []byte("name: evil"))), codes.PermissionDenied, client.ErrControlStatement},
		"a trust root to be signed": {
			statement(attest.ControlStatement(attest.TrustRootType, "trust-root", []byte("version: 9"))), codes.PermissionDenied, client.ErrControlStatement},
		"a VSA to be signed": {
			statement(bytes.Replace(good, []byte(attest.ProvenanceV1), []byte("https://slsa.dev/verification_summary/v1"), 1)), codes.PermissionDenied, client.ErrControlStatement},
		"a policy that does not load":     {control(attest.PolicyType, "name: x\nversion: 2\nenvironments: []\n"), codes.InvalidArgument, client.ErrInvalidPolicy},
		"a trust root that does not load": {control(attest.TrustRootType, "version: 2\nrots: {}\n"), codes.InvalidArgument, client.ErrInvalidTrustRoot},
		"a policy of an older version":    {control(attest.PolicyType, policyOf(1)), codes.FailedPrecondition, client.ErrNotNextVersion},
		"a policy by a stranger": {
			envelope(signed(stranger, attest.PayloadTypeInToto, attest.ControlStatement(attest.PolicyType, "policy", []byte(policyOf(2)))), testhouse.PublicPEM(stranger)),
			codes.PermissionDenied, client.ErrThresholdNotMet},
		"a key that is none": {envelope(signed(stranger, attest.PayloadTypeInToto, good), "-----BEGIN NOTHING-----"), codes.InvalidArgument, client.ErrBadRequest},

		"no artifact": {evaluate(&sekishov1.EvaluateDeploymentRequest{}), codes.InvalidArgument, client.ErrNoArtifact},
		"level 4":     {evaluate(&sekishov1.EvaluateDeploymentRequest{Artifact: &sekishov1.Artifact{Digest: app.Set()}, MinBuildLevel: 4}), codes.InvalidArgument, client.ErrUnknownLevel},
		"an index that is behind": {
			evaluate(&sekishov1.EvaluateDeploymentRequest{Artifact: &sekishov1.Artifact{Digest: app.Set()}, MinLogSize: 1 << 40}), codes.Unavailable, client.ErrStaleIndex},
		"an SBOM that is provenance": {func(ctx context.Context) error {
			_, err := boms.GetSbom(ctx, &sekishov1.GetSbomRequest{What: &sekishov1.GetSbomRequest_Attestation{Attestation: fmt.Sprint(before - 1)}})
			return err
		}, codes.InvalidArgument, client.ErrWrongPredicateType},
		"no SBOM":          {upload("{}"), codes.InvalidArgument, client.ErrUnsupportedSBOMFormat},
		"an old SBOM":      {upload(`{"bomFormat":"CycloneDX","specVersion":"1.1","version":1}`), codes.InvalidArgument, client.ErrUnsupportedSBOMVersion},
		"a malformed SBOM": {upload(`{"bomFormat":"CycloneDX","specVersion":"1.5","version":1,"components":[{}]}`), codes.InvalidArgument, client.ErrMalformedSBOM},
		"a malformed purl": {func(ctx context.Context) error {
			_, err := boms.ListDependents(ctx, &sekishov1.ListDependentsRequest{Purl: "left-pad"})
			return err
		}, codes.InvalidArgument, client.ErrMalformedPURL},
		"no such attestation": {func(ctx context.Context) error {
			_, err := attestations.GetAttestation(ctx, &sekishov1.GetAttestationRequest{Attestation: "99"})
			return err
		}, codes.NotFound, client.ErrNotFound},
		"no such proof": {func(ctx context.Context) error {
			_, err := logs.GetConsistencyProof(ctx, &sekishov1.GetConsistencyProofRequest{FromSize: 3, ToSize: 2})
			return err
		}, codes.InvalidArgument, client.ErrNoSuchProof},
	} {
		err := c.call(as(t.Context(), adminToken))
		if code, reason := reasonOf(err); code != c.code || reason != string(c.reason) {
			t.Errorf("%s: %v, %s; want %v, %s\n\t%v", name, code, reason, c.code, c.reason, err)
		}
	}
	if after := h.Follow.Progress().Size; after != before {
		t.Errorf("%d entries were logged by what was refused", after-before)
	}
}

// TestRefusalsAreAnswers: what was asked properly is answered, with a reason.
func TestRefusalsAreAnswers(t *testing.T) {
	app, other := attest.SHA256([]byte("app")), attest.SHA512([]byte("other"))
	ask := func(t *testing.T, h *testhouse.House, digest attest.DigestSet) *sekishov1.EvaluateDeploymentResponse {
		t.Helper()
		addr, _, _ := start(t, h)
		resp, err := sekishov1.NewAdmissionServiceClient(dial(t, addr)).EvaluateDeployment(as(t.Context(), deployerToken),
			&sekishov1.EvaluateDeploymentRequest{Artifact: &sekishov1.Artifact{Digest: digest}, MinBuildLevel: 1})
		if err != nil {
			t.Fatal(err)
		}
		return resp
	}
	bare := testhouse.New(t, testhouse.Options{Bare: true})
	if err := bare.Follow.CatchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	h := testhouse.New(t, testhouse.Options{})
	statement := bytes.Replace(testhouse.Provenance(app, localBuilder), []byte(`{"sha256":`), []byte(`{"sha512":"`+attest.SHA512([]byte("app")).Hex()+`","sha256":`), 1)
	h.Statement(t, statement)
	boms := testhouse.New(t, testhouse.Options{})
	boms.Statement(t, sbomStatement(app))

	for name, c := range map[string]struct {
		h      *testhouse.House
		digest attest.DigestSet
		want   sekishov1.ReasonCode
	}{
		"no policy":         {bare, app.Set(), sekishov1.ReasonCode_NO_POLICY},
		"subject mismatch":  {h, attest.SHA256([]byte("app2")).Set(), sekishov1.ReasonCode_NO_EVIDENCE},
		"one digest right":  {h, attest.DigestSet{"sha256": app.Hex(), "sha512": other.Hex()}, sekishov1.ReasonCode_DIGEST_CONFLICT},
		"another predicate": {boms, app.Set(), sekishov1.ReasonCode_NO_MATCHING_PREDICATE},
	} {
		t.Run(name, func(t *testing.T) {
			resp := ask(t, c.h, c.digest)
			if resp.GetVerdict() != sekishov1.Verdict_VERDICT_DENY || len(resp.GetReasons()) == 0 || resp.GetReasons()[0].GetCode() != c.want {
				t.Fatalf("%v, want a denial for %v", resp, c.want)
			}
			for _, r := range resp.GetReasons() {
				if r.GetFound() == "" || r.GetRemedy() == "" {
					t.Errorf("a reason that does not teach: %v", r)
				}
			}
		})
	}
}

// TestFaultsBelow: what fails below the API has a reason of its own, and what was
// not acknowledged can be handed in again.
func TestFaultsBelow(t *testing.T) {
	var full, sealed atomic.Bool
	h := testhouse.New(t, testhouse.Options{
		Blobs:  func(b store.Blobs) store.Blobs { return &faultyBlobs{b, &full} },
		Signer: func(s sign.Signer) sign.Signer { return &faultySigner{s, &sealed} },
	})
	addr, _, _ := start(t, h)
	attestations := sekishov1.NewAttestationServiceClient(dial(t, addr))
	hand := func() error {
		_, err := attestations.CreateAttestation(as(t.Context(), adminToken), &sekishov1.CreateAttestationRequest{
			Document: &sekishov1.CreateAttestationRequest_Statement{Statement: testhouse.Provenance(attest.SHA256(nil), localBuilder)}})
		return err
	}
	for _, c := range []struct {
		fault  *atomic.Bool
		code   codes.Code
		reason client.Reason
	}{
		{&full, codes.ResourceExhausted, client.ErrStorageFull},
		{&sealed, codes.Unavailable, client.ErrKeyUnavailable},
	} {
		before := h.Follow.Progress().Size
		c.fault.Store(true)
		err := hand()
		c.fault.Store(false)
		if code, reason := reasonOf(err); code != c.code || reason != string(c.reason) {
			t.Errorf("%v, %s; want %v, %s", code, reason, c.code, c.reason)
		}
		if after := h.Follow.Progress().Size; after != before {
			t.Errorf("%s: %d entries were logged", c.reason, after-before)
		}
	}
	if err := hand(); err != nil {
		t.Errorf("after the faults: %v", err)
	}
}

type faultyBlobs struct {
	store.Blobs
	full *atomic.Bool
}

func (b *faultyBlobs) Put(ctx context.Context, key string, size int64, r io.Reader) error {
	if b.full.Load() {
		return fmt.Errorf("writing blob: %w", store.ErrFull)
	}
	return b.Blobs.Put(ctx, key, size, r)
}

type faultySigner struct {
	sign.Signer
	sealed *atomic.Bool
}

func (s *faultySigner) Sign(ctx context.Context, digest []byte) ([]byte, error) {
	if s.sealed.Load() {
		return nil, fmt.Errorf("%w: sealed", sign.ErrUnavailable)
	}
	return s.Signer.Sign(ctx, digest)
}

// TestDamagedIsNoAnswer: while a record is missing or swapped, every question is an
// error for that, and no other answer.
func TestDamagedIsNoAnswer(t *testing.T) {
	h := testhouse.New(t, testhouse.Options{})
	a, b := h.Statement(t, testhouse.Provenance(attest.SHA256([]byte("a")), localBuilder)), h.Statement(t, testhouse.Provenance(attest.SHA256([]byte("b")), localBuilder))
	record, err := h.Blobs.Get(t.Context(), follow.RecordKey(a.Receipt.LeafHash))
	if err != nil {
		t.Fatal(err)
	}
	swapped, err := io.ReadAll(record)
	if err != nil {
		t.Fatal(err)
	}
	for name, with := range map[string][]byte{"missing": nil, "swapped": swapped} {
		t.Run(name, func(t *testing.T) {
			c := h.FollowConfig(memory.NewIndex())
			c.Blobs = &replacedBlob{h.Blobs, follow.RecordKey(b.Receipt.LeafHash), with}
			damaged := *h
			var err error
			if damaged.Follow, err = follow.New(t.Context(), c); err != nil {
				t.Fatal(err)
			}
			damaged.Decide = decide.New(damaged.Follow, time.Second, h.Clock.Now)
			if err := damaged.Follow.CatchUp(t.Context()); !errors.Is(err, follow.ErrDamaged) {
				t.Fatal(err)
			}
			addr, base, _ := start(t, &damaged)
			_, err = sekishov1.NewAdmissionServiceClient(dial(t, addr)).EvaluateDeployment(as(t.Context(), deployerToken),
				&sekishov1.EvaluateDeploymentRequest{Artifact: &sekishov1.Artifact{Digest: attest.SHA256([]byte("a")).Set()}, MinBuildLevel: 1})
			if code, reason := reasonOf(err); code != codes.FailedPrecondition || reason != string(client.ErrLogDamaged) {
				t.Errorf("%v, %s, want LOG_DAMAGED: %v", code, reason, err)
			}
			health := healthpb.NewHealthClient(dial(t, addr))
			for service, want := range map[string]healthpb.HealthCheckResponse_ServingStatus{
				"": healthpb.HealthCheckResponse_SERVING, "sekisho.v1.AdmissionService": healthpb.HealthCheckResponse_NOT_SERVING,
			} {
				if h, err := health.Check(t.Context(), &healthpb.HealthCheckRequest{Service: service}); h.GetStatus() != want {
					t.Errorf("health of %q: %v, %v; want %v", service, h.GetStatus(), err, want)
				}
			}
			for token, told := range map[string]bool{"": false, "not-a-token-of-this-test": false, builderToken: true} {
				resp, body := sendAs(t, token, base, "GET", "/readyz", "", nil)
				if resp.StatusCode != http.StatusServiceUnavailable || string(body) == "not ready\n" == told || strings.Contains(string(body), "entry") != told {
					t.Errorf("/readyz with token %q: %s %q; want 503, and why only for who is known", token, resp.Status, body)
				}
			}
		})
	}
}

// TestCorruptTile: a tile that is not what the checkpoint commits to proves nothing,
// and is told as damage.
func TestCorruptTile(t *testing.T) {
	h := testhouse.New(t, testhouse.Options{})
	r := h.Statement(t, testhouse.Provenance(attest.SHA256([]byte("a")), localBuilder))
	corrupt := tlog.NewTileReader(h.Log.Verifier(), func(ctx context.Context, path string) ([]byte, error) {
		raw, err := h.Log.Fetch(ctx, path)
		if strings.HasPrefix(path, "tile/") && len(raw) > 0 {
			raw = bytes.Clone(raw)
			raw[len(raw)-1] ^= 1
		}
		return raw, err
	})
	addr, _, _ := start(t, h, func(c *Config) { c.Log = corrupt })
	conn := dial(t, addr)
	for name, call := range map[string]func(context.Context) error{
		"a proof": func(ctx context.Context) error {
			_, err := sekishov1.NewLogServiceClient(conn).GetInclusionProof(ctx, &sekishov1.GetInclusionProofRequest{LogIndex: r.Receipt.Index})
			return err
		},
		"an attestation": func(ctx context.Context) error {
			_, err := sekishov1.NewAttestationServiceClient(conn).GetAttestation(ctx, &sekishov1.GetAttestationRequest{Attestation: fmt.Sprint(r.Receipt.Index)})
			return err
		},
	} {
		err := call(as(t.Context(), adminToken))
		if code, reason := reasonOf(err); code != codes.FailedPrecondition || reason != string(client.ErrLogDamaged) {
			t.Errorf("%s: %v, %s, want LOG_DAMAGED: %v", name, code, reason, err)
		}
	}
}

// replacedBlob is blobs of which one holds something else, or is missing.
type replacedBlob struct {
	store.Blobs
	key  string
	with []byte // nil: missing
}

func (r *replacedBlob) Get(ctx context.Context, key string) (io.ReadCloser, error) {
	switch {
	case key != r.key:
		return r.Blobs.Get(ctx, key)
	case r.with == nil:
		return nil, store.ErrNotFound
	}
	return io.NopCloser(bytes.NewReader(r.with)), nil
}

func newKey(t *testing.T) *keyfile.Signer {
	t.Helper()
	k, err := keyfile.Create(filepath.Join(t.TempDir(), "k.pem"), attest.ECDSAP256SHA256)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func envelopeBy(t *testing.T, s sign.Signer, payloadType string, payload []byte) *attest.Envelope {
	t.Helper()
	e, err := sign.Envelope(t.Context(), s, payloadType, payload)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func withSubjects(n int) []byte {
	subjects := strings.TrimSuffix(strings.Repeat(`{"digest":{"sha256":"`+attest.SHA256(nil).Hex()+`"}},`, n), ",")
	return []byte(`{"_type":"` + attest.StatementV1 + `","subject":[` + subjects + `],"predicateType":"https://slsa.dev/provenance/v1","predicate":{}}`)
}

func policyOf(version int) string {
	return fmt.Sprintf("name: acme\nversion: %d\nenvironments:\n  - name: default\n    rules:\n      - artifacts: [\"*\"]\n        build: {minLevel: 1}\n", version)
}

// tampered changes the payload of a bundle and nothing else.
func tampered(t *testing.T, bundle []byte) []byte {
	t.Helper()
	return edit(t, bundle, func(b map[string]any) {
		e := b["dsseEnvelope"].(map[string]any)
		e["payload"] = strings.Replace(e["payload"].(string), "Y2UzMzA5", "ZmUzMzA5", 1)
	})
}

func withEntryOf(t *testing.T, bundle, other []byte) []byte {
	t.Helper()
	var o struct {
		Material struct {
			Entries any `json:"tlogEntries"`
		} `json:"verificationMaterial"`
	}
	if err := json.Unmarshal(other, &o); err != nil {
		t.Fatal(err)
	}
	return edit(t, bundle, func(b map[string]any) { b["verificationMaterial"].(map[string]any)["tlogEntries"] = o.Material.Entries })
}

func edit(t *testing.T, raw []byte, f func(map[string]any)) []byte {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal(raw, &m); err != nil {
		t.Fatal(err)
	}
	f(m)
	out, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return out
}
