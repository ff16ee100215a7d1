package tiles_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sekisho-dev/sekisho/tlog"
)

// get asks a handler for a path, exactly as spelt.
func get(h http.Handler, method, path string) *http.Response {
	r := &http.Request{Method: method, URL: &url.URL{Path: path}, Header: http.Header{}, Body: http.NoBody}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func TestHandler(t *testing.T) {
	cfg, _ := written(t, 300)
	l := open(t, cfg)
	h := l.Handler()
	for path, cache := range map[string]string{
		"/checkpoint":            "no-cache",
		"/tile/0/000":            "public, max-age=31536000, immutable",
		"/tile/0/001.p/44":       "public, max-age=31536000, immutable",
		"/tile/1/000.p/1":        "public, max-age=31536000, immutable",
		"/tile/entries/000":      "public, max-age=31536000, immutable",
		"/tile/entries/001.p/44": "public, max-age=31536000, immutable",
	} {
		want, err := os.ReadFile(filepath.Join(cfg.Dir, path))
		if err != nil {
			t.Fatal(err)
		}
		content := "application/octet-stream"
		if path == "/checkpoint" {
			content = "text/plain; charset=utf-8"
		}
		for _, method := range []string{"GET", "HEAD"} {
			res := get(h, method, path)
			got, err := io.ReadAll(res.Body)
			if method == "HEAD" && path != "/checkpoint" {
				want = nil
			}
			if err != nil || res.StatusCode != 200 || !bytes.Equal(got, want) {
				t.Errorf("%s %s: %d, %d bytes, %v", method, path, res.StatusCode, len(got), err)
			}
			if res.Header.Get("Content-Type") != content || res.Header.Get("Cache-Control") != cache || res.Header.Get("X-Content-Type-Options") != "nosniff" {
				t.Errorf("%s %s: %v", method, path, res.Header)
			}
		}
	}
	for _, method := range []string{"POST", "PUT", "DELETE", "OPTIONS", ""} {
		if res := get(h, method, "/checkpoint"); res.StatusCode != http.StatusMethodNotAllowed {
			t.Errorf("%q: %d", method, res.StatusCode)
		}
	}
}

// What is in the directory and is not the log's to show, and spellings of what is.
func TestHandlerServesNothingElse(t *testing.T) {
	cfg, _ := written(t, 300)
	l := open(t, cfg)
	write(t, filepath.Join(cfg.Dir, "secret"), []byte("secret"))
	write(t, filepath.Join(cfg.Dir, "tile", "secret"), []byte("secret"))
	// Tiles on disk beyond the published tree: what a crash may leave behind.
	write(t, filepath.Join(cfg.Dir, "tile", "0", "001.p", "45"), make([]byte, 45*32))
	write(t, filepath.Join(cfg.Dir, "tile", "0", "001"), make([]byte, 8192))
	write(t, filepath.Join(cfg.Dir, "tile", "entries", "002"), make([]byte, 512))
	// A link out of the directory in a tile's place.
	if err := os.Remove(filepath.Join(cfg.Dir, "tile", "1", "000.p", "1")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/etc/passwd", filepath.Join(cfg.Dir, "tile", "1", "000.p", "1")); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{
		"", "/", "checkpoint/", "/checkpoint/", "//checkpoint", "/./checkpoint", "/x/../checkpoint", "/Checkpoint", "/checkpoint\x00",
		"/.state/treeState", "/.state/version", "/.state", "/.lock", "/secret", "/tile/secret", "/tile", "/tile/", "/tile/0", "/tile/0/", "/tile/0/001.p", "/tile/0/001.p/",
		"/tile/../secret", "/tile/0/../../secret", "/tile/0/../../.state/treeState", "/tile/..%2f.state", "/tile/0/000/..", "/tile//0/000", "/tile/0/000/", "//tile/0/000",
		"/tile/0/001.p/45", "/tile/0/001", "/tile/0/001.p/0", "/tile/0/001.p/256", "/tile/0/001.p/044", "/tile/00/000", "/tile/0/0", "/tile/entries/002", "/tile/entries/001",
		"/tile/1/000.p/1", "/tile/2/000.p/1", "/tile/0/002.p/1", `/tile\0\000`, `/tile/0/..\..\secret`,
	} {
		res := get(l.Handler(), "GET", path)
		got, _ := io.ReadAll(res.Body)
		if res.StatusCode != http.StatusNotFound || bytes.Contains(got, []byte("secret")) || len(got) > 64 {
			t.Errorf("%q: %d, %q", path, res.StatusCode, got)
		}
	}
}

// The handler behind a real server is a log to a reader that has only the key.
func TestHandlerIsALog(t *testing.T) {
	cfg, logged := written(t, 300)
	l := open(t, cfg)
	server := httptest.NewServer(http.StripPrefix("/log", l.Handler()))
	defer server.Close()
	r := tlog.NewTileReader(cfg.Verifier, func(_ context.Context, path string) ([]byte, error) {
		res, err := server.Client().Get(server.URL + "/log/" + path)
		if err != nil {
			return nil, err
		}
		defer res.Body.Close()
		if res.StatusCode == http.StatusNotFound {
			return nil, fs.ErrNotExist
		}
		return io.ReadAll(res.Body)
	})
	cp, err := r.Checkpoint(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for e, err := range r.Entries(t.Context(), cp, 0) {
		if n++; err != nil || string(e.Data) != logged[e.Index] {
			t.Fatalf("entry %d: %q, %v", e.Index, e.Data, err)
		}
	}
	if n != len(logged) {
		t.Errorf("%d entries, want %d", n, len(logged))
	}
}

func TestHandlerOfClosedLog(t *testing.T) {
	l := open(t, config(t))
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if res := get(l.Handler(), "GET", "/checkpoint"); res.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("checkpoint of a closed log: %d", res.StatusCode)
	}
}

// Whatever the path, what comes back is a file that the log published, or nothing.
func FuzzHandler(f *testing.F) {
	cfg := config(f)
	l := open(f, cfg)
	for i := range 3 {
		if _, err := l.Append(f.Context(), fmt.Appendf(nil, "entry %d", i)); err != nil {
			f.Fatal(err)
		}
	}
	for _, path := range []string{"/checkpoint", "/tile/0/000.p/3", "/tile/0/../../.state/treeState", "/.lock", "/tile/entries/000.p/3"} {
		f.Add(path)
	}
	f.Fuzz(func(t *testing.T, path string) {
		res := get(l.Handler(), "GET", path)
		got, err := io.ReadAll(res.Body)
		if err != nil || res.StatusCode == http.StatusNotFound {
			return
		}
		want, err := os.ReadFile(filepath.Join(cfg.Dir, path))
		allowed := path == "/checkpoint" || path == "checkpoint" || strings.HasPrefix(strings.TrimPrefix(path, "/"), "tile/")
		if err != nil || !allowed || strings.Contains(path, "..") || res.StatusCode != 200 || !bytes.Equal(got, want) {
			t.Fatalf("%q: %d, %q, %v", path, res.StatusCode, got, err)
		}
	})
}
