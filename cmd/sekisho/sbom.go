package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sekisho-dev/sekisho/client"
	sekishov1 "github.com/sekisho-dev/sekisho/proto/sekisho/v1"
)

func (a *app) sbomCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "sbom",
		Short: "Submit SBOMs, get them, search them, and report",
		Args:  cobra.NoArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(a.sbomSubmitCommand(), a.sbomGetCommand(), a.sbomSearchCommand(), a.sbomReportCommand())
	return c
}

func (a *app) sbomSubmitCommand() *cobra.Command {
	var (
		names  []string
		dryRun bool
	)
	c := &cobra.Command{
		Use:   "submit ARTIFACT FILE",
		Short: "Register an artifact's SBOM: CycloneDX 1.4 to 1.7 or SPDX 2.3, as JSON",
		Long: `Has the service sign a statement that carries an SBOM, byte for byte, and registers it.
FILE is CycloneDX 1.4 to 1.7 or SPDX 2.3, as JSON, up to 16 MiB ("-": standard input).

` + artifactHelp,
		Args: cobra.ExactArgs(2),
		RunE: a.call(func(ctx context.Context, c *client.Client, args []string) error {
			about, err := artifact(args[0], names)
			if err != nil {
				return err
			}
			about.Names = append(names, about.Names...) // the first is the statement's
			raw, err := a.readFile(args[1])
			if err != nil {
				return err
			}
			resp, err := c.UploadSBOM(ctx, &sekishov1.UploadSbomRequest{Artifact: about, Document: raw, ValidateOnly: dryRun})
			if err != nil {
				return rejection{fmt.Errorf("%s: %w", args[1], err)}
			}
			for _, w := range resp.GetWarnings() {
				a.warn(args[1] + ": " + plain(w))
			}
			return a.show(resp, func(w io.Writer) {
				att, what := resp.GetAttestation(), "registered"
				switch {
				case dryRun:
					fmt.Fprintf(w, "%s: %d components; it would be registered\n", args[1], resp.GetComponentCount())
					return
				case resp.GetAlreadyRegistered():
					what = "already registered"
				}
				fmt.Fprintf(w, "%s: %d components, %s as #%d  %s\n", args[1], resp.GetComponentCount(), what, att.GetLogIndex(), att.GetDigest())
			})
		}),
	}
	c.Flags().StringArrayVar(&names, "name", nil, "a name or package URL of the artifact; the first becomes the statement's")
	c.Flags().BoolVar(&dryRun, "dry-run", false, "check everything, register nothing")
	return c
}

func (a *app) sbomGetCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "get ARTIFACT",
		Short: "Get an artifact's newest SBOM as it was submitted",
		Long: `Gets the newest SBOM of an artifact, byte for byte as it was submitted, and checks the
statement that carries it.

` + artifactHelp,
		Args: cobra.ExactArgs(1),
		RunE: a.call(func(ctx context.Context, c *client.Client, args []string) error {
			about, err := artifact(args[0], nil)
			if err != nil {
				return err
			}
			resp, err := c.GetSBOM(ctx, digestOf(about))
			if err != nil {
				return err
			}
			if a.output == "json" {
				raw, err := sekishov1.JSON(resp)
				return errors.Join(err, a.write(raw))
			}
			return a.write(resp.GetDocument()) // no line is ended that was not
		}),
	}
}

func (a *app) sbomSearchCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "search PURL",
		Short: "Find the artifacts that contain a component",
		Long: `Finds the artifacts whose SBOM names a component, or describes the artifact as it, by
package URL. Without a version every version of it is found; without qualifiers and
subpath ("?…", "#…") all of them; with any, exactly these.`,
		Example: "  sekisho sbom search pkg:maven/org.apache.logging.log4j/log4j-core@2.14.1",
		Args:    cobra.ExactArgs(1),
		RunE: a.call(func(ctx context.Context, c *client.Client, args []string) error {
			found := &sekishov1.ListDependentsResponse{}
			for d, err := range c.Dependents(ctx, args[0]) {
				if err != nil {
					return err
				}
				found.Dependents = append(found.Dependents, d)
			}
			return a.show(found, func(w io.Writer) {
				if len(found.GetDependents()) == 0 {
					fmt.Fprintf(a.err, "no registered SBOM contains %s%s\n", plain(args[0]), wider(args[0]))
					return
				}
				rows := [][]string{}
				for _, d := range found.GetDependents() {
					rows = append(rows, []string{string(digestOf(&sekishov1.Artifact{Digest: d.GetArtifact().GetDigest()})), d.GetArtifact().GetName(), fmt.Sprint(d.GetLogIndex())})
				}
				table(w, []string{"ARTIFACT", "NAME", "SBOM"}, rows)
			})
		}),
	}
}

// wider says by what search more would be found: only one of a package URL without
// qualifiers and subpath looks past those that others wrote.
func wider(purl string) string {
	if i := strings.IndexAny(purl, "?#"); i > 0 {
		return "; every build of it is found as " + plain(purl[:i])
	}
	return ""
}

func (a *app) sbomReportCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "report ARTIFACT",
		Short: "Report what is in an artifact: table, JSON or CSV",
		Long:  "Reports the components that an artifact's newest SBOM names, as a table, JSON or CSV.\n\n" + artifactHelp,
		Example: `  sekisho sbom report ./app
  sekisho sbom report ./app -o csv > app.csv`,
		Args:        cobra.ExactArgs(1),
		Annotations: map[string]string{outputs: "csv"},
		RunE: a.call(func(ctx context.Context, c *client.Client, args []string) error {
			about, err := artifact(args[0], nil)
			if err != nil {
				return err
			}
			found := &sekishov1.ListComponentsResponse{}
			for component, err := range c.Components(ctx, string(digestOf(about))) {
				if err != nil {
					return err
				}
				found.Components = append(found.Components, component)
			}
			headings := []string{"NAME", "VERSION", "TYPE", "LICENSES", "SUPPLIER", "PURL"}
			rows := [][]string{}
			for _, c := range found.GetComponents() {
				rows = append(rows, []string{c.GetName(), c.GetVersion(), c.GetType(), strings.Join(c.GetLicenses(), ", "), c.GetSupplier(), c.GetPurl()})
			}
			if a.output == "csv" {
				return writeCSV(a.out, headings, rows)
			}
			return a.show(found, func(w io.Writer) { table(w, headings, rows) })
		}),
	}
}
