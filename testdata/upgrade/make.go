// Command make writes the data directories of this folder with a sekishod of another
// time, and asks it the questions whose answers a newer one must give too:
//
//	go run testdata/upgrade/make.go BIN OUT
//
// where BIN holds the sekishod and sekisho of that time. README.md says what is in them.
package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

func main() {
	bin, out := os.Args[1], os.Args[2]
	s := &service{bin: bin, data: filepath.Join(out, "honest")}
	s.start()
	s.honest()
	s.write(filepath.Join(out, "honest.json"), s.answers())
	s.stop()
	must(exec.Command("cp", "-a", s.data, filepath.Join(out, "poisoned")).Run())
	s.data = filepath.Join(out, "poisoned")
	s.start()
	after := s.poisoned()
	s.write(filepath.Join(out, "poisoned.json"), append(s.answered, question{Subject: "after the poison", Level: 1, Verdict: "VERDICT_ALLOW", BuildLevel: 1, Evidence: []string{after}}))
	s.stop()
}

// A question is what is asked, and what the service of that time answered.
type question struct {
	Subject    string   `json:"subject"` // the artifact is its SHA-256, unless it is one
	Level      int      `json:"level"`
	Names      []string `json:"names,omitempty"`
	Source     string   `json:"source,omitempty"`
	Verdict    string   `json:"verdict"`
	BuildLevel int      `json:"buildLevel"`
	Reasons    []string `json:"reasons,omitempty"`
	Evidence   []string `json:"evidence,omitempty"`
}

func (q question) digest() string {
	if len(q.Subject) == 64 {
		return q.Subject
	}
	return sum(q.Subject)
}

type service struct {
	bin, data string
	cmd       *exec.Cmd
	http      string
	token     string
	answered  []question
}

func (s *service) start() {
	s.cmd = exec.Command(filepath.Join(s.bin, "sekishod"), "--data", s.data, "--grpc-addr", "127.0.0.1:0", "--http-addr", "127.0.0.1:0")
	s.cmd.Stderr = os.Stderr
	must(s.cmd.Start())
	var e struct{ HTTP, TokenFile string }
	for range 100 {
		time.Sleep(100 * time.Millisecond)
		if raw, err := os.ReadFile(filepath.Join(s.data, "endpoint.json")); err == nil && json.Unmarshal(raw, &e) == nil {
			break
		}
	}
	s.http = "http://" + e.HTTP
	s.token = strings.TrimSpace(string(read(e.TokenFile)))
}

func (s *service) stop() {
	must(s.cmd.Process.Signal(syscall.SIGTERM))
	s.cmd.Wait()
}

func (s *service) post(path string, body any) map[string]any {
	raw, err := json.Marshal(body)
	must(err)
	req, err := http.NewRequest(http.MethodPost, s.http+path, bytes.NewReader(raw))
	must(err)
	req.Header.Set("Authorization", "Bearer "+s.token)
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	must(err)
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	must(err)
	var m map[string]any
	must(json.Unmarshal(got, &m))
	if resp.StatusCode != 200 {
		panic(string(got))
	}
	return m
}

func (s *service) statement(st string) (logIndex string) {
	return s.post("/v1/attestations", map[string]any{"statement": []byte(st)})["attestation"].(map[string]any)["logIndex"].(string)
}

func (s *service) envelope(k *ecdsa.PrivateKey, st string) {
	const kind = "application/vnd.in-toto+json"
	h := sha256.Sum256(fmt.Appendf(nil, "DSSEv1 %d %s %d %s", len(kind), kind, len(st), st))
	sig, err := ecdsa.SignASN1(rand.Reader, k, h[:])
	must(err)
	e, err := json.Marshal(map[string]any{"payloadType": kind, "payload": []byte(st), "signatures": []any{map[string]any{"keyid": "", "sig": base64.StdEncoding.EncodeToString(sig)}}})
	must(err)
	s.post("/v1/attestations", map[string]any{"envelope": e, "publicKey": publicPEM(k)})
}

func (s *service) bundle(path string) {
	s.post("/v1/attestations", map[string]any{"bundle": bytes.TrimSpace(read(path))})
}

func (s *service) apply(what, document string) {
	f := filepath.Join(os.TempDir(), what+".yaml")
	must(os.WriteFile(f, []byte(document), 0o600))
	cmd := exec.Command(filepath.Join(s.bin, "sekisho"), what, "apply", f, "--data", s.data)
	cmd.Env = append(os.Environ(), "SEKISHO_STATE_DIR="+filepath.Join(os.TempDir(), "upgrade-state"))
	if out, err := cmd.CombinedOutput(); err != nil {
		panic(string(out))
	}
}

func subject(name, of string) string {
	return fmt.Sprintf(`[{"name":%q,"digest":{"sha256":%q}}]`, name, sum(of))
}

func provenance(name, of, builder, parameters string) string {
	return fmt.Sprintf(`{"_type":"https://in-toto.io/Statement/v1","subject":%s,"predicateType":"https://slsa.dev/provenance/v1","predicate":{"buildDefinition":{"buildType":"https://localhost/make@v1","externalParameters":%s},"runDetails":{"builder":{"id":%q}}}}`,
		subject(name, of), parameters, builder)
}

func result(of, r string) string {
	return fmt.Sprintf(`{"_type":"https://in-toto.io/Statement/v1","subject":%s,"predicateType":"https://in-toto.io/attestation/test-result/v0.1","predicate":{"result":%q,"configuration":[{"name":"ci.yaml"}]}}`, subject("app", of), r)
}

const local = "https://localhost/builder"

var longBuilder = "https://team.example/" + strings.Repeat("b", 2500)
var longValue = strings.Repeat("v", 20_000)

// honest registers what people register, and what today's door would refuse and was
// honest at the time: a long subject name, builder id and parameter.
func (s *service) honest() {
	dir := "testdata/provenance/"
	for _, b := range []string{"MODULE.bazel.intoto.jsonl", "bundle-provenance.json", "bundle-publish.json"} {
		s.bundle(dir + b)
	}
	s.statement(provenance("app", "app", local, `{"source":"git+https://github.com/acme/app@refs/heads/main"}`))
	s.statement(provenance("tested", "tested", local, `{}`))
	s.statement(result("tested", "PASSED"))
	s.statement(provenance("broken", "broken", local, `{}`))
	s.statement(result("broken", "PASSED"))
	s.statement(result("broken", "FAILED"))
	s.apply("policy", `name: acme
version: 2
environments:
  - name: default
    rules:
      - artifacts: ["tested"]
        build: {minLevel: 1}
        externalParameters: {any: true}
        require: [{predicateType: https://in-toto.io/attestation/test-result/v0.1, signers: [sekisho], result: PASSED}]
      - artifacts: ["long"]
        build: {minLevel: 2}
        externalParameters: {long: `+longValue+`}
      - artifacts: ["*"]
        build: {minLevel: 1}
        source: {fromQuestion: true}
        externalParameters: {any: true}
`)
	team, stranger := newKey(), newKey()
	v1 := string(read(filepath.Join(s.data, "keys", "trust-root.yaml")))
	d := s.post("/v1/deployments:evaluate", map[string]any{"artifact": map[string]any{"digest": map[string]string{"sha256": sum("app")}}})
	v2 := strings.Replace(v1, "version: 1\n", "version: 2\nprevious: "+d["trustRoot"].(map[string]any)["digest"].(string)+"\n", 1)
	pem, err := json.Marshal(publicPEM(team))
	must(err)
	v2 = strings.Replace(v2, "\nsigners:\n", "\nsigners:\n  - {name: team, keys: [{pem: "+string(pem)+"}]}\n", 1)
	v2 = strings.Replace(v2, "\ntimeAuthorities:", "\n  - {id: "+longBuilder+", signers: [team], maxLevel: 3}\n  - {id: https://team.example/ci, signers: [team], maxLevel: 3}\n\ntimeAuthorities:", 1)
	s.apply("trust", v2)
	s.envelope(team, provenance(strings.Repeat("n", 3000), "long name", "https://team.example/ci", `{}`))
	s.envelope(team, provenance("long builder", "long builder", longBuilder, `{}`))
	s.envelope(team, provenance("long value", "long value", "https://team.example/ci", `{"long":"`+longValue+`"}`))
	s.envelope(team, provenance("other value", "other value", "https://team.example/ci", `{"long":"x`+longValue+`"}`))
	s.envelope(stranger, provenance("app", "strange", "https://team.example/ci", `{}`))
	s.statement(fmt.Sprintf(`{"_type":"https://in-toto.io/Statement/v1","subject":%s,"predicateType":"https://cyclonedx.org/bom","predicate":{"bomFormat":"CycloneDX","specVersion":"1.6","version":1,"components":[{"type":"library","name":"left-pad","version":"1.3.0","purl":"pkg:npm/left-pad@1.3.0"}]}}`, subject("app", "app")))
}

// answers asks everything.
func (s *service) answers() []question {
	for _, q := range []question{
		{Subject: "06ce330900a7d6403bc8d88e5dfad6aeeb8ae40179f66bb89e69c8bf6f6b1a0b", Level: 2, Source: "git+https://github.com/aspect-build/rules_lint"},
		{Subject: "06ce330900a7d6403bc8d88e5dfad6aeeb8ae40179f66bb89e69c8bf6f6b1a0b", Level: 2, Source: "git+https://github.com/acme/other"},
		{Subject: "06ce330900a7d6403bc8d88e5dfad6aeeb8ae40179f66bb89e69c8bf6f6b1a0b", Level: 3},
		{Subject: "app", Level: 1, Source: "git+https://github.com/acme/app"},
		{Subject: "app", Level: 2},
		{Subject: "app", Level: 1, Names: []string{"tested"}},
		{Subject: "tested", Level: 1, Names: []string{"tested"}},
		{Subject: "broken", Level: 1, Names: []string{"tested"}},
		{Subject: "long name", Level: 3},
		{Subject: "long builder", Level: 3},
		{Subject: "long value", Level: 2, Names: []string{"long"}},
		{Subject: "other value", Level: 2, Names: []string{"long"}},
		{Subject: "strange", Level: 1},
		{Subject: "nothing", Level: 1},
	} {
		d := s.post("/v1/deployments:evaluate", map[string]any{"artifact": map[string]any{"digest": map[string]string{"sha256": q.digest()}, "names": q.Names}, "minBuildLevel": q.Level, "source": q.Source})
		q.Verdict, q.BuildLevel = d["verdict"].(string), int(d["buildLevel"].(float64))
		for _, r := range d["reasons"].([]any) {
			q.Reasons = append(q.Reasons, r.(map[string]any)["code"].(string))
		}
		for _, e := range d["evidence"].([]any) {
			q.Evidence = append(q.Evidence, e.(map[string]any)["logIndex"].(string))
		}
		s.answered = append(s.answered, q)
	}
	return s.answered
}

// poisoned registers what stopped the service of that time for good (its findings C1),
// and one honest statement after it, whose index it returns.
func (s *service) poisoned() string {
	k := newKey()
	a := strings.Repeat("a", 5000)
	s.envelope(k, `{"_type":"https://in-toto.io/Statement/v1","predicateType":"https://x.example/`+a+`","subject":`+subject("a", "w1")+`,"predicate":{}}`)
	s.envelope(k, provenance("a", "w2", "https://x.example/"+a, `{}`))
	s.envelope(k, provenance("a", "w3", "https://x.example/b", `{"workflow":{"repository":"https://x.example/`+strings.Repeat("c", 9<<20)+`"}}`))
	k2, err := json.Marshal(map[string]string{"n": a})
	must(err)
	many := map[string]string{}
	for i := range 3000 {
		many[fmt.Sprint(i)] = "x"
	}
	m, err := json.Marshal(many)
	must(err)
	s.envelope(k, provenance("a", "w4", "https://x.example/b", string(k2)))
	s.envelope(k, provenance("a", "w5", "https://x.example/b", string(m)))
	return s.statement(provenance("after", "after the poison", local, `{}`))
}

func (s *service) write(path string, v any) {
	raw, err := json.MarshalIndent(v, "", " ")
	must(err)
	must(os.WriteFile(path, append(raw, '\n'), 0o644))
}

func newKey() *ecdsa.PrivateKey {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	return k
}

func publicPEM(k *ecdsa.PrivateKey) string {
	spki, err := x509.MarshalPKIXPublicKey(&k.PublicKey)
	must(err)
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: spki}))
}

func sum(s string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(s))) }

func read(path string) []byte {
	raw, err := os.ReadFile(path)
	must(err)
	return raw
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
