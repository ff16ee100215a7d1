package client

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/sekisho-dev/sekisho/attest"
	"github.com/sekisho-dev/sekisho/internal/durable"
	"github.com/sekisho-dev/sekisho/tlog"
)

// A memory is a directory that remembers the logs that were met: one file for
// each log key, named by the hex of the key's hash. What is in a file is believed
// only as far as the log has signed it.
type memory struct{ dir string }

// A met is what is remembered of one log.
type met struct {
	VerifierKey string   `json:"verifierKey"`
	Servers     []string `json:"servers"`    // the addresses where it was met
	Checkpoint  string   `json:"checkpoint"` // the largest, a signed note; empty while the log is
}

// maxMemory is the longest file that is read.
const maxMemory = 2 * tlog.MaxCheckpoint

// name returns the file of a log.
func (m memory) name(v *tlog.Verifier) string {
	id := v.LogID()
	return filepath.Join(m.dir, hex.EncodeToString(id[:]))
}

// all returns every log that was met. A file that cannot be read is an error: to
// forget quietly would be to stop noticing.
func (m memory) all() ([]met, error) {
	if m.dir == "" {
		return nil, nil
	}
	files, err := os.ReadDir(m.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var logs []met
	for _, f := range files {
		if raw, err := hex.DecodeString(f.Name()); err != nil || len(raw) != len(attest.Hash{}) {
			continue // not ours
		}
		l, err := m.read(filepath.Join(m.dir, f.Name()))
		if err != nil {
			return nil, err
		}
		logs = append(logs, l)
	}
	return logs, nil
}

// read reads one file; one that does not exist is a log that was not met. One that
// exists and is not what was written there is [ErrState], whatever is wrong with it.
func (m memory) read(path string) (l met, err error) {
	f, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return met{}, nil
	}
	if err != nil { // of the directory: there is no memory
		return met{}, err
	}
	if err := l.parse(m, path, f); err != nil {
		return met{}, fmt.Errorf("%w: %s is not what was written there: %w; remove it to meet the log anew", ErrState, path, err)
	}
	return l, nil
}

func (l *met) parse(m memory, path string, f fs.FileInfo) error {
	if !f.Mode().IsRegular() || f.Size() > maxMemory {
		return fmt.Errorf("%s of %d bytes, want a file of at most %d", f.Mode().Type(), f.Size(), maxMemory)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(raw, l); err != nil {
		return err
	}
	v, err := tlog.NewVerifier(l.VerifierKey)
	if err != nil {
		return err
	}
	if m.name(v) != path {
		return errors.New("it is about another log")
	}
	return nil
}

// checkpoint opens the checkpoint that is remembered of a log; the zero one if there
// is none.
func (m memory) checkpoint(l met) (attest.Checkpoint, error) {
	if l.Checkpoint == "" {
		return attest.Checkpoint{}, nil
	}
	v, err := tlog.NewVerifier(l.VerifierKey)
	if err != nil {
		return attest.Checkpoint{}, err
	}
	cp, err := v.Open([]byte(l.Checkpoint))
	if err != nil {
		return attest.Checkpoint{}, fmt.Errorf("%w: the checkpoint in %s is not signed by the log: %w; remove the file to meet the log anew", ErrState, m.name(v), err)
	}
	return cp, nil
}

// recall returns the largest checkpoint that is remembered of a log; the zero one
// if it was never met.
func (m memory) recall(v *tlog.Verifier) (attest.Checkpoint, error) {
	if m.dir == "" {
		return attest.Checkpoint{}, nil
	}
	l, err := m.read(m.name(v))
	if err != nil {
		return attest.Checkpoint{}, err
	}
	return m.checkpoint(l)
}

// remember writes that a log was met at a server and showed a checkpoint, which was
// proven to be consistent with another. If what is there is neither of them it
// writes nothing, and returns what is there and false.
func (m memory) remember(v *tlog.Verifier, server string, proven, cp attest.Checkpoint) (there attest.Checkpoint, done bool, err error) {
	if m.dir == "" {
		return cp, true, nil
	}
	unlock, err := m.lock()
	if err != nil {
		return cp, false, err
	}
	defer unlock()
	l, err := m.read(m.name(v))
	if err != nil {
		return cp, false, err
	}
	if there = proven; l.Checkpoint != string(proven.Note) { // else it was opened before
		if there, err = m.checkpoint(l); err != nil {
			return cp, false, err
		}
	}
	if there.Size > 0 && !same(there, proven) && !same(there, cp) {
		return there, false, nil
	}
	if there.Size >= cp.Size && slices.Contains(l.Servers, server) {
		return there, true, nil
	}
	if l.VerifierKey = v.String(); there.Size < cp.Size {
		l.Checkpoint = string(cp.Note)
	}
	if !slices.Contains(l.Servers, server) {
		l.Servers = append(l.Servers, server)
	}
	return cp, true, m.write(m.name(v), l)
}

// same reports whether two checkpoints are of one tree, whoever else signed them.
func same(a, b attest.Checkpoint) bool { return a.Size == b.Size && a.Root == b.Root }

// leave writes that a log is no longer at a server.
func (m memory) leave(v *tlog.Verifier, server string) error {
	unlock, err := m.lock()
	if err != nil {
		return err
	}
	defer unlock()
	l, err := m.read(m.name(v))
	if err != nil || l.VerifierKey == "" {
		return err
	}
	l.Servers = slices.DeleteFunc(l.Servers, func(s string) bool { return s == server })
	return m.write(m.name(v), l)
}

func (m memory) write(path string, l met) error {
	raw, err := json.MarshalIndent(l, "", "  ")
	if err != nil {
		return err
	}
	if len(raw) >= maxMemory {
		return fmt.Errorf("%d bytes to remember of one log, at most %d", len(raw), maxMemory)
	}
	return durable.WriteFile(path, append(raw, '\n'), 0o600)
}
