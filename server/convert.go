package server

import (
	"github.com/sekisho-dev/sekisho/attest"
	sekishov1 "github.com/sekisho-dev/sekisho/proto/sekisho/v1"
	"github.com/sekisho-dev/sekisho/server/register"
	"github.com/sekisho-dev/sekisho/verifier"
)

func registration(r register.Registration) *sekishov1.Registration {
	return &sekishov1.Registration{
		Attestation:       attestation(r.Receipt.Index, r.Facts),
		Receipt:           receipt(r.Receipt),
		AlreadyRegistered: r.AlreadyRegistered,
	}
}

func attestation(index uint64, f *verifier.Facts) *sekishov1.Attestation {
	if f == nil { // a statement that was only validated has no signature yet
		return nil
	}
	a := &sekishov1.Attestation{
		Digest:         string(f.Attestation()),
		LogIndex:       index,
		PredicateType:  f.PredicateType(),
		PayloadSha256:  f.PayloadDigest().Hex(),
		KeyId:          f.KeyID(),
		SignerIdentity: f.Identity(),
	}
	for _, s := range f.Subjects() {
		a.Subjects = append(a.Subjects, &sekishov1.Subject{Name: s.Name, Digest: s.Digest})
	}
	if p := f.Provenance(); p != nil {
		a.BuilderId = p.BuilderID
	}
	return a
}

func receipt(r attest.Receipt) *sekishov1.Receipt {
	if r.Checkpoint.Size == 0 {
		return nil
	}
	return &sekishov1.Receipt{
		Checkpoint:     string(r.Checkpoint.Note),
		InclusionProof: inclusion(r.Index, r.Checkpoint.Size, r.Proof),
		LeafHash:       r.LeafHash[:],
	}
}

func inclusion(index, size uint64, proof []attest.Hash) *sekishov1.InclusionProof {
	return &sekishov1.InclusionProof{LogIndex: index, TreeSize: size, Hashes: hashes(proof)}
}

func hashes(proof []attest.Hash) [][]byte {
	out := make([][]byte, len(proof))
	for i := range proof {
		out[i] = proof[i][:]
	}
	return out
}

// dependents are the subjects of one SBOM. A page is cut between SBOMs only.
func dependents(index uint64, facts *verifier.Facts) []*sekishov1.Dependent {
	var all []*sekishov1.Dependent
	for _, sub := range facts.Subjects() {
		all = append(all, &sekishov1.Dependent{
			Artifact:    &sekishov1.Subject{Name: sub.Name, Digest: sub.Digest},
			Attestation: string(facts.Attestation()),
			LogIndex:    index,
		})
	}
	return all
}
