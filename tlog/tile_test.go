package tlog_test

import (
	"errors"
	"path"
	"strings"
	"testing"

	"github.com/sekisho-dev/sekisho/tlog"
)

func TestTilePaths(t *testing.T) {
	for want, tile := range map[string]tlog.Tile{
		"tile/0/000":                               {Level: 0, Index: 0, Width: 256},
		"tile/0/x001/x234/067":                     {Level: 0, Index: 1234067, Width: 256},
		"tile/0/x001/x234/067.p/8":                 {Level: 0, Index: 1234067, Width: 8},
		"tile/63/999.p/255":                        {Level: 63, Index: 999, Width: 255},
		"tile/1/x001/000":                          {Level: 1, Index: 1000, Width: 256},
		"tile/entries/000.p/1":                     {Level: tlog.Entries, Index: 0, Width: 1},
		"tile/entries/x001/x234/067":               {Level: tlog.Entries, Index: 1234067, Width: 256},
		"tile/0/x018/x446/x744/x073/x709/x551/615": {Level: 0, Index: 1<<64 - 1, Width: 256},
	} {
		if got := tile.Path(); got != want {
			t.Errorf("path of %+v is %s, want %s", tile, got, want)
		}
		if got, err := tlog.ParseTile(want); err != nil || got != tile {
			t.Errorf("%s is %+v, %v", want, got, err)
		}
	}
	for _, bad := range []string{
		"", "tile", "tile/", "tile/0", "tile/0/", "/tile/0/000", "tile//0/000", "tile/0/000/", "tile/0//000",
		"tile/0/000.p/0", "tile/0/000.p/256", "tile/0/000.p/08", "tile/0/000.p/", "tile/0/000.p", "tile/0/000.p/1/2", "tile/0/000.p/-1", "tile/0/000.p/+1",
		"tile/00/000", "tile/64/000", "tile/-1/000", "tile/+1/000", "tile/0/0", "tile/0/0000", "tile/0/x000/000", "tile/0/x000", "tile/0/001/234", "tile/0/x001/x234",
		"tile/0/x018/x446/x744/x073/x709/x551/616", "tile/0/../000", "tile/entries/../0/000", "tile/../checkpoint", "tile/0/000.p/1.p/2",
		"tile/data/000", "tile/8/0/000", "tile/names/000", "tile/Entries/000", "tile/0/000\x00", "tile/0/٠٠٠", ".state/treeState", "checkpoint",
	} {
		if got, err := tlog.ParseTile(bad); !errors.Is(err, tlog.ErrNotFound) {
			t.Errorf("%q is %+v, %v", bad, got, err)
		}
	}
}

// The examples of tlog-tiles, and 8 and 9 of the C2SP test list.
func TestTileIn(t *testing.T) {
	for _, c := range []struct {
		path string
		size uint64
		want bool
	}{
		{"tile/0/000.p/1", 0, false}, {"tile/entries/000.p/1", 0, false},
		{"tile/0/272", 70000, true}, {"tile/0/273", 70000, false},
		{"tile/0/273.p/112", 70000, true}, {"tile/0/273.p/113", 70000, false}, {"tile/0/273.p/112", 69999, false},
		{"tile/1/000", 70000, true}, {"tile/1/001.p/17", 70000, true}, {"tile/1/001.p/18", 70000, false}, {"tile/1/001", 70000, false},
		{"tile/2/000.p/1", 70000, true}, {"tile/2/000.p/2", 70000, false}, {"tile/3/000.p/1", 70000, false},
		{"tile/0/000", 256, true}, {"tile/0/000.p/255", 256, true}, {"tile/1/000.p/1", 256, true}, {"tile/0/001.p/1", 256, false},
		{"tile/0/000", 255, false}, {"tile/1/000.p/1", 255, false},
		{"tile/entries/273.p/112", 70000, true}, {"tile/entries/273.p/113", 70000, false}, {"tile/entries/274.p/1", 70000, false},
		{"tile/63/000.p/1", 1<<63 - 1, false}, {"tile/7/000.p/127", 1<<63 - 1, true}, {"tile/8/000.p/1", 1<<63 - 1, false},
	} {
		tile, err := tlog.ParseTile(c.path)
		if err != nil {
			t.Fatal(err)
		}
		if got := tile.In(c.size); got != c.want {
			t.Errorf("%s in a tree of %d: %v, want %v", c.path, c.size, got, c.want)
		}
	}
}

// A path has one tile, a tile one path, and a path stays where tiles are.
func FuzzParseTile(f *testing.F) {
	for _, s := range []string{"tile/0/000", "tile/entries/x001/234.p/5", "tile/0/../../checkpoint", "tile/63/x018/x446/x744/x073/x709/x551/615.p/255"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		tile, err := tlog.ParseTile(s)
		if err != nil {
			return
		}
		if tile.Path() != s || path.Clean(s) != s || !strings.HasPrefix(s, "tile/") || tile.Width < 1 || tile.Width > 256 {
			t.Fatalf("%q is %+v", s, tile)
		}
	})
}
