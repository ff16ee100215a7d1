package attest

import (
	"encoding/json"
	"errors"
	"runtime"
	"testing"
)

// The documents that the tests of this room take apart. Each holds every member
// that its reader looks at, so that mutants reaches them all.
const (
	predicateV1 = `{"buildDefinition":{"buildType":"https://example.com/build/v1",` +
		`"externalParameters":{"workflow":{"repository":"https://github.com/owner/repo","ref":"refs/heads/main"},"level":3},` +
		`"internalParameters":{"x":1},` +
		`"resolvedDependencies":[{"name":"src","uri":"git+https://github.com/owner/repo@refs/heads/main",` +
		`"digest":{"gitCommit":"0123456789012345678901234567890123456789"},"mediaType":"text/plain","annotations":{"a":[1]}}]},` +
		`"runDetails":{"builder":{"id":"https://builder.example/v1"},` +
		`"metadata":{"invocationId":"run-1","startedOn":"2026-01-02T03:04:05Z","finishedOn":"2026-01-02T03:05:06Z"}}}`

	predicateV02 = `{"builder":{"id":"https://builder.example/v02"},"buildType":"https://example.com/build/v02",` +
		`"invocation":{"configSource":{"uri":"git+https://github.com/owner/repo@refs/tags/v1","digest":{"sha1":"0123456789012345678901234567890123456789"},` +
		`"entryPoint":"build.yml"},"parameters":{"p":"q"},"environment":{"e":"f"}},` +
		`"metadata":{"buildInvocationId":"run-2","buildStartedOn":"2026-01-02T03:04:05Z","buildFinishedOn":"2026-01-02T03:05:06Z",` +
		`"completeness":{"parameters":true,"environment":false,"materials":false},"reproducible":false},` +
		`"materials":[{"uri":"git+https://github.com/owner/repo@refs/tags/v1","digest":{"sha1":"0123456789012345678901234567890123456789"}}]}`

	predicateV01 = `{"builder":{"id":"https://builder.example/v01"},` +
		`"recipe":{"type":"https://example.com/build/v01","definedInMaterial":1,"entryPoint":"make","arguments":{"p":"q"},"environment":{"e":"f"}},` +
		`"metadata":{"buildInvocationId":"run-3","buildStartedOn":"2026-01-02T03:04:05Z","buildFinishedOn":"2026-01-02T03:05:06Z",` +
		`"completeness":{"arguments":true,"environment":false,"materials":false},"reproducible":false},` +
		`"materials":[{"uri":"https://example.com/make.tar"},` +
		`{"uri":"git+https://github.com/owner/repo@refs/heads/main","digest":{"sha1":"0123456789012345678901234567890123456789"}}]}`
)

// commit is the one that the predicates above name.
const commit = "0123456789012345678901234567890123456789"

// The subject of every document above.
var theSubject = `[{"name":"artifact","digest":{"sha256":"` + hexOf("artifact") + `"}}]`

var statementV1 = provenanceStatement(ProvenanceV1, predicateV1)

// hexOf spells the SHA-256 of a string in hex.
func hexOf(s string) string { return SHA256([]byte(s)).Hex() }

func statementOf(typ, subject, predicateType, predicate string) string {
	return `{"_type":"` + typ + `","subject":` + subject + `,"predicateType":"` + predicateType + `","predicate":` + predicate + `}`
}

// statementWith spells a statement about other subjects.
func statementWith(subject string) string {
	return statementOf(StatementV1, subject, ProvenanceV1, predicateV1)
}

// provenanceStatement spells a statement of the version that builders put around
// provenance of that version.
func provenanceStatement(predicateType, predicate string) string {
	if predicateType == ProvenanceV1 {
		return statementOf(StatementV1, theSubject, predicateType, predicate)
	}
	return statementOf(StatementV01, theSubject, predicateType, predicate)
}

// mutants returns every document in which one member or element, at any depth, is
// absent, null, or an empty value of some kind.
func mutants(t *testing.T, document []byte) [][]byte {
	t.Helper()
	var root any
	if err := json.Unmarshal(document, &root); err != nil {
		t.Fatal(err)
	}
	var all [][]byte
	emit := func() {
		b, err := json.Marshal(root)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, b)
	}
	empty := []any{nil, "", map[string]any{}, []any{}, 0, false}
	// replace puts the whole document back as it was before it returns.
	var visit func(v any, replace func(any))
	visit = func(v any, replace func(any)) {
		switch v := v.(type) {
		case map[string]any:
			for name, member := range v {
				delete(v, name)
				emit()
				v[name] = member
				visit(member, func(m any) { v[name] = m })
			}
		case []any:
			for i, element := range v {
				replace(append(append([]any{}, v[:i]...), v[i+1:]...))
				emit()
				replace(v)
				visit(element, func(m any) { v[i] = m })
			}
		}
		for _, e := range empty {
			replace(e)
			emit()
		}
		replace(v)
	}
	visit(root, func(v any) { root = v })
	return all
}

// readAny reads a document as whatever it is, as deep as this package goes. An
// error of any reader that wraps no sentinel comes before a document that is read.
func readAny(document []byte) error {
	err := readEnvelope(document)
	if err != nil && isSentinel(err) {
		return readStatement(document)
	}
	return err
}

func readEnvelope(document []byte) error {
	e, err := ParseEnvelope(document)
	if err != nil {
		return err
	}
	s, err := e.Statement()
	return provenanceOf(s, err)
}

func readStatement(document []byte) error {
	s, err := ParseStatement(document)
	return provenanceOf(s, err)
}

func provenanceOf(s *Statement, err error) error {
	if err != nil || !IsProvenance(s.PredicateType) {
		return err
	}
	_, err = s.Provenance()
	return err
}

var sentinels = []error{
	ErrMalformed, ErrTooLarge, ErrPayloadType, ErrStatementType, ErrPredicateType, ErrNoDigest, ErrDigest, ErrLevel, ErrNotLoggable,
}

// isSentinel reports whether an error wraps exactly one of the package's, as they
// all should: two would be two answers to a caller who asks for one after another.
func isSentinel(err error) bool {
	n := 0
	for _, s := range sentinels {
		if errors.Is(err, s) {
			n++
		}
	}
	return n == 1
}

// allocated returns how many bytes f allocates, whether or not they are kept.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// The table of refusals is only as good as what it starts from.
func TestTheDocumentsAreRead(t *testing.T) {
	for name, document := range map[string]string{
		"envelope": envelopeOf(PayloadTypeInToto, statementV1),
		"v1":       statementV1,
		"v0.2":     provenanceStatement(ProvenanceV02, predicateV02),
		"v0.1":     provenanceStatement(ProvenanceV01, predicateV01),
	} {
		if err := readAny([]byte(document)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if n := len(mutants(t, []byte(document))); n < 25 {
			t.Errorf("%s: only %d mutants", name, n)
		}
	}
	if isSentinel(errors.New("other")) || isSentinel(errors.Join(ErrDigest, ErrMalformed)) || !isSentinel(ErrLevel) {
		t.Error("isSentinel tells nothing apart")
	}
}
