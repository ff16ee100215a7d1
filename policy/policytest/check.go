package policytest

import (
	"errors"
	"fmt"
	"time"

	"github.com/sekisho-dev/sekisho/attest"
	"github.com/sekisho-dev/sekisho/policy"
)

// Known returns the evidence of a decision at now.
func (c *Case) Known(now time.Time) policy.Evidence {
	e := policy.Evidence{Now: now}
	if c.NoClock {
		e.Now = time.Time{}
	}
	for i := range c.Evidence {
		e.Attestations = append(e.Attestations, c.Evidence[i].Attestation(i, now))
	}
	return e
}

// Decide lets package policy decide the case at now.
func (c *Case) Decide(now time.Time) (policy.Decision, error) {
	var p *policy.Policy
	if c.Policy != nil {
		var err error
		if p, err = policy.Parse(c.Policy); err != nil {
			return policy.Decision{}, err
		}
	}
	return policy.Decide(p, c.Question, c.Known(now)), nil
}

// Check compares an answer at now with the right one, and returns every difference.
func (w *Want) Check(d policy.Decision, now time.Time) error {
	var diff differences
	diff.same("verdict", d.Verdict, w.Verdict)
	diff.same("level", int(d.Level), w.Level)
	diff.same("audit", d.Audit, w.Audit)
	diff.said("rule", d.Rule, w.Rule)
	if w.Used != nil {
		want := make([]attest.Digest, len(w.Used))
		for i, name := range w.Used {
			want[i] = Digest(name)
		}
		diff.same("used", d.Used, want)
	}
	if w.Expires != nil {
		diff.same("expires", d.Expires.Sub(now), *w.Expires)
	}
	diff.same("number of reasons", len(d.Reasons), len(w.Reasons))
	for i, r := range d.Reasons {
		if i < len(w.Reasons) {
			diff.reason(fmt.Sprintf("reason %d: ", i), r, w.Reasons[i])
		} else {
			diff.add("reason %d: %+v, want none", i, r)
		}
	}
	return errors.Join(diff...)
}

type differences []error

func (d *differences) reason(at string, got policy.Reason, want Reason) {
	d.same(at+"code", got.Code, want.Code)
	d.said(at+"rule", got.Rule, want.Rule)
	d.said(at+"expected", got.Expected, want.Expected)
	d.said(at+"found", got.Found, want.Found)
	d.said(at+"remedy", got.Remedy, want.Remedy)
	if want.Nearest == "" && want.Field == "" {
		return
	}
	if got.Nearest == nil {
		d.add("%snearest: none, want %s", at, want.Nearest)
		return
	}
	if want.Nearest != "" {
		d.same(at+"nearest", got.Nearest.Attestation, Digest(want.Nearest))
	}
	d.said(at+"field", got.Nearest.Field, want.Field)
}

// said compares only if something is expected.
func (d *differences) said(what, got, want string) {
	if want != "" {
		d.same(what, got, want)
	}
}

func (d *differences) same(what string, got, want any) {
	if g, w := fmt.Sprint(got), fmt.Sprint(want); g != w {
		d.add("%s: %s, want %s", what, g, w)
	}
}

func (d *differences) add(format string, args ...any) {
	*d = append(*d, fmt.Errorf(format, args...))
}
