package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"

	"github.com/sekisho-dev/sekisho/attest"
	"github.com/sekisho-dev/sekisho/client"
	"github.com/sekisho-dev/sekisho/internal/owned"
	sekishov1 "github.com/sekisho-dev/sekisho/proto/sekisho/v1"
	"github.com/sekisho-dev/sekisho/sign"
	"github.com/sekisho-dev/sekisho/sign/keyfile"
	"github.com/sekisho-dev/sekisho/sign/vault"
)

func (a *app) trustCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "trust",
		Short: "Show the trust root, or apply the next: whom the service believes",
		Args:  cobra.NoArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	show := &cobra.Command{
		Use:   "show",
		Short: "Show the trust root in force, as YAML",
		Long: `Shows the trust root in force, byte for byte as it was signed, after checking that the
log holds it.`,
		Example: `  sekisho trust show > trust.yaml
  sekisho trust show -o json | jq -r .digest            # the next version's "previous"`,
		Args: cobra.NoArgs,
		RunE: a.call(func(ctx context.Context, c *client.Client, _ []string) error {
			resp, err := c.TrustRoot(ctx)
			if err != nil {
				return err
			}
			return a.show(resp, func(w io.Writer) { w.Write(resp.GetDocument()) }) //nolint:errcheck // it is remembered
		}),
	}
	apply := a.applyCommand(control{
		command: "trust", what: "trust root", predicateType: attest.TrustRootType, name: "trust-root", prepare: inline,
		inForce: func(ctx context.Context, c *client.Client) (proto.Message, string, uint64, error) {
			resp, err := c.TrustRoot(ctx)
			return resp, resp.GetDigest(), resp.GetVersion(), err
		},
	}, `Signs a trust root with a root key of the one in force, and registers it. It must be
the next version, and name the digest of the one in force as its previous. With a
threshold of several keys every holder applies the same file with their own; it is
in force once enough have.

A trustedRoot that names a file is replaced by that file's content.`)
	c.AddCommand(show, apply)
	return c
}

func (a *app) policyCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "policy",
		Short: "Show the policy, apply the next, or test one: what may be deployed",
		Args:  cobra.NoArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	show := &cobra.Command{
		Use:   "show",
		Short: "Show the policy in force, as YAML",
		Long: `Shows the policy in force, byte for byte as it was signed, after checking that the log
holds it.`,
		Example: `  sekisho policy show > policy.yaml
  sekisho policy show -o json | jq .version`,
		Args: cobra.NoArgs,
		RunE: a.call(func(ctx context.Context, c *client.Client, _ []string) error {
			resp, err := c.Policy(ctx)
			if err != nil {
				return err
			}
			return a.show(resp, func(w io.Writer) { w.Write(resp.GetDocument()) }) //nolint:errcheck // it is remembered
		}),
	}
	apply := a.applyCommand(control{
		command: "policy", what: "policy", predicateType: attest.PolicyType, name: "policy",
		prepare: func(_ string, raw []byte) ([]byte, error) { return raw, nil },
		inForce: func(ctx context.Context, c *client.Client) (proto.Message, string, uint64, error) {
			resp, err := c.Policy(ctx)
			return resp, resp.GetDigest(), resp.GetVersion(), err
		},
	}, `Signs a policy with a policy key of the trust root, and registers it. Its version
must be higher than that of the one in force. With a threshold of several keys every
holder applies the same file with their own.

Test it before: sekisho policy test DIR --policy FILE`)
	c.AddCommand(show, apply, a.policyTestCommand())
	return c
}

// A control is a kind of document that decides.
type control struct {
	command, what, predicateType, name string
	prepare                            func(path string, raw []byte) ([]byte, error)
	inForce                            func(context.Context, *client.Client) (resp proto.Message, digest string, version uint64, err error)
}

func (a *app) applyCommand(k control, long string) *cobra.Command {
	var (
		rootKey string
		dryRun  bool
	)
	c := &cobra.Command{
		Use:   "apply FILE",
		Short: "Sign a " + k.what + " and register it",
		Long: long + `

KEY is a file (PKCS #8 in PEM, mode 0600), or hashivault://NAME, for which VAULT_ADDR
and VAULT_TOKEN, and where needed VAULT_CACERT and VAULT_NAMESPACE, are read. By
default it is the development root key of a service on this machine.`,
		Example: fmt.Sprintf(`  sekisho %[1]s show > next.yaml; edit it; sekisho %[1]s apply --dry-run next.yaml
  sekisho %[1]s apply next.yaml --root-key ~/keys/root.pem
  sekisho %[1]s apply next.yaml --root-key hashivault://sekisho-root`, k.command),
		Args: cobra.ExactArgs(1),
		RunE: a.call(func(ctx context.Context, c *client.Client, args []string) error {
			raw, err := a.readFile(args[0])
			if err != nil {
				return err
			}
			document, err := k.prepare(args[0], raw)
			if err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}
			signer, err := a.rootKey(ctx, rootKey)
			if err != nil {
				return err
			}
			return a.apply(ctx, c, k, args[0], document, signer, dryRun)
		}),
	}
	c.Flags().StringVar(&rootKey, "root-key", "", "`KEY` to sign with (default DATA/keys/root.pem)")
	c.Flags().BoolVar(&dryRun, "dry-run", false, "check everything, register nothing")
	return c
}

func (a *app) rootKey(ctx context.Context, name string) (sign.Signer, error) {
	if strings.HasPrefix(name, "hashivault://") {
		return vault.Open(ctx, vault.Config{
			URI: name, Address: a.getenv("VAULT_ADDR"), TokenEnv: "VAULT_TOKEN",
			Namespace: a.getenv("VAULT_NAMESPACE"), CAFile: a.getenv("VAULT_CACERT"),
		})
	}
	if strings.Contains(name, "://") {
		return nil, usageError{fmt.Errorf("--root-key %.80q: want a file, or hashivault://NAME", name)}
	}
	if name == "" {
		name = filepath.Join(a.dataDir(), "keys", "root.pem")
	}
	s, err := keyfile.Open(name)
	if err != nil {
		return nil, fmt.Errorf("opening the root key (--root-key): %w", err)
	}
	if about, err := os.Stat(name); err == nil && owned.Readable(about, owned.Group()) {
		a.warn(fmt.Sprintf("others on this machine may read the root key %s; run chmod 600", name))
	}
	return s, nil
}

// settle is how long an applied document may take to be in force.
const settle = 3 * time.Second

func (a *app) apply(ctx context.Context, c *client.Client, k control, from string, document []byte, signer sign.Signer, dryRun bool) error {
	envelope, err := sign.Envelope(ctx, signer, attest.PayloadTypeInToto, attest.ControlStatement(k.predicateType, k.name, document))
	if err != nil {
		return fmt.Errorf("signing the %s: %w", k.what, err)
	}
	resp, err := c.Register(ctx, &sekishov1.CreateAttestationRequest{
		Document:     &sekishov1.CreateAttestationRequest_Envelope{Envelope: envelope.JSON()},
		ValidateOnly: dryRun,
	})
	if err != nil {
		return rejection{fmt.Errorf("%s: %w", from, err)}
	}
	if dryRun {
		return a.show(resp, func(w io.Writer) { fmt.Fprintf(w, "%s: the %s would be registered\n", from, k.what) })
	}
	force, version, err := a.awaitForce(ctx, c, k, resp.GetAttestation().GetDigest())
	if err != nil {
		return err
	}
	return a.show(resp, func(w io.Writer) {
		fmt.Fprintf(w, "%s: registered as #%d  %s\n", from, resp.GetAttestation().GetLogIndex(), resp.GetAttestation().GetDigest())
		if force {
			fmt.Fprintf(w, "%s version %d is in force\n", k.what, version)
		} else {
			fmt.Fprintf(w, "the %s is not in force: version %d is. It waits for more keys to sign it, or is no newer, or its key may not sign it (sekisho trust show).\n", k.what, version)
		}
	})
}

// awaitForce waits a moment for what was registered to be in force: with enough
// keys it is as soon as the index has it.
func (a *app) awaitForce(ctx context.Context, c *client.Client, k control, digest string) (bool, uint64, error) {
	for end := a.now().Add(settle); ; {
		_, got, version, err := k.inForce(ctx, c)
		if err != nil && !errors.Is(err, client.ErrNotFound) {
			return false, 0, err
		}
		if got == digest || a.now().After(end) {
			return got == digest, version, nil
		}
		select {
		case <-ctx.Done():
			return false, 0, ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}
