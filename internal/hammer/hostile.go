package hammer

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/sekisho-dev/sekisho/attest"
	sekishov1 "github.com/sekisho-dev/sekisho/proto/sekisho/v1"
	"github.com/sekisho-dev/sekisho/sign"
	"github.com/sekisho-dev/sekisho/sign/keyfile"
)

// hostile are strangers, and callers with a token who mean harm: a builder with a key
// of its own, whom the trust root does not name, and a deployer. Each deed is one that
// once harmed a service.
type hostile struct {
	s        *service
	builder  string // a token
	deployer string
	key      sign.Signer
	pem      string
	held     time.Duration    // for how long an attack holds what it has
	small    *grpc.ClientConn // what is small does not wait for what is large:
	large    *grpc.ClientConn // they come on connections of their own
	json     *http.Client
	serial   atomic.Int64
	from     atomic.Int64
}

// target is an artifact about which strangers say very much. Number 0 is allowed, by
// what who is honest said of it first; the others are not.
func target(n int) attest.Digest { return artifact("target", n) }

// aboutOne is how many attestations about one artifact a caller may register.
const aboutOne = 1024

func newHostile(s *service, t tokens, dir string, held time.Duration) (*hostile, error) {
	key, err := keyfile.OpenOrCreate(filepath.Join(dir, "stranger.pem"), attest.ECDSAP256SHA256)
	if err != nil {
		return nil, err
	}
	h := &hostile{s: s, builder: t.builder, deployer: t.deployer, held: held, key: key, pem: publicPEM(key.Key().SPKI)}
	for _, conn := range []**grpc.ClientConn{&h.small, &h.large} {
		if *conn, err = h.client(); err != nil {
			return nil, err
		}
	}
	h.json = &http.Client{Timeout: patience, Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, addr string) (net.Conn, error) { return h.dial(ctx, addr) },
	}}
	return h, nil
}

// client is a connection as gRPC makes it.
func (h *hostile) client() (*grpc.ClientConn, error) {
	return grpc.NewClient("passthrough:///"+h.s.grpc, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(h.dial), grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(64<<20)))
}

func (h *hostile) close() {
	h.small.Close() //nolint:errcheck // nothing is under way any more
	h.large.Close() //nolint:errcheck // likewise
	h.json.CloseIdleConnections()
}

// dial comes from another address of this machine each time, of eight, so that a limit
// on each is not what protects the others.
func (h *hostile) dial(ctx context.Context, addr string) (net.Conn, error) {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, byte(2+h.from.Add(1)%8))}}
	return d.DialContext(ctx, "tcp", addr)
}

// deeds are the attacks.
func (h *hostile) deeds() []deed {
	all := []deed{
		{name: "half a message, no token", workers: 2, pause: time.Second, do: h.halfMessages("", 16, 1<<20)},
		{name: "half a message, with a token", pause: time.Second, do: h.halfMessages(h.builder, 8, 4<<20)},
		{name: "connections: nothing sent", pause: time.Second, do: h.idle(h.s.grpc, "")},
		{name: "connections: h2 preface", pause: time.Second, do: h.idle(h.s.grpc, preface)},
		{name: "connections: half a header", pause: time.Second, do: h.idle(h.s.http, "GET /v1/policy HTTP/1.1\r\nHost: x\r\n")},
		{name: "connections: slow body, no token", pause: time.Second, do: h.idle(h.s.http, slowBody(""))},
		{name: "connections: slow body, token", pause: time.Second, do: h.idle(h.s.http, slowBody(h.builder))},
		{name: "streams opened and reset", pause: 200 * time.Millisecond, do: h.resets},
		{name: "connections opened and reset", pause: 10 * time.Millisecond, do: h.knocks},
		{name: "health watches without end", pause: time.Second, do: h.watches},
		{name: "explain, answer not read", pause: time.Second, do: h.unread},

		{name: "flood about one artifact", workers: 4, pause: 60 * time.Millisecond, do: h.flood},
		{name: "batch of 1,000 about it", pause: time.Second, do: h.batch},
		{name: "questions far ahead of the log", workers: 16, pause: 100 * time.Millisecond, do: h.ahead},
		{name: "questions far ahead, over JSON", workers: 16, pause: 100 * time.Millisecond, do: h.aheadJSON},
		{name: "poison: type of 5,018 bytes", pause: time.Second, do: h.poison("OVER_LIMIT", longType)},
		{name: "poison: builder of 5,010 bytes", pause: time.Second, do: h.poison("OVER_LIMIT", longBuilder)},
		{name: "poison: name of 11 MiB", pause: 4 * time.Second, do: h.poison("OVER_LIMIT", longName)},
		{name: "poison: parameter of 9 MiB", pause: 8 * time.Second, do: h.poison("", fatParameter)},
		{name: "poison: 1,024 subjects", pause: 3 * time.Second, do: h.poison("", manySubjects)},
		{name: "policy of 100,000 faults", pause: 4 * time.Second, do: h.poison("INVALID_POLICY", badPolicy)},
		{name: "SBOM of junk, by nobody listed", workers: 2, pause: time.Second, do: h.junk(h.builder, "SUBMITTER_NOT_ALLOWED", brackets)},
		{name: "SBOM of junk, by who may: nested", pause: 3 * time.Second, do: h.junk(h.s.token, "MALFORMED_SBOM", brackets)},
		{name: "SBOM of junk, by who may: twice", pause: 5 * time.Second, do: h.junk(h.s.token, "MALFORMED_SBOM", repeated)},

		{name: "JSON of 22 MiB, no token", workers: 2, pause: 500 * time.Millisecond, do: h.bigBody("")},
		{name: "JSON of 22 MiB, with a token", pause: 3 * time.Second, do: h.bigBody(h.builder)},
		{name: "JSON: not UTF-8", pause: 200 * time.Millisecond, do: h.body("{\"artifact\":{\"names\":[\"\xff\xfe\"]}}", "BAD_REQUEST")},
		{name: "JSON: something behind it", pause: 200 * time.Millisecond, do: h.body(`{"artifact":{}} {"artifact":{}}`, "BAD_REQUEST")},
		{name: "JSON: 100,000 brackets", pause: 500 * time.Millisecond, do: h.body(strings.Repeat("[", 100_000), "BAD_REQUEST")},
		{name: "paths that are not there", pause: 100 * time.Millisecond, do: h.nowhere},
		{name: "methods that are not there", pause: 100 * time.Millisecond, do: h.noMethod},
	}
	for i := range all {
		all[i].turned = 1 // an attack may be turned away always
	}
	return all
}

// create registers an envelope by the builder's own key.
func (h *hostile) create(ctx context.Context, on *grpc.ClientConn, statement []byte) (string, error) {
	envelope, err := sign.Envelope(ctx, h.key, attest.PayloadTypeInToto, statement)
	if err != nil {
		return "", err
	}
	ctx, cancel := patient(ctx, h.builder)
	defer cancel()
	_, err = sekishov1.NewAttestationServiceClient(on).CreateAttestation(ctx, &sekishov1.CreateAttestationRequest{
		Document: &sekishov1.CreateAttestationRequest_Envelope{Envelope: envelope.JSON()}, PublicKey: h.pem})
	return outcome(err), nil
}

// flood says something worthless, mostly about the newest target; when its quota is
// used up, there is another. Now and then, about the first, whose quota is used up too.
func (h *hostile) flood(ctx context.Context) (string, error) {
	n := int(h.serial.Add(1))
	about := target(1 + n/(2*aboutOne))
	if n%4 == 0 {
		about = target(0)
	}
	return h.create(ctx, h.small, provenance(about, "https://evil.example/builder", fmt.Sprint(n)))
}

// batch asks a thousand times about the artifact of which most is said.
func (h *hostile) batch(ctx context.Context) (string, error) {
	ctx, cancel := patient(ctx, h.deployer)
	defer cancel()
	req := &sekishov1.BatchEvaluateDeploymentsRequest{}
	for i := range 1000 {
		req.Requests = append(req.Requests, ask(target(i%2), 1))
	}
	_, err := sekishov1.NewAdmissionServiceClient(h.small).BatchEvaluateDeployments(ctx, req)
	return outcome(err), nil
}

// far is a size that the log will never have.
const far = 1 << 60

func (h *hostile) ahead(ctx context.Context) (string, error) {
	ctx, cancel := patient(ctx, h.deployer)
	defer cancel()
	req := ask(target(0), 1)
	req.MinLogSize = far
	_, err := sekishov1.NewAdmissionServiceClient(h.small).EvaluateDeployment(ctx, req)
	return expected("an error", outcome(err))
}

// expected makes a fault of what was done and should have been refused; where nothing
// is expected, it may be done.
func expected(want, how string) (string, error) {
	if want != "" && how == ok {
		return "", fmt.Errorf("it was done, want %s", want)
	}
	return how, nil
}
