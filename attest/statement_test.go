package attest

import (
	"errors"
	"strings"
	"testing"
)

func TestParseStatement(t *testing.T) {
	for _, typ := range []string{StatementV1, StatementV01} {
		s, err := ParseStatement([]byte(statementOf(typ, theSubject, "https://example.com/x/v1", `{ "a": [1, 2] }`)))
		if err != nil {
			t.Fatal(err)
		}
		if s.Type != typ || s.PredicateType != "https://example.com/x/v1" || len(s.Subjects) != 1 ||
			s.Subjects[0].Name != "artifact" || s.Subjects[0].Digest["sha256"] != hexOf("artifact") {
			t.Errorf("read %+v", s)
		}
		if string(s.Predicate) != `{ "a": [1, 2] }` { // as it stands: it is what was signed
			t.Errorf("predicate %s", s.Predicate)
		}
	}
	s, err := ParseStatement([]byte(` {"predicateType":"t","unknown":[{}],"subject":[` +
		`{"uri":"pkg:npm/a@1","mediaType":"m","annotations":{"k":"v"},"downloadLocation":"x","content":"AA==","digest":{"sha512":"` + SHA512(nil).Hex() + `","md5":"` + commit[:32] + `","arn":"a:B"}},` +
		`{"digest":{"sha1":"` + commit + `"}}],"_type":"` + StatementV1 + `"}`))
	if err != nil {
		t.Fatal(err)
	}
	first := s.Subjects[0]
	if first.URI != "pkg:npm/a@1" || first.MediaType != "m" || string(first.Annotations) != `{"k":"v"}` || len(first.Digest) != 3 || len(s.Subjects) != 2 {
		t.Errorf("read %+v", s)
	}
	if s.Predicate != nil {
		t.Errorf("predicate %q, want none", s.Predicate)
	}
	for _, absent := range []string{`null`, " null "} {
		if s, err := ParseStatement([]byte(statementOf(StatementV1, theSubject, "t", absent))); err != nil || len(s.Predicate) != 0 {
			t.Errorf("predicate %q: %q, %v", absent, s.Predicate, err)
		}
	}
}

func TestParseStatementRefusals(t *testing.T) {
	good := hexOf("artifact")
	digest := func(set string) string { return statementWith(`[{"digest":{` + set + `}}]`) }
	withMember := func(m string) string { return strings.TrimSuffix(statementV1, "}") + "," + m + "}" }
	many := func(n int, s string) string { return strings.TrimSuffix(strings.Repeat(s+",", n), ",") }
	for _, c := range []struct {
		name, in string
		want     error
	}{
		{"nothing", "", ErrMalformed},
		{"an array", "[" + statementV1 + "]", ErrMalformed},
		{"a string", `"` + StatementV1 + `"`, ErrMalformed},
		{"null", "null", ErrStatementType},
		{"no member", "{}", ErrStatementType},
		{"no type", strings.Replace(statementV1, `"_type"`, `"type"`, 1), ErrStatementType},
		{"a later type", statementOf("https://in-toto.io/Statement/v2", theSubject, "t", "{}"), ErrStatementType},
		{"a type with a slash", statementOf(StatementV1+"/", theSubject, "t", "{}"), ErrStatementType},
		{"a type in another case", statementOf("https://in-toto.io/statement/v1", theSubject, "t", "{}"), ErrStatementType},
		{"a type by another host's case", statementOf("https://In-Toto.io/Statement/v1", theSubject, "t", "{}"), ErrStatementType},
		{"a type as a number", strings.Replace(statementV1, `"`+StatementV1+`"`, "1", 1), ErrMalformed},
		{"no predicate type", statementOf(StatementV1, theSubject, "", "{}"), ErrMalformed},
		{"null predicate type", strings.Replace(statementV1, `"`+ProvenanceV1+`"`, "null", 1), ErrMalformed},
		{"predicate as an array", statementOf(StatementV1, theSubject, "t", "[]"), ErrMalformed},
		{"predicate as a string", statementOf(StatementV1, theSubject, "t", `"{}"`), ErrMalformed},
		{"predicate as false", statementOf(StatementV1, theSubject, "t", "false"), ErrMalformed},
		{"no subject", strings.Replace(statementV1, `"subject"`, `"Subject"`, 1), ErrMalformed},
		{"subject as an object", statementWith(`{"digest":{"sha256":"` + good + `"}}`), ErrMalformed},
		{"subject as a string", statementWith(`["sha256:` + good + `"]`), ErrMalformed},
		{"subject in a list of lists", statementWith("[" + theSubject + "]"), ErrMalformed},
		{"name as a number", statementWith(`[{"name":1,"digest":{"sha256":"` + good + `"}}]`), ErrMalformed},
		{"digest as a string", statementWith(`[{"digest":"sha256:` + good + `"}]`), ErrMalformed},
		{"digest as a list", statementWith(`[{"digest":["` + good + `"]}]`), ErrMalformed},
		{"digest value as a number", digest(`"sha256":1`), ErrDigest},
		{"digest value as null", digest(`"sha256":null`), ErrDigest},
		{"digest value as a list", digest(`"sha256":["` + good + `"]`), ErrDigest},
		{"short", digest(`"sha256":"` + good[1:] + `"`), ErrDigest},
		{"long", digest(`"sha256":"` + good + `0"`), ErrDigest},
		{"length of SHA-512", digest(`"sha512":"` + good + `"`), ErrDigest},
		{"in capitals", digest(`"sha256":"` + strings.ToUpper(good) + `"`), ErrDigest},
		{"not hex", digest(`"sha256":"` + good[:63] + `x"`), ErrDigest},
		{"empty value", digest(`"sha256":""`), ErrDigest},
		{"empty algorithm", digest(`"":"` + good + `"`), ErrDigest},
		{"a good digest beside a short one", digest(`"sha256":"` + good + `","md5":"00"`), ErrDigest},
		{"a good subject beside a short digest", statementWith(`[{"digest":{"sha256":"` + good + `"}},{"digest":{"sha1":"00"}}]`), ErrDigest},
		{"digest twice", digest(`"sha256":"` + good + `","sha256":"` + good + `"`), ErrMalformed},
		{"MD5 only", digest(`"md5":"` + good[:32] + `"`), ErrNoDigest},
		{"SHA-1 only", digest(`"sha1":"` + good[:40] + `"`), ErrNoDigest},
		{"unknown only", digest(`"SHA256":"` + good + `"`), ErrNoDigest},
		{"weak in every subject", statementWith(`[{"digest":{"md5":"` + good[:32] + `"}},{"digest":{"sha1":"` + good[:40] + `"}}]`), ErrNoDigest},
		{"one subject without", statementWith(`[{"digest":{"sha256":"` + good + `"}},{"name":"b"}]`), ErrNoDigest},
		{"duplicate member", withMember(`"_type":"` + StatementV1 + `"`), ErrMalformed},
		{"duplicate member of the predicate", statementOf(StatementV1, theSubject, "t", `{"a":{"b":1,"b":1}}`), ErrMalformed},
		{"duplicate member of an annotation", statementWith(`[{"annotations":{"b":1,"\u0062":1},"digest":{"sha256":"` + good + `"}}]`), ErrMalformed},
		{"trailing document", statementV1 + statementV1, ErrMalformed},
		{"trailing line", statementV1 + "\n\x00", ErrMalformed},
		{"cut off", statementV1[:len(statementV1)-1], ErrMalformed},
		{"invalid UTF-8", withMember("\"x\":\"\xff\""), ErrMalformed},
		{"invalid UTF-8 in a name", withMember("\"\xff\":1"), ErrMalformed},
		{"invalid UTF-8 in the predicate", statementOf(StatementV1, theSubject, "t", "{\"x\":\"\xed\xa0\x80\"}"), ErrMalformed},
		{"UTF-16", "\xff\xfe{\x00}\x00", ErrMalformed},
		{"too many subjects", statementWith("[" + many(MaxSubjects+1, `{"digest":{"sha256":"`+good+`"}}`) + "]"), ErrTooLarge},
		{"too many subjects, before one that is null", statementWith("[" + many(MaxSubjects, `{"digest":{"sha256":"`+good+`"}}`) + ",null]"), ErrTooLarge},
		{"too many digests", digest(strings.Trim(strings.ReplaceAll(object(MaxDigests+1, `"x"`), ":0", `:"x"`), "{}")), ErrTooLarge},
		{"too deep", statementOf(StatementV1, theSubject, "t", strings.Repeat(`{"a":`, MaxDepth)+"1"+strings.Repeat("}", MaxDepth)), ErrTooLarge},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := ParseStatement([]byte(c.in))
			if !errors.Is(err, c.want) || !isSentinel(err) {
				t.Errorf("error %v, want %v", err, c.want)
			}
			if s != nil {
				t.Errorf("a statement beside the error: %+v", s)
			}
		})
	}
}

func TestStatementSubject(t *testing.T) {
	one := SHA256([]byte("one")).Set()
	both := DigestSet{"sha256": hexOf("one"), "sha512": SHA512([]byte("one")).Hex()}
	liar := DigestSet{"sha256": hexOf("one"), "sha512": SHA512([]byte("two")).Hex()}
	other := SHA256([]byte("two")).Set()
	weak := DigestSet{"sha1": commit}
	for _, c := range []struct {
		name     string
		subjects []DigestSet
		artifact DigestSet
		want     Match
		at       int
	}{
		{"no subject", nil, one, NoMatch, -1},
		{"another", []DigestSet{other}, one, NoMatch, -1},
		{"the second", []DigestSet{other, one}, one, Matched, 1},
		{"the first of two", []DigestSet{one, both}, one, Matched, 0},
		{"no artifact", []DigestSet{one}, nil, NoMatch, -1},
		{"weak on both sides", []DigestSet{weak}, weak, NoMatch, -1},
		{"in conflict", []DigestSet{liar}, both, Conflict, 0},
		{"in conflict after one that matches", []DigestSet{both, other, liar}, both, Conflict, 2},
		{"in conflict before one that matches", []DigestSet{liar, both}, both, Conflict, 0},
		// Who asks by one digest alone cannot see the other.
		{"half asked", []DigestSet{liar}, one, Matched, 0},
	} {
		s := &Statement{}
		for _, d := range c.subjects {
			s.Subjects = append(s.Subjects, Resource{Digest: d})
		}
		if m, at := s.Subject(c.artifact); m != c.want || at != c.at {
			t.Errorf("%s: %v at %d, want %v at %d", c.name, m, at, c.want, c.at)
		}
	}
}

// RFC 3986, 6.2.2.1: scheme and host only. Anything more would make one type of two.
func TestPredicateTypeIsNormalized(t *testing.T) {
	for in, want := range map[string]string{
		"HTTPS://SLSA.dev/provenance/v1":    ProvenanceV1,
		"https://slsa.DEV/Provenance/V1":    "https://slsa.dev/Provenance/V1",
		"https://Host.example:8443":         "https://host.example:8443",
		"https://Host.example/":             "https://host.example/",
		"https://Host.example?Q=A/B":        "https://host.example?Q=A/B",
		"https://Host.example#Frag://X":     "https://host.example#Frag://X",
		"https://h/%7eA//B/../C":            "https://h/%7eA//B/../C",
		"https://seKisho.dev/policy/v1":     "https://seKisho.dev/policy/v1",
		"Some/Type?at=https://Host.example": "Some/Type?at=https://Host.example",
		"urn:Example:A":                     "urn:Example:A",
		"Slsa.dev/Provenance":               "Slsa.dev/Provenance",
		"cosign.SIGSTORE.dev/attestation":   "cosign.SIGSTORE.dev/attestation",
		"https://slsa.dev/provenance/v1\\n": "https://slsa.dev/provenance/v1\n",
	} {
		s, err := ParseStatement([]byte(statementOf(StatementV1, theSubject, in, "{}")))
		if err != nil || s.PredicateType != want {
			t.Errorf("%s: %+v, %v", in, s, err)
		}
	}
}
