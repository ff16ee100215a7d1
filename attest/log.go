package attest

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"fmt"
	"time"
)

// KeyDetails names a key's type and the hash used with it, as Sigstore spells
// it (protobuf-specs, PublicKeyDetails).
type KeyDetails string

// The key details whose signatures can be leaves of a Rekor v2 log and that we write.
const (
	ECDSAP256SHA256 KeyDetails = "PKIX_ECDSA_P256_SHA_256"
	ECDSAP384SHA384 KeyDetails = "PKIX_ECDSA_P384_SHA_384"
	ECDSAP521SHA512 KeyDetails = "PKIX_ECDSA_P521_SHA_512"
	RSA2048SHA256   KeyDetails = "PKIX_RSA_PKCS1V15_2048_SHA256"
	RSA3072SHA256   KeyDetails = "PKIX_RSA_PKCS1V15_3072_SHA256"
	RSA4096SHA256   KeyDetails = "PKIX_RSA_PKCS1V15_4096_SHA256"
)

// KeyDetailsOf returns the details that fix how a public key signs. A pure
// Ed25519 key cannot be logged, because the log holds a hash and pure Ed25519
// signs the message itself: [ErrNotLoggable], as for every other kind.
func KeyDetailsOf(pub crypto.PublicKey) (KeyDetails, error) {
	switch k := pub.(type) {
	case *ecdsa.PublicKey:
		switch k.Curve {
		case elliptic.P256():
			return ECDSAP256SHA256, nil
		case elliptic.P384():
			return ECDSAP384SHA384, nil
		case elliptic.P521():
			return ECDSAP521SHA512, nil
		}
	case *rsa.PublicKey:
		switch k.N.BitLen() {
		case 2048:
			return RSA2048SHA256, nil
		case 3072:
			return RSA3072SHA256, nil
		case 4096:
			return RSA4096SHA256, nil
		}
		return "", fmt.Errorf("%w: RSA of %d bits; 2048, 3072 and 4096 can", ErrNotLoggable, k.N.BitLen())
	case ed25519.PublicKey:
		return "", fmt.Errorf("%w: pure Ed25519 signs the message, and a log leaf holds only its hash", ErrNotLoggable)
	}
	return "", fmt.Errorf("%w: key type %T", ErrNotLoggable, pub)
}

// Hash returns the hash function that the key details fix, or 0 for details
// that cannot be logged.
func (k KeyDetails) Hash() crypto.Hash {
	switch k {
	case ECDSAP256SHA256, RSA2048SHA256, RSA3072SHA256, RSA4096SHA256:
		return crypto.SHA256
	case ECDSAP384SHA384:
		return crypto.SHA384
	case ECDSAP521SHA512:
		return crypto.SHA512
	}
	return 0
}

// A Leaf is what the log commits to: a hashedrekord 0.0.2 entry (Rekor v2) over
// the hash of the PAE, one signature, and the key or certificate that made it.
type Leaf struct {
	Digest      []byte // hash(PAE), by the hash that KeyDetails fixes
	Signature   []byte
	KeyDetails  KeyDetails
	PublicKey   []byte // DER SubjectPublicKeyInfo, or
	Certificate []byte // the DER leaf certificate; exactly one of the two
}

// Entry returns the bytes that the log stores: the JCS form of the entry's
// protojson. It is canonical, so that any Sigstore client rebuilds the same
// leaf from the bundle alone. [ErrNotLoggable] if the parts do not make an entry.
func (l *Leaf) Entry() ([]byte, error) {
	h := l.KeyDetails.Hash()
	if h == 0 || len(l.Digest) != h.Size() || len(l.Signature) == 0 || (len(l.PublicKey) == 0) == (len(l.Certificate) == 0) {
		return nil, fmt.Errorf("%w: incomplete hashedrekord (%s)", ErrNotLoggable, l.KeyDetails)
	}
	algorithm := map[crypto.Hash]string{crypto.SHA256: "SHA2_256", crypto.SHA384: "SHA2_384", crypto.SHA512: "SHA2_512"}[h]
	var b bytes.Buffer
	b.WriteString(`{"apiVersion":"0.0.2","kind":"hashedrekord","spec":{"hashedRekordV002":{"data":{"algorithm":"`)
	b.WriteString(algorithm)
	b.WriteString(`","digest":"`)
	writeBase64(&b, l.Digest)
	b.WriteString(`"},"signature":{"content":"`)
	writeBase64(&b, l.Signature)
	b.WriteString(`","verifier":{"keyDetails":"`)
	b.WriteString(string(l.KeyDetails))
	if len(l.PublicKey) > 0 {
		b.WriteString(`","publicKey":{"rawBytes":"`)
		writeBase64(&b, l.PublicKey)
	} else {
		b.WriteString(`","x509Certificate":{"rawBytes":"`)
		writeBase64(&b, l.Certificate)
	}
	b.WriteString(`"}}}}}}`)
	return b.Bytes(), nil
}

// A Hash is an RFC 6962 Merkle tree hash (SHA-256).
type Hash [sha256.Size]byte

// LeafHash returns the RFC 6962 leaf hash of a log entry, SHA-256(0x00 ‖ entry).
func LeafHash(entry []byte) Hash {
	h := sha256.New()
	h.Write([]byte{0})
	h.Write(entry)
	return Hash(h.Sum(nil))
}

// A Checkpoint is a signed tree head (C2SP tlog-checkpoint) whose signature
// whoever made the value has verified.
type Checkpoint struct {
	Origin string
	Size   uint64
	Root   Hash
	Note   []byte // the signed note, verbatim
}

// A Receipt proves that an entry is in the log: its index and the inclusion
// proof, from the leaf's sibling to the root's child, under a checkpoint.
type Receipt struct {
	Index      uint64
	LeafHash   Hash
	Proof      []Hash
	Checkpoint Checkpoint
}

// A Record is what is kept beside a leaf, and with the payload is enough to
// rebuild and verify it again. SubmittedBy and SubmittedAt are for display
// only: nothing that decides reads them.
type Record struct {
	PayloadType   string     `json:"payloadType"`
	PayloadDigest Digest     `json:"payloadDigest"`
	PayloadSize   int64      `json:"payloadSize"`
	Payload       []byte     `json:"payload,omitempty"` // small payloads live here
	Signature     Signature  `json:"signature"`
	KeyDetails    KeyDetails `json:"keyDetails"`
	PublicKey     []byte     `json:"publicKey,omitempty"`   // DER SubjectPublicKeyInfo, or
	Certificate   []byte     `json:"certificate,omitempty"` // the DER leaf certificate
	Timestamp     []byte     `json:"timestamp,omitempty"`   // our RFC 3161 TimeStampResp over the signature, DER
	Bundle        []byte     `json:"bundle,omitempty"`      // what came as a Sigstore bundle, byte-identical
	SubmittedBy   string     `json:"submittedBy,omitempty"`
	SubmittedAt   time.Time  `json:"submittedAt,omitzero"`
}

// Leaf returns the leaf that the record and its payload make.
func (r *Record) Leaf(payload []byte) (*Leaf, error) {
	h := r.KeyDetails.Hash()
	if h == 0 {
		return nil, fmt.Errorf("%w: %.60q", ErrNotLoggable, r.KeyDetails)
	}
	return &Leaf{
		Digest:      PAEDigest(h.New(), r.PayloadType, payload),
		Signature:   r.Signature.Sig,
		KeyDetails:  r.KeyDetails,
		PublicKey:   r.PublicKey,
		Certificate: r.Certificate,
	}, nil
}

// Envelope returns the DSSE envelope that the record and its payload make, in
// the form in which Sekisho serves it.
func (r *Record) Envelope(payload []byte) *Envelope {
	return &Envelope{PayloadType: r.PayloadType, Payload: payload, Signatures: []Signature{r.Signature}}
}
