#!/usr/bin/env bash
# Stock clients verify what the service signed, and the system calls of a service
# show that what it acknowledges is on the disk. cosign is built from its module, and
# npm's sigstore is installed, once, into the cache; without node that one is left
# out, and said so. Both run in an empty network namespace where the system has them.
set -euo pipefail
cd "$(dirname "$0")/.."
cache=${CACHE:-$PWD/.cache}
mkdir -p "$cache/bin"

cosign=v3.1.3
export COSIGN=$cache/bin/cosign-$cosign
if [ ! -x "$COSIGN" ]; then
	echo "building cosign $cosign (once)" >&2
	tmp=$(mktemp -d)
	GOBIN=$tmp CGO_ENABLED=0 go install "github.com/sigstore/cosign/v3/cmd/cosign@$cosign"
	mv "$tmp/cosign" "$COSIGN"
	rmdir "$tmp"
fi

export NPM_SIGSTORE=
if command -v node >/dev/null && command -v npm >/dev/null; then
	npm=$cache/npm-sigstore-1
	if [ ! -d "$npm/node_modules" ]; then
		echo "installing npm's sigstore (once)" >&2
		rm -rf "$npm" "$npm.new"
		mkdir -p "$npm.new"
		echo '{"private": true}' >"$npm.new/package.json"
		npm install --silent --no-audit --no-fund --ignore-scripts --prefix "$npm.new" \
			@sigstore/bundle@5.0.1 @sigstore/verify@4.1.3 @sigstore/protobuf-specs@0.5.2 >&2
		mv "$npm.new" "$npm"
	fi
	cp scripts/npm-verify.mjs "$npm/verify.mjs"
	NPM_SIGSTORE=$npm/verify.mjs
else
	echo "node and npm are not here: npm's sigstore is not run" >&2
fi

export STRACE=
if ! command -v strace >/dev/null && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
	{ apt-get update && apt-get install -y --no-install-recommends strace; } >/dev/null 2>&1 || true
fi
if strace -o /dev/null true 2>/dev/null; then
	STRACE=$(command -v strace)
else
	echo "strace is not here, or may not trace: the traced run is left out" >&2
fi

# offline COMMAND… runs a command where there is no network.
wrap=$(mktemp -d)
trap 'rm -rf "$wrap"' EXIT
export OFFLINE=$wrap/offline
if unshare -rn true 2>/dev/null; then
	printf '#!/bin/sh\nexec unshare -rn "$@"\n' >"$OFFLINE"
else
	echo "no network namespaces here: the clients run with the network that there is" >&2
	printf '#!/bin/sh\nexec "$@"\n' >"$OFFLINE"
fi
chmod +x "$OFFLINE"

go test -tags integration -count=1 -run TestIntegration ./cmd/sekisho ./cmd/sekishod "$@"
