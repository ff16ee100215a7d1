package hammer

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// ok is the outcome of what was done.
const ok = "OK"

// A deed is what somebody does over and over.
type deed struct {
	name    string
	workers int           // who do it at once; 1 by default
	pause   time.Duration // of each, after each time
	// turned is the share of times, of 1, that the service may turn it away because it is
	// busy. Who is honest has less than 1, and is not refused for any other reason; who
	// attacks may be turned away always.
	turned float64
	// do does it once and returns how it ended. The error is a fault of the service: an
	// answer that is wrong. To be refused is an outcome.
	do func(context.Context) (string, error)
}

// busy are the outcomes that say: not now.
var busy = []string{
	"BUSY", "LOG_BUSY", "STALE_INDEX", "NOT_REGISTERED", "CONNECTION_LOST", lost,
	codes.ResourceExhausted.String(), codes.Unavailable.String(), "DEADLINE_EXCEEDED", codes.DeadlineExceeded.String(),
}

// broken are the outcomes that nobody should ever cause.
var broken = []string{
	"INTERNAL", codes.Internal.String(), codes.Unknown.String(), codes.DataLoss.String(),
	"LOG_DAMAGED", "INDEX_DAMAGED", "LOG_ROLLED_BACK", "STORAGE_FULL", "SHUTTING_DOWN", "HTTP 500",
}

// unfinished is the outcome of what was under way when everything ended.
const unfinished = "unfinished"

// lost is the outcome of a connection that ended, or could not be made.
const lost = "connection ended"

// outcome says how a call ended: the service's reason, or gRPC's code.
func outcome(err error) string {
	if err == nil {
		return ok
	}
	s := status.Convert(err)
	for _, d := range s.Details() {
		if info, is := d.(*errdetails.ErrorInfo); is {
			return info.GetReason()
		}
	}
	return s.Code().String()
}

// A load is what many do at once, and how it ended.
type load struct {
	deeds []deed
	short bool // too short for all of it to be done, and for shares to tell much

	mu     sync.Mutex
	ended  map[string]map[string]int // by deed and outcome
	faults []string
}

func newLoad(deeds []deed, short bool) *load {
	l := &load{deeds: deeds, short: short, ended: map[string]map[string]int{}}
	for _, d := range deeds {
		l.ended[d.name] = map[string]int{}
	}
	return l
}

// run has every deed done, over and over, until the context is done. It returns when
// nobody does anything any more.
func (l *load) run(ctx context.Context) {
	var wg sync.WaitGroup
	for _, d := range l.deeds {
		for range max(d.workers, 1) {
			wg.Go(func() {
				for ctx.Err() == nil {
					l.once(ctx, d)
					pause(ctx, d.pause)
				}
			})
		}
	}
	wg.Wait()
}

func (l *load) once(ctx context.Context, d deed) {
	how, err := d.do(ctx)
	if err == nil && ctx.Err() != nil {
		how = unfinished // it was us who ended it
	}
	if err == nil && (slices.Contains(broken, how) || d.turned < 1 && how != ok && how != unfinished && !slices.Contains(busy, how)) {
		err = fmt.Errorf("ended with %s", how)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		how = "FAULT"
		l.fault(fmt.Sprintf("%s: %.500v", d.name, err))
	}
	l.ended[d.name][how]++
}

// fault notes one; the first few tell, and thousands tell no more.
func (l *load) fault(what string) {
	if len(l.faults) < 20 {
		l.faults = append(l.faults, what)
	}
}

// pause waits, or returns sooner when the context is done.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// A Tally is how often something was done, and how it ended.
type Tally struct {
	Deed     string         `json:"deed"`
	Done     int            `json:"done"`
	Outcomes map[string]int `json:"outcomes"` // by the service's reason, or "OK"
	Turned   float64        `json:"turned"`   // the share that was turned away, of 1
}

// tallies sums up, and returns what is wrong with it: what was never done shows
// nothing, and who is honest is rarely turned away.
func (l *load) tallies() (all []Tally, faults []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	faults = slices.Clone(l.faults)
	for _, d := range l.deeds {
		t := Tally{Deed: d.name, Outcomes: maps.Clone(l.ended[d.name])}
		away := 0
		for how, n := range t.Outcomes {
			t.Done += n
			if slices.Contains(busy, how) {
				away += n
			}
		}
		t.Turned = float64(away) / float64(max(t.Done, 1))
		if t.Done == t.Outcomes[unfinished] && !l.short {
			faults = append(faults, d.name+": never done")
		}
		bound := d.turned
		if l.short {
			bound = max(bound, .25)
		}
		if t.Turned > bound {
			faults = append(faults, fmt.Sprintf("%s: %.1f%% of %d were turned away, want at most %.1f%%", d.name, 100*t.Turned, t.Done, 100*bound))
		}
		all = append(all, t)
	}
	return all, faults
}

// counts are how often anything was done, and how often anybody was turned away.
func (l *load) counts() (done, away int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, ended := range l.ended {
		for how, n := range ended {
			done += n
			if slices.Contains(busy, how) {
				away += n
			}
		}
	}
	return done, away
}
