package vaulttest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"

	"golang.org/x/sys/unix"
)

// binary returns the path of the server, building it if it is not in the cache.
func binary(ctx context.Context) (string, error) {
	if bin := os.Getenv("SEKISHO_VAULT_BIN"); bin != "" {
		return bin, nil
	}
	root, err := repository()
	if err != nil {
		return "", err
	}
	source := filepath.Join(root, "internal", "vaulttest", "server")
	edition, err := version(source)
	if err != nil {
		return "", err
	}
	cache := os.Getenv("CACHE") // the Makefile's
	if cache == "" {
		cache = filepath.Join(root, ".cache")
	}
	cache = filepath.Join(cache, "bin")
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return "", err
	}
	bin := filepath.Join(cache, "vaulttest-"+edition)
	unlock, err := lock(filepath.Join(cache, "vaulttest.lock"))
	if err != nil {
		return "", err
	}
	defer unlock()
	if _, err := os.Stat(bin); err == nil {
		return bin, nil
	}
	return bin, build(ctx, source, bin)
}

// repository returns the directory above the test's own that holds this module.
func repository() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for ; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "internal", "vaulttest", "server", "go.mod")); err == nil {
			return dir, nil
		}
	}
	return "", errors.New("vaulttest: the test does not run inside the repository")
}

// version names what the server is built from, so that the cache holds one
// program for each.
func version(source string) (string, error) {
	h := sha256.New()
	fmt.Fprintln(h, runtime.Version())
	for _, name := range []string{"go.mod", "go.sum", "main.go"} {
		raw, err := os.ReadFile(filepath.Join(source, name))
		if err != nil {
			return "", err
		}
		h.Write(raw)
	}
	return hex.EncodeToString(h.Sum(nil))[:12], nil
}

// lock makes the packages that are tested side by side build once.
func lock(path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return func() { f.Close() }, nil //nolint:errcheck // closing unlocks
}

// build builds beside the final name and moves into place, so that a program in
// the cache is always whole.
func build(ctx context.Context, source, bin string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", bin+".new", ".")
	cmd.Dir = source
	// The product's own settings, such as a workspace or a race detector, are
	// not the fixture's.
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off", "GOFLAGS=-buildvcs=false")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building the Vault fixture: %w\n%s", err, out)
	}
	return os.Rename(bin+".new", bin)
}
