package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/sekisho-dev/sekisho/server/follow"
)

// A report is what fsck and reindex print.
type report struct {
	LogSize    uint64    `json:"logSize"`
	IndexSize  uint64    `json:"indexSize"`
	Checkpoint string    `json:"checkpoint"`
	Problems   []problem `json:"problems"`
}

// A problem is damage, unless it is harmless: an entry that was registered by the
// rules of another time, and is listed so that nobody wonders.
type problem struct {
	Entry    uint64 `json:"entry"`
	Problem  string `json:"problem"`
	Harmless bool   `json:"harmless"`
}

// damage is how many of the problems are.
func (r *report) damage() (n int) {
	for _, p := range r.Problems {
		if !p.Harmless {
			n++
		}
	}
	return n
}

// errDamage makes the exit status 1; the report has said what it is.
var errDamage = errors.New("damage found")

// fsck checks log, blobs and index against each other: every entry is read and
// authenticated, rebuilt from its record and payload, its signature verified,
// and compared with its row in the index.
func fsck(ctx context.Context, c *Config, log *slog.Logger, now func() time.Time, getenv func(string) string) (r *report, err error) {
	if err := served(c); err != nil {
		return nil, err
	}
	c.offline = true
	h, err := open(ctx, c, log, now, getenv)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, h.Close()) }()
	r = &report{Problems: []problem{}}
	for p, err := range h.follow.Check(ctx) {
		if err != nil {
			return r, err
		}
		r.Problems = append(r.Problems, problem{p.Entry, p.Err.Error(), p.Harmless})
	}
	if err := r.measure(ctx, h); err != nil {
		return r, err
	}
	if r.damage() > 0 {
		return r, errDamage
	}
	return r, nil
}

// reindex makes the index again, from nothing.
func reindex(ctx context.Context, c *Config, log *slog.Logger, now func() time.Time, getenv func(string) string) (r *report, err error) {
	if err := served(c); err != nil {
		return nil, err
	}
	c.offline, c.reindex = true, true
	h, err := open(ctx, c, log, now, getenv)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, h.Close()) }()
	r = &report{Problems: []problem{}}
	if err := frugally(func() error { return h.follow.CatchUp(ctx) }); err != nil {
		if !errors.Is(err, follow.ErrDamaged) {
			return r, err
		}
		r.Problems = append(r.Problems, problem{Entry: h.follow.Progress().Size, Problem: err.Error()})
	}
	if err := r.measure(ctx, h); err != nil {
		return r, err
	}
	if r.damage() > 0 {
		return r, errDamage
	}
	return r, nil
}

// served refuses a directory that no service has used, rather than make it one.
func served(c *Config) error {
	if _, err := os.Stat(c.path("log")); err != nil {
		return fmt.Errorf("%s is not the data directory of a service; name it with --data: %w", c.Data, err)
	}
	return nil
}

func (r *report) measure(ctx context.Context, h *house) error {
	cp, err := h.log.Checkpoint(ctx)
	if err != nil {
		return err
	}
	r.LogSize, r.IndexSize, r.Checkpoint = cp.Size, h.follow.Progress().Size, string(cp.Note)
	return nil
}
