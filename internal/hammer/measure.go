package hammer

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

// A Sample is what a service is at one moment.
type Sample struct {
	Seconds    float64 `json:"seconds"`    // since the attack began; less than 0 before
	Memory     int64   `json:"memory"`     // anonymous pages, bytes; those of files are the kernel's to give back
	Heap       int64   `json:"heap"`       // objects, those too that nobody needs any more, bytes; 0 where the service was too busy to say
	Goroutines int64   `json:"goroutines"` // 0 likewise
	Files      int64   `json:"files"`      // open descriptors
	Log        int64   `json:"log"`        // entries in the index; 0 likewise
}

// look takes a sample.
func (s *soak) look(ctx context.Context) (Sample, error) {
	v := Sample{Seconds: time.Since(s.began).Seconds()}
	pid := s.service.cmd.Process.Pid
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return v, err
	}
	for line := range strings.Lines(string(raw)) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == "RssAnon:" {
			kib, err := strconv.ParseInt(f[1], 10, 64)
			if err != nil {
				return v, err
			}
			v.Memory = kib << 10
		}
	}
	files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		return v, err
	}
	v.Files = int64(len(files))
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	answer, how := send(ctx, s.honest.json, http.MethodGet, "http://"+s.service.http+"/metrics", s.tokens.auditor, nil)
	if how != ok {
		return v, nil // an attack may keep it from saying, now and then
	}
	lines := bufio.NewScanner(bytes.NewReader(answer))
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), " ")
		n, err := strconv.ParseFloat(value, 64)
		if err != nil {
			continue
		}
		switch name {
		case "go_memstats_heap_alloc_bytes":
			v.Heap = int64(n)
		case "go_goroutines":
			v.Goroutines = int64(n)
		case "sekisho_index_entries":
			v.Log = int64(n)
		}
	}
	return v, nil
}

// A Measure is one kind of thing that a service has some of, over the time of a soak:
// the most, or the least, that there was in each part of it.
type Measure struct {
	What   string `json:"what"`
	Before int64  `json:"before"` // under honest load alone
	Peak   int64  `json:"peak"`   // under attack, in all
	Limit  int64  `json:"limit"`  // which the peak must not pass
	Middle int64  `json:"middle"` // in the middle third of the time after the warm-up
	Last   int64  `json:"last"`   // in the last third
	Flat   int64  `json:"flat"`   // which Last must not pass
	After  int64  `json:"after"`  // once the attack has ended
	Back   int64  `json:"back"`   // which After must not pass; 0 for no bound
}

// A kind is a kind of thing of which there are some.
type kind struct {
	what  string
	of    func(Sample) int64
	least bool  // not the most that there was, but the least
	slack int64 // so much more than a quarter is no growth
	spare int64 // so many more than before may be left after the attack; 0 for no bound
	limit int64
}

// kinds are what is measured. Memory has a soft limit: the collector begins to run
// without rest there, so that what passes it by much is lost. Under it, how much there
// is tells little; but the heap is at its least when the collector has just run, so that
// what is kept for ever shows there. Descriptors have a hard
// one, of which a quarter is left over for the log and the blobs. Connections are
// bounded by descriptors, and so are goroutines: by so many for each.
func (s *soak) kinds() []kind {
	files := int64(s.Files)
	return []kind{
		{"memory", func(v Sample) int64 { return v.Memory }, false, 64 << 20, 0, s.Memory + s.Memory/4},
		{"least heap", func(v Sample) int64 { return v.Heap }, true, 64 << 20, 0, s.Memory},
		{"goroutines", func(v Sample) int64 { return v.Goroutines }, false, 0, 64, 16 * files},
		{"descriptors", func(v Sample) int64 { return v.Files }, false, 0, 16, files - files/4},
	}
}

// take has the most of what was taken stay, or the least.
func (k kind) take(so *int64, n int64) {
	if *so == 0 || k.least == (n < *so) {
		*so = n
	}
}

// warmUp is the share of the time in which everything may still grow.
const warmUp = .1

// measures sums up samples, and returns what is wrong with them.
func (s *soak) measures() (all []Measure, faults []string) {
	length := s.Length.Seconds()
	third := length * (1 - warmUp) / 3
	unknown := 0
	for _, v := range s.samples {
		if v.Goroutines == 0 {
			unknown++
		}
	}
	if 2*unknown > len(s.samples) {
		faults = append(faults, fmt.Sprintf("the service did not say how it is %d times of %d: want an answer half the time", unknown, len(s.samples)))
	}
	for _, k := range s.kinds() {
		m := Measure{What: k.what, Limit: k.limit}
		for _, v := range s.samples {
			n := k.of(v)
			switch {
			case n == 0: // it did not say
			case v.Seconds < 0:
				k.take(&m.Before, n)
			case v.Seconds > length:
				m.After = n // the last one counts
			default:
				k.take(&m.Peak, n)
				if v.Seconds > length-third {
					k.take(&m.Last, n)
				} else if v.Seconds > length-2*third {
					k.take(&m.Middle, n)
				}
			}
		}
		m.Flat = m.Middle + m.Middle/4 + k.slack
		if k.spare > 0 {
			m.Back = m.Before + k.spare
		}
		if m.Peak > m.Limit {
			faults = append(faults, fmt.Sprintf("%s: %d at the most, want at most %d", k.what, m.Peak, m.Limit))
		}
		if m.Last > m.Flat && !s.Short {
			faults = append(faults, fmt.Sprintf("%s: not flat, %d in the middle third of the time and %d in the last, want at most %d", k.what, m.Middle, m.Last, m.Flat))
		}
		if m.Back > 0 && m.After > m.Back {
			faults = append(faults, fmt.Sprintf("%s: %d before the attack and %d after it, want at most %d", k.what, m.Before, m.After, m.Back))
		}
		all = append(all, m)
	}
	return all, faults
}

// rested reports whether what came with the attack is gone.
func (s *soak) rested() bool {
	last := s.samples[len(s.samples)-1]
	for _, k := range s.kinds() {
		var before int64
		for _, v := range s.samples {
			if v.Seconds < 0 {
				k.take(&before, k.of(v))
			}
		}
		if n := k.of(last); k.spare > 0 && (n == 0 || n > before+k.spare) {
			return false
		}
	}
	return true
}
