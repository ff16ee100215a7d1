package strictyaml

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// MaxFaults is how many faults of a document are told. The rest are counted: a
// document of four megabytes can have a million of them.
const MaxFaults = 20

// maxMessage is the longest text of one fault, in bytes. It may quote the document.
const maxMessage = 400

// A Pos is a place in the document. A struct with a field of this type, tagged
// `yaml:"-"`, has the place of its mapping put there.
type Pos struct{ Line, Column int }

// Errorf returns an error at the place. Its text is cut at 400 bytes.
func (p Pos) Errorf(format string, args ...any) error {
	msg := fmt.Sprintf(format, args...)
	if len(msg) > maxMessage {
		end := maxMessage
		for end > 0 && !utf8.RuneStart(msg[end]) {
			end--
		}
		msg = strings.Clone(msg[:end]) + "…" // a clone, so that the rest can go
	}
	return &Error{p, msg}
}

// An Error is one fault and where it is.
type Error struct {
	Pos
	Msg string
}

func (e *Error) Error() string { return fmt.Sprintf("line %d, column %d: %s", e.Line, e.Column, e.Msg) }

// Unwrap makes every fault an ErrInvalid.
func (e *Error) Unwrap() error { return ErrInvalid }

// Errors are the faults of a document, by their place: [MaxFaults] of them at most,
// and last how many more there are, if there are more.
type Errors []error

func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i, err := range e {
		lines[i] = err.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap lets errors.Is find each of them.
func (e Errors) Unwrap() []error { return e }

// untold is how many faults are not told.
type untold int

func (n untold) Error() string { return fmt.Sprintf("… and %d more", int(n)) }

func (n untold) Unwrap() error { return ErrInvalid }

// Faults collects the faults of a document, so that many of them are told at once.
// It keeps no more than [MaxFaults], however many there are. The zero value is empty.
type Faults struct {
	told Errors
	more int
}

// Addf adds a fault. Beyond those that are told, its text is not even made.
func (f *Faults) Addf(at Pos, format string, args ...any) {
	if len(f.told) == MaxFaults {
		f.more++
		return
	}
	f.told = append(f.told, at.Errorf(format, args...))
}

// Add adds an error, or each of those of another collection. Nil adds nothing.
func (f *Faults) Add(err error) {
	var several Errors
	var n untold
	switch {
	case err == nil:
	case errors.As(err, &n) && err == error(n): //nolint:errorlint // it alone, not what holds it
		f.more += int(n)
	case errors.As(err, &several):
		for _, e := range several {
			f.Add(e)
		}
	case len(f.told) == MaxFaults:
		f.more++
	default:
		f.told = append(f.told, err)
	}
}

// Err returns the faults by their place, as [Errors], or nil if there are none.
func (f *Faults) Err() error {
	if len(f.told) == 0 {
		return nil
	}
	all := slices.Clone(f.told)
	slices.SortStableFunc(all, func(a, b error) int {
		p, q := place(a), place(b)
		return cmp.Or(cmp.Compare(p.Line, q.Line), cmp.Compare(p.Column, q.Column))
	})
	if f.more > 0 {
		all = append(all, untold(f.more))
	}
	return all
}

// place returns where a fault is; the beginning if it does not say.
func place(err error) Pos {
	if e := (*Error)(nil); errors.As(err, &e) {
		return e.Pos
	}
	return Pos{}
}
