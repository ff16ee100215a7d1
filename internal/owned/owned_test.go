//go:build unix

package owned_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/sekisho-dev/sekisho/internal/owned"
)

// file makes a file of a mode and, if we may, of another user or group.
func file(t *testing.T, mode os.FileMode, user, group int) (string, fs.FileInfo) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if user != os.Getuid() || group != os.Getgid() {
		if os.Getuid() != 0 {
			t.Skip("only root can give a file away")
		}
		if err := os.Chown(path, user, group); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
	about, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return path, about
}

const nobody = 65534

// TestCheck: who else may write is named, and what to run.
func TestCheck(t *testing.T) {
	us, ours := os.Getuid(), os.Getgid()
	for name, c := range map[string]struct {
		mode        os.FileMode
		user, group int
		tolerated   int
		want        string // in the error; "" for none
	}{
		"ours alone":                    {0o600, us, ours, owned.NoGroup, ""},
		"everybody may read":            {0o644, us, ours, owned.NoGroup, ""},
		"everybody may write":           {0o602, us, ours, ours, "by everybody (mode 602); run chmod go-w "},
		"our group may write":           {0o660, us, ours, ours, ""},
		"our group may write, strictly": {0o660, us, ours, owned.NoGroup, "run chmod g-w "},
		"another group may write":       {0o660, us, nobody, ours, "by group 65534"},
		"another group may read":        {0o640, us, nobody, ours, ""},
		"another user's":                {0o600, nobody, ours, ours, "belongs to user 65534"},
	} {
		t.Run(name, func(t *testing.T) {
			path, about := file(t, c.mode, c.user, c.group)
			err := owned.Check(path, about, c.tolerated)
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path)) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}

// TestReadable: our own group reads what it may, others are noticed.
func TestReadable(t *testing.T) {
	us, ours := os.Getuid(), os.Getgid()
	for mode, want := range map[os.FileMode]bool{0o600: false, 0o640: false, 0o604: true, 0o644: true} {
		if _, about := file(t, mode, us, ours); owned.Readable(about, ours) != want {
			t.Errorf("%o: %v", mode, !want)
		}
	}
	if _, about := file(t, 0o640, us, nobody); !owned.Readable(about, ours) {
		t.Error("another group reads it unnoticed")
	}
}

// TestLocked: a lock is seen while it is held, also by who may only read the file, and
// asking takes nothing from anybody.
func TestLocked(t *testing.T) {
	path, _ := file(t, 0o600, os.Getuid(), os.Getgid())
	asking, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer asking.Close()
	held := func(want bool) {
		t.Helper()
		if got, err := owned.Locked(asking); got != want || err != nil {
			t.Errorf("held: %v, %v; want %v", got, err, want)
		}
	}
	held(false)
	holder, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Flock(int(holder.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		t.Fatalf("asking kept the lock: %v", err)
	}
	held(true)
	holder.Close()
	held(false)
}
