package sbom

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/go-json-experiment/json"

	"github.com/sekisho-dev/sekisho/attest"
)

// The predicate types under which SBOMs are signed here.
const (
	cyclonedxType = "https://cyclonedx.org/bom"
	spdxType      = "https://spdx.dev/Document"
)

// IsPredicateType reports whether the predicate of a statement is an SBOM that
// this package may be able to read: ours, and the versioned spellings that other
// tools use. Nothing is matched by prefix.
func IsPredicateType(predicateType string) bool {
	switch predicateType {
	case cyclonedxType, spdxType,
		cyclonedxType + "/v1.4", cyclonedxType + "/v1.5", cyclonedxType + "/v1.6", cyclonedxType + "/v1.7",
		spdxType + "/v2.3":
		return true
	}
	return false
}

// What stands around the document in a statement that is made here.
const (
	beforeDocument = `{"_type":"` + attest.StatementV1 + `","predicate":`
	behindDocument = `,"predicateType":"`
	space          = " \t\r\n"
)

// ReadPredicate reads the document that a statement carries. It must be what the
// predicate type says: who demands SPDX must not be given CycloneDX by that name.
//
// Errors: those of [Read]; [ErrFormat] if the predicate type is another's.
func ReadPredicate(s *attest.Statement) (*Document, error) {
	doc, err := Read(s.Predicate)
	if err != nil {
		return nil, err
	}
	name := cyclonedxType
	if doc.Format == SPDX {
		name = spdxType
	}
	if s.PredicateType != name && s.PredicateType != name+"/v"+doc.SpecVersion {
		return nil, fmt.Errorf("reading SBOM: %w: %s %s as %.100q", ErrFormat, doc.Format, doc.SpecVersion, s.PredicateType)
	}
	return doc, nil
}

// errOther: a caller mixed up two documents.
var errOther = errors.New("the document is not the one that was read")

// Statement returns the in-toto statement that an artifact is made of what a
// document lists. The document's original bytes are its predicate as they stand,
// never written anew: what is signed is what was handed in. They must be those
// that doc was read from.
//
// Errors: [ErrMalformed], [attest.ErrNoDigest], [attest.ErrDigest], [attest.ErrTooLarge].
func Statement(doc *Document, original []byte, subjects []attest.Resource) ([]byte, error) {
	if doc == nil || attest.SHA256(original) != doc.digest {
		return nil, fmt.Errorf("making SBOM statement: %w: %w", ErrMalformed, errOther)
	}
	about, err := subjectsJSON(subjects)
	if err != nil {
		return nil, fmt.Errorf("making SBOM statement: %w", err)
	}
	predicateType := cyclonedxType
	if doc.Format == SPDX {
		predicateType = spdxType
	}
	b := bytes.NewBuffer(make([]byte, 0, len(original)+len(about)+256))
	b.WriteString(beforeDocument)
	b.Write(original)
	b.WriteString(behindDocument + predicateType + `","subject":`)
	b.Write(about)
	b.WriteString("}")
	return b.Bytes(), nil
}

// Original returns the document that a statement carries, as it was handed in: where
// the payload was made by [Statement], with the white space that stood around it,
// which is no part of the predicate's value.
func Original(payload []byte, s *attest.Statement) []byte {
	rest, ours := bytes.CutPrefix(payload, []byte(beforeDocument))
	if !ours {
		return s.Predicate
	}
	behind, found := bytes.CutPrefix(bytes.TrimLeft(rest, space), s.Predicate)
	behind = bytes.TrimLeft(behind, space)
	if !found || !bytes.HasPrefix(behind, []byte(behindDocument)) {
		return s.Predicate
	}
	return rest[:len(rest)-len(behind)]
}

// subjectsJSON writes the subjects. Each must have a digest that may identify an
// artifact: a statement about a name alone is about nothing.
func subjectsJSON(subjects []attest.Resource) ([]byte, error) {
	type subject struct {
		Name      string           `json:"name,omitempty"`
		URI       string           `json:"uri,omitempty"`
		Digest    attest.DigestSet `json:"digest"`
		MediaType string           `json:"mediaType,omitempty"`
	}
	if len(subjects) == 0 {
		return nil, fmt.Errorf("%w: no subject", attest.ErrNoDigest)
	}
	if len(subjects) > attest.MaxSubjects {
		return nil, fmt.Errorf("%w: more than %d subjects", attest.ErrTooLarge, attest.MaxSubjects)
	}
	list := make([]subject, len(subjects))
	for i, s := range subjects {
		if len(s.Digest.Acceptable()) == 0 {
			return nil, fmt.Errorf("%w: subject %d", attest.ErrNoDigest, i)
		}
		if len(s.Digest) > attest.MaxDigests {
			return nil, fmt.Errorf("%w: more than %d digests", attest.ErrTooLarge, attest.MaxDigests)
		}
		if err := s.Digest.Validate(); err != nil {
			return nil, fmt.Errorf("subject %d: %w", i, err)
		}
		list[i] = subject{s.Name, s.URI, s.Digest, s.MediaType}
	}
	b, err := json.Marshal(list, json.Deterministic(true))
	if err != nil {
		return nil, fmt.Errorf("%w: subjects: %w", ErrMalformed, err)
	}
	return b, nil
}
