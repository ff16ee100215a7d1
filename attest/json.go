package attest

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// MaxDepth is the deepest nesting of arrays and objects in any JSON that we read.
const MaxDepth = 128

// decodeStrict reads exactly one JSON value into v: duplicate names, invalid
// UTF-8, trailing data and nesting beyond MaxDepth are refused, and names match
// by case (encoding/json folds it, so that "Subject" and "subject" would be one
// member to us and two to everybody else). Limits on counts are applied by the
// UnmarshalJSONFrom methods of the types being read.
func decodeStrict(data []byte, v any) error {
	if err := CheckJSON(data); err != nil {
		return err
	}
	if err := json.Unmarshal(data, v); err != nil {
		if errors.Is(err, ErrTooLarge) || errors.Is(err, ErrDigest) || errors.Is(err, ErrMalformed) {
			return err
		}
		return fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return nil
}

// CheckJSON checks that data is exactly one JSON value that every reader reads
// alike: no duplicate names, no invalid UTF-8, no trailing data, and not nested
// deeper than MaxDepth. It walks the tokens once, and allocates nothing that
// grows with the document.
func CheckJSON(data []byte) error {
	dec := jsontext.NewDecoder(bytes.NewBuffer(data)) // of a Buffer it reads without copying
	for values := 0; ; {
		if _, err := dec.ReadToken(); errors.Is(err, io.EOF) {
			if values == 0 {
				return fmt.Errorf("%w: empty", ErrMalformed)
			}
			return nil
		} else if err != nil {
			return fmt.Errorf("%w: %w", ErrMalformed, err)
		}
		switch depth := dec.StackDepth(); {
		case depth > MaxDepth:
			return fmt.Errorf("%w: nested deeper than %d", ErrTooLarge, MaxDepth)
		case depth == 0:
			if values++; values > 1 {
				return fmt.Errorf("%w: data after the document", ErrMalformed)
			}
		}
	}
}

// readArray reads a JSON array (or null, as none) with at most max elements,
// calling element with the decoder placed before each.
func readArray(dec *jsontext.Decoder, what string, max int, element func() error) error {
	switch kind := dec.PeekKind(); kind {
	case 'n':
		_, err := dec.ReadToken()
		return err
	case '[':
	default:
		return fmt.Errorf("%w: %s is not an array", ErrMalformed, what)
	}
	if _, err := dec.ReadToken(); err != nil {
		return err
	}
	for n := 0; dec.PeekKind() != ']'; n++ {
		if n == max {
			return fmt.Errorf("%w: more than %d %s", ErrTooLarge, max, what)
		}
		if err := element(); err != nil {
			return err
		}
	}
	_, err := dec.ReadToken()
	return err
}
