// Command sekisho is the command line: it hands in attestations, asks whether an
// artifact may be deployed, and shows what the service has. It is a client of the
// API like any other, and believes nothing that it cannot check (package client).
package main

import (
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"
)

// version is set by the build.
var version = "dev"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], streams{os.Stdin, os.Stdout, os.Stderr}, os.Getenv, time.Now)
	stop()
	os.Exit(code)
}

// streams are what a process begins with.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

// run is main without the process around it. It returns the exit code.
func run(ctx context.Context, args []string, s streams, getenv func(string) string, now func() time.Time) int {
	a := &app{streams: s, getenv: getenv, now: now}
	root := a.root()
	root.SetArgs(args)
	root.SetIn(s.in)
	root.SetOut(s.out)
	root.SetErr(s.err)
	err := root.ExecuteContext(ctx)
	if errors.As(err, &usageError{}) && wantsJSON(args) {
		a.output = "json"
	}
	a.complain(err)
	return exitCode(err)
}

// An app is one run of the command line: what it was started with, and the flags
// that every command has.
type app struct {
	streams
	getenv func(string) string
	now    func() time.Time

	server, data, tokenFile, caFile, logKey string
	plaintext                               bool
	timeout                                 time.Duration
	output                                  string
	color                                   string

	found *service // the service, once it was found
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "sekisho",
		Short: "Ask the checkpoint: hand in attestations, and learn what may be deployed",
		Long: `sekisho talks to sekishod, the checkpoint for software: build systems hand in
provenance and SBOMs, and deploy tools ask whether an artifact may pass at a SLSA
build level. Every receipt and every answer is checked here before it is shown.

Exit codes: 0 done, or allowed; 1 refused (denied, rejected, or a proof that does
not verify); 2 no answer (usage, network, authentication, internal).`,
		Example: `  sekishod &                                      # a service to try things on
  sekisho attest build.intoto.jsonl               # hand in provenance
  sekisho verify ./app --level 2 --source git+https://github.com/acme/app
  sekisho why ./app                               # what is known about it`,
		Version:       version,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.NoArgs,
		RunE:          func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.SetVersionTemplate("sekisho {{.Version}}\n")
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error { return usage(c, err) })
	f := root.PersistentFlags()
	f.StringVar(&a.server, "server", "", "gRPC address, `HOST:PORT` (env SEKISHO_SERVER; default: from endpoint.json, or 127.0.0.1:7443)")
	f.StringVar(&a.data, "data", "", "data `DIR` of a service on this machine (env SEKISHO_DATA; default ./sekisho-data)")
	f.StringVar(&a.tokenFile, "token-file", "", "`FILE` with the bearer token, for a service that was named (env SEKISHO_TOKEN_FILE, or SEKISHO_TOKEN for the token itself)")
	f.StringVar(&a.caFile, "ca-file", "", "`FILE`, PEM, of who issued the service's certificate (default: the system's roots)")
	f.StringVar(&a.logKey, "log-key", "", "pin the log's `KEY`, the verifierKey of 'sekisho log checkpoint -o json' (default: the first one met)")
	f.BoolVar(&a.plaintext, "plaintext", false, "speak plain text to a server that is not on this machine; the token is sent in the clear")
	f.DurationVar(&a.timeout, "timeout", time.Minute, "give up after this long")
	f.StringVarP(&a.output, "output", "o", "text", "`FORM`: text or json")
	f.StringVar(&a.color, "color", "auto", "`WHEN`: auto, always or never")
	root.AddGroup(&cobra.Group{ID: "work", Title: "Every day:"}, &cobra.Group{ID: "look", Title: "Looking closer:"}, &cobra.Group{ID: "rule", Title: "Ruling:"})
	for id, commands := range map[string][]*cobra.Command{
		"work": {a.attestCommand(), a.verifyCommand(), a.whyCommand(), a.sbomCommand()},
		"look": {a.getCommand(), a.listCommand(), a.logCommand(), a.keysCommand(), a.keyCommand(), a.trustedRootCommand()},
		"rule": {a.trustCommand(), a.policyCommand()},
	} {
		for _, c := range commands {
			c.GroupID = id
			root.AddCommand(c)
		}
	}
	checkArgs(root)
	a.moreOutputs(root)
	a.completions(root)
	return root
}
