package attest

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

// refused checks what every refusal owes to whoever reads it.
func refused(t *testing.T, err error) {
	t.Helper()
	if !isSentinel(err) {
		t.Errorf("an error that wraps not exactly one sentinel: %v", err)
	}
	if len(err.Error()) > 1000 || !utf8.ValidString(err.Error()) {
		t.Errorf("an error of %d bytes: %q", len(err.Error()), err)
	}
}

// checkSet checks what a digest set that was read owes to whoever compares it.
func checkSet(t *testing.T, s DigestSet) {
	t.Helper()
	if err := s.Validate(); err != nil || len(s) > MaxDigests {
		t.Errorf("read %d digests: %v", len(s), err)
	}
	acceptable := s.Acceptable()
	for _, d := range acceptable {
		if again, err := ParseDigest(string(d)); err != nil || again != d || s.Compare(d.Set()) != Matched {
			t.Errorf("%s: %s, %v", d, again, err)
		}
	}
	if m := s.Compare(s); (m == Matched) != (len(acceptable) > 0) {
		t.Errorf("%v compared with itself: %v", s, m)
	}
}

// An envelope that is read is served in one form, which is read as the same.
func FuzzParseEnvelope(f *testing.F) {
	f.Add([]byte(envelopeOf(PayloadTypeInToto, statementV1)))
	f.Add([]byte(envelopeOf("", "")))
	f.Add([]byte(`{"payload":"-_8=","payloadType":"t","signatures":[{"sig":"+/8=","cert":"PEM","keyid":"\u003c\ud83d\ude00"},{"sig":""}],"x":[{}]}`))
	f.Add([]byte(`{"payload":null,"payloadType":"t","signatures":[null]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		e, err := ParseEnvelope(data)
		if err != nil {
			refused(t, err)
			return
		}
		if !json.Valid(data) {
			t.Error("read what is not JSON")
		}
		served := e.JSON()
		again, err := ParseEnvelope(served)
		if err != nil {
			t.Fatalf("what we serve is refused: %v", err)
		}
		if !bytes.Equal(again.JSON(), served) || again.Digest() != e.Digest() || !bytes.Equal(again.Payload, e.Payload) || again.PayloadType != e.PayloadType {
			t.Errorf("served as %s, then as %s", served, again.JSON())
		}
		if len(e.Signatures) > MaxSignatures || len(again.Signatures) != len(e.Signatures) {
			t.Errorf("%d signatures, then %d", len(e.Signatures), len(again.Signatures))
		}
		if s, err := e.Statement(); err != nil {
			refused(t, err)
		} else if s == nil {
			t.Error("no statement and no error")
		}
	})
}

// A statement that is read names its subjects, and its predicate is a part of the
// bytes that were signed.
func FuzzParseStatement(f *testing.F) {
	f.Add([]byte(statementV1))
	f.Add([]byte(provenanceStatement(ProvenanceV02, predicateV02)))
	f.Add([]byte(statementOf(StatementV01, `[{"digest":{"sha1":"`+commit+`","gitCommit":"`+commit+`"},"annotations":[null]}]`, "HTTPS://A.example?B", "null")))
	f.Add([]byte(statementWith("[null]")))
	f.Add(ControlStatement(PolicyType, "policy", []byte("version: 1\n")))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := ParseStatement(data)
		if err != nil {
			refused(t, err)
			return
		}
		if err := CheckJSON(data); err != nil || !json.Valid(data) {
			t.Errorf("read what two readers would read differently: %v", err)
		}
		if len(s.Subjects) == 0 || len(s.Subjects) > MaxSubjects || s.PredicateType == "" || s.Type != StatementV1 && s.Type != StatementV01 {
			t.Errorf("read %+v", s)
		}
		acceptable := 0
		for _, r := range s.Subjects {
			checkSet(t, r.Digest)
			acceptable += len(r.Digest.Acceptable())
			if m, _ := s.Subject(r.Digest); m == NoMatch && len(r.Digest.Acceptable()) > 0 {
				t.Errorf("%v is a subject and matches none", r.Digest)
			}
		}
		if acceptable == 0 {
			t.Error("nothing that may identify an artifact")
		}
		if !bytes.Contains(data, s.Predicate) {
			t.Errorf("predicate %q is not a part of the payload", s.Predicate)
		}
		if len(s.Predicate) > 0 {
			if err := CheckJSON(s.Predicate); err != nil || s.Predicate[0] != '{' {
				t.Errorf("predicate %q: %v", s.Predicate, err)
			}
		}
		if normalizeURI(s.PredicateType) != s.PredicateType {
			t.Errorf("%q is not normal", s.PredicateType)
		}
		if _, err := s.Provenance(); err != nil {
			refused(t, err)
		}
		if document, err := s.Document(); err != nil {
			refused(t, err)
		} else if again, err := ParseStatement(ControlStatement(s.PredicateType, "", document)); err != nil {
			t.Errorf("a document that cannot be stated again: %v", err)
		} else if second, err := again.Document(); err != nil || !bytes.Equal(second, document) {
			t.Errorf("a document stated again is another: %v", err)
		}
	})
}

// Provenance of any version that is read names builder and build type, and says of
// its source only what stands in it.
func FuzzProvenance(f *testing.F) {
	types := []string{ProvenanceV1, ProvenanceV02, ProvenanceV01, ProvenanceV01InToto}
	for i, predicate := range []string{predicateV1, predicateV02, predicateV01} {
		f.Add(byte(i), []byte(predicate))
	}
	for _, file := range []string{"gcb-storage.json", "bundle-provenance.json", "buildkit-without-builder.json"} {
		for _, s := range statementsIn(f, file) {
			for i, typ := range types {
				if typ == s.PredicateType {
					f.Add(byte(i), s.Predicate)
				}
			}
		}
	}
	f.Add(byte(0), []byte(`{"buildDefinition":{"buildType":"t","externalParameters":{"source":"git+ssh://git@h/r.git@refs/tags/a@b"},"resolvedDependencies":[{"uri":"git+a@@refs/b"},{}]},"runDetails":{"builder":{"id":"b"}}}`))
	f.Fuzz(func(t *testing.T, version byte, predicate []byte) {
		s := &Statement{PredicateType: types[int(version)%len(types)], Predicate: predicate}
		p, err := s.Provenance()
		if err != nil {
			refused(t, err)
			return
		}
		if p.BuilderID == "" || p.BuildType == "" || len(p.Dependencies) > MaxDependencies {
			t.Errorf("read %+v", p)
		}
		for _, d := range p.Dependencies {
			checkSet(t, d.Digest)
		}
		for name, value := range p.ExternalParameters {
			if err := CheckJSON(value); err != nil {
				t.Errorf("parameter %q: %v", name, err)
			}
		}
		if s.PredicateType == ProvenanceV1 && !p.Complete {
			t.Error("v1 and not complete")
		}
		src := p.Source
		if src.Repository == "" && src.Commit != "" && s.PredicateType == ProvenanceV1 {
			t.Errorf("a commit of no repository: %+v", src)
		}
		if strings.HasSuffix(src.Repository, ".git.git") || strings.HasPrefix(src.Repository, "https://") {
			t.Errorf("not in the spelling of policies: %+v", src)
		}
		if n := len(src.Commit); n != 0 && n != 40 && n != 64 {
			t.Errorf("a commit of %d characters", n)
		}
		again, err := s.Provenance()
		if err != nil || again.Source != src || again.BuilderID != p.BuilderID {
			t.Errorf("read twice: %+v, then %+v, %v", p, again, err)
		}
	})
}

// A digest that is read is spelled in one way only.
func FuzzDigest(f *testing.F) {
	for _, s := range []string{
		string(SHA256(nil)), string(SHA512(nil)), "gitCommit:" + commit, strings.ToUpper(string(SHA256(nil))), "sha256:", ":", "", "md5:d41d8cd98f00b204e9800998ecf8427e", "sha256:é",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d, err := ParseDigest(s)
		if b := Digest(s).Bytes(); err == nil && len(b)*2 != len(Digest(s).Hex()) {
			t.Errorf("%q has the bytes %x", s, b)
		}
		if err != nil {
			refused(t, err)
			if d != "" {
				t.Errorf("%q beside the error", d)
			}
			return
		}
		if string(d) != s || NewDigest(d.Algorithm(), d.Bytes()) != d || strings.ToLower(d.Hex()) != d.Hex() || len(d.Bytes()) < 20 {
			t.Errorf("%q is read as %q", s, d)
		}
		checkSet(t, d.Set())
	})
}
