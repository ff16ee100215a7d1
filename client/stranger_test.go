package client_test

import (
	"context"
	"errors"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/sekisho-dev/sekisho/client"
	sekishov1 "github.com/sekisho-dev/sekisho/proto/sekisho/v1"
)

// A relay stands at an address of its own, writes down what it is sent, and passes it
// on to a service. What it changes on the way back is a lie.
type relay struct {
	addr string
	stop func()
	lie  func(resp proto.Message)

	mu   sync.Mutex
	sent map[string]string // method -> the authorization it came with
}

// relayTo relays from an address, or from a free one, to a service.
func relayTo(t *testing.T, s *service, addr string, lie func(proto.Message)) *relay {
	t.Helper()
	if addr == "" {
		addr = "127.0.0.1:0"
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := grpc.NewClient(s.addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{addr: l.Addr().String(), lie: lie, sent: map[string]string{}}
	pass := func(ctx context.Context, req any, info *grpc.UnaryServerInfo, _ grpc.UnaryHandler) (any, error) {
		md, _ := metadata.FromIncomingContext(ctx)
		token := strings.Join(md.Get("authorization"), "; ")
		r.mu.Lock()
		r.sent[info.FullMethod[strings.LastIndexByte(info.FullMethod, '/')+1:]] = token
		r.mu.Unlock()
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", token)
		resp := answerOf(t, info.FullMethod)
		if err := conn.Invoke(ctx, info.FullMethod, req, resp); err != nil {
			return nil, err
		}
		if r.lie != nil {
			r.lie(resp)
		}
		return resp, nil
	}
	g := grpc.NewServer(grpc.UnaryInterceptor(pass))
	sekishov1.RegisterAttestationServiceServer(g, sekishov1.UnimplementedAttestationServiceServer{})
	sekishov1.RegisterAdmissionServiceServer(g, sekishov1.UnimplementedAdmissionServiceServer{})
	sekishov1.RegisterLogServiceServer(g, sekishov1.UnimplementedLogServiceServer{})
	sekishov1.RegisterTrustServiceServer(g, sekishov1.UnimplementedTrustServiceServer{})
	sekishov1.RegisterSbomServiceServer(g, sekishov1.UnimplementedSbomServiceServer{})
	go g.Serve(l)
	r.stop = func() { g.Stop(); conn.Close() }
	t.Cleanup(r.stop)
	return r
}

// answerOf makes the message that a method answers with.
func answerOf(t *testing.T, method string) proto.Message {
	t.Helper()
	name := protoreflect.FullName(strings.ReplaceAll(strings.TrimPrefix(method, "/"), "/", "."))
	d, err := protoregistry.GlobalFiles.FindDescriptorByName(name)
	if err != nil {
		t.Fatal(err)
	}
	m, err := protoregistry.GlobalTypes.FindMessageByName(d.(protoreflect.MethodDescriptor).Output().FullName())
	if err != nil {
		t.Fatal(err)
	}
	return m.New().Interface()
}

// seen returns what came, and the methods that came with a token.
func (r *relay) seen() (all map[string]string, withToken []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for method, token := range r.sent {
		if token != "" {
			withToken = append(withToken, method)
		}
	}
	slices.Sort(withToken)
	return maps.Clone(r.sent), withToken
}

func at(addr string) with { return func(c *client.Config) { c.Server = addr } }

// shows has every checkpoint come from another log.
func shows(other *liar) func(proto.Message) {
	return func(resp proto.Message) { other.reseal(resp.ProtoReflect()) }
}

// everything are all the ways to ask, each as the first that a client does.
var everything = map[string]func(s *stage, c *client.Client) error{
	"register":   register,
	"get":        get("2"),
	"list":       list,
	"evaluate":   evaluate,
	"batch":      evaluateTwo,
	"get SBOM":   getSBOM,
	"explain":    func(s *stage, c *client.Client) error { _, err := c.Explain(s.t.Context(), question(app)); return err },
	"trust root": func(s *stage, c *client.Client) error { _, err := c.TrustRoot(s.t.Context()); return err },
	"policy":     func(s *stage, c *client.Client) error { _, err := c.Policy(s.t.Context()); return err },
	"upload SBOM": func(s *stage, c *client.Client) error {
		_, err := c.UploadSBOM(s.t.Context(), &sekishov1.UploadSbomRequest{Artifact: question(app).Artifact, Document: bom})
		return err
	},
	"components": func(s *stage, c *client.Client) error {
		for _, err := range c.Components(s.t.Context(), string(app)) {
			return err
		}
		return nil
	},
	"dependents": func(s *stage, c *client.Client) error {
		for _, err := range c.Dependents(s.t.Context(), "pkg:npm/left-pad") {
			return err
		}
		return nil
	},
	"checkpoint":   func(s *stage, c *client.Client) error { _, err := c.Checkpoint(s.t.Context()); return err },
	"prove":        func(s *stage, c *client.Client) error { _, err := c.Prove(s.t.Context(), 2); return err },
	"log":          func(s *stage, c *client.Client) error { _, _, err := c.Log(s.t.Context()); return err },
	"keys":         func(s *stage, c *client.Client) error { _, err := c.Keys(s.t.Context()); return err },
	"trusted root": func(s *stage, c *client.Client) error { _, err := c.TrustedRoot(s.t.Context()); return err },
}

// TestTokenIsOnlyForARecognisedService: a service whose log is not the one that was
// pinned, told of, or met there sees one question, for its log, and no token,
// whatever is asked first.
func TestTokenIsOnlyForARecognisedService(t *testing.T) {
	s := newStage(t)
	stranger := relayTo(t, s.service, "", shows(newLiar(t, "log.example/stranger")))
	dir := t.TempDir()
	honest := relayTo(t, s.service, "", nil)
	v, _ := met(t, s.service.ask(t, at(honest.addr), state(dir)))
	honest.stop()
	taken := relayTo(t, s.service, honest.addr, shows(newLiar(t, "log.example/thief")))
	for name, ask := range everything {
		for how, c := range map[string]struct {
			asked  *relay
			option with
		}{
			"pinned":   {stranger, func(c *client.Config) { c.LogKey = v.String() }},
			"told of":  {stranger, func(c *client.Config) { c.LogOrigin = v.Origin() }},
			"met here": {taken, state(dir)},
		} {
			t.Run(name+", "+how, func(t *testing.T) {
				s.t = t
				if err := ask(s, s.service.ask(t, at(c.asked.addr), c.option)); !errors.Is(err, client.ErrLogKeyChanged) {
					t.Errorf("%v, want LOG_KEY_CHANGED", err)
				}
			})
		}
	}
	for _, r := range []*relay{stranger, taken} {
		all, withToken := r.seen()
		if len(all) != 1 || len(withToken) != 0 {
			t.Errorf("the stranger was asked %v, with a token %v; want GetCheckpoint alone, without", all, withToken)
		}
	}
}

// TestPublicMethodsCarryNoToken: what is answered to everybody is asked as anybody
// asks it, and everything else with the token.
func TestPublicMethodsCarryNoToken(t *testing.T) {
	s := newStage(t)
	r := relayTo(t, s.service, "", nil)
	for name, ask := range everything {
		t.Run(name, func(t *testing.T) {
			s.t = t
			if err := ask(s, s.service.ask(t, at(r.addr))); err != nil {
				t.Error(err)
			}
		})
	}
	all, withToken := r.seen()
	want := []string{
		"BatchEvaluateDeployments", "CreateAttestation", "EvaluateDeployment", "ExplainArtifact", "GetAttestation", "GetPolicy",
		"GetSbom", "GetTrustRoot", "ListAttestations", "ListComponents", "ListDependents", "UploadSbom",
	}
	if !slices.Equal(withToken, want) {
		t.Errorf("with a token: %v\nwant: %v", withToken, want)
	}
	for _, public := range []string{"GetCheckpoint", "GetInclusionProof", "ListKeys", "GetTrustedRoot"} {
		if _, asked := all[public]; !asked {
			t.Errorf("%s was not asked", public)
		}
	}
}

// TestTokenIsKeptBackOnANewConnection: a client that has met the log asks again who is
// there when its connection is another, because a port may have changed hands.
func TestTokenIsKeptBackOnANewConnection(t *testing.T) {
	s := newStage(t)
	first := relayTo(t, s.service, "", nil)
	c := s.service.ask(t, at(first.addr))
	if err := evaluate(s, c); err != nil {
		t.Fatal(err)
	}
	first.stop()
	thief := relayTo(t, s.service, first.addr, shows(newLiar(t, "log.example/thief")))
	if err := evaluate(s, c); !errors.Is(err, client.ErrLogKeyChanged) {
		t.Errorf("%v, want LOG_KEY_CHANGED", err)
	}
	if all, withToken := thief.seen(); len(all) != 1 || len(withToken) != 0 {
		t.Errorf("the thief of the port was asked %v, with a token %v", all, withToken)
	}
	thief.stop()
	again := relayTo(t, s.service, first.addr, nil)
	if err := evaluate(s, c); err != nil {
		t.Errorf("the service itself, started again: %v", err)
	}
	if all, withToken := again.seen(); !slices.Equal(withToken, []string{"EvaluateDeployment"}) || len(all) != 2 {
		t.Errorf("the service itself was asked %v, with a token %v", all, withToken)
	}
}

// TestUnnamedIsAskedWhatIsPublic: of a service that nobody named no answer is taken
// that an honest one would not give without a token.
func TestUnnamedIsAskedWhatIsPublic(t *testing.T) {
	s := newStage(t)
	r := relayTo(t, s.service, "", nil)
	public := []string{"checkpoint", "prove", "log", "keys", "trusted root"}
	for name, ask := range everything {
		t.Run(name, func(t *testing.T) {
			s.t = t
			err := ask(s, s.service.ask(t, at(r.addr), func(c *client.Config) { c.Unnamed = true }))
			switch {
			case slices.Contains(public, name) && err != nil:
				t.Error(err)
			case !slices.Contains(public, name) && (!errors.Is(err, client.ErrUnauthenticated) || !strings.Contains(err.Error(), "--server "+r.addr)):
				t.Errorf("%v, want UNAUTHENTICATED, and how to name the server", err)
			}
		})
	}
	if all, withToken := r.seen(); len(withToken) != 0 || len(all) != 4 {
		t.Errorf("asked %v, with a token %v", all, withToken)
	}
	dir := t.TempDir()
	met(t, s.service.ask(t, at(r.addr), state(dir), func(c *client.Config) { c.Unnamed = true }))
	if files := logs(t, dir); len(files) != 0 {
		t.Errorf("it was remembered as the one that is right there: %v", files)
	}
}

// TestAnotherLogWhereOneWasMet: only somebody trustworthy may say that it is right,
// also on this machine; and what is not proven makes nobody forget.
func TestAnotherLogWhereOneWasMet(t *testing.T) {
	s, dir := newStage(t), t.TempDir()
	first := relayTo(t, s.service, "", nil)
	met(t, s.service.ask(t, at(first.addr), state(dir)))
	first.stop()
	other := newLiar(t, "log.example/other")
	vouched := func(c *client.Config) { c.LogOrigin = other.key.Origin() }
	files := remembered(t, dir)

	unproven := relayTo(t, s.service, first.addr, func(resp proto.Message) {
		other.reseal(resp.ProtoReflect())
		if r, ok := resp.(*sekishov1.GetCheckpointResponse); ok {
			r.Checkpoint = "nothing signed"
		}
	})
	if err := evaluate(s, s.service.ask(t, at(first.addr), state(dir), vouched)); !errors.Is(err, client.ErrBadProof) {
		t.Errorf("unproven: %v, want BAD_PROOF", err)
	}
	if !maps.Equal(files, remembered(t, dir)) {
		t.Error("a log that proved nothing changed what is remembered")
	}
	unproven.stop()

	relayTo(t, s.service, first.addr, shows(other))
	if err := evaluate(s, s.service.ask(t, at(first.addr), state(dir))); !errors.Is(err, client.ErrLogKeyChanged) {
		t.Errorf("not vouched for: %v, want LOG_KEY_CHANGED", err)
	}
	var said []string
	if err := evaluate(s, s.service.ask(t, at(first.addr), state(dir), vouched, warnTo(&said))); err != nil {
		t.Errorf("vouched for: %v", err)
	}
	if len(said) != 1 || !strings.Contains(said[0], "log.example/other") {
		t.Errorf("said %q, want one sentence that names the new log", said)
	}
}
