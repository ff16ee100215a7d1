package tiles

import (
	"net/http"
	"strings"
	"time"

	"github.com/sekisho-dev/sekisho/tlog"
)

// Handler serves the log as C2SP tlog-tiles has it: GET and HEAD of /checkpoint
// and /tile/…, nothing else. Everything published is public; the directory's
// other files, and tiles that no published checkpoint covers yet, are not found.
// (A crash may still change those, and caches would keep the old ones for good.)
//
// Mount it at the prefix that readers use, less the prefix.
func (l *Log) Handler() http.Handler { return http.HandlerFunc(l.serve) }

func (l *Log) serve(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "a log is only read", http.StatusMethodNotAllowed)
		return
	}
	// The path is parsed, not cleaned: it is one of the spellings that a log has,
	// and then it names a file that this code has spelt, or it is not found.
	path, _ := strings.CutPrefix(r.URL.Path, "/")
	tile, err := tlog.ParseTile(path)
	if err != nil && path != "checkpoint" {
		http.NotFound(w, r)
		return
	}
	cp, err := l.TileReader.Checkpoint(r.Context()) // what is published stays published
	if err != nil {
		http.Error(w, "the log cannot be read now", http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if path == "checkpoint" {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("Cache-Control", "no-cache")
		w.Write(cp.Note) //nolint:errcheck // the reader has gone away
		return
	}
	l.serveTile(w, r, tile, cp.Size)
}

func (l *Log) serveTile(w http.ResponseWriter, r *http.Request, t tlog.Tile, size uint64) {
	if !t.In(size) {
		http.NotFound(w, r)
		return
	}
	f, err := l.files.Open(t.Path())
	if err != nil {
		http.NotFound(w, r)
		return
	}
	defer f.Close() //nolint:errcheck // read only
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	http.ServeContent(w, r, "", time.Time{}, f)
}
