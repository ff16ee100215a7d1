package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/sekisho-dev/sekisho/client"
	sekishov1 "github.com/sekisho-dev/sekisho/proto/sekisho/v1"
)

// A question is the flags of verify and why.
type question struct {
	level                                               int32
	environment, source, branch, tag, semver, builderID string
	names                                               []string
}

func (q *question) flags(f *pflag.FlagSet) {
	f.Int32Var(&q.level, "level", 0, "the SLSA build `LEVEL` to be reached, 0 to 3")
	f.StringVar(&q.environment, "environment", "", "the policy's `ENVIRONMENT` (default \"default\")")
	f.StringVar(&q.source, "source", "", "the repository, a `URI`, it must have been built from, such as git+https://github.com/acme/app (github.com/acme/app means the same)")
	f.StringVar(&q.branch, "branch", "", "the `BRANCH`")
	f.StringVar(&q.tag, "tag", "", "the `TAG`")
	f.StringVar(&q.semver, "semver", "", "the `VERSION` that the tag must name: v1.2.3, or v1.2 or v1 for any that begins so")
	f.StringVar(&q.builderID, "builder", "", "the builder, by builder.`ID`")
	f.StringArrayVar(&q.names, "name", nil, "a `NAME` or package URL of the artifact, for the policy's rules; may be repeated")
}

// check refuses a question that can have no answer, before it is asked.
func (q *question) check(c *cobra.Command) error {
	if q.level < 0 || q.level > 3 {
		return usage(c, fmt.Errorf("--level %d: SLSA build levels are 0 to 3", q.level))
	}
	return oneOf(c, "branch", "tag", "semver")
}

func (q *question) request(arg string) (*sekishov1.EvaluateDeploymentRequest, error) {
	about, err := artifact(arg, q.names)
	if err != nil {
		return nil, err
	}
	return &sekishov1.EvaluateDeploymentRequest{
		Artifact: about, Environment: q.environment, MinBuildLevel: q.level,
		Source: repository(q.source), Branch: q.branch, Tag: q.tag, Semver: q.semver, Builder: q.builderID,
	}, nil
}

func (a *app) verifyCommand() *cobra.Command {
	var q question
	c := &cobra.Command{
		Use:   "verify ARTIFACT... --level N",
		Short: "Ask whether an artifact may be deployed at a SLSA build level",
		Long: `Asks whether an artifact may be deployed, by the policy in force. Exit code 0 is
yes, 1 is no, and 2 is that there is no answer, which is no as well.

` + artifactHelp + `

--source and the like narrow what the policy demands; they never widen it.`,
		Example: `  sekisho verify ./app --level 2 --source git+https://github.com/acme/app --tag v1.2.3
  sekisho verify registry.example/app@sha256:… --level 3 --environment production
  sekisho verify -o json ./app --level 2 | jq -r .verdict`,
		Args: cobra.MinimumNArgs(1),
	}
	q.flags(c.Flags())
	c.RunE = a.call(func(ctx context.Context, cl *client.Client, args []string) error {
		if !c.Flags().Changed("level") {
			return usage(c, errors.New("--level N is missing: the SLSA build level to be reached, 0 to 3"))
		}
		if err := q.check(c); err != nil {
			return err
		}
		var failed []error
		for _, arg := range args {
			failed = append(failed, a.tell(a.verify(ctx, cl, &q, arg, len(args) > 1)))
		}
		return join(failed...)
	})
	return c
}

func (a *app) verify(ctx context.Context, c *client.Client, q *question, arg string, several bool) error {
	req, err := q.request(arg)
	if err != nil {
		return err
	}
	resp, err := c.Evaluate(ctx, req)
	if err != nil {
		return fmt.Errorf("%s: no answer: %w", arg, err)
	}
	show := a.show
	if several {
		show = a.showLine
	}
	if err := show(resp, func(w io.Writer) { a.decision(w, resp) }); err != nil {
		return err
	}
	if resp.GetVerdict() != sekishov1.Verdict_VERDICT_ALLOW {
		return errDenied
	}
	return nil
}

// decision tells an answer: the verdict, why, on what, and for how long.
func (a *app) decision(w io.Writer, d *sekishov1.EvaluateDeploymentResponse) {
	verdict := a.paint(w, red, "DENY ")
	if d.GetVerdict() == sekishov1.Verdict_VERDICT_ALLOW {
		verdict = a.paint(w, green, "ALLOW")
	}
	fmt.Fprintf(w, "%s  %s\n", verdict, title(d.GetArtifact()))
	fmt.Fprintf(w, "  build level %d  environment %s\n", d.GetBuildLevel(), plain(d.GetEnvironment()))
	if d.GetAudit() && len(d.GetReasons()) > 0 {
		fmt.Fprintln(w, "  this environment only audits; enforced, the answer would be no:")
	}
	for _, r := range d.GetReasons() {
		a.why(w, r)
	}
	for _, e := range d.GetEvidence() {
		fmt.Fprintf(w, "  evidence #%d  %s\n", e.GetLogIndex(), plain(e.GetPredicateType()))
		if e.GetBuilderId() != "" {
			fmt.Fprintf(w, "    built by %s (L%d), signed by %s\n", plain(e.GetBuilderId()), e.GetBuildLevel(), plain(e.GetSigner()))
		} else {
			fmt.Fprintf(w, "    signed by %s\n", plain(e.GetSigner()))
		}
	}
	policy := "none"
	if p := d.GetPolicy(); p.GetDigest() != "" {
		policy = fmt.Sprintf("%s version %d", plain(p.GetName()), p.GetVersion())
	}
	fmt.Fprintf(w, "  policy %s, trust root version %d, log of %d entries, good until %s\n",
		policy, d.GetTrustRoot().GetVersion(), d.GetLogSize(), d.GetExpireTime().AsTime().Format(time.RFC3339))
}

// why tells one reason of a refusal.
func (a *app) why(w io.Writer, r *sekishov1.Reason) {
	rule := ""
	if r.GetRule() != "" {
		rule = "  (rule " + plain(r.GetRule()) + ")"
	}
	fmt.Fprintf(w, "  %s%s\n", a.paint(w, yellow, r.GetCode().String()), rule)
	nearest := ""
	if n := r.GetNearest(); n.GetAttestation() != "" {
		nearest = n.GetAttestation()
		if n.GetField() != "" {
			nearest += ", its " + n.GetField()
		}
	}
	for _, line := range []struct{ name, text string }{
		{"expected", r.GetExpected()}, {"found", r.GetFound()}, {"nearest", nearest}, {"remedy", r.GetRemedy()},
	} {
		if line.text != "" {
			fmt.Fprintf(w, "    %-9s %s\n", line.name, plain(line.text))
		}
	}
}

func (a *app) whyCommand() *cobra.Command {
	var (
		q question
		c *cobra.Command
	)
	c = &cobra.Command{
		Use:   "why ARTIFACT",
		Short: "Tell everything that is known about an artifact, and what it counts for",
		Long: `Tells the decision about an artifact, every attestation about it, what each counts
for or why it counts for nothing, and what is missing. Telling is not deciding: the
exit code is 0 whatever the decision.

` + artifactHelp,
		Example: `  sekisho why ./app
  sekisho why registry.example/app@sha256:… --level 3 --source git+https://github.com/acme/app
  sekisho why -o json ./app | jq '.findings[].reason'`,
		Args: cobra.ExactArgs(1),
		RunE: a.call(func(ctx context.Context, cl *client.Client, args []string) error {
			if err := q.check(c); err != nil {
				return err
			}
			req, err := q.request(args[0])
			if err != nil {
				return err
			}
			resp, err := cl.Explain(ctx, req)
			if err != nil {
				return err
			}
			return a.show(resp, func(w io.Writer) {
				a.decision(w, resp.GetDecision())
				a.findings(w, resp.GetFindings())
			})
		}),
	}
	q.flags(c.Flags())
	return c
}

// findings tells what each attestation counts for.
func (a *app) findings(w io.Writer, findings []*sekishov1.Finding) {
	if len(findings) == 0 {
		fmt.Fprintln(w, "\nNothing is registered about it. Hand in its provenance with: sekisho attest FILE")
		return
	}
	fmt.Fprintln(w, "\nWhat is registered about it:")
	for _, f := range findings {
		att := f.GetAttestation()
		fmt.Fprintf(w, "\n  %s  %s\n", a.paint(w, bold, fmt.Sprintf("#%d", att.GetLogIndex())), plain(att.GetPredicateType()))
		for _, line := range []struct{ name, text string }{
			{"digest", att.GetDigest()},
			{"builder", att.GetBuilderId()},
			{"source", f.GetSource()},
			{"signer", signer(f)},
			{"proven by", when(f.GetProvenTime())},
			{"claimed at", when(f.GetClaimedTime())},
		} {
			if line.text != "" {
				fmt.Fprintf(w, "    %-10s %s\n", line.name, plain(line.text))
			}
		}
		if r := f.GetReason(); r != nil {
			fmt.Fprintf(w, "    %s  %s: %s\n", a.paint(w, red, "counts for nothing"), r.GetCode(), plain(r.GetFound()))
		} else if f.GetBuilder() != "" {
			fmt.Fprintf(w, "    %s  %s, as the trust root rates it\n", a.paint(w, green, fmt.Sprintf("counts for L%d", f.GetBuildLevel())), plain(f.GetBuilder()))
		} else {
			fmt.Fprintf(w, "    %s\n", a.paint(w, green, "counts, where the policy asks for it"))
		}
	}
}

func signer(f *sekishov1.Finding) string {
	switch {
	case f.GetSigner() != "":
		return f.GetSigner() + ", of the trust root"
	case f.GetAttestation().GetSignerIdentity() != "":
		return f.GetAttestation().GetSignerIdentity() + ", whom the trust root does not name"
	}
	return "key " + f.GetAttestation().GetKeyId() + ", which the trust root does not name"
}

// repository takes a host and a path for what people mean by it, the repository that
// git fetches from there over https.
func repository(source string) string {
	host, _, ok := strings.Cut(source, "/")
	if !ok || strings.Contains(source, "://") || !strings.Contains(host, ".") || strings.Contains(host, ":") {
		return source
	}
	return "git+https://" + source
}
