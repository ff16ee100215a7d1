package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sekisho-dev/sekisho/client"
	"github.com/sekisho-dev/sekisho/policy"
	"github.com/sekisho-dev/sekisho/policy/policytest"
)

// A tested is one decision, and in what it differs from the right one.
type tested struct {
	Name        string   `json:"name"`
	Passed      bool     `json:"passed"`
	Differences []string `json:"differences"`
}

// tests are all of them.
type tests struct {
	Passed int      `json:"passed"`
	Failed int      `json:"failed"`
	Cases  []tested `json:"cases"`
}

func (a *app) policyTestCommand() *cobra.Command {
	var file string
	c := &cobra.Command{
		Use:   "test DIR",
		Short: "Test a policy: decisions that are written down, and what is right",
		Long: `Decides every case in the *.yaml files of DIR as the service would, and compares. No
service is asked: the evidence is written down too, in the words of the trust root.
Exit code 0: all are right; 1: one is not; 2: they cannot be read.

The policy that is tested is FILE, or DIR/policy.yaml; a file or case may bring its
own ("policy: |"). A file of cases:

  question: {names: ["pkg:oci/app"], level: 2}         # of every case without its own
  evidence:
    - {name: ours, type: https://slsa.dev/provenance/v1, signer: github-actions, level: 3,
       builder: generator, builderId: https://example.com/builder, buildType: https://example.com/make@v1,
       repository: git+https://github.com/acme/app, ref: refs/tags/v1.2.3, proven: 2h, claimed: 2h}
  cases:
    - name: ours passes
      want: {verdict: ALLOW, level: 3}
    - name: not from a fork
      question: {names: ["pkg:oci/app"], source: git+https://github.com/mallory/app}
      want: {verdict: DENY, reasons: [{code: SOURCE_MISMATCH}]}`,
		Example: `  sekisho policy test ./policy-tests --policy policy.yaml
  sekisho policy test ./policy-tests -o json | jq '.cases[] | select(.passed | not)'`,
		Args: cobra.ExactArgs(1),
	}
	c.Flags().StringVar(&file, "policy", "", "the policy that is tested, a `FILE` (default DIR/policy.yaml)")
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := a.checkOutput(c); err != nil {
			return err
		}
		document, err := readOptional(file)
		if err != nil {
			return err
		}
		if file != "" {
			if _, err := policy.Parse(document); err != nil {
				return rejection{because{client.ErrInvalidPolicy, fmt.Errorf("%s: %w", file, err)}}
			}
		}
		cases, err := policytest.LoadFor(document, os.DirFS(args[0]))
		if err != nil {
			return fmt.Errorf("%s: %w (sekisho policy test --help shows a file of cases)", args[0], err)
		}
		return a.tested(runTests(cases))
	}
	return c
}

func runTests(cases []policytest.Case) (all tests) {
	for i := range cases {
		t := tested{Name: cases[i].Name, Differences: []string{}}
		d, err := cases[i].Decide(policytest.Now)
		if err == nil {
			err = cases[i].Want.Check(d, policytest.Now)
		}
		if err == nil {
			t.Passed = true
			all.Passed++
		} else {
			t.Differences = strings.Split(err.Error(), "\n")
			all.Failed++
		}
		all.Cases = append(all.Cases, t)
	}
	return all
}

// tested shows what became of the tests. That one failed is a refusal.
func (a *app) tested(all tests) error {
	var err error
	if a.output == "json" {
		var b bytes.Buffer
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(false)
		enc.SetIndent("", "  ")
		err = join(enc.Encode(all), a.write(b.Bytes()))
	} else {
		err = a.text(func(w io.Writer) {
			for _, t := range all.Cases {
				if t.Passed {
					fmt.Fprintf(w, "%s  %s\n", a.paint(w, green, "right"), plain(t.Name))
					continue
				}
				fmt.Fprintf(w, "%s  %s\n", a.paint(w, red, "WRONG"), plain(t.Name))
				for _, d := range t.Differences {
					fmt.Fprintf(w, "       %s\n", plain(d))
				}
			}
			fmt.Fprintf(w, "%d right, %d wrong\n", all.Passed, all.Failed)
		})
	}
	if err == nil && all.Failed > 0 {
		return errWrong
	}
	return err
}

// errWrong ends a command whose answer was shown already: a policy does not decide
// as it should.
var errWrong = errors.New("wrong")
