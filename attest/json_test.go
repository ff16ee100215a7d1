package attest

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
)

func TestCheckJSON(t *testing.T) {
	for _, in := range []string{
		"null", "0", "-0.5e+7", `""`, "[]", "{}", " [ ] \n", `{"a":{"a":[{"a":1},{"a":2}]}}`, `{"a":1,"A":2,"":3}`, `"\ud83d\ude00\u0000"`, `["\u00e9","é"]`,
	} {
		if err := CheckJSON([]byte(in)); err != nil {
			t.Errorf("%s: %v", in, err)
		}
	}
	for _, in := range []string{
		"", " ", "nul", "NaN", "Infinity", "01", "+1", ".5", "1.", "'a'", "[1,]", "{,}", `{"a"}`, `{a:1}`, `{"a":1}}`, `[]]`, `[}`, "[] []", "1 2", `{}null`, "{}\x00", "//\n1",
		"\ufeff{}", "\x00", "\"\x01\"", "\"\xff\"", "\"\xed\xa0\x80\"", "\"\xc0\xaf\"", `"\ud800"`, `"\udc00\ud800"`, `"\x"`, `"\u12"`, "\"a\nb\"", `"`, "[", `{"a":`,
		`{"a":1,"a":1}`, `{"a":1,"\u0061":1}`, `[{"x":[{"b":1,"c":2,"b":3}]}]`, `{"é":1,"\u00e9":1}`, `{"":1,"":1}`,
	} {
		if err := CheckJSON([]byte(in)); !errors.Is(err, ErrMalformed) || !isSentinel(err) {
			t.Errorf("%q: error %v, want %v", in, err, ErrMalformed)
		}
	}
}

// object spells one of n members, the last of which is a given value.
func object(n int, last string) string {
	var b strings.Builder
	for i := range n - 1 {
		b.WriteString(`"` + strconv.Itoa(i) + `":0,`)
	}
	return "{" + b.String() + `"last":` + last + "}"
}

// Every name of the objects that are open is remembered, at many times its size in
// the document; so they are counted where they add up.
func TestCheckJSONCountsNames(t *testing.T) {
	half := object(MaxNames/2, "0")
	for _, c := range []struct {
		name, in string
		want     error
	}{
		{"as many as may be", object(MaxNames, "0"), nil},
		{"one more", object(MaxNames+1, "0"), ErrTooLarge},
		{"one inside another, together as many as may be", object(MaxNames/2, half), nil},
		{"one inside another, together one more", object(MaxNames/2+1, half), ErrTooLarge},
		{"through an array", object(MaxNames/2+1, "["+half+"]"), ErrTooLarge},
		{"beside each other", "[" + half + "," + half + "," + half + "]", nil},
		{"beside each other, in an object", `{"a":` + half + `,"b":` + half + `,"c":{"d":` + half + `}}`, nil},
		{"in the second of two", "[" + half + "," + object(MaxNames+1, "0") + "]", ErrTooLarge},
	} {
		if err := CheckJSON([]byte(c.in)); !errors.Is(err, c.want) {
			t.Errorf("%s: error %v, want %v", c.name, err, c.want)
		}
	}
}

// A claim of eight times what is allowed costs no more to refuse than a claim of
// twice as much: what exceeds a limit is not there yet when it is refused.
func TestRefusalDoesNotAllocateInProportion(t *testing.T) {
	good := `{"digest":{"sha256":"` + hexOf("artifact") + `"}}`
	subjects := func(n int) string { return statementWith("[" + strings.Repeat(good+",", n) + good + "]") }
	for _, c := range []struct {
		name  string
		limit int
		spell func(n int) string
		read  func([]byte) error
	}{
		{"subjects", MaxSubjects, subjects, readStatement},
		{"signatures", MaxSignatures, func(n int) string {
			return `{"payload":"","payloadType":"t","signatures":[` + strings.Repeat(`{"sig":""},`, n) + `{"sig":""}]}`
		}, readEnvelope},
		{"depth", MaxDepth, func(n int) string { return statementWith(strings.Repeat(`[{"":`, n)) }, readStatement},
		{"names", MaxNames, func(n int) string { return statementWith(`[{"digest":` + object(n+1, `""`) + `}]`) }, readStatement},
		{"values after the document", 1, func(n int) string { return strings.Repeat("[]", n+1) }, CheckJSON},
	} {
		t.Run(c.name, func(t *testing.T) {
			bytes := func(n int) float64 {
				in := []byte(c.spell(n))
				var err error
				got := allocated(func() { err = c.read(in) })
				if err == nil || !isSentinel(err) {
					t.Errorf("%d: %v", n, err)
				}
				return float64(got)
			}
			bytes(c.limit * 2) // whatever is made once
			small, large := bytes(c.limit*2), bytes(c.limit*8)
			if large > 2*small+4096 {
				t.Errorf("refusing four times as many takes %.0f bytes, not %.0f", large, small)
			}
		})
	}
	// Nothing at all is kept of the elements of an array, or of values.
	for n := range 3 {
		in := []byte("[" + strings.Repeat(`{"a":[1,"x"]},`, 1000<<(2*n)) + "0]")
		if got := testing.AllocsPerRun(3, func() { CheckJSON(in) }); got > 20 {
			t.Errorf("%d bytes of JSON: %.0f allocations", len(in), got)
		}
	}
}

// An error is shown and logged; it is no way to make somebody's log as long as
// one likes, or to write invalid UTF-8 into it.
func TestErrorsAreShort(t *testing.T) {
	long := strings.Repeat("é", 1<<15)
	for _, document := range []string{
		long, `"` + long + `"`, `{"` + long + `":1,"` + long + `":2}`, `{"` + long + `":[01]}`, `{"_type":"` + long + `"}`, `{"_type":` + strings.Repeat("1", 1<<15) + `}`,
		`{"subject":[{"digest":{"` + long + `":1}}]}`, `{"subject":[{"digest":{"sha256":"` + long + `"}}]}`, `{"payload":"` + long + `","payloadType":"","signatures":[]}`,
		envelopeOf(long, "{}"), strings.Replace(statementV1, ProvenanceV1, long, 1),
		strings.Replace(statementV1, "2026-01-02T03:04:05Z", long, 1),
		strings.Replace(provenanceStatement(ProvenanceV01, predicateV01), `"definedInMaterial":1`, `"definedInMaterial":"`+long+`"`, 1),
	} {
		for i, read := range []func([]byte) error{CheckJSON, readEnvelope, readStatement, func(b []byte) error {
			_, err := (&Statement{PredicateType: long, Predicate: b}).Provenance()
			return err
		}} {
			if err := read([]byte(document)); err != nil && (len(err.Error()) > 1000 || strings.Contains(err.Error(), "\ufffd") || !isSentinel(err)) {
				t.Errorf("reader %d, %.60q: an error of %d bytes: %.300s", i, document, len(err.Error()), err)
			}
		}
	}
	// Cut in the middle of a character, it is still text.
	for pad := range 4 {
		name := strings.Repeat("x", pad) + strings.Repeat("😀", 1000)
		err := CheckJSON([]byte(fmt.Sprintf(`{"%s":1,"%[1]s":2}`, name)))
		if !errors.Is(err, ErrMalformed) || strings.ToValidUTF8(err.Error(), "") != err.Error() {
			t.Errorf("%v", err)
		}
	}
}
