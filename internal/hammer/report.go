package hammer

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// progress tells how it goes: on a terminal in one line that is rewritten, elsewhere
// every half minute.
func (s *soak) progress(phase string, v Sample, honest, hostile *load) {
	if !s.Terminal && time.Since(s.said) < 30*time.Second {
		return
	}
	s.said = time.Now()
	done, away := honest.counts()
	attacks, _ := hostile.counts()
	line := fmt.Sprintf("%s %3.0f s: %d MiB, %d goroutines, %d descriptors, %d entries; %d answers (%d turned away), %d attacks",
		phase, v.Seconds, v.Memory>>20, v.Goroutines, v.Files, v.Log, done, away, attacks)
	if s.Terminal {
		fmt.Fprintf(s.Out, "\r\x1b[K%s", line)
	} else {
		fmt.Fprintln(s.Out, line)
	}
}

// Table writes what was found, for people.
func (r *Result) Table(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	fmt.Fprintf(w, "soak of %.0f s\t%d acknowledged\n\n", r.Seconds, r.Acknowledged)
	fmt.Fprintln(w, "\tbefore\tmiddle third\tlast third\t(want)\tin all\t(want)\tafter\t(want)")
	for _, m := range r.Measures {
		number := func(n int64) string {
			if m.Limit >= 1<<20 {
				return fmt.Sprintf("%d MiB", n>>20)
			}
			return fmt.Sprint(n)
		}
		back := "-"
		if m.Back > 0 {
			back = "≤ " + number(m.Back)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t≤ %s\t%s\t≤ %s\t%s\t%s\n", m.What, number(m.Before), number(m.Middle), number(m.Last), number(m.Flat), number(m.Peak), number(m.Limit), number(m.After), back)
	}
	fmt.Fprintln(w, "\nhonest\tdone\tturned away\toutcomes")
	for _, t := range r.Honest {
		fmt.Fprintf(w, "%s\t%d\t%.2f%%\t%s\n", t.Deed, t.Done, 100*t.Turned, t.told())
	}
	fmt.Fprintln(w, "\nhostile\tdone\toutcomes")
	for _, t := range r.Hostile {
		fmt.Fprintf(w, "%s\t%d\t%s\n", t.Deed, t.Done, t.told())
	}
	return w.Flush()
}

// told are the outcomes of a tally, the commonest first.
func (t Tally) told() string {
	var all []string
	for _, how := range slices.SortedFunc(maps.Keys(t.Outcomes), func(a, b string) int {
		return cmp.Or(t.Outcomes[b]-t.Outcomes[a], strings.Compare(a, b))
	}) {
		all = append(all, fmt.Sprintf("%s %d", how, t.Outcomes[how]))
	}
	return strings.Join(all, ", ")
}
