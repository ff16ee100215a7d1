package tiles_test

import (
	"testing"

	"github.com/sekisho-dev/sekisho/tlog"
	"github.com/sekisho-dev/sekisho/tlog/tiles"
	"github.com/sekisho-dev/sekisho/tlog/tlogtest"
)

func TestLog(t *testing.T) {
	tlogtest.Run(t, func(t *testing.T) tlogtest.Driver {
		return driver(t, config(t))
	})
}

func driver(t *testing.T, cfg tiles.Config) tlogtest.Driver {
	l := open(t, cfg)
	return tlogtest.Driver{Log: l, Verifier: cfg.Verifier, Reopen: func() tlogtest.Driver {
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		return driver(t, cfg)
	}}
}

// config is that of a new log with a new key.
func config(t testing.TB) tiles.Config {
	skey, _, err := tlog.GenerateKey("")
	if err != nil {
		t.Fatal(err)
	}
	s, v, err := tlog.NewSigner(skey)
	if err != nil {
		t.Fatal(err)
	}
	return tiles.Config{Dir: t.TempDir(), Signer: s, Verifier: v}
}

// open opens a log that is closed when the test ends.
func open(t testing.TB, cfg tiles.Config) *tiles.Log {
	t.Helper()
	l, err := tiles.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Errorf("closing: %v", err)
		}
	})
	return l
}
