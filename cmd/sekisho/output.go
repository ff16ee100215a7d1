package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"golang.org/x/term"
	"google.golang.org/protobuf/proto"

	sekishov1 "github.com/sekisho-dev/sekisho/proto/sekisho/v1"
)

// outputs is the annotation of a command that has more forms than text and json.
const outputs = "outputs"

// moreOutputs has the help of such commands say which forms they have.
func (a *app) moreOutputs(c *cobra.Command) {
	if more := c.Annotations[outputs]; more != "" {
		c.Flags().StringVarP(&a.output, "output", "o", "text", "`FORM`: text, json, "+strings.Join(strings.Fields(more), ", "))
	}
	for _, sub := range c.Commands() {
		a.moreOutputs(sub)
	}
}

// forms are the forms of output that a command has.
func forms(c *cobra.Command) []string {
	return append([]string{"text", "json"}, strings.Fields(c.Annotations[outputs])...)
}

// checkOutput refuses a form that a command does not have.
func (a *app) checkOutput(c *cobra.Command) error {
	if has := forms(c); !slices.Contains(has, a.output) {
		return usage(c, fmt.Errorf("-o %.40q: want %s", a.output, strings.Join(has, ", ")))
	}
	if !slices.Contains([]string{"auto", "always", "never"}, a.color) {
		return usage(c, fmt.Errorf("--color %.40q: want auto, always or never", a.color))
	}
	return nil
}

// show writes one message: as JSON, or as text does.
func (a *app) show(m proto.Message, text func(io.Writer)) error {
	if a.output != "json" {
		return a.text(text)
	}
	raw, err := sekishov1.JSON(m)
	return join(err, a.write(raw))
}

// showLine is show for one of several: its JSON is a line.
func (a *app) showLine(m proto.Message, text func(io.Writer)) error {
	if a.output != "json" {
		return a.text(text)
	}
	raw, err := sekishov1.JSONLine(m)
	return join(err, a.write(raw))
}

// text writes text; that it was not written is an error too, or a key that a full
// disk swallowed would look like one that was shown.
func (a *app) text(text func(io.Writer)) error {
	w := &watched{Writer: a.out}
	text(w)
	return w.err
}

// watched remembers the first error of writing, so that those who write need not
// look each time.
type watched struct {
	io.Writer
	err error
}

func (w *watched) Write(p []byte) (int, error) {
	if w.err != nil {
		return 0, w.err
	}
	n, err := w.Writer.Write(p)
	w.err = err
	return n, err
}

// write writes to stdout; a full disk or a closed pipe is an error like another.
func (a *app) write(raw []byte) error {
	_, err := a.out.Write(raw)
	return err
}

// note says what the caller should know of how an answer came about.
func (a *app) note(format string, args ...any) {
	fmt.Fprintln(a.err, "sekisho:", plain(fmt.Sprintf(format, args...)))
}

func (a *app) warn(text string) { fmt.Fprintln(a.err, a.paint(a.err, yellow, "warning:"), text) }

// The colors, as SGR parameters.
const (
	bold   = "1"
	red    = "1;31"
	green  = "1;32"
	yellow = "33"
	faint  = "2"
)

// paint colors a text for a terminal, and nothing else (https://no-color.org).
func (a *app) paint(w io.Writer, color, text string) string {
	if a.color == "never" || a.color != "always" && (a.getenv("NO_COLOR") != "" || a.getenv("TERM") == "dumb" || !terminal(w)) {
		return text
	}
	return "\x1b[" + color + "m" + text + "\x1b[0m"
}

func terminal(w io.Writer) bool {
	if under, ok := w.(*watched); ok {
		w = under.Writer
	}
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// table writes rows in columns under headings. Text that came from elsewhere has
// its control characters replaced: a terminal obeys them.
func table(w io.Writer, headings []string, rows [][]string) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, strings.Join(headings, "\t"))
	for _, row := range rows {
		for i, cell := range row {
			row[i] = plain(cell)
		}
		fmt.Fprintln(t, strings.Join(row, "\t"))
	}
	t.Flush() //nolint:errcheck // the rows that follow would fail too
}

// plain replaces what is not text.
func plain(s string) string { return strings.Map(plainRune, s) }

func plainRune(r rune) rune {
	if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 {
		return '�'
	}
	return r
}

// progress counts on a terminal while work takes long, and leaves no trace.
type progress struct {
	w    io.Writer
	what string
}

func (a *app) progress(what string) progress {
	if !terminal(a.err) || a.output == "json" && terminal(a.out) {
		return progress{io.Discard, what}
	}
	return progress{a.err, what}
}

func (p progress) at(done, all uint64) { fmt.Fprintf(p.w, "\r\x1b[K%s %d of %d", p.what, done, all) }

func (p progress) end() { fmt.Fprint(p.w, "\r\x1b[K") }
