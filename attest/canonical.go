package attest

import (
	"bytes"

	"github.com/go-json-experiment/json/jsontext"
)

// CanonicalJSON spells a JSON value so that equal values are equal bytes; every
// empty value (absent, null, "", {}, []) is none. Numbers keep their text: as
// floating point, which JCS makes of them, 2^53 and 2^53+1 would be equal. ok is
// false for what is no JSON.
func CanonicalJSON(v jsontext.Value) (canonical []byte, ok bool) {
	c := v.Clone()
	if len(c) == 0 {
		return nil, true
	}
	if c.Canonicalize(jsontext.CanonicalizeRawInts(false), jsontext.CanonicalizeRawFloats(false)) != nil {
		return nil, false
	}
	switch string(c) {
	case "null", `""`, "{}", "[]":
		return nil, true
	}
	return c, true
}

// hashed begins what stands for a value that is kept by its hash. It is no JSON, so
// that no document can hold it.
const hashed = "sha256:"

// HashJSON returns what stands for a JSON value that is too large to be kept. Equal
// values have equal hashes.
func HashJSON(v jsontext.Value) jsontext.Value {
	c, ok := CanonicalJSON(v)
	if !ok {
		c = v
	}
	return jsontext.Value(SHA256(c))
}

// HashedJSON reports whether v stands for a value, as HashJSON made it.
func HashedJSON(v jsontext.Value) bool {
	return bytes.HasPrefix(v, []byte(hashed)) && checkHex("sha256", string(v[len(hashed):])) == nil
}
