package policy

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// remedy says how to mend what a code stands for, where nothing better is known.
func remedy(c Code) string {
	switch c {
	case NoPolicy:
		return "register a policy with a rule for this artifact in this environment"
	case NoEvidence:
		return "check the digest, and have the build register its provenance (sekisho attest)"
	case NoMatchingPredicate:
		return "register an attestation of this type by such a signer for the artifact"
	case NoTransparencyEvidence:
		return "sign with proof of logging, or register the complete Sigstore bundle"
	case NoTrustedTime:
		return "sign it again with the time in the statement and a timestamp from an authority in the trust root"
	case LogEntryMismatch:
		return "register the bundle as its signer made it: the log entry in it belongs to another signature"
	case UnknownSigner:
		return "if this signer should be believed, name it in the trust root; otherwise have a known one sign"
	case SignerBuilderMismatch:
		return "build with a builder that this signer speaks for, or list the signer under that builder in the trust root"
	case SourceMismatch:
		return "have the builder sign a provenance of the source that its certificate names; one of the two is wrong"
	case BuildTypeMismatch:
		return "build with a build type that the trust root rates this builder for, or assess this one and list it there"
	case LevelTooLow:
		return "build with a builder that the trust root rates high enough, or assess this one and raise its maxLevel there"
	case DigestConflict:
		return "compute all digests from one file; if they are right, whoever signed the statement must sign a right one"
	case EvidenceTooOld:
		return "run the check again and register its new result"
	case Revoked:
		return "build and attest again: what is revoked stays so, and a later statement supersedes it"
	case ResultMismatch:
		return "mend what the check found, run it again and register its new result"
	case NoSBOM:
		return "register an SBOM for the artifact (sekisho sbom submit)"
	case OutsideValidity:
		return "sign again with a key that is valid now, or mend the key's window in the trust root"
	case BadQuestion:
		return "ask again with one artifact by its whole digest, and at most one of branch, tag and semver"
	}
	return "report this with the artifact's digest: it is a fault of the service, and it refuses until mended"
}

// noEnvironment says that there is no policy, or no such environment in it.
func (p *Policy) noEnvironment(name string) Reason {
	if p == nil {
		return Reason{Code: NoPolicy, Expected: "a policy", Found: "none", Remedy: remedy(NoPolicy)}
	}
	if name == "" {
		name = DefaultEnvironment
	}
	r := Reason{Code: NoPolicy, Found: clip("no environment " + name), Remedy: "ask for an environment that the policy has, or add this one to it"}
	var names []string
	for _, e := range p.Environments {
		names = append(names, e.Name)
		if near(e.Name, name) {
			r.Remedy = "did you mean " + e.Name + "?"
		}
	}
	r.Expected = clip("one of " + strings.Join(names, ", "))
	return r
}

func (e *Environment) noRule(names []string) Reason {
	return Reason{Code: NoPolicy, Rule: e.Name, Expected: "a rule for the artifact", Found: clip("none for " + orNone(list(names))),
		Remedy: "give the artifact's name as the policy knows it, or add a rule that covers it"}
}

// mend proposes to do it right, or to change what is demanded where it stands.
func mend(right, found, at string) string {
	if strings.HasPrefix(at, "question.") {
		return right + ", or ask for " + orNone(found) + " if that is right"
	}
	return right + ", or put " + orNone(found) + " into " + at + " if that is right"
}

// repositoryRemedy looks for a misspelling before it suspects another source.
func repositoryRemedy(want, found, at string) string {
	if found == "" {
		return "use a builder that records the source repository in its provenance"
	}
	_, _, wantPath := splitRepository(want)
	_, _, foundPath := splitRepository(found)
	same := wantPath[strings.LastIndexByte(wantPath, '/')+1:] == foundPath[strings.LastIndexByte(foundPath, '/')+1:]
	if same || near(want, found) || strings.EqualFold(want, found) {
		return "source is " + found + "; did you mean that, or was another repository of nearly that name built?"
	}
	return mend("build from "+want, found, at)
}

func refRemedy(want *Source, found, at string) string {
	if found == "" {
		return "use a builder that records the ref in its provenance"
	}
	branch, isBranch := strings.CutPrefix(found, "refs/heads/")
	tag, isTag := strings.CutPrefix(found, "refs/tags/")
	switch {
	case want.Branch != "" && isTag:
		return "it was built from the tag " + tag + ": expect that instead of a branch, or build the branch"
	case want.Branch == "" && isBranch:
		return "it was built from the branch " + branch + ": build the tagged version"
	case near(want.ref(), found):
		return "did you mean " + branchOrTag(found) + "?"
	case isBranch || isTag:
		return mend("build from "+want.ref(), branchOrTag(found), at)
	}
	return "build from " + want.ref() + ": " + found + " is neither a branch nor a tag, and no policy can expect it"
}

// branchOrTag is a ref as policies spell it.
func branchOrTag(ref string) string {
	return strings.TrimPrefix(strings.TrimPrefix(ref, "refs/heads/"), "refs/tags/")
}

// near reports whether one text is likely a misspelling of the other: at most two
// characters inserted, deleted or replaced, and short ones fewer.
func near(a, b string) bool {
	const longest = 200
	if a == b || len(a) > longest || len(b) > longest {
		return false
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replaced := diagonal
			if a[i] != b[j] {
				replaced++
			}
			diagonal = row[j+1]
			row[j+1] = min(replaced, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)] <= min(2, len(a)/3)
}

// clip shortens a text that others chose, and makes it printable on one line.
func clip(s string) string {
	const longest = 300
	cut := ""
	if len(s) > longest {
		end := longest
		for end > longest-utf8.UTFMax && !utf8.RuneStart(s[end]) {
			end--
		}
		s, cut = s[:end], "…"
	}
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) || r == utf8.RuneError { // what breaks a line, or turns its direction
			return '?'
		}
		return r
	}, s) + cut
}
