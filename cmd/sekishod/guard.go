package main

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/sekisho-dev/sekisho/client"
	"github.com/sekisho-dev/sekisho/internal/owned"
)

// guard refuses to start from what others may write: whoever may write a key, a token
// or the directory that they are in, is the one who signs, the admin, or whom the
// service believes; whoever may write the log, the blobs or the index changes answers,
// or stops them. That others may read a secret is only said, because orchestrators
// mount secrets that way. What is not there yet will be made, for us alone.
//
// A group of our own may write: that is how a volume is handed to a service.
func guard(c *Config, log *slog.Logger) error {
	if err := guardFile(c.Data, false, nil); err != nil { // then the rest says nothing new
		return fmt.Errorf("%w; or name a directory below it, which is made for us alone: --data %s", err, c.path("sekisho"))
	}
	var errs []error
	secrets := []string{c.path("admin.token"), c.TLS.Key}
	for _, t := range c.Tokens {
		secrets = append(secrets, t.File)
	}
	if !strings.Contains(c.Statements.URI, "://") {
		secrets = append(secrets, c.Statements.URI)
	}
	said := map[string]bool{"": true}
	for _, path := range secrets {
		if !said[path] {
			said[path] = true
			errs = append(errs, guardFile(path, true, log))
		}
	}
	for _, path := range []string{c.file, c.TrustRoot, c.path("index.bolt"), c.path("log"), c.path("log.checkpoint"), c.path("blobs")} {
		if path != "" {
			errs = append(errs, guardFile(path, false, nil))
		}
	}
	keys := c.path("keys") + string(filepath.Separator) // also where it is a link to a safer place
	errs = append(errs, filepath.WalkDir(keys, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		public := d.IsDir() || d.Name() == "chain.pem" || d.Name() == "trust-root.yaml"
		return guardFile(filepath.Clean(path), !public, log)
	}))
	return errors.Join(errs...)
}

// guardFile looks at one file or directory.
func guardFile(path string, secret bool, log *slog.Logger) error {
	about, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if !about.Mode().IsRegular() && !about.IsDir() {
		return fmt.Errorf("%s is no file", path)
	}
	if err := owned.Check(path, about, owned.Group()); err != nil {
		return err
	}
	if secret && owned.Readable(about, owned.Group()) {
		log.Warn("others on this machine may read a secret; run chmod 600", "file", path, "mode", fmt.Sprintf("%o", about.Mode().Perm()))
	}
	return nil
}

// guardPort refuses plain text on an address that is not of this machine alone, unless
// it was asked for. name is the address's flag.
func (c *Config) guardPort(name, addr string) error {
	if c.TLS.Cert != "" || c.Plaintext || client.Loopback(addr) {
		return nil
	}
	return fmt.Errorf("%s %s: without TLS whoever is on the way there could read tokens and change answers; set tls.cert and tls.key in the configuration, or listen on 127.0.0.1; where something else protects the way, say --plaintext", name, addr)
}
