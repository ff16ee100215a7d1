package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/sekisho-dev/sekisho/internal/owned"
)

// An endpoint is DATA/endpoint.json: what a service on this machine says about
// itself. Its token, and what it says of the log, are believed, so that it must be the
// word of whoever runs this command, or of root, and of a service that runs.
type endpoint struct {
	GRPC      string `json:"grpc"`
	HTTP      string `json:"http"`
	TLS       bool   `json:"tls"` // both ports speak TLS
	TokenFile string `json:"tokenFile"`
	LogOrigin string `json:"logOrigin"`

	token string // what is in TokenFile
}

// maxEndpoint is the longest file that is read in a data directory: an endpoint file,
// or a token.
const maxEndpoint = 64 << 10

// errNotServed: there is an endpoint file, and no service.
var errNotServed = errors.New("no service runs from there any more; the file was left behind")

// openEndpoint reads the endpoint file of a data directory. Errors: [fs.ErrNotExist]
// where there is none; [errNotServed]; and those that say who else may write what,
// and what to do.
//
// Everything is read below the directory that was opened and looked at, so that
// neither a link nor a renaming leads anywhere else.
func openEndpoint(dir string) (e endpoint, err error) {
	if about, err := os.Stat(dir); err != nil || !about.IsDir() {
		return endpoint{}, fmt.Errorf("%s: %w", dir, fs.ErrNotExist)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return endpoint{}, err
	}
	defer root.Close() //nolint:errcheck // read only
	raw, err := readIn(root, "endpoint.json")
	if err != nil {
		return endpoint{}, err
	}
	if err := json.Unmarshal(raw, &e); err != nil {
		return endpoint{}, fmt.Errorf("reading %s: %w", filepath.Join(dir, "endpoint.json"), err)
	}
	if err := served(root); err != nil {
		return endpoint{}, err
	}
	if e.TokenFile == "" {
		return e, nil
	}
	inside, err := below(root, e.TokenFile)
	if err != nil {
		return endpoint{}, fmt.Errorf("its token file, %q, is not in %s: %w", e.TokenFile, dir, err)
	}
	if raw, err = readIn(root, inside); err != nil {
		return endpoint{}, fmt.Errorf("reading the token: %w", err)
	}
	e.token = strings.TrimSpace(string(raw))
	return e, nil
}

// readIn reads a file that is ours in a directory that is ours.
func readIn(root *os.Root, name string) ([]byte, error) {
	f, _, err := openIn(root, name)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // read only
	raw, err := io.ReadAll(io.LimitReader(f, maxEndpoint+1))
	if err == nil && len(raw) > maxEndpoint {
		err = fmt.Errorf("%s is longer than %d bytes", f.Name(), maxEndpoint)
	}
	return raw, err
}

// openIn opens a file, and no link to one.
func openIn(root *os.Root, name string) (f *os.File, about fs.FileInfo, err error) {
	path := filepath.Join(root.Name(), name)
	dir, err := root.Stat(".")
	if err != nil {
		return nil, nil, err
	}
	named, err := root.Lstat(name)
	if err != nil {
		return nil, nil, err
	}
	if !named.Mode().IsRegular() {
		return nil, nil, fmt.Errorf("%s is no file (%s)", path, named.Mode().Type())
	}
	if err := owned.Check(root.Name(), dir, owned.NoGroup); err != nil {
		return nil, nil, err
	}
	if f, err = root.Open(name); err != nil {
		return nil, nil, err
	}
	if about, err = f.Stat(); err == nil && !os.SameFile(named, about) {
		err = fmt.Errorf("%s is not the file that it was", path)
	}
	if err == nil {
		err = owned.Check(path, about, owned.NoGroup)
	}
	if err != nil {
		return nil, nil, errors.Join(err, f.Close())
	}
	return f, about, nil
}

// served reports whether a service holds the lock of its data directory: it does as
// long as it runs, and the system lets go of it however the service ends. A process
// number that was given to somebody else says nothing. A lock that others may open
// they may hold, so that it says nothing either.
func served(root *os.Root) error {
	f, about, err := openIn(root, "lock")
	if errors.Is(err, fs.ErrNotExist) {
		return errNotServed
	}
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // read only
	switch locked, err := owned.Locked(f); {
	case err != nil:
		return err
	case !locked:
		return errNotServed
	case about.Mode().Perm()&0o077 != 0:
		return fmt.Errorf("%s may be opened by others (mode %o), so that its being held is no sign of a service of yours; a service makes it for itself alone: start sekishod there, or remove the directory", filepath.Join(root.Name(), "lock"), about.Mode().Perm())
	}
	return nil
}

// below is a path as seen from a directory that it must be in. A path that is not
// absolute is meant from there.
func below(root *os.Root, path string) (string, error) {
	if !filepath.IsAbs(path) {
		path = filepath.Join(root.Name(), path)
	}
	dir, err := filepath.EvalSymlinks(root.Name())
	if err != nil {
		return "", err
	}
	in, err := filepath.EvalSymlinks(filepath.Dir(path))
	if err != nil {
		return "", err
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return "", err
	}
	if in, err = filepath.Abs(in); err != nil {
		return "", err
	}
	inside, err := filepath.Rel(dir, filepath.Join(in, filepath.Base(path)))
	if err != nil || !filepath.IsLocal(inside) {
		return "", errors.New("it leads out of it")
	}
	return inside, nil
}
