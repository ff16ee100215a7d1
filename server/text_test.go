package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"unicode/utf8"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/sekisho-dev/sekisho/client"
	"github.com/sekisho-dev/sekisho/sign"
	"github.com/sekisho-dev/sekisho/store"
)

// short complains of a status that is too much for a header.
func short(t *testing.T, what string, s *status.Status) {
	t.Helper()
	if n := len(s.Message()); n > maxText || !utf8.ValidString(s.Message()) {
		t.Errorf("%s: a message of %d bytes, valid %v; want at most %d", what, n, utf8.ValidString(s.Message()), maxText)
	}
	if n := proto.Size(s.Proto()); n > 6*maxText {
		t.Errorf("%s: a status of %d bytes", what, n)
	}
	if infoOf(s) == nil {
		t.Errorf("%s: no reason: %v", what, s)
	}
}

// FuzzStatusIsShort: whatever error goes in, what crosses the wire is short, UTF-8,
// and has a reason of the table.
func FuzzStatusIsShort(f *testing.F) {
	f.Add("x", 1, uint8(0))
	f.Add("é\xff", 3000, uint8(5))
	f.Add("\xc3", 5000, uint8(60))
	f.Fuzz(func(t *testing.T, part string, times int, which uint8) {
		if times < 0 || times*len(part) > 1<<20 {
			return
		}
		text := strings.Repeat(part, times)
		made, err := status.New(codes.Code(which%17), text).WithDetails(&errdetails.ErrorInfo{
			Reason: "BAD_REQUEST", Domain: ErrorDomain, Metadata: map[string]string{strings.ToValidUTF8(part, ""): strings.ToValidUTF8(text, "")},
		})
		if err != nil && which%17 != 0 {
			t.Fatal(err)
		}
		log := slog.New(slog.DiscardHandler)
		ctx := context.WithValue(t.Context(), callKey, &call{Context: t.Context()})
		for _, err := range []error{
			errors.New(text),
			fmt.Errorf("%s: %w", text, outcomes[int(which)%len(outcomes)].err),
			status.Error(codes.Code(which%16+1), text),
			made.Err(),
			fmt.Errorf("%s: %w", text, status.Error(codes.Code(which%16+1), text)),
		} {
			if err == nil {
				continue
			}
			short(t, fmt.Sprintf("%.60v", err), status.Convert(toStatus(ctx, log, err)))

			w := httptest.NewRecorder()
			new(gateway).fail(ctx, nil, nil, w, nil, err)
			if n := w.Body.Len(); n > 16*maxText || w.Code < 400 {
				t.Errorf("HTTP %d, %d bytes", w.Code, n)
			}
		}
	})
}

// TestRemediesAreNotCut: however long the cause, what to do stands at the end.
func TestRemediesAreNotCut(t *testing.T) {
	for reason, remedy := range remedies {
		for _, o := range outcomes {
			if o.reason != reason {
				continue
			}
			s := status.Convert(toStatus(t.Context(), slog.New(slog.DiscardHandler), fmt.Errorf("%s: %w", strings.Repeat("long ", 1000), o.err)))
			if !strings.HasSuffix(s.Message(), remedy) {
				t.Errorf("%s ends %q, want %q", reason, s.Message()[max(0, len(s.Message())-60):], remedy)
			}
			short(t, reason, s)
		}
	}
}

// TestNothingOfThisHost: under whichever sentinel an error names a file or an address
// of the service's, the caller is told the sentinel and the log the rest.
func TestNothingOfThisHost(t *testing.T) {
	const secret = "/var/lib/sekisho/blobs/segment-00000001"
	causes := map[string]error{
		"path":    &fs.PathError{Op: "open", Path: secret, Err: syscall.EMFILE},
		"link":    &os.LinkError{Op: "rename", Old: secret, New: secret + "x", Err: syscall.EIO},
		"syscall": os.NewSyscallError("fsync "+secret, syscall.EIO),
		"address": &net.OpError{Op: "dial", Net: "tcp", Addr: &net.TCPAddr{IP: net.IPv4(10, 9, 8, 7), Port: 8200}, Err: syscall.ECONNREFUSED},
		"name":    &net.DNSError{Err: "no such host", Name: "vault.10.9.8.7.internal"},
		"url":     &url.Error{Op: "Put", URL: "https://10.9.8.7:8200/v1" + secret, Err: syscall.ECONNREFUSED},
	}
	for name, cause := range causes {
		for _, o := range outcomes {
			var logged bytes.Buffer
			ctx := context.WithValue(t.Context(), callKey, &call{Context: t.Context()})
			id := requestID(ctx)
			err := fmt.Errorf("%w: writing: %w", o.err, cause)
			s := status.Convert(toStatus(ctx, slog.New(slog.NewTextHandler(&logged, nil)), err))
			if hasPath(s.Message()) || strings.Contains(s.Message(), "10.9.8.7") {
				t.Errorf("%s under %s: %s", name, o.reason, s.Message())
			}
			if !strings.Contains(logged.String(), id) || !strings.Contains(logged.String(), strings.Split(cause.Error(), `"`)[0]) {
				t.Errorf("%s under %s: the log has %q", name, o.reason, logged.String())
			}
			if got := infoOf(s); got.GetReason() != o.reason || got.GetMetadata()["requestId"] != id {
				t.Errorf("%s under %s: %v", name, o.reason, got)
			}
		}
	}
	log := slog.New(slog.DiscardHandler)
	for name, err := range map[string]error{
		"a type that was lost": fmt.Errorf("%w: open %s: no space left on device", store.ErrFull, secret),
		"a keeper's words":     fmt.Errorf("%w: %q", sign.ErrUnavailable, `Put "https://10.9.8.7:8200/v1/transit": refused`),
	} {
		if text := status.Convert(toStatus(t.Context(), log, err)).Message(); hasPath(text) || strings.Contains(text, "10.9.8.7") {
			t.Errorf("%s: %s", name, text)
		}
	}
	// What the caller sent is theirs to read again.
	if text := status.Convert(toStatus(t.Context(), log, fmt.Errorf("%w: found /etc/x/y", errBadRequest))).Message(); !strings.Contains(text, "/etc/x/y") {
		t.Errorf("%s", text)
	}
}

// hasPath reports whether a text has a slash that is none of a URL's.
func hasPath(text string) bool {
	return strings.Contains(regexp.MustCompile(`https?://[^\s"]*`).ReplaceAllString(text, ""), "/")
}

// TestEveryCodeOfGRPCHasAReason: a status that grpc made, or that is wrapped in an error
// of ours, has a reason of the table on both ports, and no text of megabytes.
func TestEveryCodeOfGRPCHasAReason(t *testing.T) {
	for c := codes.Canceled; c <= codes.Unauthenticated; c++ {
		made := status.Error(c, "made by grpc "+strings.Repeat("x", 1<<20))
		onGRPC := status.Convert(toStatus(t.Context(), slog.New(slog.DiscardHandler), made))
		short(t, c.String(), onGRPC)

		w := httptest.NewRecorder()
		new(gateway).fail(t.Context(), nil, nil, w, nil, made)
		reason := infoOf(onGRPC).GetReason()
		if !strings.Contains(w.Body.String(), `"reason":"`+reason+`"`) {
			t.Errorf("%v: %s over gRPC, and %.200s over HTTP", c, reason, w.Body)
		}
		if o, ok := rowOf(ofCode(status.Convert(made))); !ok || o.reason != reason {
			t.Errorf("%v: %s is not the table's %s", c, reason, o.reason)
		}
	}
	lost := status.Error(codes.Unavailable, "error reading from server: connection error: COMPRESSION_ERROR")
	for closed, want := range map[bool]client.Reason{false: client.ErrConnectionLost, true: client.ErrShuttingDown} {
		g, w := &gateway{}, httptest.NewRecorder()
		g.closed.Store(closed)
		if g.fail(t.Context(), nil, nil, w, nil, lost); w.Code != 503 || !strings.Contains(w.Body.String(), `"reason":"`+string(want)+`"`) {
			t.Errorf("shutting down %v: %d %s, want %s", closed, w.Code, w.Body, want)
		}
	}
}
