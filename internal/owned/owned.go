// Package owned says who else may write or read a file. Whoever may write a key, a
// token or the word of where a service is, is that service; so it is asked before
// one is believed. Access control lists are not looked at.
package owned

import (
	"fmt"
	"io/fs"
)

// NoGroup is for who lets no group write or read.
const NoGroup = -1

// Check returns an error unless a file or directory belongs to this user or to root,
// and nobody else may write it, but the members of group, if that is not [NoGroup].
// path is how it is called in the error, which says whose it is and what to run.
func Check(path string, about fs.FileInfo, group int) error {
	owner, its, err := ids(about)
	if err != nil {
		return fmt.Errorf("whose %s is cannot be told: %w", path, err)
	}
	mode := about.Mode().Perm()
	switch {
	case owner != 0 && owner != self():
		return fmt.Errorf("%s belongs to user %d; want this user, %d, or root: run chown %[3]d %[1]s, or work as that user", path, owner, self())
	case mode&0o002 != 0:
		return fmt.Errorf("%s may be written by everybody (mode %o); run chmod go-w %[1]s", path, mode)
	case mode&0o020 != 0 && its != group:
		return fmt.Errorf("%s may be written by group %d (mode %o); run chmod g-w %[1]s", path, its, mode)
	}
	return nil
}

// Readable reports whether others than its owner may read a file: everybody, or the
// members of a group that is not this one.
func Readable(about fs.FileInfo, group int) bool {
	mode := about.Mode().Perm()
	_, its, err := ids(about)
	return mode&0o004 != 0 || mode&0o040 != 0 && (err != nil || its != group)
}
