package attest

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/secure-systems-lab/go-securesystemslib/dsse"
)

// CVE-2026-44309 (gitsign): what was verified was a re-encoding of the bytes.
// A document that two readers could read differently is refused, and what was
// read keeps the signed bytes.
func TestAdvisoryA11_OneReadingOfTheBytes(t *testing.T) {
	payload := strings.Replace(statementV1, `"_type"`, "\n \"\\u005ftype\"", 1)
	e, err := ParseEnvelope([]byte(envelopeOf(PayloadTypeInToto, payload)))
	if err != nil {
		t.Fatal(err)
	}
	if string(e.Payload) != payload {
		t.Errorf("payload was re-encoded: %q", e.Payload)
	}
	if _, err := e.Statement(); err != nil {
		t.Errorf("an odd spelling is no ambiguity: %v", err)
	}
	for _, twice := range []string{
		`"predicateType":"https://slsa.dev/provenance/v1"`,
		`"predicate\u0054ype":"https://slsa.dev/provenance/v1"`,
		`"subject":[{"digest":{"sha256":"` + strings.Repeat("0", 64) + `"}}]`,
		`"x":{"a":{"b":1,"b":1}}`,
	} {
		payload := strings.TrimSuffix(statementV1, "}") + "," + twice + "}"
		if _, err := ParseStatement([]byte(payload)); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s twice: error %v, want %v", twice, err, ErrMalformed)
		}
	}
	// A reader that folds case would take the second of these for the subject.
	folded := strings.TrimSuffix(statementV1, "}") + `,"Subject":[{"digest":{"sha256":"` + strings.Repeat("0", 64) + `"}}]}`
	s, err := ParseStatement([]byte(folded))
	if err != nil || len(s.Subjects) != 1 || s.Subjects[0].Digest["sha256"] != hexOf("artifact") {
		t.Errorf("Subject beside subject: %+v, %v", s, err)
	}
}

// DSSE 1.0.2: what is handed on is what was verified. The envelope holds the
// decoded payload, the PAE is over it, and the statement is read from it; the
// caller's buffer is not looked at again.
func TestAdvisoryA13_VerifiedBytesAreHandedOn(t *testing.T) {
	wire := []byte(envelopeOf(PayloadTypeInToto, statementV1))
	e, err := ParseEnvelope(wire)
	if err != nil {
		t.Fatal(err)
	}
	signed := PAE(e.PayloadType, e.Payload)
	clear(wire)
	if !bytes.Equal(signed, PAE(PayloadTypeInToto, []byte(statementV1))) || !bytes.Equal(signed, PAE(e.PayloadType, e.Payload)) {
		t.Error("the envelope still reads the caller's buffer")
	}
	s, err := e.Statement()
	if err != nil {
		t.Fatal(err)
	}
	predicate := bytes.Clone(s.Predicate)
	clear(e.Payload)
	if s.Subjects[0].Digest["sha256"] != hexOf("artifact") || !bytes.Equal(s.Predicate, predicate) {
		t.Error("the statement still reads the envelope's buffer")
	}
	if !bytes.Contains([]byte(statementV1), predicate) {
		t.Errorf("the predicate is not a part of the payload: %s", predicate)
	}
}

// CVE-2026-48758 (@sigstore/core): characters beyond ASCII were cut to one byte.
func TestAdvisoryA17_PayloadTypeLookAlike(t *testing.T) {
	lookAlike := ""
	for _, r := range PayloadTypeInToto {
		lookAlike += string(r + 0x100) // the same low byte
	}
	body := []byte("{}")
	pae := PAE(lookAlike, body)
	if bytes.Equal(pae, PAE(PayloadTypeInToto, body)) {
		t.Error("the look-alike has the PAE of the real payload type")
	}
	if want := fmt.Sprintf("DSSEv1 %d ", len(lookAlike)); len(lookAlike) != 2*len(PayloadTypeInToto) || !bytes.HasPrefix(pae, []byte(want)) {
		t.Errorf("length is not counted in bytes: %q", pae)
	}
	if !bytes.Equal(pae, dsse.PAE(lookAlike, body)) {
		t.Error("PAE differs from go-securesystemslib's")
	}
	for i := range PayloadTypeInToto { // all, and each character alone
		one := PayloadTypeInToto[:i] + string(rune(PayloadTypeInToto[i])+0x100) + PayloadTypeInToto[i+1:]
		for _, typ := range []string{lookAlike, one} {
			if _, err := ParseEnvelope([]byte(envelopeOf(typ, "{}"))); !errors.Is(err, ErrMalformed) {
				t.Errorf("%q: error %v, want %v", typ, err, ErrMalformed)
			}
		}
	}
}

// CVE-2026-39395 (cosign): errors about a payload or its type were dropped.
func TestAdvisoryB2_MalformedOrForeignPredicate(t *testing.T) {
	for _, payload := range []string{"", "{", "null", "[]", `"x"`, statementV1 + "x", statementV1[:len(statementV1)-1]} {
		e, err := ParseEnvelope([]byte(envelopeOf(PayloadTypeInToto, payload)))
		if err != nil {
			t.Fatal(err)
		}
		if s, err := e.Statement(); s != nil || !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrStatementType) {
			t.Errorf("%q: %+v, %v", payload, s, err)
		}
	}
	for _, foreign := range []string{
		"https://spdx.dev/Document", "https://slsa.dev/provenance/v1.0", "https://slsa.dev/provenance/v1/",
		"https://slsa.dev/provenance/V1", "https://slsa.dev/provenance/v", "https://evil.example/https://slsa.dev/provenance/v1",
	} {
		s := &Statement{Type: StatementV1, PredicateType: foreign, Predicate: []byte(predicateV1)}
		if p, err := s.Provenance(); p != nil || !errors.Is(err, ErrPredicateType) {
			t.Errorf("%s: %+v, %v", foreign, p, err)
		}
		if IsProvenance(foreign) {
			t.Errorf("%s taken for provenance", foreign)
		}
	}
}

// cosign #5016: a null subject was dereferenced.
func TestAdvisoryB3_NullSubject(t *testing.T) {
	good := `{"digest":{"sha256":"` + hexOf("artifact") + `"}}`
	for _, subject := range []string{"null", "[null]", "[" + good + ",null]", "[null," + good + "]", "[]"} {
		if _, err := ParseStatement([]byte(statementWith(subject))); !errors.Is(err, ErrMalformed) {
			t.Errorf("subject %s: error %v, want %v", subject, err, ErrMalformed)
		}
	}
	for _, subject := range []string{"[{}]", `[{"digest":null}]`, `[{"digest":{}}]`, "[" + good + `,{"digest":null}]`} {
		if _, err := ParseStatement([]byte(statementWith(subject))); !errors.Is(err, ErrNoDigest) {
			t.Errorf("subject %s: error %v, want %v", subject, err, ErrNoDigest)
		}
	}
}

// GHSA-pgpm-j729-qcvh (go-witness): the answer depended on the order of a map.
func TestAdvisoryB10_ConflictingDigests(t *testing.T) {
	artifact := DigestSet{"sha256": hexOf("artifact"), "sha512": SHA512([]byte("artifact")).Hex()}
	liar := DigestSet{"sha256": hexOf("artifact"), "sha512": SHA512([]byte("other")).Hex()}
	s := &Statement{Subjects: []Resource{{Digest: artifact}, {Digest: liar}}}
	for range 1000 {
		if m := liar.Compare(artifact); m != Conflict {
			t.Fatalf("one digest right and one wrong: %v", m)
		}
		if m := artifact.Compare(liar); m != Conflict {
			t.Fatalf("the other way around: %v", m)
		}
		if m, i := s.Subject(artifact); m != Conflict || i != 1 {
			t.Fatalf("a subject in conflict beside one that matches: %v at %d", m, i)
		}
	}
}

// CVE-2024-45395 (sigstore-go): limits were applied after everything was parsed.
// Each of these ends in garbage, which a reader that stops at its limit does
// not report.
func TestAdvisoryD3_CountsOverTheirLimits(t *testing.T) {
	subject := `{"digest":{"sha256":"` + hexOf("artifact") + `"}},`
	if _, err := ParseStatement([]byte(statementWith("[" + strings.Repeat(subject, MaxSubjects) + `{"digest":{"sha256":"bad"}}]`))); !errors.Is(err, ErrTooLarge) {
		t.Errorf("subject %d is looked at: %v", MaxSubjects+1, err)
	}
	if _, err := ParseStatement([]byte(statementWith("[" + strings.TrimSuffix(strings.Repeat(subject, MaxSubjects), ",") + "]"))); err != nil {
		t.Errorf("%d subjects: %v", MaxSubjects, err)
	}
	digests := func(n int) string {
		set := `"sha256":"` + hexOf("artifact") + `"`
		for i := 1; i < n; i++ {
			set += fmt.Sprintf(`,"x%d":"y"`, i)
		}
		return `[{"digest":{` + set + `}}]`
	}
	if _, err := ParseStatement([]byte(statementWith(digests(MaxDigests)))); err != nil {
		t.Errorf("%d digests: %v", MaxDigests, err)
	}
	over := strings.Replace(digests(MaxDigests), "}}]", `,"sha512":"bad"}}]`, 1)
	if _, err := ParseStatement([]byte(statementWith(over))); !errors.Is(err, ErrTooLarge) {
		t.Errorf("digest %d is looked at: %v", MaxDigests+1, err)
	}
}

// CVE-2023-33199 and its like (rekor): an absent, null or empty member crashed the
// reader. Every member of every document is put to each of these values.
func TestAdvisoryD7_AbsentNullAndEmptyMembers(t *testing.T) {
	documents := map[string]string{
		"envelope": envelopeOf(PayloadTypeInToto, statementV1),
		"v1":       provenanceStatement(ProvenanceV1, predicateV1),
		"v0.2":     provenanceStatement(ProvenanceV02, predicateV02),
		"v0.1":     provenanceStatement(ProvenanceV01, predicateV01),
	}
	for name, document := range documents {
		read := 0
		for _, mutant := range mutants(t, []byte(document)) {
			if err := readAny(mutant); err == nil {
				read++
			} else if !isSentinel(err) {
				t.Errorf("%s: %v wraps no sentinel\n%s", name, err, mutant)
			}
		}
		if read == 0 {
			t.Errorf("%s: not one optional member", name)
		}
	}
}

// Vault CVE-2025-6203 and its like: deep or large JSON exhausts the reader.
func TestAdvisoryD15_DepthAndSize(t *testing.T) {
	for name, deep := range map[string]string{
		"arrays":  strings.Repeat("[", 1<<20),
		"objects": strings.Repeat(`{"a":`, 1<<20),
		"mixed":   strings.Repeat(`[{"":`, 1<<19),
	} {
		if err := CheckJSON([]byte(deep)); !errors.Is(err, ErrTooLarge) {
			t.Errorf("%s: error %v, want %v", name, err, ErrTooLarge)
		}
		for _, where := range []string{"x", "predicate"} {
			in := `{"` + where + `":` + deep
			if _, err := ParseStatement([]byte(in)); !errors.Is(err, ErrTooLarge) {
				t.Errorf("%s in %s: error %v, want %v", name, where, err, ErrTooLarge)
			}
		}
	}
	exact := strings.Repeat("[", MaxDepth) + strings.Repeat("]", MaxDepth)
	if err := CheckJSON([]byte(exact)); err != nil {
		t.Errorf("depth %d: %v", MaxDepth, err)
	}
	if err := CheckJSON([]byte("[" + exact + "]")); !errors.Is(err, ErrTooLarge) {
		t.Errorf("depth %d: %v", MaxDepth+1, err)
	}
}
