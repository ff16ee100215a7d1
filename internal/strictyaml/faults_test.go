package strictyaml

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
)

// TestManyFaultsAreCounted: of 300,000 faults twenty are told, the others are
// counted, and neither the text nor the memory grows with them.
func TestManyFaultsAreCounted(t *testing.T) {
	var b strings.Builder
	for i := range 300000 {
		fmt.Fprintf(&b, "k%d: 1\n", i)
	}
	err := Decode([]byte(b.String()), new(doc))
	var all Errors
	if !errors.As(err, &all) || !errors.Is(err, ErrInvalid) {
		t.Fatalf("%.200v", err)
	}
	if len(all) != MaxFaults+1 || !strings.HasSuffix(err.Error(), "… and 299980 more") {
		t.Errorf("%d errors, ending %q", len(all), err.Error()[len(err.Error())-40:])
	}
	if first := "line 1, column 1: unknown key \"k0\""; !strings.HasPrefix(err.Error(), first) {
		t.Errorf("%.100v, want it to begin with %s", err, first)
	}

	var f Faults
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range 1000000 {
		f.Addf(Pos{1, 1}, "unknown key")
	}
	runtime.ReadMemStats(&after)
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 1<<20 {
		t.Errorf("a million faults took %d bytes", grown)
	}
}

// TestFaultsOfFaults: what is added from another collection is counted with it.
func TestFaultsOfFaults(t *testing.T) {
	var inner, outer Faults
	for i := range MaxFaults + 5 {
		inner.Addf(Pos{i + 1, 1}, "inner")
	}
	outer.Addf(Pos{3, 9}, "outer")
	outer.Add(inner.Err())
	outer.Add(nil)
	err := outer.Err()
	if !strings.HasSuffix(err.Error(), "… and 6 more") || !strings.Contains(err.Error(), "line 3, column 1: inner\nline 3, column 9: outer\nline 4") {
		t.Errorf("%v", err)
	}
	if (&Faults{}).Err() != nil {
		t.Error("no faults are an error")
	}
}

// TestAFaultIsShort: a fault quotes what it found, and not megabytes of it.
func TestAFaultIsShort(t *testing.T) {
	long := strings.Repeat("é", 1<<20)
	for _, in := range []string{long + ": 1\n", "n: " + long + "\n", "name: a\n" + long + ": 1\n" + long + ": 2\n"} {
		err := Decode([]byte(in), new(doc))
		if err == nil || len(err.Error()) > 1000 {
			t.Errorf("%d bytes: %.100v", len(fmt.Sprint(err)), err)
		}
	}
	if err := (Pos{1, 1}).Errorf("%s", long); len(err.Error()) > maxMessage+40 || !strings.HasSuffix(err.Error(), "é…") {
		t.Errorf("%d bytes", len(err.Error()))
	}
}
