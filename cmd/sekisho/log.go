package main

import (
	"context"
	"crypto/tls"
	"errors"
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
		Long: `Shows the log's newest checkpoint, a signed note (C2SP tlog-checkpoint). Its signature
was checked, and that its tree extends every one that was seen here before: a log that
was rolled back, or that shows two histories, is refused.`,
		Example: `  sekisho log checkpoint
  sekisho log checkpoint -o json | jq -r .verifierKey   # to pin it: --log-key`,
		Args: cobra.NoArgs,
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
		Long: `Fetches the proof that the log holds the entry at an INDEX, under the newest checkpoint,
and checks it. With -o json it is the proof itself, for others to check.`,
		Example: `  sekisho log prove 17
  sekisho log prove 17 -o json > proof.json`,
		Args: cobra.ExactArgs(1),
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
		Example: `  sekisho log audit
  sekisho log audit --server sekisho.example:7443 --log-url https://sekisho.example:7080 --timeout 1h`,
		Args: cobra.NoArgs,
		RunE: a.call(func(ctx context.Context, c *client.Client, _ []string) error {
			base, err := a.httpPort(logURL)
			if err != nil {
				return err
			}
			config, err := a.authorities()
			if err != nil {
				return err
			}
			return a.audit(ctx, c, fetchFrom(base, config))
		}),
	}
	c.Flags().StringVar(&logURL, "log-url", "", "base `URL` of the log's tiles (default: the HTTP port of endpoint.json)")
	return c
}

// audit reads every entry. The reader computes what it reads up to the root of the
// checkpoint; whatever does not lead there is an error.
func (a *app) audit(ctx context.Context, c *client.Client, fetch tlog.Fetch) error {
	verifier, _, err := c.Log(ctx)
	if err != nil {
		return err
	}
	r := tlog.NewTileReader(verifier, fetch)
	cp, err := r.Checkpoint(ctx)
	if err != nil {
		return badLog(err)
	}
	if err := c.Witness(ctx, cp); err != nil {
		return err
	}
	p := a.progress("read")
	read := uint64(0)
	for _, err := range r.Entries(ctx, cp, 0) {
		if err != nil {
			p.end()
			return badLog(fmt.Errorf("after %d entries: %w", read, err))
		}
		if read++; read%256 == 0 {
			p.at(read, cp.Size)
		}
	}
	p.end()
	if read != cp.Size {
		return because{client.ErrBadProof, fmt.Errorf("the log says %d entries and has %d", cp.Size, read)}
	}
	return a.show(&sekishov1.GetCheckpointResponse{
		Checkpoint: string(cp.Note), TreeSize: cp.Size, Origin: cp.Origin, VerifierKey: verifier.String(),
	}, func(w io.Writer) {
		fmt.Fprintf(w, "%s  %d entries read, every hash leads to the signed root\n", a.paint(w, green, "whole"), read)
	})
}

// badLog tells a log that does not verify from one that cannot be read: the first is
// refused, the second is no answer.
func badLog(err error) error {
	for _, bad := range []error{tlog.ErrCorrupt, tlog.ErrCheckpoint, tlog.ErrInconsistent} {
		if errors.Is(err, bad) {
			return because{client.ErrBadProof, err}
		}
	}
	return err
}

// fetchFrom reads the log's files over HTTP. Redirects are not followed: nobody
// but the address that was named is asked.
func fetchFrom(base string, config *tls.Config) tlog.Fetch {
	h := &http.Client{
		Transport:     &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: config, ForceAttemptHTTP2: true},
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
			return nil, fmt.Errorf("%s/%s: HTTP %s; want the service's HTTP port (--log-url)", base, path, resp.Status)
		}
		return io.ReadAll(io.LimitReader(resp.Body, tlog.MaxFile+1))
	}
}
