package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

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

// shown reports whether an error only ends a command that has given its answer.
func shown(err error) bool { return errors.Is(err, errDenied) || errors.Is(err, errWrong) }

// A rejection is an error about a document that was handed in.
type rejection struct{ error }

func (r rejection) Unwrap() error { return r.error }

// because gives an error its reason without the text saying it: people read the
// sentence, programs the reason.
type because struct {
	reason client.Reason
	error
}

func (b because) Unwrap() []error { return []error{b.reason, b.error} }

// several are the errors of several inputs. (An error that wraps two others, as
// errors.Join and fmt.Errorf make them, is one all the same.)
type several []error

func (s several) Error() string   { return errors.Join(s...).Error() }
func (s several) Unwrap() []error { return s }

// join makes one error of those of several inputs; nil if there is none.
func join(errs ...error) error {
	var all several
	for _, err := range errs {
		switch e := err.(type) { //nolint:errorlint // what is wrapped is one error
		case nil:
		case several:
			all = append(all, e...)
		default:
			all = append(all, e)
		}
	}
	switch len(all) {
	case 0:
		return nil
	case 1:
		return all[0]
	}
	return all
}

// told is an error that was complained of already.
type told struct{ error }

func (t told) Unwrap() error { return t.error }

// notRejected are the reasons for which a submission fails that say nothing about
// the document: try again, or ask somebody else.
var notRejected = []client.Reason{
	client.ErrUnauthenticated, client.ErrForbidden, client.ErrUnreachable, client.ErrInsecure, client.ErrState, client.ErrBadRequest,
	client.ErrLogDamaged, client.ErrLogRolledBack, client.ErrStaleIndex, client.ErrBusy, client.ErrStorageFull, client.ErrLogBusy, client.ErrShuttingDown,
	client.ErrKeyUnavailable, client.ErrKeyDenied, client.ErrKeyUnusable, client.ErrDeadlineExceeded, client.ErrCancelled,
	client.ErrInternal, client.ErrNotFound, client.ErrNoSuchProof, client.ErrUnimplemented, client.ErrConnectionLost,
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
	if all, ok := err.(several); ok { //nolint:errorlint // made by join, and wrapped by nobody
		worst := exitDone
		for _, e := range all {
			worst = max(worst, exitCode(e))
		}
		return worst
	}
	if shown(err) || errors.Is(err, client.ErrBadProof) {
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

// tell complains of one of several inputs at once, so that its error stands where
// its answer would.
func (a *app) tell(err error) error {
	if err == nil {
		return nil
	}
	a.complain(err)
	return told{err}
}

// complain says on stderr why there is no answer; with -o json on stdout too,
// in the form of the JSON port. A denial was shown already.
func (a *app) complain(err error) {
	if all, ok := err.(several); ok { //nolint:errorlint // made by join, and wrapped by nobody
		for _, e := range all {
			a.complain(e)
		}
		return
	}
	if err == nil || shown(err) || errors.As(err, &told{}) {
		return
	}
	fmt.Fprintln(a.err, a.paint(a.err, red, "sekisho:"), err)
	if a.output == "json" {
		a.out.Write(errorJSON(err)) //nolint:errcheck // there is nowhere left to say so
	}
}

// wantsJSON reports whether -o json stands among the arguments: where a flag before
// it is wrong, nobody has read it yet.
func wantsJSON(args []string) bool {
	for i, arg := range args {
		switch arg {
		case "--":
			return false
		case "-ojson", "-o=json", "--output=json":
			return true
		case "-o", "--output":
			if i+1 < len(args) && args[i+1] == "json" {
				return true
			}
		}
	}
	return false
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
	case errors.As(err, &rejection{}) && b.Reason != "":
		b.Code = "INVALID_ARGUMENT"
	}
	var line bytes.Buffer
	enc := json.NewEncoder(&line)
	enc.SetEscapeHTML(false)                                        // as the JSON port
	if err := enc.Encode(map[string]body{"error": b}); err != nil { // strings always marshal
		return nil
	}
	return line.Bytes()
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
			return usage(c, fmt.Errorf("want: %s; found %s", takes(c), counted(args)))
		}
	}
	for _, sub := range c.Commands() {
		checkArgs(sub)
	}
}

// takes is a command with its arguments.
func takes(c *cobra.Command) string {
	if path, args, ok := strings.Cut(c.Use, " "); ok {
		return strings.TrimSuffix(c.CommandPath(), path) + path + " " + args
	}
	return c.CommandPath() + ", without arguments"
}

// counted says how many arguments there are, and which.
func counted(args []string) string {
	switch len(args) {
	case 0:
		return "no argument"
	case 1:
		return fmt.Sprintf("one argument, %.80q", args[0])
	}
	return fmt.Sprintf("%d arguments, %.200q", len(args), args)
}

// oneOf refuses flags that contradict one another.
func oneOf(c *cobra.Command, flags ...string) error {
	var given []string
	for _, f := range flags {
		if c.Flags().Changed(f) {
			given = append(given, "--"+f)
		}
	}
	if len(given) > 1 {
		return usage(c, fmt.Errorf("%s contradict one another: give one of them", strings.Join(given, " and ")))
	}
	return nil
}
