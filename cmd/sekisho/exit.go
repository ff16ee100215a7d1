package main

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"google.golang.org/genproto/googleapis/rpc/code"

	"github.com/sekisho-dev/sekisho/client"
)

// The exit codes of docs/contract.md.
const (
	exitDone    = 0
	exitRefused = 1
	exitUnknown = 2
)

// errDenied ends a command whose answer was shown already, and was no.
var errDenied = errors.New("denied")

// A rejection is an error about a document that was handed in.
type rejection struct{ error }

func (r rejection) Unwrap() error { return r.error }

// notRejected are the reasons for which a submission fails that say nothing about
// the document: try again, or ask somebody else.
var notRejected = []client.Reason{
	client.ErrUnauthenticated, client.ErrForbidden, client.ErrUnreachable, client.ErrInsecure, client.ErrState, client.ErrBadRequest,
	client.ErrLogDamaged, client.ErrLogRolledBack, client.ErrStaleIndex, client.ErrStorageFull, client.ErrLogBusy, client.ErrShuttingDown,
	client.ErrKeyUnavailable, client.ErrKeyDenied, client.ErrKeyUnusable, client.ErrDeadlineExceeded, client.ErrCancelled,
	client.ErrInternal, client.ErrNotFound, client.ErrNoSuchProof,
}

// reason is why there is no answer, if somebody said so.
func reason(err error) client.Reason {
	var (
		e *client.Error
		r *client.Refusal
		s client.Reason
	)
	switch {
	case errors.As(err, &e):
		return e.Reason
	case errors.As(err, &r):
		return r.Reason
	case errors.As(err, &s):
		return s
	}
	return ""
}

// exitCode is the process's. Of several errors the worst counts: an answer that is
// missing is worse than one that is no.
func exitCode(err error) int {
	if err == nil {
		return exitDone
	}
	if several, ok := err.(interface{ Unwrap() []error }); ok {
		worst := exitDone
		for _, e := range several.Unwrap() {
			worst = max(worst, exitCode(e))
		}
		return worst
	}
	if errors.Is(err, errDenied) || errors.Is(err, client.ErrBadProof) {
		return exitRefused
	}
	if r := (rejection{}); errors.As(err, &r) && reason(err) != "" {
		for _, other := range notRejected {
			if errors.Is(err, other) {
				return exitUnknown
			}
		}
		return exitRefused
	}
	return exitUnknown
}

// complain says on stderr why there is no answer; with -o json on stdout too,
// in the form of the JSON port. A denial was shown already.
func (a *app) complain(err error) {
	if err == nil || errors.Is(err, errDenied) {
		return
	}
	if several, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range several.Unwrap() {
			a.complain(e)
		}
		return
	}
	fmt.Fprintln(a.err, a.paint(a.err, red, "sekisho:"), err)
	if a.output == "json" {
		a.out.Write(errorJSON(err)) //nolint:errcheck // there is nowhere left to say so
	}
}

// errorJSON is an error as the JSON port writes it, on one line.
func errorJSON(err error) []byte {
	type body struct {
		Code     string            `json:"code"`
		Reason   string            `json:"reason"`
		Message  string            `json:"message"`
		Metadata map[string]string `json:"metadata"`
	}
	b := body{Code: "UNKNOWN", Reason: string(reason(err)), Message: err.Error(), Metadata: map[string]string{}}
	var (
		e     *client.Error
		wrong usageError
	)
	switch {
	case errors.As(err, &e):
		b.Code = code.Code(e.Code).String()
		for k, v := range e.Metadata {
			b.Metadata[k] = v
		}
	case errors.Is(err, client.ErrBadProof):
		b.Code = "DATA_LOSS"
	case errors.As(err, &wrong):
		b.Code, b.Reason = "INVALID_ARGUMENT", "USAGE"
	}
	raw, err := json.Marshal(map[string]body{"error": b})
	if err != nil {
		return nil // strings always marshal
	}
	return append(raw, '\n')
}

// A usageError is a command that makes no sense.
type usageError struct {
	error
}

func (u usageError) Unwrap() error { return u.error }

// usage says what was wrong and where to read how it is right.
func usage(c *cobra.Command, err error) error {
	return usageError{fmt.Errorf("%w\nTry '%s --help'", err, c.CommandPath())}
}

// checkArgs makes a wrong number of arguments a usage error that shows the right
// one, everywhere.
func checkArgs(c *cobra.Command) {
	if check := c.Args; check != nil {
		c.Args = func(c *cobra.Command, args []string) error {
			err := check(c, args)
			switch {
			case err == nil:
				return nil
			case c.HasSubCommands() && len(args) > 0:
				c.SuggestionsMinimumDistance = 2
				if similar := c.SuggestionsFor(args[0]); len(similar) > 0 {
					err = fmt.Errorf("%w; did you mean %s?", err, similar[0])
				}
				return usage(c, err)
			}
			return usage(c, fmt.Errorf("%d arguments are not what '%s' takes", len(args), c.UseLine()))
		}
	}
	for _, sub := range c.Commands() {
		checkArgs(sub)
	}
}
