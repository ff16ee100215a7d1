package verifier

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/digitorus/timestamp"

	"github.com/sekisho-dev/sekisho/attest"
)

// change decodes a bundle, lets f change it, and encodes it again.
func change(t *testing.T, data []byte, f func(bundle, material map[string]any)) []byte {
	t.Helper()
	var b map[string]any
	if err := json.Unmarshal(data, &b); err != nil {
		t.Fatal(err)
	}
	f(b, b["verificationMaterial"].(map[string]any))
	out, err := json.Marshal(b)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func entryOf(material map[string]any) map[string]any {
	return material["tlogEntries"].([]any)[0].(map[string]any)
}

// A1, CVE-2022-23649: a log entry of another signature is no proof.
func TestAdvisoryA1_EntryOfAnotherSignature(t *testing.T) {
	w := newWorld(t)
	var other map[string]any
	if err := json.Unmarshal(testdata(t, "sigstore-js-2.1.0-bundle.json"), &other); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"MODULE.bazel.intoto.jsonl", "container-based-v2.1.0.build.slsa", "bundle-provenance.json"} {
		swapped := change(t, testdata(t, name), func(_, m map[string]any) {
			m["tlogEntries"] = other["verificationMaterial"].(map[string]any)["tlogEntries"]
		})
		if _, err := verifyBundle(w.TrustRoot, swapped); !errors.Is(err, ErrLogEntryMismatch) {
			t.Errorf("%s: %v, want ErrLogEntryMismatch", name, err)
		}
	}
}

// A2, CVE-2026-22703, and A4, cosign #1648: whatever the kind of entry and of material, an entry with
// another digest, signature or key is refused.
func TestAdvisoryA2_A4_EveryEntryIsCompared(t *testing.T) {
	w := newWorld(t)
	payload := []byte(provenance)
	keyed := record(t, w.TrustRoot, envelope(t, payload, w.statements))
	certified := *keyed
	certified.PublicKey, certified.Certificate = nil, w.chain[0].Raw
	certified.Signature.Sig = w.tsa.sign(t, attest.PAE(keyed.PayloadType, payload))

	body := func(kind string, rec *attest.Record, payload, sig []byte, material []byte, certificate bool) []byte {
		block := "PUBLIC KEY"
		if certificate {
			block = "CERTIFICATE"
		}
		text := base64.StdEncoding.EncodeToString(pem.EncodeToMemory(&pem.Block{Type: block, Bytes: material}))
		sum := sha256.Sum256(payload)
		hash := fmt.Sprintf(`{"algorithm":"sha256","value":%q}`, hex.EncodeToString(sum[:]))
		b64 := base64.StdEncoding.EncodeToString(sig)
		switch kind {
		case "dsse 0.0.1":
			return fmt.Appendf(nil, `{"apiVersion":"0.0.1","kind":"dsse","spec":{"envelopeHash":%s,"payloadHash":%s,"signatures":[{"signature":%q,"verifier":%q}]}}`, hash, hash, b64, text)
		case "intoto 0.0.2":
			twice := base64.StdEncoding.EncodeToString([]byte(b64))
			return fmt.Appendf(nil, `{"apiVersion":"0.0.2","kind":"intoto","spec":{"content":{"payloadHash":%s,"envelope":{"signatures":[{"sig":%q,"publicKey":%q}]}}}}`, hash, twice, text)
		}
		leaf := attest.Leaf{Digest: attest.PAESHA256(rec.PayloadType, payload), Signature: sig, KeyDetails: attest.ECDSAP256SHA256}
		if certificate {
			leaf.Certificate = material
		} else {
			leaf.PublicKey = material
		}
		entry, err := leaf.Entry()
		if err != nil {
			t.Fatal(err)
		}
		return entry
	}
	for _, kind := range []string{"dsse 0.0.1", "intoto 0.0.2", "hashedrekord 0.0.2"} {
		for _, rec := range []*attest.Record{keyed, &certified} {
			certificate := len(rec.Certificate) > 0
			material, otherMaterial := rec.PublicKey, w.root.spki
			if certificate {
				material, otherMaterial = rec.Certificate, w.chain[1].Raw
			}
			for name, c := range map[string]struct {
				body []byte
				ok   bool
			}{
				"right":         {body(kind, rec, payload, rec.Signature.Sig, material, certificate), true},
				"wrong digest":  {body(kind, rec, []byte("{}"), rec.Signature.Sig, material, certificate), false},
				"wrong sig":     {body(kind, rec, payload, w.root.sign(t, payload), material, certificate), false},
				"wrong key":     {body(kind, rec, payload, rec.Signature.Sig, otherMaterial, certificate), false},
				"other kind":    {[]byte(`{"apiVersion":"0.0.1","kind":"rekord","spec":{}}`), false},
				"empty":         {nil, false},
				"only its kind": {fmt.Appendf(nil, `{"apiVersion":%q,"kind":%q,"spec":{}}`, strings.Fields(kind)[1], strings.Fields(kind)[0]), false}, // A4: no key at all
			} {
				e := &entryOutline{Body: c.body}
				e.KindVersion.Kind, e.KindVersion.Version = strings.Fields(kind)[0], strings.Fields(kind)[1]
				err := entryMatches(e, rec, payload)
				if (err == nil) != c.ok || err != nil && !errors.Is(err, ErrLogEntryMismatch) {
					t.Errorf("%s, certificate %v, %s: %v", kind, certificate, name, err)
				}
			}
		}
	}
	e := &entryOutline{Body: []byte(`{"apiVersion":"0.0.1","kind":"hashedrekord","spec":{}}`)}
	e.KindVersion.Kind, e.KindVersion.Version = "hashedrekord", "0.0.1"
	if err := entryMatches(e, keyed, payload); !errors.Is(err, ErrLogEntryMismatch) {
		t.Errorf("an entry of a file: %v", err)
	}
}

// A3, A7, A9, A10, A12 (CVE-2026-44310): a bundle in which one thing is not as it was is refused, and
// with a sentinel.
func TestAdvisoryA3_A7_A9_A10_A12_AnythingChanged(t *testing.T) {
	w := newWorld(t)
	good := testdata(t, "MODULE.bazel.intoto.jsonl")
	if _, err := verifyBundle(w.TrustRoot, good); err != nil {
		t.Fatal(err)
	}
	proof := func(m map[string]any) map[string]any { return entryOf(m)["inclusionProof"].(map[string]any) }
	zero := base64.StdEncoding.EncodeToString(make([]byte, 32))
	for name, f := range map[string]func(b, m map[string]any){
		"A3 invalid promise": func(_, m map[string]any) {
			entryOf(m)["inclusionPromise"] = map[string]any{"signedEntryTimestamp": zero}
		},
		"A3 another time":  func(_, m map[string]any) { entryOf(m)["integratedTime"] = "1" },
		"A7 body replaced": func(_, m map[string]any) { entryOf(m)["canonicalizedBody"] = "e30=" },
		"A9 forged root":   func(_, m map[string]any) { proof(m)["rootHash"] = zero },
		"A9 checkpoint without sig": func(_, m map[string]any) {
			proof(m)["checkpoint"] = map[string]any{"envelope": "rekor.sigstore.dev\n1\n" + zero + "\n"}
		},
		"A10 malformed checkpoint": func(_, m map[string]any) { proof(m)["checkpoint"] = map[string]any{"envelope": "\n\n\n"} },
		"negative index":           func(_, m map[string]any) { entryOf(m)["logIndex"] = "-1" },
		"another log":              func(_, m map[string]any) { entryOf(m)["logId"] = map[string]any{"keyId": zero} },
		"A12 no certificate":       func(_, m map[string]any) { delete(m, "certificate") },
		"A12 empty chain": func(_, m map[string]any) {
			delete(m, "certificate")
			m["x509CertificateChain"] = map[string]any{"certificates": []any{}}
		},
		"A12 null certificate":  func(_, m map[string]any) { m["certificate"] = nil },
		"A12 empty certificate": func(_, m map[string]any) { m["certificate"] = map[string]any{"rawBytes": ""} },
		"no material":           func(b, _ map[string]any) { delete(b, "verificationMaterial") },
		"no envelope":           func(b, _ map[string]any) { delete(b, "dsseEnvelope") },
		"no media type":         func(b, _ map[string]any) { delete(b, "mediaType") },
		"unknown version":       func(b, _ map[string]any) { b["mediaType"] = "application/vnd.dev.sigstore.bundle+json;version=9.9" },
		"two signatures": func(b, _ map[string]any) {
			e := b["dsseEnvelope"].(map[string]any)
			s := e["signatures"].([]any)
			e["signatures"] = append(s, s[0])
		},
		"A11 payload spelt otherwise": func(b, _ map[string]any) {
			e := b["dsseEnvelope"].(map[string]any)
			raw, _ := base64.StdEncoding.DecodeString(e["payload"].(string))
			e["payload"] = base64.StdEncoding.EncodeToString(append(raw, ' '))
		},
		"A17 payload type look-alike": func(b, _ map[string]any) {
			b["dsseEnvelope"].(map[string]any)["payloadType"] = "application/vnd.in-toto+jsoŮ"
		},
	} {
		_, err := verifyBundle(w.TrustRoot, change(t, good, f))
		if err == nil {
			t.Errorf("%s: accepted", name)
		} else if !typed(err) {
			t.Errorf("%s: an error without a sentinel: %v", name, err)
		}
	}
}

func typed(err error) bool {
	for _, s := range []error{
		ErrSignature, ErrUnknownKey, ErrUntrustedRoot, ErrNoTransparency, ErrNoTrustedTime, ErrLogEntryMismatch, ErrNotAttestation, ErrBundle,
		attest.ErrMalformed, attest.ErrTooLarge, attest.ErrPayloadType, attest.ErrStatementType, attest.ErrDigest, attest.ErrNoDigest, attest.ErrNotLoggable,
	} {
		if errors.Is(err, s) {
			return true
		}
	}
	return false
}

// A11, CVE-2026-44309: one member twice is one too many, at every depth.
func TestAdvisoryA11_DuplicateKeys(t *testing.T) {
	w := newWorld(t)
	good := testdata(t, "MODULE.bazel.intoto.jsonl")
	twice := bytes.Replace(good, []byte(`"mediaType"`), []byte(`"mediaType":"x","mediaType"`), 1)
	if _, err := verifyBundle(w.TrustRoot, twice); !errors.Is(err, attest.ErrMalformed) {
		t.Errorf("%v, want ErrMalformed", err)
	}
}

// A14, J3: one key twice is one key, whatever its id says.
func TestAdvisoryA14_J3_ThresholdCountsKeys(t *testing.T) {
	a, b := newKey(t), newKey(t)
	c := &compiler{}
	two := c.keyring("roots", keyringDocument{Threshold: 2, Keys: []keyDocument{{PEM: a.pem}, {PEM: b.pem}}})
	for name, x := range map[string]struct {
		ids []string
		ok  bool
	}{
		"both":         {[]string{a.id(), b.id()}, true},
		"one twice":    {[]string{a.id(), a.id()}, false},
		"a stranger's": {[]string{a.id(), newKey(t).id()}, false},
		"none":         {nil, false},
	} {
		if err := two.met(x.ids); (err == nil) != x.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
	e := envelope(t, []byte(provenance), a, a, b)
	w := newWorld(t)
	recs, err := w.Resolve(e, a.private.Public(), b.private.Public())
	if err != nil || len(recs) != 2 {
		t.Errorf("%d records (%v), want one a key", len(recs), err)
	}
	c.keyring("roots", keyringDocument{Threshold: 2, Keys: []keyDocument{{PEM: a.pem}, {PEM: a.pem}}})
	if err := c.faults.Err(); err == nil || strings.Contains(err.Error(), "\n") {
		t.Errorf("a threshold of two over one key written twice: %v", err)
	}
}

// B4: what the registry's key signs is no provenance, and who signs provenance
// does not speak for the registry.
func TestAdvisoryB4_SignerAndBuilderGoTogether(t *testing.T) {
	w := newWorld(t)
	publish, err := verifyBundle(w.TrustRoot, testdata(t, "bundle-publish.json"))
	if err != nil {
		t.Fatal(err)
	}
	if b := w.Believe(publish); b.Signer != "npm-registry" || b.Level != attest.L0 {
		t.Errorf("publish attestation: %+v", b)
	}
	forged := *publish
	forged.predicateType = attest.ProvenanceV1
	forged.provenance = &attest.Provenance{BuilderID: "https://github.com/actions/runner/github-hosted", BuildType: "x"}
	if b := w.Believe(&forged); !errors.Is(b.Err, ErrSignerBuilderMismatch) || b.Level != attest.L0 || b.Signer != "" {
		t.Errorf("provenance by the registry's key: %+v", b)
	}
}

// C1, CVE-2026-49834: thresholds count logs, not entries.
func TestAdvisoryC1_TwoEntriesOfOneLog(t *testing.T) {
	w := newWorld(t)
	strict := parse(t, w.edited(t, "require: {log: 1, timestamps: 1, sct: 1}", "require: {log: 2, timestamps: 1, sct: 1}"))
	good := testdata(t, "MODULE.bazel.intoto.jsonl")
	if _, err := verifyBundle(strict, good); !errors.Is(err, ErrUntrustedRoot) {
		t.Errorf("one entry where two are wanted: %v", err)
	}
	twice := change(t, good, func(_, m map[string]any) { m["tlogEntries"] = []any{entryOf(m), entryOf(m)} })
	if _, err := verifyBundle(strict, twice); !errors.Is(err, ErrBundle) {
		t.Errorf("the same entry twice: %v", err)
	}
}

// C2, CVE-2026-54787: a key counts within its window, edges included, and a
// window without a time refuses.
func TestAdvisoryC2_KeyWindows(t *testing.T) {
	at := time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
	before, after := at.Add(-time.Second), at.Add(time.Second)
	for name, c := range map[string]struct {
		k      key
		proven time.Time
		want   error
	}{
		"no window, no time":      {key{}, time.Time{}, nil},
		"window, no time":         {key{notBefore: &at}, time.Time{}, ErrNoTrustedTime},
		"at its beginning":        {key{notBefore: &at}, at, nil},
		"before its beginning":    {key{notBefore: &at}, before, ErrKeyWindow},
		"at its end":              {key{notAfter: &at}, at, nil},
		"after its end":           {key{notAfter: &at}, after, ErrKeyWindow},
		"before the compromise":   {key{compromisedSince: &at}, before, nil},
		"at the compromise":       {key{compromisedSince: &at}, at, ErrKeyWindow},
		"compromised, not proven": {key{compromisedSince: &at}, time.Time{}, ErrNoTrustedTime},
	} {
		if err := c.k.counts(c.proven); !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

// token makes a timestamp over a signature.
func (w *world) token(t *testing.T, signature []byte, at time.Time, more ...func(*timestamp.Timestamp)) []byte {
	t.Helper()
	sum := sha256.Sum256(signature)
	ts := timestamp.Timestamp{HashAlgorithm: crypto.SHA256, HashedMessage: sum[:], Time: at, SerialNumber: big.NewInt(1), Policy: []int{2, 5, 29, 32, 0}, AddTSACertificate: true}
	for _, f := range more {
		f(&ts)
	}
	out, err := ts.CreateResponseWithOpts(w.chain[0], w.tsa.private, crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// C4, CVE-2026-39984, C5: the certificate that signed the token is the one that
// is looked at, and it is for nothing but timestamping.
func TestAdvisoryC4_C5_TimeAuthority(t *testing.T) {
	w := newWorld(t)
	rec := record(t, w.TrustRoot, envelope(t, []byte(provenance), w.statements))
	at := time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		token []byte
		good  bool
	}{
		"good":              {w.token(t, rec.Signature.Sig, at), true},
		"decoy certificate": {w.token(t, rec.Signature.Sig, at, func(ts *timestamp.Timestamp) { ts.Certificates = append(ts.Certificates, w.chain[1]) }), false},
		"no certificate":    {w.token(t, rec.Signature.Sig, at, func(ts *timestamp.Timestamp) { ts.AddTSACertificate = false }), false},
		"other signature":   {w.token(t, []byte("something else"), at), false},
		"too early":         {w.token(t, rec.Signature.Sig, w.chain[0].NotBefore.Add(-time.Hour)), false},
		"another authority": {newWorld(t).token(t, rec.Signature.Sig, at), false},
		"nonsense":          {[]byte("nonsense"), false},
		"huge":              {make([]byte, maxToken+1), false},
	} {
		rec.Timestamp = c.token
		f, err := w.Verify(rec, []byte(provenance))
		if err != nil {
			t.Fatalf("%s: %v: a token that the leaf does not commit to must not damage anything", name, err)
		}
		if got := len(f.ProvenBy()) == 1; got != c.good {
			t.Errorf("%s: proven %v", name, f.ProvenBy())
		} else if got && !f.ProvenBy()[0].Time.Equal(at) {
			t.Errorf("%s: proven at %v, want %v", name, f.ProvenBy()[0].Time, at)
		}
	}
	for name, chain := range map[string]string{
		"not critical":  pemOf(w.authority(t, false, timeStamping)),
		"another usage": pemOf(w.authority(t, true, []byte{0x30, 0x14, 0x06, 0x08, 0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x08, 0x06, 0x08, 0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x03})),
		"C5b only a CA": pemOf([]*x509.Certificate{w.chain[1], w.chain[1]}),
	} {
		quoted, err := quoteJSON(chain)
		if err != nil {
			t.Fatal(err)
		}
		was, err := quoteJSON(pemOf(w.chain))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ParseTrustRoot([]byte(w.edited(t, was, quoted))); !errors.Is(err, ErrTrustRoot) {
			t.Errorf("%s: %v, want ErrTrustRoot", name, err)
		}
	}
}

// C6, C7, C8 and J2, J5: a trust root that names nobody, or everybody, does not load.
func TestAdvisoryC6_C7_C8_TrustRootsThatDoNotLoad(t *testing.T) {
	w := newWorld(t)
	for name, c := range map[string]struct{ from, to string }{
		"C6 no identity":        {"    identity: {builderId: true}\n", ""},
		"C6 empty identity":     {"identity: {builderId: true}", "identity: {}"},
		"C6 empty pattern":      {"identity: {builderId: true}", "identity: {pattern: ''}"},
		"C6 two identities":     {"identity: {builderId: true}", "identity: {builderId: true, exact: x}"},
		"C7 unknown key":        {"identity: {builderId: true}", "subjectRegExp: x"},
		"C7 no issuer":          {"    issuer: https://token.actions.githubusercontent.com\n", ""},
		"C8 unanchored":         {`pattern: '\Ahttps://localhost/.+\z'`, `pattern: 'https://localhost/.+'`},
		"C8 everything":         {`pattern: '\Ahttps://localhost/.+\z'`, `pattern: '\A.*\z'`},
		"J2 threshold 0":        {"roots: {threshold: 1", "roots: {threshold: 0"},
		"J2 threshold too high": {"policyKeys: {threshold: 1", "policyKeys: {threshold: 2"},
		"version 0":             {"version: 1\n", "version: 0\n"},
		"no previous":           {"version: 1\n", "version: 2\n"},
		"unknown signer":        {"signers: [sekisho]", "signers: [nobody]"},
		"unknown root":          {"sigstore: public-good\n", "sigstore: nowhere\n"},
		"level 4":               {"maxLevel: 3", "maxLevel: 4"},
		"no timestamps":         {"require: {log: 1, timestamps: 1, sct: 1}", "require: {log: 1, timestamps: 0, sct: 1}"},
		"a control submitter":   {"      - https://cyclonedx.org/bom\n", "      - https://sekisho.dev/policy/v1\n"},
		"a VSA submitter":       {"      - https://cyclonedx.org/bom\n", "      - https://slsa.dev/verification_summary/v1\n"},
		"a file name":           {"trustedRoot: {", "trustedRoot: file.json #{"},
	} {
		if _, err := ParseTrustRoot([]byte(w.edited(t, c.from, c.to))); !errors.Is(err, ErrTrustRoot) || !strings.Contains(err.Error(), "line ") {
			t.Errorf("%s: %v, want ErrTrustRoot with a line", name, err)
		}
	}
}

// C8: a pattern is anchored whatever is tried around it.
func TestAdvisoryC8_PatternsAreAnchored(t *testing.T) {
	w := newWorld(t)
	f := &Facts{keyID: w.statements.id(), provenance: &attest.Provenance{BuildType: "x"}}
	for id, ok := range map[string]bool{
		"https://localhost/b":                         true,
		"https://evil.example/?x=https://localhost/b": false,
		"https://localhost/b\nhttps://evil":           false,
		"https://localhost.evil.example/b":            false,
		"https://localhost/":                          false,
	} {
		f.provenance.BuilderID = id
		if b := w.Believe(f); (b.Level == attest.L1) != ok {
			t.Errorf("%q: %+v", id, b)
		}
	}
}

// C19, CVE-2026-48816: the time beside a log entry is not a time.
func TestAdvisoryC19_IntegratedTimeIsNoTime(t *testing.T) {
	w := newWorld(t)
	bare := change(t, testdata(t, "container-based-v2.1.0.build.slsa"), func(_, m map[string]any) {
		delete(entryOf(m), "inclusionPromise")
		delete(m, "timestampVerificationData")
	})
	if _, err := verifyBundle(w.TrustRoot, bare); !errors.Is(err, ErrNoTrustedTime) {
		t.Errorf("%v, want ErrNoTrustedTime", err)
	}
}

// D3, CVE-2024-45395: counts are checked before what is counted is parsed.
func TestAdvisoryD3_Counts(t *testing.T) {
	good := testdata(t, "MODULE.bazel.intoto.jsonl")
	many := func(x any) (list []any) {
		for range 33 {
			list = append(list, x)
		}
		return list
	}
	for name, f := range map[string]func(b, m map[string]any){
		"33 entries": func(_, m map[string]any) { m["tlogEntries"] = many(map[string]any{}) },
		"33 timestamps": func(_, m map[string]any) {
			m["timestampVerificationData"] = map[string]any{"rfc3161Timestamps": many(map[string]any{})}
		},
		"17 signatures": func(b, _ map[string]any) {
			b["dsseEnvelope"].(map[string]any)["signatures"] = many(map[string]any{"sig": ""})[:17]
		},
	} {
		if _, _, err := ReadBundle(change(t, good, f)); !errors.Is(err, attest.ErrTooLarge) {
			t.Errorf("%s: %v, want ErrTooLarge", name, err)
		}
	}
}

// D7: every member absent, null or empty is refused or read, never a panic.
func TestAdvisoryD7_EveryMemberAbsent(t *testing.T) {
	w := newWorld(t)
	for _, name := range []string{"MODULE.bazel.intoto.jsonl", "bundle-provenance.json", "bundle-publish.json"} {
		var whole any
		if err := json.Unmarshal(testdata(t, name), &whole); err != nil {
			t.Fatal(err)
		}
		walk(whole, func() {
			out, err := json.Marshal(whole)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := verifyBundle(w.TrustRoot, out); err != nil && !typed(err) {
				t.Errorf("%s: an error without a sentinel: %v", name, err)
			}
		})
	}
}

// walk takes each member of a document away, nulls it, and empties it, and calls f each time.
func walk(v any, f func()) {
	switch v := v.(type) {
	case map[string]any:
		for k, was := range v {
			delete(v, k)
			f()
			for _, other := range []any{nil, "", map[string]any{}, []any{}, 0} {
				v[k] = other
				f()
			}
			v[k] = was
			walk(was, f)
		}
	case []any:
		for i := range v {
			was := v[i]
			v[i] = nil
			f()
			v[i] = was
			walk(was, f)
		}
	}
}

// D8: a pure Ed25519 signature cannot be logged, and is refused by name.
func TestAdvisoryD8_Ed25519(t *testing.T) {
	w := newWorld(t)
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	e := &attest.Envelope{PayloadType: attest.PayloadTypeInToto, Payload: []byte(provenance)}
	e.Signatures = []attest.Signature{{Sig: ed25519.Sign(private, attest.PAE(e.PayloadType, e.Payload))}}
	if _, err := w.Resolve(e, public); !errors.Is(err, attest.ErrNotLoggable) || !strings.Contains(err.Error(), "Ed25519") {
		t.Errorf("%v, want ErrNotLoggable that names Ed25519", err)
	}
}
