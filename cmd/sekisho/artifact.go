package main

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/sekisho-dev/sekisho/attest"
	sekishov1 "github.com/sekisho-dev/sekisho/proto/sekisho/v1"
)

// artifactHelp is what ARTIFACT means, for the help texts.
const artifactHelp = `ARTIFACT is a file, a digest (sha256:… or sha512:…), or an image by digest
(registry/name@sha256:…). A tag names no artifact: resolve it first.`

// artifact reads what the caller names: a digest, an image by digest, or a file,
// whose SHA-256 and SHA-512 are computed in one pass.
func artifact(arg string, names []string) (*sekishov1.Artifact, error) {
	name, digest, image := strings.Cut(arg, "@")
	if !image {
		name, digest = "", arg
	}
	if attest.Acceptable(strings.SplitN(digest, ":", 2)[0]) && strings.Contains(digest, ":") {
		d, err := attest.ParseDigest(digest)
		if err != nil {
			return nil, err
		}
		if name != "" {
			names = append([]string{name}, names...)
		}
		return &sekishov1.Artifact{Digest: d.Set(), Names: names}, nil
	}
	digests, err := digestFile(arg)
	if err != nil {
		return nil, err
	}
	return &sekishov1.Artifact{Digest: digests, Names: append([]string{filepath.Base(arg)}, names...)}, nil
}

func digestFile(path string) (map[string]string, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("%w (an artifact is a file, sha256:…, sha512:…, or image@sha256:…)", err)
	}
	defer f.Close() //nolint:errcheck // read only
	if about, err := f.Stat(); err == nil && about.IsDir() {
		return nil, fmt.Errorf("%s is a directory: an artifact is a file, sha256:…, sha512:…, or image@sha256:…", path)
	}
	short, long := sha256.New(), sha512.New()
	if _, err := io.Copy(io.MultiWriter(short, long), f); err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	return map[string]string{"sha256": hex.EncodeToString(short.Sum(nil)), "sha512": hex.EncodeToString(long.Sum(nil))}, nil
}

// digestOf is the artifact's one digest where only one can be asked for.
func digestOf(a *sekishov1.Artifact) attest.Digest {
	all := attest.DigestSet(a.GetDigest()).Acceptable()
	if len(all) == 0 {
		return ""
	}
	return all[0]
}

// title is an artifact as it stands in a line: its name, and its digest.
func title(a *sekishov1.Artifact) string {
	d := string(digestOf(a))
	if len(a.GetNames()) > 0 {
		return plain(a.GetNames()[0]) + "  " + d
	}
	return d
}
