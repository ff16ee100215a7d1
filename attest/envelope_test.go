package attest

import (
	"crypto"
	_ "crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/cyberphone/json-canonicalization/go/src/webpki.org/jsoncanonicalizer"
	"github.com/secure-systems-lab/go-securesystemslib/dsse"
)

func b64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

// envelopeOf spells an envelope around a payload, with one signature.
func envelopeOf(payloadType, payload string) string {
	return fmt.Sprintf(`{"payload":%q,"payloadType":%q,"signatures":[{"keyid":"k","sig":"c2ln"}]}`, b64(payload), payloadType)
}

func TestPAE(t *testing.T) {
	for _, c := range []struct{ name, typ, body, want string }{
		{"the vector of the DSSE specification", "http://example.com/HelloWorld", "hello world", "DSSEv1 29 http://example.com/HelloWorld 11 hello world"},
		{"empty", "", "", "DSSEv1 0  0 "},
		{"in-toto", PayloadTypeInToto, "{}", "DSSEv1 28 application/vnd.in-toto+json 2 {}"},
		{"lengths count bytes", "é", "→\x00\xff", "DSSEv1 2 é 5 →\x00\xff"},
		{"a body that looks like a PAE", "a", "DSSEv1 1 a 0 ", "DSSEv1 1 a 13 DSSEv1 1 a 0 "},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := PAE(c.typ, []byte(c.body))
			if string(got) != c.want {
				t.Errorf("PAE = %q, want %q", got, c.want)
			}
			if ref := dsse.PAE(c.typ, []byte(c.body)); string(ref) != string(got) {
				t.Errorf("go-securesystemslib encodes %q, we %q", ref, got)
			}
			for _, h := range []crypto.Hash{crypto.SHA256, crypto.SHA384, crypto.SHA512} {
				want := h.New()
				want.Write(got)
				if sum := PAEDigest(h.New(), c.typ, []byte(c.body)); string(sum) != string(want.Sum(nil)) {
					t.Errorf("PAEDigest by %s is not the hash of the PAE", h)
				}
			}
		})
	}
	const known = "217751fac2c4f14edb2c9297fbc34abcb016ba88e74757e875ec4ac16fb6b6a1"
	if got := hex.EncodeToString(PAESHA256("http://example.com/HelloWorld", []byte("hello world"))); got != known {
		t.Errorf("PAESHA256 = %s, want %s", got, known)
	}
}

func TestParseEnvelope(t *testing.T) {
	// 0xfb 0xff is "+/8=" in the standard alphabet and "-_8=" in the URL-safe one.
	for _, c := range []struct{ name, in string }{
		{"standard base64", `{"payload":"+/8=","payloadType":"t","signatures":[{"keyid":"k","sig":"+/8="}]}`},
		{"URL-safe base64", `{"payload":"-_8=","payloadType":"t","signatures":[{"keyid":"k","sig":"-_8="}]}`},
		{"one alphabet each", `{"payload":"-_8=","payloadType":"t","signatures":[{"keyid":"k","sig":"+/8="}]}`},
		{"unknown members", `{"x":{"payload":1},"payload":"+/8=","payloadType":"t","signatures":[{"keyid":"k","sig":"+/8=","y":[]}],"Payload":"AA=="}`},
		{"escapes and white space", " {\"pay\\u006coad\" :\n\"\\u002b/8=\",\"payloadType\":\"\\u0074\",\"signatures\":[{\"keyid\":\"k\",\"sig\":\"+/8=\"}]}\t"},
	} {
		t.Run(c.name, func(t *testing.T) {
			e, err := ParseEnvelope([]byte(c.in))
			if err != nil {
				t.Fatal(err)
			}
			if string(e.Payload) != "\xfb\xff" || e.PayloadType != "t" || len(e.Signatures) != 1 ||
				e.Signatures[0].KeyID != "k" || string(e.Signatures[0].Sig) != "\xfb\xff" {
				t.Errorf("read %+v", e)
			}
			const served = `{"payload":"+/8=","payloadType":"t","signatures":[{"keyid":"k","sig":"+/8="}]}`
			if string(e.JSON()) != served || e.Digest() != SHA256([]byte(served)) {
				t.Errorf("served as %s (%s)", e.JSON(), e.Digest())
			}
		})
	}
	e, err := ParseEnvelope([]byte(`{"payload":"","payloadType":"t","signatures":[{"sig":"","cert":"PEM"}]}`))
	if err != nil || len(e.Payload) != 0 || e.Signatures[0].KeyID != "" || e.Signatures[0].Certificate != "PEM" {
		t.Errorf("empty parts: %+v, %v", e, err)
	}
}

func TestParseEnvelopeRefusals(t *testing.T) {
	signatures := func(n int) string {
		return `{"payload":"","payloadType":"t","signatures":[` + strings.TrimSuffix(strings.Repeat(`{"sig":""},`, n), ",") + `]}`
	}
	withPayload := func(p string) string {
		return `{"payload":` + p + `,"payloadType":"t","signatures":[{"sig":""}]}`
	}
	withSig := func(s string) string { return `{"payload":"","payloadType":"t","signatures":[` + s + `]}` }
	withMember := func(m string) string { return withPayload(`"",` + m) }
	for _, c := range []struct {
		name, in string
		want     error
	}{
		{"nothing", "", ErrMalformed},
		{"white space", " \n", ErrMalformed},
		{"null", "null", ErrMalformed},
		{"an array", "[]", ErrMalformed},
		{"no member", "{}", ErrMalformed},
		{"no payload", `{"payloadType":"t","signatures":[{"sig":""}]}`, ErrMalformed},
		{"no payloadType", `{"payload":"","signatures":[{"sig":""}]}`, ErrMalformed},
		{"no signatures", `{"payload":"","payloadType":"t"}`, ErrMalformed},
		{"names in another case", `{"Payload":"","payloadType":"t","signatures":[{"sig":""}]}`, ErrMalformed},
		{"null payload", withPayload("null"), ErrMalformed},
		{"null payloadType", `{"payload":"","payloadType":null,"signatures":[{"sig":""}]}`, ErrMalformed},
		{"null signatures", `{"payload":"","payloadType":"t","signatures":null}`, ErrMalformed},
		{"null signature", withSig("null"), ErrMalformed},
		{"null sig", withSig(`{"sig":null}`), ErrMalformed},
		{"signature without sig", withSig(`{"keyid":"k"}`), ErrMalformed},
		{"signature as a string", withSig(`"c2ln"`), ErrMalformed},
		{"signatures as an object", `{"payload":"","payloadType":"t","signatures":{"sig":""}}`, ErrMalformed},
		{"keyid as a number", withSig(`{"keyid":1,"sig":""}`), ErrMalformed},
		{"payload as an object", withPayload(`{}`), ErrMalformed},
		{"duplicate member", withMember(`"payload":"AA=="`), ErrMalformed},
		{"duplicate member by an escape", withMember(`"p\u0061yload":"AA=="`), ErrMalformed},
		{"duplicate member in a signature", withSig(`{"sig":"","sig":"AA=="}`), ErrMalformed},
		{"duplicate member in an unknown member", withMember(`"x":{"a":1,"\u0061":2}`), ErrMalformed},
		{"trailing document", withSig(`{"sig":""}`) + "{}", ErrMalformed},
		{"trailing bracket", withSig(`{"sig":""}`) + "]", ErrMalformed},
		{"trailing NUL", withSig(`{"sig":""}`) + "\x00", ErrMalformed},
		{"trailing comma", withMember(`"x":[1,]`), ErrMalformed},
		{"cut off", `{"payload":"","payloadType":"t","signatures":[{"sig":""}`, ErrMalformed},
		{"byte order mark", "\ufeff" + withSig(`{"sig":""}`), ErrMalformed},
		{"comment", "/**/" + withSig(`{"sig":""}`), ErrMalformed},
		{"invalid UTF-8", withMember("\"x\":\"\xff\""), ErrMalformed},
		{"invalid UTF-8 in a name", withMember("\"\xc0\x80\":1"), ErrMalformed},
		{"half a surrogate pair", withMember(`"x":"\ud800"`), ErrMalformed},
		{"base64 mixed", withPayload(`"+_8="`), ErrMalformed},
		{"base64 unpadded", withPayload(`"AA"`), ErrMalformed},
		{"base64 over-padded", withPayload(`"AA==="`), ErrMalformed},
		{"base64 with loose bits", withPayload(`"AB=="`), ErrMalformed},
		{"base64 with a line break", withPayload(`"AA\n=="`), ErrMalformed},
		{"base64 with a space", withPayload(`"AA =="`), ErrMalformed},
		{"base64 of sig mixed", withSig(`{"sig":"-/8="}`), ErrMalformed},
		{"base64 of sig with a carriage return", withSig(`{"sig":"AA==\r"}`), ErrMalformed},
		{"payloadType beyond ASCII", strings.Replace(withSig(`{"sig":""}`), `"t"`, `"\u0174"`, 1), ErrMalformed},
		{"payloadType with a control character", strings.Replace(withSig(`{"sig":""}`), `"t"`, `"t\u0000"`, 1), ErrMalformed},
		{"too many signatures", signatures(MaxSignatures + 1), ErrTooLarge},
		{"nested too deep", withMember(`"x":` + strings.Repeat("[", MaxDepth) + strings.Repeat("]", MaxDepth)), ErrTooLarge},
		{"nested too deep, objects", withMember(`"x":` + strings.Repeat(`{"a":`, 5*MaxDepth) + "1" + strings.Repeat("}", 5*MaxDepth)), ErrTooLarge},
	} {
		t.Run(c.name, func(t *testing.T) {
			e, err := ParseEnvelope([]byte(c.in))
			if !errors.Is(err, c.want) {
				t.Errorf("error %v, want %v", err, c.want)
			}
			if e != nil {
				t.Errorf("an envelope beside the error: %+v", e)
			}
		})
	}
	if e, err := ParseEnvelope([]byte(signatures(MaxSignatures))); err != nil || len(e.Signatures) != MaxSignatures {
		t.Errorf("%d signatures: %v", MaxSignatures, err)
	}
	deep := withMember(`"x":` + strings.Repeat("[", MaxDepth-1) + strings.Repeat("]", MaxDepth-1))
	if _, err := ParseEnvelope([]byte(deep)); err != nil {
		t.Errorf("nesting of exactly %d: %v", MaxDepth, err)
	}
}

func TestEnvelopeStatementPayloadType(t *testing.T) {
	for typ, ok := range map[string]bool{
		PayloadTypeInToto:                         true,
		"application/vnd.in-toto.provenance+json": true,
		"":                              false,
		"application/json":              false,
		"application/vnd.in-toto+jsonx": false,
		"application/vnd.in-toto":       false,
		"Application/vnd.in-toto+json":  false,
		"application/vnd.in-toto+json ": false,
		"application/vnd.in-toto+json;charset=utf-8":   false,
		"application/vnd.in-totoX.provenance+json":     false,
		"application/vnd.in-toto.bundle":               false,
		"text/plain;application/vnd.in-toto.slsa+json": false,
	} {
		e, err := ParseEnvelope([]byte(envelopeOf(typ, statementV1)))
		if err != nil {
			t.Fatalf("%q: %v", typ, err)
		}
		switch s, err := e.Statement(); {
		case ok && (err != nil || s.Type != StatementV1):
			t.Errorf("%q: %v", typ, err)
		case !ok && !errors.Is(err, ErrPayloadType):
			t.Errorf("%q: error %v, want %v", typ, err, ErrPayloadType)
		}
	}
}

// The digest is over the JCS form, so any spelling of the same envelope has it,
// and it agrees with an independent implementation of RFC 8785.
func TestEnvelopeDigestIsJCS(t *testing.T) {
	for _, keyID := range []string{"", "plain", `quo"te\`, "<&>", "\u2028é→😀", "\b\f\n\r\t\x01\x7f"} {
		e := &Envelope{PayloadType: PayloadTypeInToto, Payload: []byte(statementV1), Signatures: []Signature{
			{KeyID: keyID, Sig: []byte{0xfb, 0xff}, Certificate: "not served"}, {KeyID: "second", Sig: []byte("s")},
		}}
		type sig struct {
			Sig   []byte `json:"sig"`
			KeyID string `json:"keyid"`
		}
		loose, err := json.MarshalIndent(map[string]any{
			"signatures":  []sig{{e.Signatures[0].Sig, keyID}, {e.Signatures[1].Sig, "second"}},
			"payloadType": e.PayloadType, "payload": e.Payload,
		}, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		want, err := jsoncanonicalizer.Transform(loose)
		if err != nil {
			t.Fatal(err)
		}
		if string(e.JSON()) != string(want) {
			t.Errorf("keyid %q: %s, want %s", keyID, e.JSON(), want)
		}
		again, err := ParseEnvelope(loose)
		if err != nil || again.Digest() != e.Digest() {
			t.Errorf("keyid %q: read again: %v", keyID, err)
		}
	}
}
