package attest

import (
	"errors"
	"strings"
	"testing"
)

func TestParseDigest(t *testing.T) {
	hex := func(n int) string { return strings.Repeat("0f", n/2) }
	for _, s := range []string{
		"sha256:" + hex(64), "sha384:" + hex(96), "sha512:" + hex(128), "gitCommit:" + hex(40), "gitCommit:" + hex(64),
	} {
		d, err := ParseDigest(s)
		if err != nil || string(d) != s {
			t.Errorf("%s: %q, %v", s, d, err)
		}
		if d.Algorithm()+":"+d.Hex() != s || NewDigest(d.Algorithm(), d.Bytes()) != d || d.Set()[d.Algorithm()] != d.Hex() {
			t.Errorf("%s is taken apart as %q, %q, %x", s, d.Algorithm(), d.Hex(), d.Bytes())
		}
	}
	for name, s := range map[string]string{
		"nothing":            "",
		"no algorithm":       hex(64),
		"empty algorithm":    ":" + hex(64),
		"no value":           "sha256:",
		"short":              "sha256:" + hex(62),
		"odd":                "sha256:" + hex(64)[1:],
		"long":               "sha256:" + hex(66),
		"length of another":  "sha256:" + hex(128),
		"upper case":         "sha256:" + strings.ToUpper(hex(64)),
		"not hex":            "sha256:" + strings.Repeat("0g", 32),
		"beyond ASCII":       "sha256:" + strings.Repeat("é", 32),
		"algorithm in caps":  "SHA256:" + hex(64),
		"weak":               "md5:" + hex(32),
		"SHA-1":              "sha1:" + hex(40),
		"not accepted":       "sha3_256:" + hex(64),
		"unknown":            "blake3:" + hex(64),
		"space before":       " sha256:" + hex(64),
		"space after":        "sha256:" + hex(64) + " ",
		"two colons":         "sha256::" + hex(64),
		"image reference":    "image@sha256:" + hex(64),
		"NUL in the middle":  "sha256:" + hex(62) + "\x00f",
		"huge, and no colon": strings.Repeat("a", 1<<20),
		"huge":               "sha256:" + strings.Repeat("a", 1<<20),
	} {
		d, err := ParseDigest(s)
		if d != "" || !errors.Is(err, ErrDigest) || !isSentinel(err) {
			t.Errorf("%s: %q, %v", name, d, err)
		} else if len(err.Error()) > 500 {
			t.Errorf("%s: an error of %d bytes", name, len(err.Error()))
		}
	}
}

func TestDigestOf(t *testing.T) {
	// FIPS 180-2, of "abc".
	if d := SHA256([]byte("abc")); d != "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" {
		t.Error(d)
	}
	if d := SHA512([]byte("abc")); !strings.HasPrefix(string(d), "sha512:ddaf35a193617aba") || len(d.Bytes()) != 64 {
		t.Error(d)
	}
	for _, d := range []Digest{"", "sha256", "sha256:", ":", "sha256:xy", "sha256:0f", "sha256:" + Digest(strings.Repeat("0F", 32)), "urn:some reference"} {
		if b := d.Bytes(); b != nil {
			t.Errorf("%q is not well formed and has the bytes %x", d, b)
		}
	}
}

func TestDigestSetValidate(t *testing.T) {
	// What has a fixed length is held to it, whether or not it may name an artifact.
	for alg, lengths := range hexLength {
		for _, n := range lengths {
			good := strings.Repeat("a", n)
			if err := (DigestSet{alg: good}).Validate(); err != nil {
				t.Errorf("%s of %d: %v", alg, n, err)
			}
			for _, bad := range []string{"", good[1:], good + "a", strings.ToUpper(good), "g" + good[1:]} {
				if err := (DigestSet{"sha256": hexOf("x"), alg: bad}).Validate(); !errors.Is(err, ErrDigest) {
					t.Errorf("%s: %q: %v", alg, bad, err)
				}
			}
		}
	}
	if err := (DigestSet{"arn": "aws:Any:Reference/1", "SHA256": "not ours to judge"}).Validate(); err != nil {
		t.Errorf("other algorithms hold any reference: %v", err)
	}
	if err := (DigestSet{"": "x"}).Validate(); !errors.Is(err, ErrDigest) {
		t.Errorf("no algorithm: %v", err)
	}
	if err := DigestSet(nil).Validate(); err != nil {
		t.Errorf("no digest: %v", err)
	}
}

func TestDigestSetAcceptable(t *testing.T) {
	set := DigestSet{
		"sha512": SHA512(nil).Hex(), "sha256": hexOf(""), "gitCommit": commit,
		"md5": "m", "sha1": commit, "sha224": "s", "SHA256": hexOf(""), "arn": "a",
	}
	want := []Digest{"gitCommit:" + commit, SHA256(nil), SHA512(nil)}
	for range 100 { // whatever the order of the map
		got := set.Acceptable()
		if len(got) != 3 || got[0] != want[0] || got[1] != want[1] || got[2] != want[2] {
			t.Fatalf("%v, want %v", got, want)
		}
	}
}

func TestDigestSetCompare(t *testing.T) {
	right, wrong := hexOf("right"), hexOf("wrong")
	right512, wrong512 := SHA512([]byte("right")).Hex(), SHA512([]byte("wrong")).Hex()
	artifact := DigestSet{"sha256": right, "sha512": right512, "sha1": commit, "arn": "a"}
	for _, c := range []struct {
		name string
		set  DigestSet
		want Match
	}{
		{"nothing", nil, NoMatch},
		{"one right", DigestSet{"sha256": right}, Matched},
		{"two right", DigestSet{"sha256": right, "sha512": right512}, Matched},
		{"one wrong", DigestSet{"sha256": wrong}, NoMatch},
		{"two wrong", DigestSet{"sha256": wrong, "sha512": wrong512}, NoMatch},
		{"one right, one wrong", DigestSet{"sha256": right, "sha512": wrong512}, Conflict},
		{"one wrong, one right", DigestSet{"sha256": wrong, "sha512": right512}, Conflict},
		{"one right, and one that the other has not", DigestSet{"sha256": right, "sha384": "x"}, Matched},
		{"weak alone", DigestSet{"sha1": commit}, NoMatch},
		{"unknown alone", DigestSet{"arn": "a"}, NoMatch},
		{"weak in conflict is not looked at", DigestSet{"sha256": right, "sha1": "x"}, Matched},
		{"in capitals", DigestSet{"sha256": strings.ToUpper(right)}, NoMatch},
		{"under another name", DigestSet{"SHA256": right}, NoMatch},
	} {
		if m := c.set.Compare(artifact); m != c.want {
			t.Errorf("%s: %v, want %v", c.name, m, c.want)
		}
		if m := artifact.Compare(c.set); m != c.want {
			t.Errorf("%s, the other way around: %v, want %v", c.name, m, c.want)
		}
	}
}
