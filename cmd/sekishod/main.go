// Command sekishod is the service: it reads a configuration, opens what it
// names in the order of dependence, and serves until it is told to stop.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"google.golang.org/grpc/codes"
	"k8s.io/klog/v2"

	"github.com/sekisho-dev/sekisho/server"
)

// version is set by the build.
var version = "dev"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Getenv, time.Now, os.Stdout, os.Stderr)
	stop()
	var usage usageError
	switch {
	case err == nil:
	case errors.As(err, &usage):
		fmt.Fprintln(os.Stderr, "sekishod:", err)
		os.Exit(2)
	default:
		fmt.Fprintln(os.Stderr, "sekishod:", err)
		os.Exit(1)
	}
}

// run is main without the process around it.
func run(ctx context.Context, args []string, getenv func(string) string, now func() time.Time, stdout, stderr io.Writer) error {
	o, err := parse(args, getenv)
	if err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(stderr, nil))
	// Tessera logs by itself; what it tells of normal work is of no use to anybody.
	klog.SetSlogLogger(slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: slog.LevelError})))
	switch o.command {
	case "help":
		_, err := io.WriteString(stdout, usage)
		return err
	case "version":
		fmt.Fprintln(stdout, "sekishod", version)
		return nil
	case "fsck":
		report, err := fsck(ctx, &o.config, log, now, getenv)
		return errors.Join(printReport(stdout, o.json, report, err), err)
	case "reindex":
		report, err := reindex(ctx, &o.config, log, now, getenv)
		return errors.Join(printReport(stdout, o.json, report, err), err)
	case "repair":
		report, err := repair(ctx, &o.config, log)
		return errors.Join(printRepaired(stdout, o.json, report, err), err)
	}
	return serve(ctx, &o.config, log, now, getenv, stdout)
}

// printReport prints what was found; as JSON also why nothing could be looked at, in
// the form of the JSON port, so that it is not taken for damage.
func printReport(w io.Writer, asJSON bool, r *report, failed error) error {
	if asJSON {
		return printJSON(w, r, r == nil, failed)
	}
	if r == nil {
		return nil
	}
	for _, p := range r.Problems {
		fmt.Fprintf(w, "entry %d: %s\n", p.Entry, p.Problem)
	}
	harmless := ""
	if n := len(r.Problems) - r.damage(); n > 0 {
		harmless = fmt.Sprintf(", %d of them harmless", n)
	}
	_, err := fmt.Fprintf(w, "%d entries in the log, %d in the index, %d problems%s\n", r.LogSize, r.IndexSize, len(r.Problems), harmless)
	return err
}

// printRepaired does so for repair.
func printRepaired(w io.Writer, asJSON bool, r *repaired, failed error) error {
	if asJSON {
		return printJSON(w, r, r == nil, failed)
	}
	if r != nil {
		r.print(w)
	}
	return nil
}

func printJSON(w io.Writer, report any, none bool, failed error) error {
	enc := json.NewEncoder(w)
	if enc.SetEscapeHTML(false); none {
		return enc.Encode(server.NewErrorBody(codes.Unknown, "", failed.Error()))
	}
	enc.SetIndent("", "  ")
	return enc.Encode(report)
}
