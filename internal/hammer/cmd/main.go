// Command cmd runs the hammer: make hammer.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"time"

	"golang.org/x/term"

	"github.com/sekisho-dev/sekisho/internal/hammer"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "hammer:", err)
		os.Exit(1) //nolint:gocritic // what the temporary directory holds is evidence now
	}
}

func run(ctx context.Context) error {
	var o hammer.Options
	var s hammer.SoakOptions
	var data, format string
	flag.StringVar(&o.Binary, "binary", "bin/sekishod", "the service to hammer")
	flag.StringVar(&data, "data", "", "where the data directories are made; a temporary directory by default")
	flag.IntVar(&o.Rounds, "rounds", 50, "how often the service is killed")
	flag.IntVar(&o.Workers, "workers", 256, "registrations in flight")
	flag.DurationVar(&o.Length, "length", 3*time.Second, "about how long a round takes")
	flag.DurationVar(&s.Length, "soak", 0, "for how long it is then used and attacked at once")
	flag.Uint64Var(&s.Files, "files", 1024, "how many files the service may have open in the soak")
	flag.Int64Var(&s.Memory, "memory", 1<<30, "its GOMEMLIMIT in the soak, bytes")
	flag.StringVar(&format, "o", "text", "how the soak's result is told: text or json")
	flag.Parse()
	if format != "text" && format != "json" {
		return fmt.Errorf("-o %s: text or json", format)
	}
	if s.Length != 0 && s.Length < 10*time.Second {
		return fmt.Errorf("-soak %s: 10s at least", s.Length)
	}
	temporary := data == ""
	if temporary {
		dir, err := os.MkdirTemp("", "sekisho-hammer-")
		if err != nil {
			return err
		}
		data = dir
	}
	if err := both(ctx, o, s, data, format); err != nil {
		return fmt.Errorf("%w\n(what was left behind is in %s)", err, data)
	}
	if temporary {
		return os.RemoveAll(data)
	}
	return nil
}

// both kills first, and soaks then.
func both(ctx context.Context, o hammer.Options, s hammer.SoakOptions, data, format string) error {
	// Progress is no result: it does not stand among JSON.
	o.Out, o.Data, s.Data = os.Stderr, filepath.Join(data, "killed"), filepath.Join(data, "soaked")
	if o.Rounds > 0 {
		n, err := hammer.Run(ctx, o)
		fmt.Fprintf(o.Out, "%d acknowledged\n", n)
		if err != nil {
			return err
		}
	}
	if s.Length == 0 {
		return nil
	}
	s.Short = s.Length < 2*time.Minute
	s.Binary, s.Out, s.Terminal = o.Binary, os.Stderr, term.IsTerminal(int(os.Stderr.Fd()))
	r, err := hammer.Soak(ctx, s)
	if s.Terminal {
		fmt.Fprintln(s.Out)
	}
	if r == nil {
		return err
	}
	if format == "json" {
		err = errors.Join(err, json.NewEncoder(os.Stdout).Encode(r))
	} else {
		err = errors.Join(err, r.Table(os.Stdout))
	}
	return errors.Join(err, r.Err())
}
