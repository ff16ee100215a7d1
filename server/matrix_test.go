package server

import (
	"context"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/sekisho-dev/sekisho/attest"
	"github.com/sekisho-dev/sekisho/internal/testhouse"
	sekishov1 "github.com/sekisho-dev/sekisho/proto/sekisho/v1"
	"github.com/sekisho-dev/sekisho/server/identity"
)

const auditorToken = "auditor-token-of-the-test"

func withAuditor(t *testing.T) func(*Config) {
	return func(c *Config) {
		if err := c.Tokens.Add(auditorToken, identity.Caller{Issuer: "token:audit", Subject: "auditor", Roles: []identity.Role{identity.Auditor}}); err != nil {
			t.Fatal(err)
		}
	}
}

// TestAuthorizationOfEveryMethod: each method × each caller, as the table says and in
// no other way; a credential that is nearly one is none.
func TestAuthorizationOfEveryMethod(t *testing.T) {
	addr, _, _ := start(t, testhouse.New(t, testhouse.Options{}), withAuditor(t))
	conn := dial(t, addr)
	call := func(method string, credentials ...string) codes.Code {
		ctx := t.Context()
		for _, c := range credentials {
			ctx = metadata.AppendToOutgoingContext(ctx, "authorization", c)
		}
		return status.Code(conn.Invoke(ctx, method, &emptypb.Empty{}, &emptypb.Empty{}))
	}
	callers := map[string]identity.Role{
		"": "", "not-a-token-of-this-test": "", builderToken: identity.Builder, deployerToken: identity.Deployer, auditorToken: identity.Auditor, adminToken: identity.Admin,
	}
	for method, roles := range access {
		if strings.HasSuffix(method, "/Watch") || strings.HasSuffix(method, "/ServerReflectionInfo") {
			continue // streams
		}
		for token, role := range callers {
			var credentials []string
			if token != "" {
				credentials = []string{"Bearer " + token}
			}
			got, want := call(method, credentials...), codes.OK // or what an empty request deserves
			switch {
			case method == sekishov1.SbomService_UploadSbom_FullMethodName && role == identity.Builder: // who is no submitter
				want = codes.PermissionDenied
			case slices.Contains(roles, everyone) || slices.Contains(roles, role):
			case role == "":
				want = codes.Unauthenticated
			default:
				want = codes.PermissionDenied
			}
			if denied := got == codes.Unauthenticated || got == codes.PermissionDenied; denied && got != want || !denied && want != codes.OK {
				t.Errorf("%s by %q: %v, want %v", method, token, got, want)
			}
		}
	}
	policy := sekishov1.TrustService_GetPolicy_FullMethodName
	if got := call(policy, "bEaReR "+adminToken); got != codes.OK {
		t.Errorf("the scheme in other letters: %v", got)
	}
	for name, credentials := range map[string][]string{
		"basic": {"Basic " + adminToken}, "bare": {adminToken}, "two spaces": {"Bearer  " + adminToken}, "a space behind": {"Bearer " + adminToken + " "},
		"two, the first wrong": {"Bearer not-a-token-of-this-test", "Bearer " + adminToken}, "long": {"Bearer " + strings.Repeat("a", 5000)}, "empty": {""}, "no token": {"Bearer "},
	} {
		if got := call(policy, credentials...); got != codes.Unauthenticated {
			t.Errorf("%s: %v", name, got)
		}
	}
	for _, method := range []string{
		"/sekisho.v1.AttestationService/NoSuch", "/nosuch.Service/X", "/sekisho.v1.attestationservice/CreateAttestation", "//sekisho.v1.AttestationService/CreateAttestation",
		"/sekisho.v1.AttestationService/CreateAttestation/", "/sekisho.v1.AttestationService/createAttestation", "/grpc.channelz.v1.Channelz/GetServers",
	} {
		if got := call(method, "Bearer "+adminToken); got != codes.Unimplemented && got != codes.PermissionDenied {
			t.Errorf("%s: %v", method, got)
		}
	}
}

// TestAuthorizationOfEveryPath is the same for the HTTP port: paths spelt in strange
// ways lead to the same door, or to none.
func TestAuthorizationOfEveryPath(t *testing.T) {
	_, base, _ := start(t, testhouse.New(t, testhouse.Options{}), withAuditor(t))
	host := strings.TrimPrefix(base, "http://")
	tokens := []string{"", "not-a-token-of-this-test", builderToken, deployerToken, auditorToken, adminToken}
	all := func(status int) []int { return slices.Repeat([]int{status}, len(tokens)) }
	readers, writers, askers := []int{401, 401, 200, 200, 200, 200}, []int{401, 401, 400, 403, 403, 400}, []int{401, 401, 403, 400, 400, 400}
	for request, want := range map[string][]int{
		"POST /v1/attestations": writers, "POST /v1/sboms": {401, 401, 403, 403, 403, 400}, // the builder is no submitter
		"POST /v1/deployments:evaluate": askers, "POST /v1/deployments:batchEvaluate": askers, "POST /v1/artifacts:explain": askers,
		"GET /v1/attestations": readers, "GET /v1/attestations/0": readers, "GET /v1/attestations/0:bundle": readers, "GET /v1/policy": readers, "GET /v1/trust-root": readers,
		"HEAD /v1/policy": readers, "HEAD /v1/attestations/0:bundle": readers, "GET /v1/%70olicy": readers, "GET /v1/attestations/0%3Abundle": readers,
		"GET /v1/sboms": {401, 401, 400, 400, 400, 400}, "GET /v1/components": {401, 401, 400, 400, 400, 400}, "GET /v1/dependents": {401, 401, 400, 400, 400, 400},
		"GET /v1/log/checkpoint": all(200), "GET /v1/log/inclusion?logIndex=0": all(200), "GET /v1/log/consistency?fromSize=1": all(200),
		"GET /v1/trusted-root": all(200), "GET /v1/keys": all(200), "GET /openapi.json": all(200), "GET /healthz": all(200), "GET /readyz": all(200),
		"GET /metrics":   {401, 401, 403, 403, 200, 200},
		"GET /V1/policy": all(404), "GET /v1/policy/": all(404), "GET /debug/pprof/": all(404), "GET /debug/vars": all(404), "POST /sekisho.v1.TrustService/GetPolicy": all(404),
		"OPTIONS /v1/policy": all(405), "TRACE /v1/policy": all(405), "PUT /v1/policy": all(405), "DELETE /v1/attestations/0": all(405),
		"GET //v1/policy": all(307), "GET /v1//policy": all(307), "GET /v1/log/../policy": all(307), "GET /tile/../v1/policy": all(307),
	} {
		method, path, _ := strings.Cut(request, " ")
		for i, token := range tokens {
			var body io.Reader
			if method == "POST" {
				body = strings.NewReader("{}")
			}
			r, err := http.NewRequestWithContext(t.Context(), method, base+"/", body)
			if err != nil {
				t.Fatal(err)
			}
			r.URL.Opaque = "//" + host + path // as it is spelt
			if token != "" {
				r.Header.Set("Authorization", "Bearer "+token)
			}
			resp, err := http.DefaultTransport.RoundTrip(r)
			if err != nil {
				t.Fatal(err)
			}
			raw, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			if resp.StatusCode != want[i] {
				t.Errorf("%s by %q: %d %.200s, want %d", request, token, resp.StatusCode, raw, want[i])
			}
			if resp.StatusCode == 401 && resp.Header.Get("WWW-Authenticate") != "Bearer" {
				t.Errorf("%s: a 401 that does not say what it wants", request)
			}
		}
	}
}

// TestAdvisoryErrorsQuoteLittle: whatever of a request an error repeats, a megabyte of it
// does not come back.
func TestAdvisoryErrorsQuoteLittle(t *testing.T) {
	addr, _, _ := start(t, testhouse.New(t, testhouse.Options{}))
	conn, ctx := dial(t, addr), as(t.Context(), adminToken)
	big := strings.Repeat("A", 1<<20)
	digest := attest.SHA256(nil).Hex()
	attestations, boms, admission := sekishov1.NewAttestationServiceClient(conn), sekishov1.NewSbomServiceClient(conn), sekishov1.NewAdmissionServiceClient(conn)
	create := func(r *sekishov1.CreateAttestationRequest) func(context.Context) error {
		return func(ctx context.Context) error { _, err := attestations.CreateAttestation(ctx, r); return err }
	}
	statement := func(s string) func(context.Context) error {
		return create(&sekishov1.CreateAttestationRequest{Document: &sekishov1.CreateAttestationRequest_Statement{Statement: []byte(s)}})
	}
	upload := func(s string) func(context.Context) error {
		return func(ctx context.Context) error {
			_, err := boms.UploadSbom(ctx, &sekishov1.UploadSbomRequest{Artifact: &sekishov1.Artifact{Digest: map[string]string{"sha256": digest}}, Document: []byte(s)})
			return err
		}
	}
	ask := func(r *sekishov1.EvaluateDeploymentRequest) func(context.Context) error {
		return func(ctx context.Context) error { _, err := admission.EvaluateDeployment(ctx, r); return err }
	}
	about := `"subject":[{"digest":{"sha256":"` + digest + `"}}]`
	for name, call := range map[string]func(context.Context) error{
		"name": func(ctx context.Context) error {
			_, err := attestations.GetAttestation(ctx, &sekishov1.GetAttestationRequest{Attestation: big})
			return err
		},
		"algorithm": func(ctx context.Context) error {
			_, err := attestations.GetAttestation(ctx, &sekishov1.GetAttestationRequest{Attestation: big + ":aa"})
			return err
		},
		"no JSON":        statement(big),
		"statement type": statement(`{"_type":"` + big + `","predicateType":"x",` + about + `}`),
		"predicate type": statement(`{"_type":"` + attest.StatementV1 + `","predicateType":"` + big + `",` + about + `}`),
		"reserved type":  statement(`{"_type":"` + attest.StatementV1 + `","predicateType":"https://sekisho.dev/` + big + `",` + about + `}`),
		"builder": statement(`{"_type":"` + attest.StatementV1 + `","predicateType":"https://slsa.dev/provenance/v1",` + about +
			`,"predicate":{"buildDefinition":{"buildType":"x"},"runDetails":{"builder":{"id":"` + big + `"}}}}`),
		"payload type": create(&sekishov1.CreateAttestationRequest{Document: &sekishov1.CreateAttestationRequest_Envelope{
			Envelope: []byte(`{"payload":"e30=","payloadType":"` + big + `","signatures":[{"sig":"aa=="}]}`)}}),
		"media type": create(&sekishov1.CreateAttestationRequest{Document: &sekishov1.CreateAttestationRequest_Bundle{Bundle: []byte(`{"mediaType":"` + big + `","dsseEnvelope":{}}`)}}),
		"unknown member": create(&sekishov1.CreateAttestationRequest{Document: &sekishov1.CreateAttestationRequest_Bundle{
			Bundle: []byte(`{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","` + big + `":{}}`)}}),
		"public key":         create(&sekishov1.CreateAttestationRequest{PublicKey: "-----BEGIN PUBLIC KEY-----\n" + big + "\n-----END PUBLIC KEY-----\n"}),
		"SBOM version":       upload(`{"bomFormat":"CycloneDX","specVersion":"` + big + `"}`),
		"SBOM format":        upload(`{"bomFormat":"` + big + `","specVersion":"1.5"}`),
		"SBOM component":     upload(`{"bomFormat":"CycloneDX","specVersion":"1.5","version":1,"components":[{"type":"` + big + `","name":"x","purl":"pkg:` + big + `"}]}`),
		"digest":             ask(&sekishov1.EvaluateDeploymentRequest{Artifact: &sekishov1.Artifact{Digest: map[string]string{"sha256": big}}}),
		"digest's algorithm": ask(&sekishov1.EvaluateDeploymentRequest{Artifact: &sekishov1.Artifact{Digest: map[string]string{"sha256": digest, big: "zz"}}}),
	} {
		err := call(ctx)
		s := status.Convert(err)
		if n := len(s.Message()); n > 1000 || s.Code() == codes.Internal {
			t.Errorf("%s: %d bytes, %.300v", name, n, err)
		}
		if err != nil {
			short(t, name, s)
		}
	}
}
