package attest

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// The statement types that we read.
const (
	StatementV1  = "https://in-toto.io/Statement/v1"
	StatementV01 = "https://in-toto.io/Statement/v0.1"
)

// Limits on a statement.
const (
	MaxSubjects     = 1024
	MaxDependencies = 65536
)

// A Statement is an in-toto statement (v1 or v0.1) that has been read. The
// bytes it was read from are what was signed; it is never written back.
type Statement struct {
	Type          string
	PredicateType string
	Subjects      []Resource
	Predicate     []byte // the predicate's JSON as it stands in the payload; empty if absent
}

// A Resource is an in-toto ResourceDescriptor, as far as we use it.
type Resource struct {
	Name        string         `json:"name"`
	URI         string         `json:"uri"`
	Digest      DigestSet      `json:"digest"`
	MediaType   string         `json:"mediaType"`
	Annotations jsontext.Value `json:"annotations"`
}

// ParseStatement reads an in-toto statement strictly. A statement must name at
// least one subject, every subject must have a well-formed digest, and at least
// one of them a digest that may identify an artifact.
//
// Errors: [ErrMalformed], [ErrTooLarge], [ErrStatementType], [ErrDigest], [ErrNoDigest].
func ParseStatement(payload []byte) (*Statement, error) {
	var wire struct {
		Type          string         `json:"_type"`
		PredicateType string         `json:"predicateType"`
		Subject       resources      `json:"subject"`
		Predicate     jsontext.Value `json:"predicate"`
	}
	wire.Subject.max, wire.Subject.what = MaxSubjects, "subjects"
	if err := decodeStrict(payload, &wire); err != nil {
		return nil, fmt.Errorf("reading statement: %w", err)
	}
	if wire.Type != StatementV1 && wire.Type != StatementV01 {
		return nil, fmt.Errorf("reading statement: %w: %.100q", ErrStatementType, wire.Type)
	}
	if wire.PredicateType == "" {
		return nil, fmt.Errorf("reading statement: %w: no predicateType", ErrMalformed)
	}
	if len(wire.Subject.list) == 0 {
		return nil, fmt.Errorf("reading statement: %w: no subject", ErrMalformed)
	}
	acceptable := false
	for i, s := range wire.Subject.list {
		if len(s.Digest) == 0 {
			return nil, fmt.Errorf("reading statement: %w: subject %d has none", ErrNoDigest, i)
		}
		acceptable = acceptable || len(s.Digest.Acceptable()) > 0
	}
	if !acceptable {
		return nil, fmt.Errorf("reading statement: %w: every subject is named by weak or unknown algorithms only", ErrNoDigest)
	}
	predicate := bytes.TrimSpace(wire.Predicate)
	if bytes.Equal(predicate, []byte("null")) {
		predicate = nil
	}
	if len(predicate) > 0 && predicate[0] != '{' {
		return nil, fmt.Errorf("reading statement: %w: predicate is not an object", ErrMalformed)
	}
	return &Statement{
		Type:          wire.Type,
		PredicateType: normalizeURI(wire.PredicateType),
		Subjects:      wire.Subject.list,
		Predicate:     predicate,
	}, nil
}

// PredicateTypeOf looks for a statement's predicate type and reads nothing else of it,
// so that it may be asked whether a statement is wanted before it is parsed. It is
// empty where there is none; [ParseStatement] says what is wrong.
func PredicateTypeOf(payload []byte) string {
	dec := jsontext.NewDecoder(bytes.NewBuffer(payload)) // of a Buffer it reads without copying
	if t, err := dec.ReadToken(); err != nil || t.Kind() != '{' {
		return ""
	}
	for {
		name, err := dec.ReadToken()
		if err != nil || name.Kind() != '"' {
			return ""
		}
		if name.String() == "predicateType" && dec.PeekKind() == '"' {
			value, err := dec.ReadToken()
			if err != nil {
				return ""
			}
			return normalizeURI(value.String())
		}
		if dec.SkipValue() != nil {
			return ""
		}
	}
}

// Subject compares an artifact with the statement's subjects. It returns
// Matched with the first subject that matches and no subject in conflict;
// a subject in conflict (one digest right, another wrong) makes the whole
// statement a Conflict, for it cannot be about this artifact alone.
func (s *Statement) Subject(artifact DigestSet) (Match, int) {
	found, result := -1, NoMatch
	for i, sub := range s.Subjects {
		switch sub.Digest.Compare(artifact) {
		case Conflict:
			return Conflict, i
		case Matched:
			if result == NoMatch {
				found, result = i, Matched
			}
		}
	}
	return result, found
}

// resources reads an array of at most max resource descriptors.
type resources struct {
	list []Resource
	max  int
	what string
}

// UnmarshalJSONFrom refuses null elements (CVE class: cosign #5016), more than
// max of them, and malformed digests.
func (r *resources) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	return readArray(dec, r.what, r.max, func() error {
		var one *Resource
		if err := unmarshalNext(dec, &one); err != nil {
			return err
		}
		if one == nil {
			return fmt.Errorf("%w: null element in %s", ErrMalformed, r.what)
		}
		r.list = append(r.list, *one)
		return nil
	})
}

// UnmarshalJSONFrom reads at most MaxDigests digests and checks each.
func (s *DigestSet) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	if dec.PeekKind() == 'n' {
		_, err := dec.ReadToken()
		return err
	}
	if dec.PeekKind() != '{' {
		return fmt.Errorf("%w: digest is not an object", ErrMalformed)
	}
	if _, err := dec.ReadToken(); err != nil {
		return err
	}
	set := DigestSet{}
	for dec.PeekKind() != '}' {
		if len(set) == MaxDigests {
			return fmt.Errorf("%w: more than %d digests", ErrTooLarge, MaxDigests)
		}
		name, err := dec.ReadToken()
		if err != nil {
			return err
		}
		alg := name.String()
		value, err := dec.ReadToken()
		if err != nil {
			return err
		}
		if value.Kind() != '"' {
			return fmt.Errorf("%w: value of %.40q is not a string", ErrDigest, alg)
		}
		h := value.String()
		if err := checkHex(alg, h); err != nil {
			return err
		}
		set[alg] = h
	}
	*s = set
	_, err := dec.ReadToken()
	return err
}

// unmarshalNext reads the next value of a decoder that is already strict.
func unmarshalNext(dec *jsontext.Decoder, v any) error { return json.UnmarshalDecode(dec, v) }

// normalizeURI lower-cases the scheme and host of a type URI, the only
// normalisation that in-toto asks for (RFC 3986 section 6.2.2.1).
func normalizeURI(uri string) string {
	scheme, rest, ok := strings.Cut(uri, "://")
	if !ok || strings.ContainsAny(scheme, "/?#") {
		return uri
	}
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	// ASCII only: to Unicode the Kelvin sign is a capital k, to nobody else's URI.
	lower := func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			r += 'a' - 'A'
		}
		return r
	}
	return strings.Map(lower, scheme) + "://" + strings.Map(lower, rest[:end]) + rest[end:]
}
