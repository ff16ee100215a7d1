// Command cmd runs the hammer: make hammer.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"time"

	"github.com/sekisho-dev/sekisho/internal/hammer"
)

func main() {
	var o hammer.Options
	flag.StringVar(&o.Binary, "binary", "bin/sekishod", "the service to hammer")
	flag.StringVar(&o.Data, "data", "", "data directory; a temporary one by default")
	flag.IntVar(&o.Rounds, "rounds", 50, "how often the service is killed")
	flag.IntVar(&o.Workers, "workers", 256, "registrations in flight")
	flag.DurationVar(&o.Length, "length", 3*time.Second, "about how long a round takes")
	flag.Parse()
	if o.Data == "" {
		dir, err := os.MkdirTemp("", "sekisho-hammer-")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		defer os.RemoveAll(dir) //nolint:errcheck // it is temporary
		o.Data = dir
	}
	o.Out = os.Stdout
	n, err := hammer.Run(context.Background(), o)
	fmt.Printf("%d acknowledged\n", n)
	if err != nil {
		fmt.Fprintln(os.Stderr, "hammer:", err)
		os.Exit(1) //nolint:gocritic // what the temporary directory holds is evidence now
	}
}
