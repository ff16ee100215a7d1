package main

import (
	"runtime"
	"runtime/debug"
)

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
