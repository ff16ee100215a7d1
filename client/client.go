package client

import (
	"context"
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
	// Token is sent as a bearer token with every call; empty for none.
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
	// service's own endpoint file, has told it. Origins made by default are unique
	// for each key.
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

	meeting  sync.Mutex // held while the log is being met
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
	opts, err := c.dialOptions()
	if err != nil {
		return nil, err
	}
	conn, err := grpc.NewClient("dns:///"+c.Server, opts...) // whatever its name, it is a host's
	if err != nil {
		return nil, fmt.Errorf("server %.200q: %w", c.Server, err)
	}
	return &Client{
		c:       c,
		conn:    conn,
		attests: sekishov1.NewAttestationServiceClient(conn),
		admits:  sekishov1.NewAdmissionServiceClient(conn),
		logs:    sekishov1.NewLogServiceClient(conn),
		trust:   sekishov1.NewTrustServiceClient(conn),
		sboms:   sekishov1.NewSbomServiceClient(conn),
		memory:  memory{dir: c.State},
	}, nil
}

// Close closes the connection.
func (c *Client) Close() error { return c.conn.Close() }

func (c *Config) dialOptions() ([]grpc.DialOption, error) {
	transport, secure := insecure.NewCredentials(), false
	if c.TLS != nil || !c.Plaintext && !Loopback(c.Server) {
		transport, secure = credentials.NewTLS(c.TLS), true
	}
	if c.TLS != nil && c.Plaintext {
		return nil, fmt.Errorf("%w: TLS and plain text were both asked for", ErrInsecure)
	}
	opts := []grpc.DialOption{
		grpc.WithTransportCredentials(transport),
		grpc.WithDefaultServiceConfig(retries),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage), grpc.MaxCallSendMsgSize(maxMessage)),
		grpc.WithUnaryInterceptor(func(ctx context.Context, method string, req, resp any, conn *grpc.ClientConn, next grpc.UnaryInvoker, o ...grpc.CallOption) error {
			return fromWire(next(ctx, method, req, resp, conn, o...), c.Server, c.Token)
		}),
	}
	if c.Token != "" {
		if strings.ContainsFunc(c.Token, func(r rune) bool { return r <= ' ' || r > '~' }) {
			return nil, errors.New("the token has spaces or characters that no token has; it is not shown here")
		}
		opts = append(opts, grpc.WithPerRPCCredentials(bearer{c.Token, secure}))
	}
	return append(opts, c.DialOptions...), nil
}

// bearer sends the token.
type bearer struct {
	token  string
	secure bool
}

func (b bearer) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer " + b.token}, nil
}

// RequireTransportSecurity lets grpc refuse to send the token in plain text,
// wherever that was not decided above.
func (b bearer) RequireTransportSecurity() bool { return b.secure }

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
