// Package bundle writes what we sign in the form that stock Sigstore clients
// read: a bundle v0.3 for an attestation, and the trusted_root.json that goes
// with it. Nobody needs this service, or its code, to check what it signed.
package bundle

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"time"

	bundlepb "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	commonpb "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	dssepb "github.com/sigstore/protobuf-specs/gen/pb-go/dsse"
	rekorpb "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	rootpb "github.com/sigstore/protobuf-specs/gen/pb-go/trustroot/v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/sekisho-dev/sekisho/attest"
)

// MediaType is the media type of the bundles that we write.
const MediaType = "application/vnd.dev.sigstore.bundle.v0.3+json"

// Assemble makes the bundle of an attestation from its record, its payload and
// a receipt. logID is the log's id: the whole C2SP key hash, of which a
// checkpoint's signature line has the first four bytes.
func Assemble(rec *attest.Record, payload []byte, receipt attest.Receipt, logID [32]byte) ([]byte, error) {
	leaf, err := rec.Leaf(payload)
	if err != nil {
		return nil, err
	}
	entry, err := leaf.Entry()
	if err != nil {
		return nil, err
	}
	material := &bundlepb.VerificationMaterial{
		TlogEntries: []*rekorpb.TransparencyLogEntry{{
			LogIndex:          int64(receipt.Index),
			LogId:             &commonpb.LogId{KeyId: logID[:]},
			KindVersion:       &rekorpb.KindVersion{Kind: "hashedrekord", Version: "0.0.2"},
			CanonicalizedBody: entry,
			InclusionProof: &rekorpb.InclusionProof{
				LogIndex:   int64(receipt.Index),
				RootHash:   receipt.Checkpoint.Root[:],
				TreeSize:   int64(receipt.Checkpoint.Size),
				Hashes:     hashes(receipt.Proof),
				Checkpoint: &rekorpb.Checkpoint{Envelope: string(receipt.Checkpoint.Note)},
			},
		}},
	}
	if len(rec.Certificate) > 0 {
		material.Content = &bundlepb.VerificationMaterial_Certificate{Certificate: &commonpb.X509Certificate{RawBytes: rec.Certificate}}
	} else {
		sum := sha256.Sum256(rec.PublicKey)
		hint := base64.StdEncoding.EncodeToString(sum[:])
		material.Content = &bundlepb.VerificationMaterial_PublicKey{PublicKey: &commonpb.PublicKeyIdentifier{Hint: hint}}
	}
	if len(rec.Timestamp) > 0 {
		material.TimestampVerificationData = &bundlepb.TimestampVerificationData{
			Rfc3161Timestamps: []*commonpb.RFC3161SignedTimestamp{{SignedTimestamp: rec.Timestamp}},
		}
	}
	return stable(&bundlepb.Bundle{
		MediaType:            MediaType,
		VerificationMaterial: material,
		Content: &bundlepb.Bundle_DsseEnvelope{DsseEnvelope: &dssepb.Envelope{
			Payload:     payload,
			PayloadType: rec.PayloadType,
			Signatures:  []*dssepb.Signature{{Sig: rec.Signature.Sig, Keyid: rec.Signature.KeyID}},
		}},
	})
}

func hashes(hs []attest.Hash) [][]byte {
	out := make([][]byte, len(hs))
	for i := range hs {
		out[i] = hs[i][:]
	}
	return out
}

// TrustedRoot makes the trusted root with which our bundles verify: our log and
// our time authority. It names no certificate authority: who holds the keys is
// for the verifier's --key.
func TrustedRoot(origin string, logKey ed25519.PublicKey, logID [32]byte, tsa []*x509.Certificate) ([]byte, error) {
	spki, err := x509.MarshalPKIXPublicKey(crypto.PublicKey(logKey))
	if err != nil {
		return nil, fmt.Errorf("making the trusted root: %w", err)
	}
	start := timestamppb.New(tsa[0].NotBefore)
	authority := &rootpb.CertificateAuthority{
		Subject:   &commonpb.DistinguishedName{Organization: "Sekisho", CommonName: tsa[0].Subject.CommonName},
		Uri:       "https://" + origin,
		CertChain: &commonpb.X509CertificateChain{},
		ValidFor:  &commonpb.TimeRange{Start: start},
	}
	for _, c := range tsa {
		authority.CertChain.Certificates = append(authority.CertChain.Certificates, &commonpb.X509Certificate{RawBytes: c.Raw})
	}
	return stable(&rootpb.TrustedRoot{
		MediaType: "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
		Tlogs: []*rootpb.TransparencyLogInstance{{
			BaseUrl:       "https://" + origin,
			HashAlgorithm: commonpb.HashAlgorithm_SHA2_256,
			PublicKey: &commonpb.PublicKey{
				RawBytes:   spki,
				KeyDetails: commonpb.PublicKeyDetails_PKIX_ED25519,
				// A log's key is good from the start: an entry proves nothing
				// about time, and its timestamp has a window of its own.
				ValidFor: &commonpb.TimeRange{Start: timestamppb.New(time.Unix(0, 0))},
			},
			LogId: &commonpb.LogId{KeyId: logID[:]},
		}},
		TimestampAuthorities: []*rootpb.CertificateAuthority{authority},
	})
}

// stable is protojson without its deliberate instability: the same message is
// the same bytes.
func stable(m proto.Message) ([]byte, error) {
	raw, err := protojson.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("writing %s: %w", m.ProtoReflect().Descriptor().Name(), err)
	}
	var b bytes.Buffer
	if err := json.Compact(&b, raw); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}
