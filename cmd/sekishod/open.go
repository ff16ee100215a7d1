package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sekisho-dev/sekisho/attest"
	"github.com/sekisho-dev/sekisho/internal/durable"
	"github.com/sekisho-dev/sekisho/server/follow"
	"github.com/sekisho-dev/sekisho/sign"
	"github.com/sekisho-dev/sekisho/sign/tsa"
	"github.com/sekisho-dev/sekisho/store"
	"github.com/sekisho-dev/sekisho/store/bolt"
	"github.com/sekisho-dev/sekisho/store/dir"
	"github.com/sekisho-dev/sekisho/tlog"
	"github.com/sekisho-dev/sekisho/tlog/tiles"
	"github.com/sekisho-dev/sekisho/verifier"
)

// house is everything that is open, in the order in which it was opened.
type house struct {
	config *Config
	now    func() time.Time
	logger *slog.Logger
	blobs  *dir.Blobs
	log    *tiles.Log
	logKey *tlog.Verifier
	signer sign.Signer
	time   *tsa.Authority
	follow *follow.Follower

	closers []func() error
}

// Close closes in the reverse order of opening.
func (h *house) Close() error {
	var errs []error
	for i := len(h.closers) - 1; i >= 0; i-- {
		errs = append(errs, h.closers[i]())
	}
	h.closers = nil
	return errors.Join(errs...)
}

// open opens what the configuration names, in the order of dependence: the
// lock, keys, blobs, log, index, trust root, follower. What it has opened is
// closed again if a later part fails.
func open(ctx context.Context, c *Config, logger *slog.Logger, now func() time.Time, getenv func(string) string) (h *house, err error) {
	h = &house{config: c, logger: logger, now: now}
	defer func() {
		if err != nil {
			err = errors.Join(err, h.Close())
			h = nil
		}
	}()
	if err := h.lock(); err != nil {
		return h, err
	}
	if !c.offline {
		if h.signer, err = openStatements(ctx, c, getenv); err != nil {
			return h, fmt.Errorf("opening the statements key: %w", err)
		}
		if h.time, err = tsa.OpenOrCreate(c.path("keys", "time"), now); err != nil {
			return h, fmt.Errorf("opening the time authority: %w", err)
		}
	}
	if h.blobs, err = dir.Open(c.path("blobs")); err != nil {
		return h, fmt.Errorf("opening the blobs: %w", err)
	}
	h.closers = append(h.closers, h.blobs.Close)
	if err := h.openLog(ctx); err != nil {
		return h, fmt.Errorf("opening the log: %w", err)
	}
	initial, err := h.initialTrust()
	if err != nil {
		return h, fmt.Errorf("opening the first trust root: %w", err)
	}
	if err := h.openIndex(ctx, initial); err != nil {
		return h, fmt.Errorf("opening the index: %w", err)
	}
	return h, nil
}

// lock makes the data directory and takes its lock: two services on one
// directory would each write half of a log. Clients know by the lock that a service
// runs, so that it is held to the end, and an endpoint file that was there before is
// nobody's.
func (h *house) lock() error {
	if err := os.MkdirAll(h.config.Data, 0o700); err != nil {
		return fmt.Errorf("making the data directory: %w", err)
	}
	if err := guard(h.config, h.logger); err != nil {
		return err
	}
	if err := os.MkdirAll(h.config.path("keys"), 0o700); err != nil {
		return fmt.Errorf("making the data directory: %w", err)
	}
	f, err := os.OpenFile(h.config.path("lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	h.closers = append(h.closers, f.Close)
	if err := flock(f); errors.Is(err, unix.EWOULDBLOCK) {
		return fmt.Errorf("%s is in use by another sekishod%s; stop it, or name another --data (%w)", h.config.Data, h.config.holder(), store.ErrLocked)
	} else if err != nil {
		return fmt.Errorf("locking %s: %w", f.Name(), err)
	}
	if err := f.Chmod(0o600); err != nil { // what others may open they may lock
		return err
	}
	if err := os.Remove(h.config.path("endpoint.json")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// flock takes a lock. A client that looks whether it is held holds it for a moment
// itself, so that one refusal says nothing.
func flock(f *os.File) (err error) {
	const tries, pause = 10, 20 * time.Millisecond
	for range tries {
		if err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err == nil {
			return nil
		}
		time.Sleep(pause)
	}
	return err
}

// holder names the process that serves from the data directory, where it says so.
func (c *Config) holder() string {
	var e endpoint
	raw, err := os.ReadFile(c.path("endpoint.json"))
	if err != nil || json.Unmarshal(raw, &e) != nil || e.PID == 0 {
		return ""
	}
	return fmt.Sprintf(" (process %d)", e.PID)
}

func (h *house) openLog(ctx context.Context) error {
	signer, v, err := openLogKey(h.config)
	if err != nil {
		return err
	}
	h.logKey = v
	h.log, err = tiles.Open(ctx, tiles.Config{
		Dir: h.config.path("log"), Signer: signer, Verifier: v,
		Unpublished: func(ctx context.Context, entry []byte) error {
			_, _, err := follow.Load(ctx, h.blobs, attest.LeafHash(entry))
			return err
		},
	})
	if errors.Is(err, tlog.ErrCorrupt) || errors.Is(err, tlog.ErrCheckpoint) || errors.Is(err, tlog.ErrInconsistent) {
		return fmt.Errorf("%w; sekishod repair says what of log/ can be made again from itself and from blobs/", err)
	}
	if err != nil {
		return err
	}
	h.closers = append(h.closers, h.log.Close)
	return nil
}

// initialTrust reads the pinned first trust root, making the development one at
// the first start.
func (h *house) initialTrust() (*verifier.TrustRoot, error) {
	path := h.config.TrustRoot
	if path == "" {
		path = h.config.path("keys", "trust-root.yaml")
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			raw, err := h.starterTrust()
			if err != nil {
				return nil, err
			}
			if err := durable.WriteFile(path, raw, 0o600); err != nil {
				return nil, err
			}
		}
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	t, err := verifier.ParseTrustRoot(raw)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return t, nil
}

// openIndex opens the index, making it anew where it is of another version, and
// the follower that writes it. An index that was deleted is made again by
// following from the start.
func (h *house) openIndex(ctx context.Context, initial *verifier.TrustRoot) error {
	path := h.config.path("index.bolt")
	if h.config.reindex {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	idx, err := bolt.Open(path)
	if errors.Is(err, store.ErrVersion) {
		if err := os.Remove(path); err != nil {
			return err
		}
		idx, err = bolt.Open(path)
	}
	if err != nil {
		return err
	}
	fresh := func() (store.Index, func() error, error) {
		next := path + ".new"
		if err := os.Remove(next); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, nil, err
		}
		idx, err := bolt.Open(next)
		replace := func() error { return errors.Join(os.Rename(next, path), durable.SyncDir(h.config.Data)) }
		return idx, replace, err
	}
	h.follow, err = follow.New(ctx, follow.Config{
		Log:          h.log,
		Blobs:        h.blobs,
		Index:        idx,
		Fresh:        fresh,
		Initial:      initial,
		MaxStaleness: h.config.MaxStaleness,
		Now:          h.now,
		Inspect:      h.config.offline && !h.config.reindex,
		Failed:       func(err error) { h.logger.Error("following the log", "error", err) },
	})
	if err != nil {
		return errors.Join(err, idx.Close())
	}
	h.closers = append(h.closers, h.follow.Close)
	return nil
}
