package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/sekisho-dev/sekisho/attest"
	"github.com/sekisho-dev/sekisho/client"
	sekishov1 "github.com/sekisho-dev/sekisho/proto/sekisho/v1"
)

func (a *app) getCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "get ATTESTATION",
		Short: "Get an attestation, and check it",
		Long: `Gets an attestation by its log index or its digest (sha256:…), and checks it: its
signature, that the log's entry is its own, and the proof that the log holds it.

With -o bundle it is a Sigstore bundle that cosign verifies offline; -o envelope is
the DSSE envelope, -o statement the signed bytes, -o receipt the proof alone.`,
		Example: `  sekisho get 17
  sekisho get 17 -o bundle > app.sigstore.json
  sekisho get 17 -o statement | jq .predicate`,
		Args:        cobra.ExactArgs(1),
		Annotations: map[string]string{outputs: "bundle envelope statement receipt"},
		RunE: a.call(func(ctx context.Context, c *client.Client, args []string) error {
			resp, err := c.Get(ctx, strings.TrimPrefix(args[0], "#"))
			if err != nil {
				return err
			}
			switch a.output {
			case "bundle":
				return a.writeLine(resp.GetBundle())
			case "envelope":
				return a.writeLine(resp.GetEnvelope())
			case "statement":
				e, err := attest.ParseEnvelope(resp.GetEnvelope())
				if err != nil {
					return err
				}
				return a.write(e.Payload) // exactly what was signed, and no byte more
			case "receipt":
				raw, err := sekishov1.JSON(resp.GetReceipt())
				return errors.Join(err, a.write(raw))
			}
			return a.show(resp, func(w io.Writer) { a.attestation(w, resp) })
		}),
	}
}

// writeLine writes bytes, and ends their line where they do not.
func (a *app) writeLine(raw []byte) error {
	if !bytes.HasSuffix(raw, []byte("\n")) {
		raw = append(raw, '\n')
	}
	return a.write(raw)
}

func (a *app) attestation(w io.Writer, resp *sekishov1.GetAttestationResponse) {
	att := resp.GetAttestation()
	fmt.Fprintf(w, "%s  %s\n", a.paint(w, bold, fmt.Sprintf("#%d", att.GetLogIndex())), plain(att.GetPredicateType()))
	for _, line := range []struct{ name, text string }{
		{"digest", att.GetDigest()},
		{"payload", "sha256:" + att.GetPayloadSha256()},
		{"builder", att.GetBuilderId()},
		{"signer", att.GetSignerIdentity()},
		{"key", att.GetKeyId()},
		{"submitted", resp.GetSubmittedBy() + "  " + when(resp.GetSubmitTime())},
	} {
		if line.text != "" {
			fmt.Fprintf(w, "  %-10s %s\n", line.name, plain(line.text))
		}
	}
	for _, s := range att.GetSubjects() {
		fmt.Fprintf(w, "  %-10s %s\n", "about", title(&sekishov1.Artifact{Digest: s.GetDigest(), Names: nameOf(s)}))
	}
	fmt.Fprintf(w, "  %-10s entry %d of a log of %d, proven; signature verified\n", "log", att.GetLogIndex(), resp.GetReceipt().GetInclusionProof().GetTreeSize())
}

func (a *app) listCommand() *cobra.Command {
	req := &sekishov1.ListAttestationsRequest{PageSize: 1000}
	var (
		limit   int
		subject string
		c       *cobra.Command
	)
	c = &cobra.Command{
		Use:   "list",
		Short: "List attestations, oldest first",
		Long: `Lists attestations in the order of the log. A list is what the service's index says;
'sekisho get' proves one of them.`,
		Example: `  sekisho list
  sekisho list --subject ./app
  sekisho list --subject sha256:…
  sekisho list --predicate-type https://slsa.dev/provenance/v1 -o json | jq -r '.attestations[].logIndex'`,
		Args: cobra.NoArgs,
		RunE: a.call(func(ctx context.Context, cl *client.Client, _ []string) error {
			if limit < 0 {
				return usage(c, fmt.Errorf("--limit %d: want a number from 0 (all)", limit))
			}
			if req.Subject = subject; c.Flags().Changed("subject") && (strings.Contains(subject, "@") || !strings.Contains(subject, ":")) {
				about, err := artifact(subject, nil)
				if err != nil {
					return fmt.Errorf("--subject: %w", err)
				}
				req.Subject = string(digestOf(about))
			}
			found := &sekishov1.ListAttestationsResponse{}
			for att, err := range cl.List(ctx, req) {
				if err != nil {
					return err
				}
				if found.Attestations = append(found.Attestations, att); len(found.Attestations) == limit {
					break
				}
			}
			return a.show(found, func(w io.Writer) {
				rows := [][]string{}
				for _, att := range found.GetAttestations() {
					rows = append(rows, []string{fmt.Sprint(att.GetLogIndex()), att.GetPredicateType(), about(att), att.GetBuilderId()})
				}
				table(w, []string{"INDEX", "PREDICATE TYPE", "SUBJECT", "BUILDER"}, rows)
			})
		}),
	}
	f := c.Flags()
	f.StringVar(&subject, "subject", "", "about this `ARTIFACT`: its digest, or the file")
	f.StringVar(&req.PredicateType, "predicate-type", "", "of this `TYPE`, a URI")
	f.StringVar(&req.BuilderId, "builder", "", "provenance by this builder.`ID`")
	f.StringVar(&req.Signer, "signer", "", "signed with the key of this `ID`, or by this identity")
	f.IntVar(&limit, "limit", 0, "no more than `N` (0: all)")
	return c
}

// about is the first subject of an attestation, and how many there are besides.
func about(att *sekishov1.Attestation) string {
	subjects := att.GetSubjects()
	if len(subjects) == 0 {
		return ""
	}
	text := string(digestOf(&sekishov1.Artifact{Digest: subjects[0].GetDigest()}))
	if cut := len("sha256:") + 16; len(text) > cut {
		text = text[:cut] + "…"
	}
	if name := subjects[0].GetName(); name != "" {
		text = name + " " + text
	}
	if n := len(subjects) - 1; n > 0 {
		text += fmt.Sprintf(" and %d more", n)
	}
	return text
}

func (a *app) keysCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "keys",
		Short: "List the service's public keys",
		Long: `Lists the public keys of the service, every version of each: those that sign what
callers hand in (statements), the log's, and that of the time authority. Each id is
checked to be the SHA-256 of its key.`,
		Example: `  sekisho keys
  sekisho keys -o json | jq -r '.keys[] | select(.current) | .keyId'`,
		Args: cobra.NoArgs,
		RunE: a.call(func(ctx context.Context, c *client.Client, _ []string) error {
			keys, err := c.Keys(ctx)
			if err != nil {
				return err
			}
			return a.show(&sekishov1.ListKeysResponse{Keys: keys}, func(w io.Writer) {
				rows := [][]string{}
				for _, k := range keys {
					rows = append(rows, []string{k.GetKeyId(), purpose(k), k.GetKeyDetails(), k.GetVersion(), fmt.Sprint(k.GetCurrent())})
				}
				table(w, []string{"KEY", "PURPOSE", "KIND", "VERSION", "CURRENT"}, rows)
			})
		}),
	}
}

func purpose(k *sekishov1.Key) string {
	return strings.ToLower(strings.TrimPrefix(k.GetPurpose().String(), "KEY_PURPOSE_"))
}

func (a *app) keyCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "key [ID]",
		Short: "Show a public key as PEM: by default the current statements key",
		Long: `Shows a public key of the service as PEM. ID is a key id of 'sekisho keys', or its
beginning. By default it is the key that signs statements now.`,
		Example: `  sekisho key > sekisho.pub && cosign verify-blob-attestation --key sekisho.pub …
  sekisho key 294f94e9`,
		Args: cobra.MaximumNArgs(1),
		RunE: a.call(func(ctx context.Context, c *client.Client, args []string) error {
			keys, err := c.Keys(ctx)
			if err != nil {
				return err
			}
			k, err := choose(keys, args)
			if err != nil {
				return err
			}
			return a.show(k, func(w io.Writer) { fmt.Fprint(w, k.GetPem()) })
		}),
	}
}

func choose(keys []*sekishov1.Key, args []string) (*sekishov1.Key, error) {
	var found []*sekishov1.Key
	for _, k := range keys {
		if len(args) == 0 && k.GetCurrent() && k.GetPurpose() == sekishov1.KeyPurpose_KEY_PURPOSE_STATEMENTS ||
			len(args) > 0 && args[0] != "" && strings.HasPrefix(k.GetKeyId(), strings.ToLower(args[0])) {
			found = append(found, k)
		}
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		return nil, fmt.Errorf("%d keys begin so; give more of the id (sekisho keys)", len(found))
	case len(args) > 0:
		return nil, because{client.ErrNotFound, fmt.Errorf("the service has no key %.80q; see: sekisho keys", args[0])}
	}
	return nil, because{client.ErrNotFound, errors.New("the service shows no current statements key; see: sekisho keys")}
}

func (a *app) trustedRootCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "trusted-root",
		Short: "Show trusted_root.json, with which stock Sigstore clients verify our bundles",
		Long: `Shows trusted_root.json: the log's key and the time authority, with which stock
Sigstore clients verify the bundles of 'sekisho get -o bundle', offline. With -o json
it is the answer of the API, which holds the file in base64.`,
		Example: `  sekisho trusted-root > trusted_root.json
  cosign verify-blob-attestation --key key.pub --bundle b.json --trusted-root trusted_root.json --type slsaprovenance1 FILE`,
		Args: cobra.NoArgs,
		RunE: a.call(func(ctx context.Context, c *client.Client, _ []string) error {
			raw, err := c.TrustedRoot(ctx)
			switch {
			case err != nil:
				return err
			case a.output == "json":
				return a.show(&sekishov1.GetTrustedRootResponse{TrustedRoot: raw}, nil)
			}
			return a.writeLine(raw)
		}),
	}
}

func when(t *timestamppb.Timestamp) string {
	if t == nil {
		return ""
	}
	return t.AsTime().Format(time.RFC3339)
}
