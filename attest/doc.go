// Package attest holds the words of Sekisho: digests, in-toto statements, DSSE
// envelopes, SLSA provenance and levels, the log leaf, and the record that is
// kept beside each leaf.
//
// Everything here is a value. Nothing here believes anything: a parsed envelope
// has been read, not verified, and a parsed statement says what it says. Belief
// is package verifier's, decisions are package policy's.
//
// Parsing is strict in the places where two readers could disagree about the
// same bytes (duplicate member names, invalid UTF-8, trailing data, case-folded
// names, loose base64) and lenient exactly where the specifications ask for it
// (unknown members). Limits are applied while reading, before anything is
// allocated for the part that exceeds them.
//
// The package imports the standard library and the strict JSON reader only; every
// other package of the house may import it.
package attest
