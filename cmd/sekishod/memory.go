package main

import (
	"bufio"
	"bytes"
	"io/fs"
	"math"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
)

const (
	// leastMemory is what is taken where there seems to be less, in bytes: with less
	// than that the collector would do nothing but run.
	leastMemory = 256 << 20
	// unknownMemory is what is taken where nothing says how much there is.
	unknownMemory = 1 << 30
)

// memory says when to collect what calls leave behind, unless GOGC or GOMEMLIMIT do,
// and returns how many bytes the service should stay within. Little of it outlives
// its call, so that collecting at twice what lives costs a fifth of the work of an
// answer; five times that is next to nothing on a machine that serves. Near what there
// is, memory is taken back as often as it must be.
func memory(getenv func(string) string, root fs.FS) int64 {
	if getenv("GOGC") == "" {
		debug.SetGCPercent(400)
	}
	limit := available(root)
	if getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(limit)
	} else if set := debug.SetMemoryLimit(-1); set != math.MaxInt64 { // GOMEMLIMIT=off says nothing of what there is
		limit = set
	}
	return limit
}

// headroom is how much memory reading the log again may take above what lives.
const headroom = 128 << 20

// frugally does work that may read the whole log again, with a collector that
// keeps to what lives and the headroom: nobody waits for an answer yet, and a service
// that needs more to start than to run ends in a loop of starts that are killed.
func frugally(work func() error) error {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	limit := int64(m.Sys-m.HeapReleased) + headroom
	if have := debug.SetMemoryLimit(-1); have > limit {
		debug.SetMemoryLimit(limit)
		defer debug.SetMemoryLimit(have)
	}
	defer debug.SetGCPercent(debug.SetGCPercent(50))
	defer debug.FreeOSMemory()
	return work()
}

// available is what of the memory may be used: four fifths of what the control group
// allows, because the kernel counts the pages of open files there too; or half of the
// machine, where there is no limit and others live.
func available(root fs.FS) int64 {
	machine := meminfo(root)
	group := groupLimit(root)
	switch {
	case group < machine:
		return max(group/5*4, leastMemory)
	case machine < math.MaxInt64:
		return max(machine/2, leastMemory)
	}
	return unknownMemory
}

// groupLimit is the lowest limit of the process's control group and those around it,
// in bytes; math.MaxInt64 for none. Within a container the group is often named as it
// is outside; then the file at the root of what is mounted counts.
func groupLimit(root fs.FS) int64 {
	limit := int64(math.MaxInt64)
	raw, _ := fs.ReadFile(root, "proc/self/cgroup") // there is none on other kernels
	lines := bufio.NewScanner(bytes.NewReader(raw))
	for lines.Scan() {
		_, rest, _ := strings.Cut(lines.Text(), ":")
		controllers, group, _ := strings.Cut(rest, ":")
		base, file := "sys/fs/cgroup", "memory.max"
		switch {
		case controllers == "": // version 2
		case strings.Contains(","+controllers+",", ",memory,"):
			base, file = "sys/fs/cgroup/memory", "memory.limit_in_bytes"
		default:
			continue
		}
		for dir := filepath.Clean("/" + group); ; dir = filepath.Dir(dir) {
			limit = min(limit, readBytes(root, filepath.Join(base, dir, file)))
			if dir == "/" {
				break
			}
		}
	}
	return limit
}

// readBytes reads a file of one number; math.MaxInt64 where it has none.
func readBytes(root fs.FS, name string) int64 {
	raw, err := fs.ReadFile(root, name)
	if err != nil {
		return math.MaxInt64
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(raw)), 10, 64)
	if err != nil || n <= 0 {
		return math.MaxInt64 // "max"
	}
	return n
}

// meminfo is the machine's memory in bytes; math.MaxInt64 where nothing says it.
func meminfo(root fs.FS) int64 {
	raw, _ := fs.ReadFile(root, "proc/meminfo") // there is none on other kernels
	for line := range strings.Lines(string(raw)) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == "MemTotal:" && f[2] == "kB" {
			if n, err := strconv.ParseInt(f[1], 10, 64); err == nil && n > 0 && n < math.MaxInt64>>10 {
				return n << 10
			}
		}
	}
	return math.MaxInt64
}
