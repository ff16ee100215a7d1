package main

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/sekisho-dev/sekisho/client"
	sekishov1 "github.com/sekisho-dev/sekisho/proto/sekisho/v1"
	"github.com/sekisho-dev/sekisho/tlog"
)

func (a *app) logCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "log",
		Short: "Look at the transparency log: its checkpoint, proofs, and all of it",
		Args:  cobra.NoArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(a.checkpointCommand(), a.proveCommand(), a.auditCommand())
	return c
}

func (a *app) checkpointCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "checkpoint",
		Short: "Show the newest checkpoint, checked to extend all that were seen",
		Args:  cobra.NoArgs,
		RunE: a.call(func(ctx context.Context, c *client.Client, _ []string) error {
			resp, err := c.Checkpoint(ctx)
			if err != nil {
				return err
			}
			return a.show(resp, func(w io.Writer) { fmt.Fprint(w, resp.GetCheckpoint()) })
		}),
	}
}

func (a *app) proveCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "prove INDEX",
		Short: "Prove that the log holds an entry",
		Args:  cobra.ExactArgs(1),
		RunE: a.call(func(ctx context.Context, c *client.Client, args []string) error {
			index, err := strconv.ParseUint(args[0], 10, 63)
			if err != nil {
				return usageError{fmt.Errorf("%.40q is not a log index: want a number from 0", args[0])}
			}
			resp, err := c.Prove(ctx, index)
			if err != nil {
				return err
			}
			return a.show(resp, func(w io.Writer) {
				fmt.Fprintf(w, "entry %d is in the log of %d entries\n  leaf hash %x\n", index, resp.GetInclusionProof().GetTreeSize(), resp.GetLeafHash())
			})
		}),
	}
}

func (a *app) auditCommand() *cobra.Command {
	var logURL string
	c := &cobra.Command{
		Use:   "audit",
		Short: "Read the whole log, and check every hash of it",
		Long: `Reads every entry of the log from its tiles, on the service's HTTP port, and computes
the root of all of them anew: it must be that of the signed checkpoint, which must
extend all that were seen.`,
		Args: cobra.NoArgs,
		RunE: a.call(func(ctx context.Context, c *client.Client, _ []string) error {
			base, err := a.httpPort(logURL)
			if err != nil {
				return err
			}
			return a.audit(ctx, c, base)
		}),
	}
	c.Flags().StringVar(&logURL, "log-url", "", "base URL of the log's tiles (default: the HTTP port of endpoint.json)")
	return c
}

// audit reads every entry. The reader computes what it reads up to the root of the
// checkpoint; whatever does not lead there is an error.
func (a *app) audit(ctx context.Context, c *client.Client, base string) error {
	verifier, _, err := c.Log(ctx)
	if err != nil {
		return err
	}
	r := tlog.NewTileReader(verifier, fetchFrom(base))
	cp, err := r.Checkpoint(ctx)
	if err != nil {
		return fmt.Errorf("%w: %w", client.ErrBadProof, err)
	}
	if err := c.Witness(ctx, cp); err != nil {
		return err
	}
	p := a.progress("read")
	read := uint64(0)
	for _, err := range r.Entries(ctx, cp, 0) {
		if err != nil {
			p.end()
			return fmt.Errorf("%w: after entry %d: %w", client.ErrBadProof, read, err)
		}
		if read++; read%256 == 0 {
			p.at(read, cp.Size)
		}
	}
	p.end()
	if read != cp.Size {
		return fmt.Errorf("%w: the log says %d entries and has %d", client.ErrBadProof, cp.Size, read)
	}
	return a.show(&sekishov1.GetCheckpointResponse{
		Checkpoint: string(cp.Note), TreeSize: cp.Size, Origin: cp.Origin, VerifierKey: verifier.String(),
	}, func(w io.Writer) {
		fmt.Fprintf(w, "%s  %d entries read, every hash leads to the signed root\n", a.paint(w, green, "whole"), read)
	})
}

// fetchFrom reads the log's files over HTTP. Redirects are not followed: nobody
// but the address that was named is asked.
func fetchFrom(base string) tlog.Fetch {
	h := &http.Client{
		Timeout:       30 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return func(ctx context.Context, path string) ([]byte, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/"+path, nil)
		if err != nil {
			return nil, err
		}
		resp, err := h.Do(req)
		if err != nil {
			return nil, err
		}
		defer resp.Body.Close() //nolint:errcheck // read to its end, or of no use
		if resp.StatusCode == http.StatusNotFound {
			return nil, fmt.Errorf("%s: %w", path, fs.ErrNotExist)
		}
		if resp.StatusCode != http.StatusOK {
			return nil, fmt.Errorf("%s: HTTP %d", path, resp.StatusCode)
		}
		return io.ReadAll(io.LimitReader(resp.Body, tlog.MaxFile+1))
	}
}
