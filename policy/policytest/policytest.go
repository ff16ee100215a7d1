// Package policytest reads decisions that are written down as test data: a policy,
// what is known about an artifact, a question, and the answer that is right. The
// same files serve whatever decides: package policy itself, and what stands
// around it up to the API.
//
// A file is one YAML document, read strictly, so that a misspelt expectation
// cannot pass. Every case begins with the policy, the question and the evidence
// that the file gives as its base, and replaces those that it gives itself.
// Times are ages before the moment of the decision, so that a case holds at any time.
package policytest

import (
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/sekisho-dev/sekisho/attest"
	"github.com/sekisho-dev/sekisho/internal/strictyaml"
	"github.com/sekisho-dev/sekisho/policy"
)

// Artifact is the content of the artifact that a question is about unless it says otherwise.
const Artifact = "an artifact"

// Now is the moment of decisions whose clock can be chosen.
var Now = time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)

// A Case is one decision.
type Case struct {
	Name     string // "levels.yaml/too low"
	Policy   []byte // the document; nil if there is no policy
	Question policy.Question
	Evidence []Evidence
	NoClock  bool // there is no time of the decision
	Want     Want
}

// Want is the right answer. Its reasons are the answer's, in order, none more and none less.
type Want struct {
	Verdict string   `yaml:"verdict"` // "ALLOW" or "DENY"
	Level   int      `yaml:"level"`
	Audit   bool     `yaml:"audit"`
	Rule    string   `yaml:"rule"` // not compared if absent
	Used    []string `yaml:"used"` // names of evidence; not compared if absent
	// Expires is how long the answer is good; not compared if absent.
	Expires *time.Duration `yaml:"expires"`
	Reasons []Reason       `yaml:"reasons"`
}

// A Reason is one that is expected. What is absent, but for the code, is not compared.
type Reason struct {
	Code     string `yaml:"code"`
	Rule     string `yaml:"rule"`
	Expected string `yaml:"expected"`
	Found    string `yaml:"found"`
	Remedy   string `yaml:"remedy"`
	Nearest  string `yaml:"nearest"` // the name of the evidence
	Field    string `yaml:"field"`   // of the nearest
}

// file is one document of cases.
type file struct {
	Policy   string     `yaml:"policy"`
	Question question   `yaml:"question"`
	Evidence []Evidence `yaml:"evidence"`
	Cases    []struct {
		Name     string     `yaml:"name"`
		Policy   *string    `yaml:"policy"` // "none" is no policy
		Question *question  `yaml:"question"`
		Evidence []Evidence `yaml:"evidence"`
		NoClock  bool       `yaml:"noClock"`
		Want     Want       `yaml:"want"`
	} `yaml:"cases"`
}

type question struct {
	Digest      map[string]string `yaml:"digest"` // absent is the SHA-256 of Artifact
	Names       []string          `yaml:"names"`
	Environment string            `yaml:"environment"`
	Level       int               `yaml:"level"`
	Source      string            `yaml:"source"`
	Branch      string            `yaml:"branch"`
	Tag         string            `yaml:"tag"`
	Semver      string            `yaml:"semver"`
	Builder     string            `yaml:"builder"`
}

func (q *question) question() policy.Question {
	digest := attest.DigestSet(q.Digest)
	if digest == nil {
		digest = attest.SHA256([]byte(Artifact)).Set()
	}
	return policy.Question{Artifact: digest, Names: q.Names, Environment: q.Environment, MinLevel: attest.Level(q.Level),
		Source: q.Source, Branch: q.Branch, Tag: q.Tag, Semver: q.Semver, Builder: q.Builder}
}

// PolicyFile is the file whose policy is that of every file that gives none.
const PolicyFile = "policy.yaml"

// Load reads the cases of all *.yaml files at the root of fsys, in the order of
// their names. It refuses files and cases that say nothing.
func Load(fsys fs.FS) ([]Case, error) { return LoadFor(nil, fsys) }

// LoadFor is [Load] with the policy of the files that give none; nil is that of the
// [PolicyFile], if there is one.
func LoadFor(usual []byte, fsys fs.FS) ([]Case, error) {
	if usual == nil {
		var err error
		if usual, err = fs.ReadFile(fsys, PolicyFile); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("reading decisions: %w", err)
		}
	}
	names, err := fs.Glob(fsys, "*.yaml")
	if err != nil {
		return nil, err
	}
	var all []Case
	for _, name := range names {
		if name == PolicyFile {
			continue
		}
		cases, err := load(fsys, name, usual)
		if err != nil {
			return nil, fmt.Errorf("reading decisions %s: %w", name, err)
		}
		all = append(all, cases...)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("reading decisions: %w: no *.yaml with cases there", fs.ErrNotExist)
	}
	return all, nil
}

func load(fsys fs.FS, name string, usual []byte) ([]Case, error) {
	document, err := fs.ReadFile(fsys, name)
	if err != nil {
		return nil, err
	}
	var f file
	if err := strictyaml.Decode(document, &f); err != nil {
		return nil, err
	}
	cases := make([]Case, len(f.Cases))
	for i, in := range f.Cases {
		c := Case{Name: name + "/" + in.Name, Policy: []byte(f.Policy), Question: f.Question.question(), Evidence: f.Evidence,
			NoClock: in.NoClock, Want: in.Want}
		if f.Policy == "" {
			c.Policy = usual
		}
		if in.Policy != nil {
			c.Policy = []byte(*in.Policy)
		}
		if len(c.Policy) == 0 {
			return nil, fmt.Errorf("case %d (%s) has no policy: give one in the file, or in %s; \"none\" is to have none", i, in.Name, PolicyFile)
		}
		if string(c.Policy) == "none" {
			c.Policy = nil
		}
		if in.Question != nil {
			c.Question = in.Question.question()
		}
		if in.Evidence != nil {
			c.Evidence = in.Evidence
		}
		if in.Name == "" || in.Want.Verdict == "" {
			return nil, fmt.Errorf("case %d has no name or no verdict", i)
		}
		cases[i] = c
	}
	return cases, nil
}
