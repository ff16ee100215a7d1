#!/usr/bin/env bash
# Formatting, vet, the linters of .golangci.yml, protos, and generated code.
set -euo pipefail
cd "$(dirname "$0")/.."
version=v2.12.2
linter="${CACHE:-$PWD/.cache}/bin/golangci-lint-$version"
if [ ! -x "$linter" ]; then
	echo "building golangci-lint $version (once)" >&2
	mkdir -p "$(dirname "$linter")"
	tmp=$(mktemp -d)
	GOBIN="$tmp" go install "github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$version"
	mv "$tmp/golangci-lint" "$linter"
	rmdir "$tmp"
fi
unformatted=$(git ls-files '*.go' | grep -v '\.pb\.' | xargs gofmt -l)
if [ -n "$unformatted" ]; then
	echo "not formatted (make fmt):" >&2
	echo "$unformatted" >&2
	exit 1
fi
go vet ./...
go vet -tags integration ./...
# Its cache holds paths, so it is the checkout's own.
export GOLANGCI_LINT_CACHE="$PWD/.cache/golangci-lint"
"$linter" run ./...
go tool -modfile=tools/go.mod buf lint
# Whoever was generated against the newest release, or else the commit before this
# one, still speaks with us.
against=$(git describe --tags --abbrev=0 2>/dev/null || git rev-parse -q --verify HEAD~1 || true)
if [ -n "$against" ] && git cat-file -e "$against:buf.yaml" 2>/dev/null; then
	go tool -modfile=tools/go.mod buf breaking --against ".git#ref=$against"
fi
# Generating again must change nothing.
before=$(git ls-files -s proto; git diff -- proto | git hash-object --stdin)
go tool -modfile=tools/go.mod buf generate
after=$(git ls-files -s proto; git diff -- proto | git hash-object --stdin)
if [ "$before" != "$after" ]; then
	echo "generated code is not up to date (make generate)" >&2
	exit 1
fi
