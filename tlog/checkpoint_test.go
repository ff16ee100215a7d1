package tlog_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/sekisho-dev/sekisho/attest"
	"github.com/sekisho-dev/sekisho/tlog"
	"golang.org/x/mod/sumdb/note"
)

const (
	origin    = "a.example/log"
	emptyRoot = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
	someRoot  = "rKbDipCvhuX1GZ7g5BBe8sA6BbJ7ja/1nk427v383cs="
)

// key makes a log key of that origin.
func key(t testing.TB, origin string) (note.Signer, *tlog.Verifier) {
	t.Helper()
	skey, vkey, err := tlog.GenerateKey(origin)
	if err != nil {
		t.Fatal(err)
	}
	s, v, err := tlog.NewSigner(skey)
	if err != nil {
		t.Fatal(err)
	}
	if v.String() != vkey {
		t.Fatalf("the secret key's verifier is %s, want %s", v, vkey)
	}
	return s, v
}

func sign(t testing.TB, text string, by ...note.Signer) []byte {
	t.Helper()
	signed, err := note.Sign(&note.Note{Text: text}, by...)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

func TestOpenCheckpoint(t *testing.T) {
	s, v := key(t, origin)
	signed := sign(t, origin+"\n70000\n"+someRoot+"\nextension\nanother 1\n", s)
	cp, err := v.Open(signed)
	if err != nil {
		t.Fatal(err)
	}
	root := base64.StdEncoding.EncodeToString(cp.Root[:])
	if cp.Origin != origin || cp.Size != 70000 || root != someRoot || !bytes.Equal(cp.Note, signed) {
		t.Errorf("read %+v", cp)
	}
	signed[0] ^= 1
	if bytes.Equal(cp.Note, signed) {
		t.Error("the checkpoint shares memory with what it was read from")
	}
	if cp, err := v.Open(sign(t, origin+"\n9223372036854775807\n"+someRoot+"\n", s)); err != nil || cp.Size != 1<<63-1 {
		t.Errorf("the largest size: %d, %v", cp.Size, err)
	}
	if cp, err := v.Open(sign(t, origin+"\n0\n"+emptyRoot+"\n", s)); err != nil || cp.Size != 0 {
		t.Errorf("the empty tree: %d, %v", cp.Size, err)
	}
}

// Checkpoints that are signed by the right key, and wrong. The numbers are
// those of the C2SP test list. Advisory A10: a malformed checkpoint is a typed
// refusal, never a raw error, never a panic.
func TestAdvisoryA10_MalformedCheckpoint(t *testing.T) {
	s, v := key(t, origin)
	root31 := base64.StdEncoding.EncodeToString(make([]byte, 31))
	root33 := base64.StdEncoding.EncodeToString(make([]byte, 33))
	for name, text := range map[string]string{
		"3 origin swapped, same key": "b.example/log\n1\n" + someRoot + "\n",
		"origin with a suffix":       origin + " \n1\n" + someRoot + "\n",
		"origin in another case":     "A.example/log\n1\n" + someRoot + "\n",
		"4 size 007":                 origin + "\n007\n" + someRoot + "\n",
		"size 00":                    origin + "\n00\n" + emptyRoot + "\n",
		"size +1":                    origin + "\n+1\n" + someRoot + "\n",
		"size -0":                    origin + "\n-0\n" + emptyRoot + "\n",
		"size -1":                    origin + "\n-1\n" + someRoot + "\n",
		"size 0x1":                   origin + "\n0x1\n" + someRoot + "\n",
		"size 1_0":                   origin + "\n1_0\n" + someRoot + "\n",
		"size with a space":          origin + "\n1 \n" + someRoot + "\n",
		"size in other digits":       origin + "\n١\n" + someRoot + "\n",
		"size 2^63":                  origin + "\n9223372036854775808\n" + someRoot + "\n",
		"size 2^64":                  origin + "\n18446744073709551616\n" + someRoot + "\n",
		"5 root of 31 bytes":         origin + "\n1\n" + root31 + "\n",
		"root of 33 bytes":           origin + "\n1\n" + root33 + "\n",
		"root without padding":       origin + "\n1\n" + strings.TrimRight(someRoot, "=") + "\n",
		"root with stray bits":       origin + "\n1\n" + strings.Replace(someRoot, "s=", "t=", 1) + "\n",
		"root in URL-safe base64":    origin + "\n1\n" + strings.NewReplacer("/", "_", "+", "-").Replace(someRoot) + "\n",
		"root with a space":          origin + "\n1\n" + someRoot + " \n",
		"two lines":                  origin + "\n1\n",
		"one line":                   origin + "\n",
		"empty text":                 "\n",
		"empty origin":               "\n1\n" + someRoot + "\n",
		"empty extension line":       origin + "\n1\n" + someRoot + "\n\nextension\n",
		"empty last line":            origin + "\n1\n" + someRoot + "\n\n",
		"another root for no leaves": origin + "\n0\n" + someRoot + "\n",
	} {
		if cp, err := v.Open(sign(t, text, s)); !errors.Is(err, tlog.ErrCheckpoint) {
			t.Errorf("%s: %+v, %v", name, cp, err)
		}
	}
}

// Notes that are not what they should be around a good text.
func TestMalformedNote(t *testing.T) {
	s, v := key(t, origin)
	good := string(sign(t, origin+"\n1\n"+someRoot+"\n", s))
	line := good[strings.LastIndex(good, "— "):]
	for name, signed := range map[string]string{
		"nothing":                  "",
		"no signature":             strings.TrimSuffix(good, line),
		"no blank line":            strings.Replace(good, "\n\n", "\n", 1),
		"no last newline":          strings.TrimSuffix(good, "\n"),
		"6 CRLF":                   strings.ReplaceAll(good, "\n", "\r\n"),
		"CR in one line":           strings.Replace(good, "\n1\n", "\n1\r\n", 1),
		"NUL":                      strings.Replace(good, "\n1\n", "\n1\x00\n", 1),
		"invalid UTF-8":            "\xff" + good,
		"a hyphen for the em dash": strings.Replace(good, "—", "-", 1),
		"two blank lines":          strings.Replace(good, "\n\n", "\n\n\n", 1),
		"signature moved up":       line + "\n" + good,
		"text before it":           "x\n\n" + good,
		"text after it":            good + "x\n",
		"too large":                good + strings.Repeat("— w.example/w AAAAAAAAAAAA\n", tlog.MaxCheckpoint/26),
		"more signatures than any": good + strings.Repeat("— w.example/w AAAAAAAAAAAA\n", 101),
	} {
		if cp, err := v.Open([]byte(signed)); !errors.Is(err, tlog.ErrCheckpoint) {
			t.Errorf("%s: %+v, %v", name, cp, err)
		}
	}
}

// Signatures, one way and another: 1 and 2 of the C2SP test list.
func TestSignatures(t *testing.T) {
	s, v := key(t, origin)
	impostor, _ := key(t, origin) // the same name, another key
	witness, _ := key(t, "w.example/w")
	text := origin + "\n1\n" + someRoot + "\n"
	good := sign(t, text, s)
	line := func(by note.Signer, text string) string {
		signed := string(sign(t, text, by))
		return signed[strings.LastIndex(signed, "— "):]
	}
	bad := line(s, "something else\n") // by the log's key, for another text

	for name, c := range map[string]struct {
		signed string
		ok     bool
	}{
		"1 and an unknown signature":            {string(sign(t, text, s, witness)), true},
		"an unknown signature first":            {string(sign(t, text, witness, s)), true},
		"and an unknown key of the same name":   {string(sign(t, text, s, impostor)), true},
		"and sixteen post-quantum cosignatures": {string(good) + strings.Repeat("— w.example/w "+base64.StdEncoding.EncodeToString(make([]byte, 2432))+"\n", 16), true},
		"only an unknown signature":             {string(sign(t, text, witness)), false},
		"A9 only another key of the same name":  {string(sign(t, text, impostor)), false},
		"2 known key, bad signature":            {text + "\n" + bad, false},
		"2 bad by the known key, good unknown":  {text + "\n" + bad + line(witness, text), false},
		"2 good, then bad, by the known key":    {string(good) + bad, false},
		"bad, then good, by the known key":      {text + "\n" + bad + line(s, text), false},
		"twice the same":                        {string(good) + line(s, text), false},
		"stray bits in the base64":              {flipStray(string(good)), false},
		"known key, short signature":            {text + "\n— " + origin + " " + shortSig(s), false},
	} {
		if _, err := v.Open([]byte(c.signed)); (err == nil) != c.ok || err != nil && !errors.Is(err, tlog.ErrCheckpoint) {
			t.Errorf("%s: %v, want accepted: %v", name, err, c.ok)
		}
	}
}

// flipStray sets one of the bits that the padding of the last signature leaves
// unused: most decoders do not see it.
func flipStray(signed string) string {
	i := strings.LastIndexByte(signed, '=') - 1
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	at := strings.IndexByte(alphabet, signed[i])
	return signed[:i] + alphabet[at^1:at^1+1] + signed[i+1:]
}

func shortSig(s note.Signer) string {
	h := s.KeyHash()
	return base64.StdEncoding.EncodeToString([]byte{byte(h >> 24), byte(h >> 16), byte(h >> 8), byte(h), 1}) + "\n"
}

// The one bit that differs is anywhere in a signed checkpoint: it is refused, or
// it was in nothing that was signed by the log.
func TestEveryBitOfACheckpoint(t *testing.T) {
	s, v := key(t, origin)
	signed := sign(t, origin+"\n15\n"+someRoot+"\n", s)
	for bit := range 8 * len(signed) {
		flipped := bytes.Clone(signed)
		flipped[bit/8] ^= 1 << (bit % 8)
		if cp, err := v.Open(flipped); !errors.Is(err, tlog.ErrCheckpoint) {
			t.Errorf("bit %d of byte %d (%q): %+v, %v", bit%8, bit/8, signed[bit/8], cp, err)
		}
	}
}

// The known answer of the signed-note specification. Its text is not a
// checkpoint, so what must be read from it is that the signature was accepted
// and the text was not.
func TestSignedNoteKnownAnswer(t *testing.T) {
	v, err := tlog.NewVerifier("example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k")
	if err != nil {
		t.Fatal(err)
	}
	const signed = "This is an example message.\n\n— example.com/foo " +
		"Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"
	_, err = v.Open([]byte(signed))
	if !errors.Is(err, tlog.ErrCheckpoint) || !strings.Contains(err.Error(), "want origin, size and root") {
		t.Errorf("got %v", err)
	}
	if id := v.LogID(); fmt.Sprintf("%x", id[:4]) != "530d903a" {
		t.Errorf("log ID begins %x, want the key ID 530d903a", id[:4])
	}
}

func TestKeys(t *testing.T) {
	skey, vkey, err := tlog.GenerateKey("")
	if err != nil {
		t.Fatal(err)
	}
	name, _, _ := strings.Cut(vkey, "+")
	hex, ok := strings.CutSuffix(name, ".log.sekisho.internal")
	_, v, err := tlog.NewSigner(skey)
	if err != nil {
		t.Fatal(err)
	}
	if want := attest.SHA256(v.PublicKey()).Hex()[:16]; !ok || hex != want || v.Origin() != name {
		t.Errorf("default origin %q, want %s.log.sekisho.internal", name, want)
	}
	for _, bad := range []string{"", "x", vkey, strings.Replace(skey, "PRIVATE", "PUBLIC", 1), skey + "A", skey[:len(skey)-4], strings.Replace(skey, ".log.", ".lag.", 1)} {
		if _, _, err := tlog.NewSigner(bad); !errors.Is(err, tlog.ErrKey) {
			t.Errorf("secret key %q: %v", bad, err)
		} else if len(bad) > 60 && strings.Contains(err.Error(), bad[60:]) {
			t.Errorf("the error shows the key: %v", err)
		}
	}
	for _, bad := range []string{"", "x", skey, strings.Replace(vkey, ".log.", ".lag.", 1), vkey[:len(vkey)-4], "a b+00000000+AAAA"} {
		if _, err := tlog.NewVerifier(bad); !errors.Is(err, tlog.ErrKey) {
			t.Errorf("public key %q: %v", bad, err)
		}
	}
	for _, bad := range []string{"a b", "a+b", "a\nb", "a\x01b", "a\u2003b", "\xff"} {
		if _, _, err := tlog.GenerateKey(bad); !errors.Is(err, tlog.ErrKey) {
			t.Errorf("origin %q: %v", bad, err)
		}
	}
}

// Whatever Open accepts is exactly what its fields say.
func FuzzOpenCheckpoint(f *testing.F) {
	s, v := key(f, origin)
	f.Add("15\n" + someRoot + "\n")
	f.Add("0\n" + emptyRoot + "\nextension\n")
	f.Add("007\n" + someRoot + "\n\n")
	f.Fuzz(func(t *testing.T, rest string) {
		if cp, err := v.Open([]byte(rest)); err == nil || !errors.Is(err, tlog.ErrCheckpoint) {
			t.Fatalf("unsigned: %+v, %v", cp, err)
		}
		signed, err := note.Sign(&note.Note{Text: origin + "\n" + rest}, s)
		if err != nil {
			return
		}
		cp, err := v.Open(signed)
		if err != nil {
			if !errors.Is(err, tlog.ErrCheckpoint) {
				t.Fatal(err)
			}
			return
		}
		want := fmt.Sprintf("%s\n%d\n%s\n", cp.Origin, cp.Size, base64.StdEncoding.EncodeToString(cp.Root[:]))
		if !strings.HasPrefix(origin+"\n"+rest, want) || !bytes.Equal(cp.Note, signed) {
			t.Fatalf("%q was read as %+v", rest, cp)
		}
	})
}
