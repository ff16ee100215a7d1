package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sekisho-dev/sekisho/client"
	"github.com/sekisho-dev/sekisho/policy"
	sekishov1 "github.com/sekisho-dev/sekisho/proto/sekisho/v1"
)

const (
	// completeIn is how long a shell waits for what the service has; then it completes
	// without.
	completeIn = 2 * time.Second
	// completeMost is how many attestations are looked through.
	completeMost = 1000
	completeFew  = 20 // entries of a longer log
)

// completions has the shell complete what there is to be named: the forms of an
// output, and, where a service answers, its keys, entries, environments and builders.
func (a *app) completions(root *cobra.Command) {
	for path, of := range map[string]lister{
		"get": a.entries, "log prove": a.entries, "key": a.keyIDs,
	} {
		find(root, path).ValidArgsFunction = a.first(of)
	}
	for _, path := range []string{"list", "keys", "trusted-root", "log checkpoint", "log audit", "trust show", "policy show", "sbom search"} {
		find(root, path).ValidArgsFunction = cobra.NoFileCompletions
	}
	for path, flags := range map[string]map[string]lister{
		"verify": {"environment": a.environments, "builder": a.builders},
		"why":    {"environment": a.environments, "builder": a.builders},
		"list":   {"predicate-type": a.predicateTypes, "builder": a.builders, "signer": a.signers},
	} {
		for flag, of := range flags {
			a.complete(find(root, path), flag, a.asking(of))
		}
	}
	for _, path := range []string{"verify", "why"} {
		a.complete(find(root, path), "level", fixed("0\tno demand", "1\tprovenance exists", "2\tsigned by a hosted builder", "3\tby a hardened builder"))
		for _, flag := range []string{"source", "branch", "tag", "semver", "name"} {
			a.complete(find(root, path), flag, cobra.NoFileCompletions)
		}
	}
	a.complete(root, "color", fixed("auto", "always", "never"))
	a.completeOutputs(root)
}

// completeOutputs has every command complete the forms that it has.
func (a *app) completeOutputs(c *cobra.Command) {
	if c.Flag("output") != nil && (c.Annotations[outputs] != "" || !c.HasParent()) {
		a.complete(c, "output", fixed(forms(c)...))
	}
	for _, sub := range c.Commands() {
		a.completeOutputs(sub)
	}
}

func (a *app) complete(c *cobra.Command, flag string, f cobra.CompletionFunc) {
	if err := c.RegisterFlagCompletionFunc(flag, f); err != nil {
		panic(fmt.Sprintf("%s --%s: %v", c.CommandPath(), flag, err)) // a misspelt name: the first run shows it
	}
}

// find is the command of a path, which exists.
func find(root *cobra.Command, path string) *cobra.Command {
	c, _, err := root.Find(strings.Fields(path))
	if err != nil {
		panic(err)
	}
	return c
}

func fixed(values ...string) cobra.CompletionFunc {
	return cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)
}

// A lister lists what can be named, each with a tab and a description.
type lister func(context.Context, *client.Client) ([]string, error)

// first completes the first argument.
func (a *app) first(of lister) cobra.CompletionFunc {
	asking := a.asking(of)
	return func(c *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return asking(c, args, begun)
	}
}

// asking asks the service. Whatever goes wrong, nothing is completed and nothing said.
func (a *app) asking(of lister) cobra.CompletionFunc {
	return func(c *cobra.Command, _ []string, begun string) ([]string, cobra.ShellCompDirective) {
		none := cobra.ShellCompDirectiveNoFileComp
		quiet := *a
		quiet.err = discard{}
		cl, err := quiet.connect()
		if err != nil {
			return nil, none
		}
		defer cl.Close() //nolint:errcheck // nothing is under way any more
		ctx, cancel := context.WithTimeout(c.Context(), completeIn)
		defer cancel()
		all, err := of(ctx, cl)
		if err != nil {
			return nil, none
		}
		return slices.DeleteFunc(all, func(s string) bool { return !strings.HasPrefix(s, begun) }), none | cobra.ShellCompDirectiveKeepOrder
	}
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }

// seen are the first attestations, up to completeMost.
func seen(ctx context.Context, c *client.Client) (all []*sekishov1.Attestation, err error) {
	for att, err := range c.List(ctx, &sekishov1.ListAttestationsRequest{PageSize: completeMost}) {
		if err != nil {
			return nil, err
		}
		if all = append(all, att); len(all) == completeMost {
			break
		}
	}
	return all, nil
}

// entries are the entries of the log, the newest first; of a long log the newest few.
func (a *app) entries(ctx context.Context, c *client.Client) (list []string, err error) {
	_, cp, err := c.Log(ctx)
	if err != nil {
		return nil, err
	}
	if cp.Size > completeMost {
		for i := range uint64(completeFew) {
			list = append(list, strconv.FormatUint(cp.Size-1-i, 10))
		}
		return list, nil
	}
	all, err := seen(ctx, c)
	for _, att := range all {
		list = append(list, strconv.FormatUint(att.GetLogIndex(), 10)+"\t"+plain(att.GetPredicateType()+" "+about(att)))
	}
	slices.Reverse(list)
	return list, err
}

func (a *app) keyIDs(ctx context.Context, c *client.Client) (list []string, err error) {
	keys, err := c.Keys(ctx)
	for _, k := range keys {
		list = append(list, k.GetKeyId()+"\t"+purpose(k))
	}
	return list, err
}

func (a *app) environments(ctx context.Context, c *client.Client) (list []string, err error) {
	resp, err := c.Policy(ctx)
	if err != nil {
		return nil, err
	}
	p, err := policy.Parse(resp.GetDocument())
	if err != nil {
		return nil, err
	}
	for _, e := range p.Environments {
		list = append(list, e.Name+"\t"+e.Mode)
	}
	return list, nil
}

func (a *app) builders(ctx context.Context, c *client.Client) ([]string, error) {
	return distinct(ctx, c, (*sekishov1.Attestation).GetBuilderId)
}

func (a *app) predicateTypes(ctx context.Context, c *client.Client) ([]string, error) {
	return distinct(ctx, c, (*sekishov1.Attestation).GetPredicateType)
}

func (a *app) signers(ctx context.Context, c *client.Client) ([]string, error) {
	return distinct(ctx, c, func(att *sekishov1.Attestation) string {
		if id := att.GetSignerIdentity(); id != "" {
			return id
		}
		return att.GetKeyId()
	})
}

// distinct are the values of a field among the first attestations, sorted.
func distinct(ctx context.Context, c *client.Client, field func(*sekishov1.Attestation) string) (list []string, err error) {
	all, err := seen(ctx, c)
	for _, att := range all {
		if v := plain(field(att)); v != "" {
			list = append(list, v)
		}
	}
	slices.Sort(list)
	return slices.Compact(list), err
}
