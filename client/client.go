package client

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/sekisho-dev/sekisho/attest"
	sekishov1 "github.com/sekisho-dev/sekisho/proto/sekisho/v1"
	"github.com/sekisho-dev/sekisho/tlog"
)

// maxMessage is the longest answer that is read: a 16 MiB document, as envelope
// and as bundle.
const maxMessage = 64 << 20

// A Config says whom to ask, and what is known of them already.
type Config struct {
	// Server is the gRPC address, "host:port".
	Server string
	// Unnamed says that nobody has named the server: it is asked where one is by
	// default. Whoever listens there is shown nothing and believed in nothing that
	// a caller's credential would guard: only public methods are called.
	Unnamed bool
	// Token is sent as a bearer token with every call that needs one, once the
	// service has shown the right log on that connection; empty for none.
	Token string
	// TLS is used if it is not nil. Without it loopback addresses are asked in
	// plain text and all others with the system's roots.
	TLS *tls.Config
	// Plaintext allows plain text, token included, to any address.
	Plaintext bool

	// State is the directory in which the logs that were met are remembered, one
	// file each. Empty: what is seen is remembered only as long as the Client.
	State string
	// LogKey pins the log's key ("origin+id+base64"). Empty: the key that the
	// server shows at first is believed, and only that one afterwards.
	LogKey string
	// LogOrigin is the log's origin where somebody trustworthy, such as the
	// service's own endpoint file, has told it: another log is refused, and this one
	// may stand where another was met before. Origins made by default are unique for
	// each key.
	LogOrigin string

	// Now is the clock by which answers expire. Required.
	Now func() time.Time
	// Warn is told, in a sentence, what the caller might want to know and is no
	// reason to fail. Nil: nobody wants to know. It may be called concurrently.
	Warn func(string)
	// DialOptions are applied last.
	DialOptions []grpc.DialOption
}

// A Client asks one service. Its methods may be used concurrently.
type Client struct {
	c       Config
	conn    *grpc.ClientConn
	attests sekishov1.AttestationServiceClient
	admits  sekishov1.AdmissionServiceClient
	logs    sekishov1.LogServiceClient
	trust   sekishov1.TrustServiceClient
	sboms   sekishov1.SbomServiceClient
	memory  memory
	forgets sync.Once

	meeting  sync.Mutex // held while the log is being met, or shown again
	mu       sync.Mutex
	verifier *tlog.Verifier    // of the log's checkpoints; nil until the log was met
	largest  attest.Checkpoint // the largest that was verified
}

// New returns a client. It does not connect yet. Errors: [ErrInsecure], and those
// of a malformed address, token or log key.
func New(c Config) (*Client, error) {
	if c.Now == nil {
		return nil, errors.New("client: no clock")
	}
	if c.Warn == nil {
		c.Warn = func(string) {}
	}
	if _, port, err := net.SplitHostPort(c.Server); err != nil || port == "" {
		return nil, fmt.Errorf("server %.200q: want host:port, the gRPC address, such as 127.0.0.1:7443", c.Server)
	}
	if c.LogKey != "" {
		if _, err := tlog.NewVerifier(c.LogKey); err != nil {
			return nil, err
		}
	}
	client := &Client{c: c, memory: memory{dir: c.State}}
	opts, err := client.dialOptions()
	if err != nil {
		return nil, err
	}
	conn, err := grpc.NewClient("dns:///"+c.Server, opts...) // whatever its name, it is a host's
	if err != nil {
		return nil, fmt.Errorf("server %.200q: %w", c.Server, err)
	}
	client.conn = conn
	client.attests = sekishov1.NewAttestationServiceClient(conn)
	client.admits = sekishov1.NewAdmissionServiceClient(conn)
	client.logs = sekishov1.NewLogServiceClient(conn)
	client.trust = sekishov1.NewTrustServiceClient(conn)
	client.sboms = sekishov1.NewSbomServiceClient(conn)
	return client, nil
}

// Close closes the connection.
func (c *Client) Close() error { return c.conn.Close() }

func (c *Client) dialOptions() ([]grpc.DialOption, error) {
	transport, secure := insecure.NewCredentials(), false
	if c.c.TLS != nil || !c.c.Plaintext && !Loopback(c.c.Server) {
		transport, secure = credentials.NewTLS(c.c.TLS), true
	}
	if c.c.TLS != nil && c.c.Plaintext {
		return nil, fmt.Errorf("%w: TLS and plain text were both asked for", ErrInsecure)
	}
	opts := []grpc.DialOption{
		grpc.WithTransportCredentials(lines{transport}),
		grpc.WithDefaultServiceConfig(retries),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage), grpc.MaxCallSendMsgSize(maxMessage)),
		grpc.WithUnaryInterceptor(c.call),
	}
	if c.c.Token != "" {
		if strings.ContainsFunc(c.c.Token, func(r rune) bool { return r <= ' ' || r > '~' }) {
			return nil, errors.New("the token has spaces or characters that no token has; it is not shown here")
		}
		opts = append(opts, grpc.WithPerRPCCredentials(bearer{c.c.Token, secure}))
	}
	return append(opts, c.c.DialOptions...), nil
}

// Loopback reports whether an address, "host:port", is of this machine, so that
// nobody can stand between.
func Loopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// retries has reads, and only reads, asked again when the service is unavailable:
// four times in all, within about a second, with grpc's jitter. A registration
// that failed may have been done.
const retries = `{"methodConfig":[{
	"name":[
		{"service":"sekisho.v1.AdmissionService"},
		{"service":"sekisho.v1.LogService"},
		{"service":"sekisho.v1.TrustService"},
		{"service":"sekisho.v1.AttestationService","method":"GetAttestation"},
		{"service":"sekisho.v1.AttestationService","method":"ListAttestations"},
		{"service":"sekisho.v1.SbomService","method":"GetSbom"},
		{"service":"sekisho.v1.SbomService","method":"ListComponents"},
		{"service":"sekisho.v1.SbomService","method":"ListDependents"}],
	"retryPolicy":{"maxAttempts":4,"initialBackoff":"0.1s","maxBackoff":"1s","backoffMultiplier":2,"retryableStatusCodes":["UNAVAILABLE"]}}]}`
