package attest

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"sort"
	"strings"
)

// A Digest is a content digest in its usual spelling, "sha256:" followed by
// lower-case hex. It is comparable, and a Digest made by this package always
// has the length that its algorithm demands.
type Digest string

// SHA256 returns the SHA-256 digest of b.
func SHA256(b []byte) Digest {
	sum := sha256.Sum256(b)
	return Digest("sha256:" + hex.EncodeToString(sum[:]))
}

// SHA512 returns the SHA-512 digest of b.
func SHA512(b []byte) Digest {
	sum := sha512.Sum512(b)
	return Digest("sha512:" + hex.EncodeToString(sum[:]))
}

// NewDigest spells a raw hash as a Digest. It does not check the length.
func NewDigest(algorithm string, sum []byte) Digest {
	return Digest(algorithm + ":" + hex.EncodeToString(sum))
}

// ParseDigest reads "algorithm:hex" for the algorithms that may name an
// artifact ([Acceptable]). The error wraps [ErrDigest].
func ParseDigest(s string) (Digest, error) {
	alg, sum, ok := strings.Cut(s, ":")
	if !ok {
		return "", fmt.Errorf("%w: %.100q does not begin with an algorithm, such as sha256:…", ErrDigest, s)
	}
	if !Acceptable(alg) {
		return "", fmt.Errorf("%w: algorithm %.40q is not one that may name an artifact", ErrDigest, alg)
	}
	if err := checkHex(alg, sum); err != nil {
		return "", err
	}
	return Digest(s), nil
}

// Algorithm returns the part before the colon, such as "sha256".
func (d Digest) Algorithm() string { alg, _, _ := strings.Cut(string(d), ":"); return alg }

// Hex returns the part after the colon.
func (d Digest) Hex() string { _, h, _ := strings.Cut(string(d), ":"); return h }

// Bytes returns the raw hash, or nil if d is not well formed.
func (d Digest) Bytes() []byte {
	if checkHex(d.Algorithm(), d.Hex()) != nil {
		return nil
	}
	b, err := hex.DecodeString(d.Hex())
	if err != nil {
		return nil
	}
	return b
}

// Set returns the digest as a DigestSet of one.
func (d Digest) Set() DigestSet { return DigestSet{d.Algorithm(): d.Hex()} }

// A DigestSet names one artifact by one or more algorithms (in-toto DigestSet):
// algorithm names without separators ("sha256", "gitCommit") to lower-case hex.
type DigestSet map[string]string

// MaxDigests is the largest number of algorithms in one DigestSet.
const MaxDigests = 32

// hexLength gives the lengths that an algorithm's hex may have. Algorithms that
// are not listed may hold any non-empty immutable reference (in-toto DigestSet).
var hexLength = map[string][]int{
	"sha224": {56}, "sha256": {64}, "sha384": {96}, "sha512": {128},
	"sha512_224": {56}, "sha512_256": {64},
	"sha3_224": {56}, "sha3_256": {64}, "sha3_384": {96}, "sha3_512": {128},
	"sha1": {40}, "md5": {32}, "ripemd160": {40}, "sm3": {64},
	"gitCommit": {40, 64}, "gitTree": {40, 64}, "gitBlob": {40, 64}, "gitTag": {40, 64},
	"dirHash": {64}, "dirHash1": {64},
}

// Acceptable reports whether a digest by this algorithm may identify an
// artifact here. MD5 and SHA-1 never may; a git commit names source, and is
// acceptable because its meaning is fixed by its key.
func Acceptable(algorithm string) bool {
	switch algorithm {
	case "sha256", "sha384", "sha512", "gitCommit":
		return true
	}
	return false
}

// Acceptable returns the members that may identify an artifact, sorted.
func (s DigestSet) Acceptable() []Digest {
	var ds []Digest
	for alg, h := range s {
		if Acceptable(alg) {
			ds = append(ds, Digest(alg+":"+h))
		}
	}
	sort.Slice(ds, func(i, j int) bool { return ds[i] < ds[j] })
	return ds
}

// Validate checks lengths and spelling of every member. The error wraps [ErrDigest].
func (s DigestSet) Validate() error {
	for alg, h := range s {
		if err := checkHex(alg, h); err != nil {
			return err
		}
	}
	return nil
}

// A Match is the outcome of comparing two digest sets.
type Match int

const (
	// NoMatch: the sets share no acceptable algorithm, or none of equal value.
	NoMatch Match = iota
	// Matched: every acceptable algorithm that both sets have agrees, and there is one.
	Matched
	// Conflict: one acceptable algorithm agrees and another does not. A set
	// describes one artifact, so this is no match: somebody is lying or wrong.
	Conflict
)

// Compare compares two sets by their acceptable algorithms only. It is
// symmetric and does not depend on map order.
func (s DigestSet) Compare(t DigestSet) Match {
	agree, differ := false, false
	for alg, h := range s {
		if o, ok := t[alg]; ok && Acceptable(alg) {
			if o == h {
				agree = true
			} else {
				differ = true
			}
		}
	}
	switch {
	case agree && differ:
		return Conflict
	case agree:
		return Matched
	}
	return NoMatch
}

// checkHex checks one member of a digest set.
func checkHex(alg, h string) error {
	if alg == "" || h == "" {
		return fmt.Errorf("%w: empty algorithm or value", ErrDigest)
	}
	lengths, known := hexLength[alg]
	if !known {
		return nil
	}
	for _, n := range lengths {
		if len(h) == n {
			for i := 0; i < len(h); i++ {
				if c := h[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
					return fmt.Errorf("%w: %s value is not lower-case hex", ErrDigest, alg)
				}
			}
			return nil
		}
	}
	return fmt.Errorf("%w: %s value has %d characters, want %d", ErrDigest, alg, len(h), lengths[0])
}
