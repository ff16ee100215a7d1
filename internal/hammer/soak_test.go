package hammer

import (
	"context"
	"errors"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	sekishov1 "github.com/sekisho-dev/sekisho/proto/sekisho/v1"
)

// TestSoak is a short one: too short to tell what grows, but every attack comes to
// something, every answer is checked, and everything that came with the attack goes.
func TestSoak(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes half a minute")
	}
	r, err := Soak(t.Context(), SoakOptions{
		Binary: build(t), Data: filepath.Join(t.TempDir(), "data"), Length: 20 * time.Second,
		Files: 1024, Memory: 1 << 30, Short: true, Out: t.Output(),
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Table(t.Output()); err != nil {
		t.Error(err)
	}
	if err := r.Err(); err != nil {
		t.Error(err)
	}
	if r.Acknowledged == 0 {
		t.Error("nothing was acknowledged")
	}
}

// build builds the service.
func build(t *testing.T) (binary string) {
	t.Helper()
	binary = filepath.Join(t.TempDir(), "sekishod")
	if out, err := exec.Command("go", "build", "-o", binary, "github.com/sekisho-dev/sekisho/cmd/sekishod").CombinedOutput(); err != nil {
		t.Fatalf("building sekishod: %v\n%s", err, out)
	}
	return binary
}

// over are samples of a soak of 1,000 s: of each kind so many before the attack, during
// the warm-up, in each third of the rest, and after it.
func over(before, warm, first, middle, last, after int64) []Sample {
	at := func(seconds float64, n int64) Sample {
		return Sample{Seconds: seconds, Memory: n << 20, Heap: n << 20, Goroutines: n, Files: n}
	}
	return []Sample{at(-5, before), at(50, warm), at(200, first), at(500, middle), at(800, last), at(1005, 5*after), at(1010, after)}
}

// TestFlat: what grows is found, and what moves within its bounds is not; nor what came
// before the warm-up was over.
func TestFlat(t *testing.T) {
	for name, c := range map[string]struct {
		samples []Sample
		short   bool
		want    []string // the beginnings of faults
	}{
		"flat":                    {samples: over(100, 700, 500, 500, 500, 110)},
		"within a quarter":        {samples: over(100, 100, 500, 500, 625, 110)},
		"growing":                 {samples: over(100, 100, 300, 500, 700, 110), want: []string{"memory: not flat", "least heap: not flat", "goroutines: not flat", "descriptors: not flat"}},
		"growing, in a short one": {samples: over(100, 100, 300, 500, 700, 110), short: true},
		"memory may grow more":    {samples: over(100, 100, 100, 200, 310, 110), want: []string{"goroutines: not flat", "descriptors: not flat"}},
		"not gone afterwards":     {samples: over(100, 500, 500, 500, 500, 165), want: []string{"goroutines: 100 before the attack and 165 after", "descriptors: 100 before the attack and 165 after"}},
		"the heap lies still under what moves": {samples: slices.Concat(over(100, 500, 400, 500, 500, 110), []Sample{{Seconds: 510, Heap: 100 << 20}, {Seconds: 810, Heap: 280 << 20}}),
			want: []string{"least heap: not flat, 104857600 in the middle third of the time and 293601280 in the last"}},
		"over the limits": {samples: over(100, 1290, 500, 500, 500, 100), want: []string{"memory: 1352663040 at the most", "descriptors: 1290 at the most"}},
		"it does not say": {samples: []Sample{{Seconds: -5, Goroutines: 1}, {Seconds: 500}, {Seconds: 800}, {Seconds: 1005, Goroutines: 1}, {Seconds: 1010}},
			want: []string{"the service did not say how it is 3 times of 5"}},
	} {
		s := &soak{SoakOptions: SoakOptions{Length: 1000 * time.Second, Files: 1024, Memory: 1 << 30, Short: c.short}, samples: c.samples}
		_, faults := s.measures()
		compare(t, name, faults, c.want)
	}
}

// TestRested: what came with the attack is gone when nothing of it is left that counts.
func TestRested(t *testing.T) {
	for n, want := range map[int64]bool{0: false, 90: true, 116: true, 117: false, 500: false} {
		s := &soak{SoakOptions: SoakOptions{Files: 1024}, samples: over(100, 500, 500, 500, 500, n)}
		if got := s.rested(); got != want {
			t.Errorf("%d where there were 100: %t, want %t", n, got, want)
		}
	}
}

// compare compares faults with how they should begin.
func compare(t *testing.T, name string, got, want []string) {
	t.Helper()
	same := len(got) == len(want)
	for i := range min(len(got), len(want)) {
		same = same && strings.HasPrefix(got[i], want[i])
	}
	if !same {
		t.Errorf("%s: %q, want %q", name, got, want)
	}
}

// TestTallies: wrong answers, outcomes that nobody should cause, honest callers who are
// turned away too often or refused, and deeds that were never done are faults; attackers
// who are turned away are none.
func TestTallies(t *testing.T) {
	for name, c := range map[string]struct {
		turned float64
		ends   []string
		err    error
		want   []string
	}{
		"all is well":                  {turned: .02, ends: []string{ok, ok}},
		"turned away, and may be":      {turned: .5, ends: []string{ok, "BUSY"}},
		"turned away too often":        {turned: .4, ends: []string{ok, "BUSY"}, want: []string{"deed: 50.0% of 2 were turned away"}},
		"refused, and is honest":       {turned: .4, ends: []string{ok, "UNAUTHENTICATED"}, want: []string{"deed: ended with UNAUTHENTICATED"}},
		"refused, and is not":          {turned: 1, ends: []string{"UNAUTHENTICATED", "BUSY"}},
		"the service does not know":    {turned: 1, ends: []string{"INTERNAL", ok}, want: []string{"deed: ended with INTERNAL"}},
		"a wrong answer":               {turned: 1, ends: []string{ok}, err: errors.New("allowed"), want: []string{"deed: allowed"}},
		"nothing came of it":           {turned: 1, want: []string{"deed: never done"}},
		"it was us who ended it":       {turned: .1, ends: []string{unfinished, ok}},
		"it was us who ended them all": {turned: .1, ends: []string{unfinished}, want: []string{"deed: never done"}},
	} {
		d := deed{name: "deed", turned: c.turned}
		l := newLoad([]deed{d}, false)
		for _, how := range c.ends {
			d.do = func(context.Context) (string, error) { return how, c.err }
			l.once(t.Context(), d)
		}
		_, faults := l.tallies()
		compare(t, name, faults, c.want)
	}
}

// TestCheck: an answer is right only if it is the one that is known.
func TestCheck(t *testing.T) {
	e := entry{artifact: artifact("a"), index: 6}
	allow := &sekishov1.EvaluateDeploymentResponse{Verdict: sekishov1.Verdict_VERDICT_ALLOW, BuildLevel: 1, LogSize: 7, Evidence: []*sekishov1.Evidence{{}}}
	deny := &sekishov1.EvaluateDeploymentResponse{Verdict: sekishov1.Verdict_VERDICT_DENY, LogSize: 7, Reasons: []*sekishov1.Reason{{Code: sekishov1.ReasonCode_LEVEL_TOO_LOW}}}
	for name, c := range map[string]struct {
		q     question
		got   *sekishov1.EvaluateDeploymentResponse
		right bool
	}{
		"allowed":                 {allowed(e), allow, true},
		"allowed, and denied":     {allowed(e), deny, false},
		"denied":                  {tooLow(e), deny, true},
		"denied, and allowed":     {tooLow(e), allow, false},
		"denied, for another one": {unknown(e.artifact), deny, false},
		"allowed by nothing":      {allowed(e), &sekishov1.EvaluateDeploymentResponse{Verdict: sekishov1.Verdict_VERDICT_ALLOW, BuildLevel: 1, LogSize: 7}, false},
		"of an older log":         {allowed(entry{e.artifact, "", 7}), allow, false},
		"no verdict":              {tooLow(e), &sekishov1.EvaluateDeploymentResponse{}, false},
	} {
		if err := c.q.check(c.got); (err == nil) != c.right {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestTail: what is kept of what a service says is its end, and little.
func TestTail(t *testing.T) {
	var kept tail
	for range 1000 {
		if _, err := kept.Write([]byte(strings.Repeat("x", 1000))); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := kept.Write([]byte("the end")); err != nil {
		t.Fatal(err)
	}
	if s := kept.String(); len(s) != tailSize || !strings.HasSuffix(s, "the end") || len(kept.kept) > 3*tailSize {
		t.Errorf("%d bytes are kept, %d are told", len(kept.kept), len(s))
	}
}
