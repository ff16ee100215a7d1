package client_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/sekisho-dev/sekisho/attest"
	"github.com/sekisho-dev/sekisho/client"
)

// logs reads the files that remember a log, which are named by its key.
func logs(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := remembered(t, dir)
	delete(all, "lock")
	return all
}

// TestMemoryOutlivesTheClient: what one client has seen the next one demands, also
// where the two are processes that know nothing of each other.
func TestMemoryOutlivesTheClient(t *testing.T) {
	s, dir := serve(t), t.TempDir()
	s.built(t, attest.SHA256([]byte("a")))
	_, seen := met(t, s.ask(t, state(dir)))
	if seen.Size != 3 || len(logs(t, dir)) != 1 {
		t.Fatalf("%d entries seen, remembered %v", seen.Size, logs(t, dir))
	}
	s.built(t, attest.SHA256([]byte("b")))
	if _, now := met(t, s.ask(t, state(dir))); now.Size != 4 {
		t.Errorf("%d entries, want 4", now.Size)
	}
	for name, text := range logs(t, dir) {
		if !strings.Contains(text, "\\n4\\n") {
			t.Errorf("%s does not hold the larger checkpoint: %s", name, text)
		}
		if f, err := os.Stat(filepath.Join(dir, name)); err != nil || f.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, f.Mode(), err)
		}
	}
}

// TestMemoryOfMany: clients that ask at the same time leave the largest checkpoint
// behind, and one file.
func TestMemoryOfMany(t *testing.T) {
	s, dir := serve(t), t.TempDir()
	var wg sync.WaitGroup
	for i := range 8 {
		c := s.ask(t, state(dir))
		wg.Go(func() {
			s.built(t, attest.SHA256([]byte{byte(i)}))
			if _, err := c.Evaluate(t.Context(), question(attest.SHA256([]byte{byte(i)}))); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if _, last := met(t, s.ask(t, state(dir))); last.Size != 10 {
		t.Errorf("%d entries, want 10", last.Size)
	}
	if files := logs(t, dir); len(files) != 1 {
		t.Errorf("remembered in %d files: %v", len(files), files)
	}
}

// TestMemoryThatCannotBeWritten is a warning and no reason to fail; the client
// still holds every answer against what it has seen itself.
func TestMemoryThatCannotBeWritten(t *testing.T) {
	s := serve(t)
	file := filepath.Join(t.TempDir(), "a-file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s.built(t, attest.SHA256([]byte("a")))
	var said []string
	c := s.ask(t, state(filepath.Join(file, "below")), warnTo(&said))
	if _, err := c.Evaluate(t.Context(), question(attest.SHA256([]byte("a")))); err != nil {
		t.Fatal(err)
	}
	if len(said) != 1 || !strings.Contains(said[0], file) {
		t.Errorf("warned %q, want one sentence that names the directory", said)
	}
}

// TestMemoryThatIsDamaged refuses: to forget quietly would be to stop noticing.
func TestMemoryThatIsDamaged(t *testing.T) {
	s := serve(t)
	s.built(t, attest.SHA256([]byte("a")))
	for name, edit := range map[string]func(string) string{
		"not JSON":               func(string) string { return "{" },
		"empty":                  func(string) string { return "" },
		"another size":           func(s string) string { return strings.Replace(s, `\n3\n`, `\n2\n`, 1) },
		"of another log":         func(s string) string { return strings.Replace(s, "+", "x+", 1) },
		"a checkpoint of no one": func(s string) string { return strings.Replace(s, `— `, `- `, 1) },
		"too long":               func(s string) string { return s + strings.Repeat(" ", 1<<20) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			met(t, s.ask(t, state(dir)))
			for file, text := range logs(t, dir) {
				if err := os.WriteFile(filepath.Join(dir, file), []byte(edit(text)), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			before := logs(t, dir)
			_, err := s.ask(t, state(dir)).Evaluate(t.Context(), question(attest.SHA256([]byte("a"))))
			if !errors.Is(err, client.ErrState) || !strings.Contains(err.Error(), dir) {
				t.Errorf("%v, want DAMAGED_STATE that names the file", err)
			}
			for file, text := range logs(t, dir) {
				if before[file] != text {
					t.Errorf("%s was written over", file)
				}
			}
		})
	}
}
