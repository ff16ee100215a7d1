// Command cmd verifies a bundle of an artifact as package stock does:
//
//	cmd --key KEY.pub --trusted-root trusted_root.json BUNDLE ARTIFACT
package main

import (
	"flag"
	"fmt"
	"os"

	"github.com/sekisho-dev/sekisho/internal/stock"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "not verified:", err)
		os.Exit(1)
	}
}

func run() error {
	key := flag.String("key", "", "public key, PEM")
	trustedRoot := flag.String("trusted-root", "", "trusted_root.json")
	flag.Parse()
	if flag.NArg() != 2 {
		return fmt.Errorf("want a bundle and an artifact, got %d arguments", flag.NArg())
	}
	var read [3][]byte
	for i, path := range []string{flag.Arg(0), *trustedRoot, *key} {
		raw, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		read[i] = raw
	}
	artifact, err := os.Open(flag.Arg(1))
	if err != nil {
		return err
	}
	defer artifact.Close() //nolint:errcheck // read only
	result, err := stock.Verify(read[0], read[1], read[2], artifact)
	if err != nil {
		return err
	}
	fmt.Printf("Verified OK by sigstore-go, offline: %s about %s\n", result.Statement.GetPredicateType(), flag.Arg(1))
	for _, t := range result.VerifiedTimestamps {
		fmt.Printf("  %s %s\n", t.Type, t.Timestamp.UTC().Format("2006-01-02T15:04:05Z"))
	}
	return nil
}
