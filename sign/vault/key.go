package vault

import (
	"crypto"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"strconv"

	"github.com/sekisho-dev/sekisho/sign"
)

// hashes are the hashes of keys that can be logged, as Transit spells them.
var hashes = map[crypto.Hash]string{
	crypto.SHA256: "sha2-256",
	crypto.SHA384: "sha2-384",
	crypto.SHA512: "sha2-512",
}

// signs are the types of Transit key whose signatures can be logged. Ed25519 is
// not among them: Transit signs with it in the pure form, and the log has only
// the hash.
var signs = map[string]bool{
	"ecdsa-p256": true, "ecdsa-p384": true, "ecdsa-p521": true,
	"rsa-2048": true, "rsa-3072": true, "rsa-4096": true,
}

// A description is what Transit says of a key.
type description struct {
	Type    string `json:"type"`
	Derived bool   `json:"derived"`
	Latest  int    `json:"latest_version"`
	// Keys are the versions: {"public_key": PEM, …} each, and for symmetric keys
	// only a number, the time of making.
	Keys map[int]json.RawMessage `json:"keys"`
}

// validate refuses a key that cannot sign attestations, whatever its version.
func (d *description) validate() error {
	switch {
	case !signs[d.Type]:
		return fmt.Errorf("%w: it is of type %.40q; want ecdsa-p256 (or ecdsa-p384, ecdsa-p521, rsa-2048, rsa-3072, rsa-4096)", sign.ErrKey, d.Type)
	case d.Derived:
		// One name, and a key for each context: which one signed could not be told.
		return fmt.Errorf("%w: it is a derived key; make one with derived=false", sign.ErrKey)
	}
	return nil
}

// version returns the public key of a version.
func (d *description) version(n int) (sign.Key, error) {
	raw, ok := d.Keys[n]
	if !ok {
		return sign.Key{}, fmt.Errorf("%w: Vault shows no version %d of it (the newest is %d); a version below min_decryption_version is hidden", sign.ErrKey, n, d.Latest)
	}
	var v struct {
		PublicKey string `json:"public_key"`
	}
	err := json.Unmarshal(raw, &v)
	block, _ := pem.Decode([]byte(v.PublicKey))
	if err != nil || block == nil || block.Type != "PUBLIC KEY" {
		return sign.Key{}, fmt.Errorf("%w: Vault gives no public key for version %d", sign.ErrKey, n)
	}
	pub, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return sign.Key{}, fmt.Errorf("%w: the public key of version %d: %w", sign.ErrKey, n, err)
	}
	key, err := sign.NewKey(pub, strconv.Itoa(n))
	if err != nil {
		return sign.Key{}, fmt.Errorf("%w: %w", sign.ErrKey, err)
	}
	return key, nil
}
