package main

import "runtime/debug"

// memory says when to collect what calls leave behind, unless GOGC or GOMEMLIMIT do.
// Little of it outlives its call, so that collecting at twice what lives costs a
// fifth of the work of an answer; five times that is next to nothing on a machine
// that serves. Documents of many megabytes are another matter: beyond a gigabyte
// memory is taken back as often as it must be.
func memory(getenv func(string) string) {
	if getenv("GOGC") == "" {
		debug.SetGCPercent(400)
	}
	if getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(1 << 30)
	}
}
