package memlog_test

import (
	"errors"
	"testing"

	"github.com/sekisho-dev/sekisho/tlog"
	"github.com/sekisho-dev/sekisho/tlog/memlog"
	"github.com/sekisho-dev/sekisho/tlog/tlogtest"
)

func TestLog(t *testing.T) {
	tlogtest.Run(t, func(t *testing.T) tlogtest.Driver {
		l := open(t, memlog.Config{})
		return tlogtest.Driver{Log: l, Verifier: l.Verifier()}
	})
}

func TestFaults(t *testing.T) {
	broken := errors.New("broken")
	for _, c := range []struct {
		when bool
		size uint64
	}{{false, 0}, {true, 1}} {
		l := open(t, memlog.Config{Fault: func(_ []byte, logged bool) error {
			if logged == c.when {
				return broken
			}
			return nil
		}})
		if _, err := l.Append(t.Context(), []byte("x")); !errors.Is(err, broken) {
			t.Errorf("logged=%v: %v, want %v", c.when, err, broken)
		}
		if cp, err := l.Checkpoint(t.Context()); err != nil || cp.Size != c.size {
			t.Errorf("logged=%v: the log has %d entries, %v; want %d", c.when, cp.Size, err, c.size)
		}
	}
}

func TestOrigin(t *testing.T) {
	if l := open(t, memlog.Config{Origin: "a.example/log"}); l.Verifier().Origin() != "a.example/log" {
		t.Errorf("origin %q", l.Verifier().Origin())
	}
	if _, err := memlog.New(memlog.Config{Origin: "with space"}); !errors.Is(err, tlog.ErrKey) {
		t.Errorf("origin with a space: %v, want %q", err, tlog.ErrKey)
	}
}

func open(t *testing.T, cfg memlog.Config) *memlog.Log {
	l, err := memlog.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return l
}
