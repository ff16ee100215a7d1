package client

import (
	"errors"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// TestUnreachable: what grpc says of a service that does not answer becomes a sentence
// that says who, why, and what to do.
func TestUnreachable(t *testing.T) {
	for _, c := range []struct {
		code   codes.Code
		grpc   string
		reason Reason
		want   string
	}{
		{codes.Unavailable, `max retries exhausted: failed after 4 attempts: rpc error: code = Unavailable desc = connection error: desc = "transport: Error while dialing: dial tcp 127.0.0.1:1: connect: connection refused"`,
			ErrUnreachable, "no answer from HOST:1: dial tcp 127.0.0.1:1: connect: connection refused; is sekishod running, and is this its gRPC address?"},
		{codes.Unavailable, `connection error: desc = "error reading server preface: EOF"`,
			ErrUnreachable, "no answer from HOST:1: error reading server preface: EOF; it speaks TLS (--ca-file), or something else"},
		{codes.Unavailable, `connection error: desc = "transport: authentication handshake failed: tls: failed to verify certificate: x509: certificate signed by unknown authority (candidate \"x\")"`,
			ErrUnreachable, `no answer from HOST:1: authentication handshake failed: tls: failed to verify certificate: x509: certificate signed by unknown authority (candidate "x"); name who issued its certificate (--ca-file)`},
		{codes.DeadlineExceeded, "context deadline exceeded", ErrDeadlineExceeded, "HOST:1 did not answer in the time allowed: context deadline exceeded"},
		{codes.ResourceExhausted, "grpc: received message larger than max (30 vs. 24)", ErrDocumentTooLarge, "the document is too large to be sent: grpc: received message larger than max (30 vs. 24)"},
		{codes.Unimplemented, "unknown method Explain for service sekisho.v1.AdmissionService", ErrUnimplemented,
			"unknown method Explain for service sekisho.v1.AdmissionService; the service is older than this client, or another one"},
	} {
		err := fromWire(status.Error(c.code, c.grpc), "HOST:1", "the-token-of-this-test")
		if !errors.Is(err, c.reason) || err.Error() != c.want {
			t.Errorf("%.60s: %v, want %s", c.grpc, err, c.want)
		}
	}
	if err := fromWire(status.Error(codes.Unavailable, "sent the-secret"), "HOST:1", "the-secret"); strings.Contains(err.Error(), "the-secret") {
		t.Errorf("%v shows the token", err)
	}
}
