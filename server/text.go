package server

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"regexp"
	"strings"
	"unicode/utf8"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// Limits on what an error says. The text travels in a header of HTTP/2, percent
// encoded and once more in the details: a long one breaks the connection, with the
// calls of everybody on it.
const (
	maxText     = 2 << 10 // bytes of a message
	maxMetadata = 16      // entries of an ErrorInfo
	maxValue    = 256     // bytes of each key and value there
)

// cut returns text as valid UTF-8 of at most most bytes, which says so where
// something is missing.
func cut(text string, most int) string {
	if len(text) > most {
		tail := fmt.Sprintf("… (cut, of %d bytes)", len(text))
		end := max(0, most-len(tail))
		for end > 0 && !utf8.RuneStart(text[end]) {
			end--
		}
		// What is not UTF-8 is replaced by nothing, so that it cannot grow.
		return strings.ToValidUTF8(text[:end], "") + tail
	}
	return strings.ToValidUTF8(text, "")
}

// ending puts a remedy behind a text, which is cut where both are too long: what to
// do is never cut off.
func ending(text, remedy string) string { return cut(text, maxText-len(remedy)) + remedy }

// bounded holds a status that came from somewhere else, a handler or another
// server, to the bounds of our own.
func bounded(s *status.Status, info *errdetails.ErrorInfo) *status.Status {
	kept := &errdetails.ErrorInfo{Reason: cut(info.GetReason(), maxValue), Domain: ErrorDomain, Metadata: map[string]string{}}
	for k, v := range info.GetMetadata() {
		if len(kept.Metadata) < maxMetadata {
			kept.Metadata[cut(k, maxValue)] = cut(v, maxValue)
		}
	}
	text := cut(s.Message(), maxText)
	if text == s.Message() && len(s.Details()) == len(details(kept)) && proto.Equal(kept, info) {
		return s
	}
	out, err := status.New(s.Code(), text).WithDetails(details(kept)...)
	if err != nil {
		return status.New(s.Code(), text)
	}
	return out
}

// ofThisHost reports whether an error says what is only this host's business: files,
// and the addresses that the service asks. A stranger learns from them how it is set
// up. What keepers of keys answer is all of that kind. A cause whose type was lost on
// the way is known by its text.
func ofThisHost(o outcome, err error) bool {
	var (
		path    *fs.PathError
		link    *os.LinkError
		syscall *os.SyscallError
		op      *net.OpError
		dns     *net.DNSError
		address *net.AddrError
		asked   *url.Error
	)
	switch {
	case errors.As(err, &path), errors.As(err, &link), errors.As(err, &syscall), errors.As(err, &op),
		errors.As(err, &dns), errors.As(err, &address), errors.As(err, &asked) && asked.Op != "parse", // what was parsed came from the caller
		strings.HasPrefix(o.reason, "KEY_"):
		return true
	case o.code == codes.InvalidArgument, o.code == codes.PermissionDenied: // the caller's own words
		return false
	}
	return absolutePath.MatchString(err.Error())
}

// absolutePath finds the name of a file, and no URL.
var absolutePath = regexp.MustCompile(`(?:^|[\s"'(=])/[^\s/]+/`)
