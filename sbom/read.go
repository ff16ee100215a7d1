package sbom

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/sekisho-dev/sekisho/attest"
)

// Limits on a document. Real documents spend 22 bytes and more on a JSON value,
// so that the limit on values binds only what was written to exhaust its reader.
const (
	MaxSize   = 16 << 20 // bytes
	MaxValues = 1 << 20  // objects, arrays, strings, numbers and literals, without member names
)

// Read reads a software bill of materials: CycloneDX 1.4 to 1.7 or SPDX 2.3, in
// JSON, of up to [MaxSize] bytes. It must be a document that every reader reads
// alike (no duplicate names, no invalid UTF-8, nothing behind the document, up to
// [attest.MaxDepth] levels, up to [MaxValues] values), and valid by the schema of
// the version that it names.
//
// Errors: [ErrTooLarge], [ErrFormat], [ErrVersion], [ErrMalformed].
func Read(data []byte) (*Document, error) {
	if len(data) > MaxSize {
		return nil, fmt.Errorf("reading SBOM: %w: %d bytes, the limit is %d", ErrTooLarge, len(data), MaxSize)
	}
	k, err := identify(data)
	if err != nil {
		return nil, fmt.Errorf("reading SBOM: %w", err)
	}
	d := &Document{Format: k.format, SpecVersion: k.version, digest: attest.SHA256(data)}
	if err := k.validate(data); err != nil {
		return nil, fmt.Errorf("reading SBOM: %s %s: %w", k.format, k.version, err)
	}
	if err := d.decode(data); err != nil {
		return nil, fmt.Errorf("reading SBOM: %s %s: %w", k.format, k.version, err)
	}
	return d, nil
}

// decode reads the components of a document that is valid by its schema.
func (d *Document) decode(data []byte) error {
	if d.Format == SPDX {
		return d.decodeSPDX(data)
	}
	return d.decodeCycloneDX(data)
}

// identify walks the document once, within the limits, and returns the kind that
// it claims to be.
func identify(data []byte) (kind, error) {
	if name := otherSyntax(data); name != "" {
		return kind{}, fmt.Errorf("%w: this is %s; hand in the JSON form, not compressed", ErrFormat, name)
	}
	c, err := scan(data)
	if err != nil {
		return kind{}, err
	}
	return c.kind()
}

// otherSyntax names what is not JSON at all, because "invalid character '<'"
// helps nobody who handed in the XML form. Nothing is ever unpacked.
func otherSyntax(data []byte) string {
	head := bytes.TrimLeft(data, " \t\r\n")
	for _, s := range []struct{ prefix, name string }{
		{"<", "XML"},
		{"SPDXVersion:", "SPDX tag-value"},
		{"\x1f\x8b", "gzip"},
		{"PK\x03\x04", "a ZIP archive"},
		{"\x28\xb5\x2f\xfd", "zstd"},
		{"BZh", "bzip2"},
	} {
		if bytes.HasPrefix(head, []byte(s.prefix)) {
			return s.name
		}
	}
	return ""
}

// scan reads every token of the document, so that nothing is decoded before the
// whole has been found strict and small enough. It returns the top-level members
// by which documents name their format.
func scan(data []byte) (claims, error) {
	dec := jsontext.NewDecoder(bytes.NewBuffer(data)) // of a Buffer it reads without copying
	if k := dec.PeekKind(); k != '{' && attest.CheckJSON(data) == nil {
		return nil, fmt.Errorf("%w: not a JSON object", ErrFormat)
	}
	c, pending := claims{}, ""
	for values := 0; ; {
		tok, err := dec.ReadToken()
		if err != nil {
			return nil, unreadable(err)
		}
		depth := dec.StackDepth()
		if depth == 0 {
			return c, atEnd(dec)
		}
		if depth > attest.MaxDepth {
			return nil, fmt.Errorf("%w: nested deeper than %d", ErrTooLarge, attest.MaxDepth)
		}
		if pending != "" {
			c.note(pending, tok)
			pending = ""
		}
		switch parent, n := dec.StackIndex(depth); {
		case tok.Kind() == '}' || tok.Kind() == ']':
		case parent == '{' && n%2 == 1: // the name of a member
			if depth == 1 && isClaim(tok.String()) {
				pending = tok.String()
			}
		default:
			values++
		}
		if values > MaxValues {
			return nil, fmt.Errorf("%w: more than %d values", ErrTooLarge, MaxValues)
		}
	}
}

// atEnd requires that nothing but space follows.
func atEnd(dec *jsontext.Decoder) error {
	switch _, err := dec.ReadToken(); {
	case errors.Is(err, io.EOF):
		return nil
	case err != nil:
		return unreadable(err)
	}
	return fmt.Errorf("%w: data after the document", ErrMalformed)
}

// unreadable words an error of the JSON reader, which quotes names however long.
func unreadable(err error) error {
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("%w: %s", ErrMalformed, limit(err.Error()))
}
