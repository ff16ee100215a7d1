package attest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Limits on any JSON that we read.
const (
	// MaxDepth is the deepest nesting of arrays and objects.
	MaxDepth = 128
	// MaxNames is the largest number of names in the objects that are open at one
	// place: they are all remembered there, to find one that is used twice.
	MaxNames = 65536
)

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
		return malformed(err)
	}
	return nil
}

// malformed wraps an error of the JSON reader, which quotes a name that is used
// twice, or a time that is none, whole: an error is not as long as the document.
func malformed(err error) error {
	const enough = 300
	if s := err.Error(); len(s) > enough {
		return fmt.Errorf("%w: %s…", ErrMalformed, strings.ToValidUTF8(s[:enough], ""))
	}
	return fmt.Errorf("%w: %w", ErrMalformed, err)
}

// CheckJSON checks that data is exactly one JSON value that every reader reads
// alike: no duplicate names, no invalid UTF-8, no trailing data, and within
// MaxDepth and MaxNames. It walks the tokens once, and remembers nothing of the
// document but the names of the objects that are open.
func CheckJSON(data []byte) error {
	dec := jsontext.NewDecoder(bytes.NewBuffer(data)) // of a Buffer it reads without copying
	var names [MaxDepth + 1]int                       // of the open object at each depth
	open, last := 0, 0                                // their sum; the depth before this token
	for values := 0; ; {
		if _, err := dec.ReadToken(); errors.Is(err, io.EOF) {
			if values == 0 {
				return fmt.Errorf("%w: empty", ErrMalformed)
			}
			return nil
		} else if err != nil {
			return malformed(err)
		}
		depth := dec.StackDepth()
		if depth > MaxDepth {
			return fmt.Errorf("%w: nested deeper than %d", ErrTooLarge, MaxDepth)
		}
		if depth < last {
			open -= names[last]
			names[last] = 0
		}
		last = depth
		// An object's length counts names and values: after a name it is odd.
		if kind, n := dec.StackIndex(depth); kind == '{' && n%2 == 1 {
			names[depth]++
			if open++; open > MaxNames {
				return fmt.Errorf("%w: more than %d names", ErrTooLarge, MaxNames)
			}
		}
		if depth == 0 {
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
