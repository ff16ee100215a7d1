package attest

import (
	"errors"
	"strings"
	"testing"

	"github.com/cyberphone/json-canonicalization/go/src/webpki.org/jsoncanonicalizer"
)

// Everybody who signs the same document signs the same bytes, whatever wrote them.
func TestControlStatement(t *testing.T) {
	for _, document := range []string{
		"version: 1\n", "", "a: \"b\\\\c\"\n\td: é→😀\u2028\r\n", "<script>&amp;</script>\x00\x7f\b\f", strings.Repeat("x", 1<<16),
	} {
		for _, typ := range []string{TrustRootType, PolicyType} {
			b := ControlStatement(typ, `na"me`, []byte(document))
			canonical, err := jsoncanonicalizer.Transform(b)
			if err != nil || string(canonical) != string(b) {
				t.Errorf("%.40q: not canonical: %v\n%.300s\n%.300s", document, err, b, canonical)
			}
			s, err := ParseStatement(b)
			if err != nil {
				t.Fatal(err)
			}
			got, err := s.Document()
			if err != nil || string(got) != document {
				t.Errorf("%.40q comes back as %.40q, %v", document, got, err)
			}
			if !IsControl(s.PredicateType) || s.PredicateType != typ || s.Type != StatementV1 || s.Subjects[0].Name != `na"me` {
				t.Errorf("%+v", s)
			}
			if m, _ := s.Subject(SHA256([]byte(document)).Set()); m != Matched {
				t.Errorf("the document is not the subject: %v", m)
			}
		}
	}
}

func TestDocumentRefusals(t *testing.T) {
	const document = "version: 1\n"
	subject := `{"digest":{"sha256":"` + hexOf(document) + `"}}`
	good := `{"document":"version: 1\n"}`
	for _, c := range []struct {
		name, typ, subject, predicate string
		want                          error
	}{
		{"as it should be", PolicyType, subject, good, nil},
		{"with a member that we do not know", PolicyType, subject, `{"document":"version: 1\n","x":1}`, nil},
		{"provenance", ProvenanceV1, subject, good, ErrPredicateType},
		{"a later version", "https://sekisho.dev/policy/v2", subject, good, ErrPredicateType},
		{"no predicate", PolicyType, subject, "null", ErrMalformed},
		{"no document", PolicyType, subject, "{}", ErrMalformed},
		{"null document", PolicyType, subject, `{"document":null}`, ErrMalformed},
		{"document as an object", PolicyType, subject, `{"document":{"version":1}}`, ErrMalformed},
		{"document under another case", PolicyType, subject, `{"Document":"version: 1\n"}`, ErrMalformed},
		{"another document", PolicyType, subject, `{"document":"version: 2\n"}`, ErrDigest},
		{"one byte more", TrustRootType, subject, `{"document":"version: 1\n\n"}`, ErrDigest},
		{"an empty document", TrustRootType, subject, `{"document":""}`, ErrDigest},
		{"another subject", PolicyType, `{"digest":{"sha256":"` + hexOf("other") + `"}}`, good, ErrDigest},
		{"by SHA-512 alone", PolicyType, `{"digest":{"sha512":"` + SHA512([]byte(document)).Hex() + `"}}`, good, ErrDigest},
		{"two subjects", PolicyType, subject + `,{"digest":{"sha256":"` + hexOf("other") + `"}}`, good, ErrDigest},
		{"the subject twice", PolicyType, subject + "," + subject, good, ErrDigest},
	} {
		s, err := ParseStatement([]byte(statementOf(StatementV1, "["+c.subject+"]", c.typ, c.predicate)))
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		got, err := s.Document()
		if !errors.Is(err, c.want) || c.want != nil && (got != nil || !isSentinel(err)) || c.want == nil && string(got) != document {
			t.Errorf("%s: %q, error %v, want %v", c.name, got, err, c.want)
		}
	}
	// What is no text cannot be carried: it does not come out as something else.
	s, err := ParseStatement(ControlStatement(PolicyType, "policy", []byte("a: \xff\n")))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := s.Document(); got != nil || !errors.Is(err, ErrDigest) {
		t.Errorf("invalid UTF-8: %q, %v", got, err)
	}
}

func TestIsControl(t *testing.T) {
	for _, typ := range []string{"", "https://sekisho.dev/policy/", "https://sekisho.dev/policy/v1/", "https://sekisho.dev/policy/V1", "https://sekisho.dev/received/v1", ProvenanceV1} {
		if IsControl(typ) {
			t.Errorf("%s taken for a control statement", typ)
		}
	}
	// A spelling that ParseStatement normalizes must not get by whoever asks.
	s, err := ParseStatement([]byte(statementOf(StatementV1, theSubject, strings.ToUpper("https://sekisho.dev")+"/policy/v1", "{}")))
	if err != nil || !IsControl(s.PredicateType) {
		t.Errorf("%+v, %v", s, err)
	}
}
