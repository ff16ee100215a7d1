#!/usr/bin/env bash
# The main job, end to end, on real provenance: what make demo shows. It works in
# a directory of its own and leaves nothing behind.
set -euo pipefail
cd "$(dirname "$0")/.."
real=$PWD/testdata/provenance
export PATH=$PWD/bin:${CACHE:-$PWD/.cache}/bin:$PATH
work=$(mktemp -d)
export SEKISHO_STATE_DIR=$work/state
unset SEKISHO_SERVER SEKISHO_DATA SEKISHO_TOKEN SEKISHO_TOKEN_FILE SEKISHOD_CONFIG SEKISHOD_DATA
service=
leave() {
	status=$?
	if [ -n "$service" ]; then
		kill "$service" 2>/dev/null || true
		wait "$service" 2>/dev/null || true
	fi
	rm -rf "$work"
	exit "$status"
}
trap leave EXIT
trap 'exit 130' INT TERM
cd "$work"

if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then bold=$'\e[1m' plain=$'\e[0m'; else bold='' plain=''; fi
say() { printf '\n%s%s%s\n' "$bold" "$*" "$plain"; }
# run shows a command and runs it, which must exit with the code that comes first.
run() {
	local want=$1 code=0
	shift
	printf '$ %s\n' "$*"
	"$@" 2>&1 || code=$?
	if [ "$code" != "$want" ]; then
		echo "demo: exit code $code, want $want" >&2
		exit 1
	fi
}

say "A checkpoint opens, with no configuration at all."
sekishod --grpc-addr 127.0.0.1:0 --http-addr 127.0.0.1:0 >out.txt 2>err.txt &
service=$!
for _ in $(seq 200); do
	[ -f sekisho-data/endpoint.json ] && break
	kill -0 "$service" 2>/dev/null || { cat err.txt >&2; exit 1; }
	sleep 0.05
done
cat out.txt
export SEKISHO_DATA=$work/sekisho-data # else each command says which service it found

cp "$real/MODULE.bazel" "$real/MODULE.bazel.intoto.jsonl" .
say "A build hands in its provenance: the real one of a Bazel module, signed on GitHub."
run 0 sekisho attest MODULE.bazel.intoto.jsonl

say "May that very file be deployed at SLSA build level 2? Yes, on this evidence:"
run 0 sekisho verify MODULE.bazel --level 2 --source git+https://github.com/aspect-build/rules_lint

say "And if it were expected from another repository? No, and this is why:"
run 1 sekisho verify MODULE.bazel --level 2 --source git+https://github.com/acme/rules_lint

say "Somebody changes one letter of the digest in the signed statement:"
sed 's/Y2UzMzA5/ZmUzMzA5/' MODULE.bazel.intoto.jsonl >tampered.jsonl
run 1 sekisho attest tampered.jsonl

say "A builder without keys of its own has its statement signed here:"
echo 'the application' >app
cat >app.json <<JSON
{"_type": "https://in-toto.io/Statement/v1",
 "subject": [{"name": "app", "digest": {"sha256": "$(sha256sum app | cut -d' ' -f1)"}}],
 "predicateType": "https://slsa.dev/provenance/v1",
 "predicate": {
   "buildDefinition": {"buildType": "https://localhost/make@v1", "externalParameters": {"target": "app"}},
   "runDetails": {"builder": {"id": "https://localhost/laptop"}}}}
JSON
run 0 sekisho attest app.json
run 0 sekisho verify app --level 1

say "What it got is a stock Sigstore bundle, which anybody can verify without us:"
sekisho get 3 -o bundle >app.sigstore.json
sekisho key >sekisho.pub
sekisho trusted-root >trusted_root.json
run 0 verify-bundle --key sekisho.pub --trusted-root trusted_root.json app.sigstore.json app

say "Its SBOM is submitted, searched and reported:"
cat >bom.json <<'JSON'
{"bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1, "components": [
  {"type": "library", "name": "log4j-core", "group": "org.apache.logging.log4j", "version": "2.14.1",
   "purl": "pkg:maven/org.apache.logging.log4j/log4j-core@2.14.1", "licenses": [{"license": {"id": "Apache-2.0"}}]},
  {"type": "library", "name": "left-pad", "version": "1.3.0", "purl": "pkg:npm/left-pad@1.3.0", "licenses": [{"license": {"id": "WTFPL"}}]}]}
JSON
run 0 sekisho sbom submit app bom.json
run 0 sekisho sbom search pkg:maven/org.apache.logging.log4j/log4j-core
run 0 sekisho sbom report app

say "All of it is in the log, whose every hash leads to this checkpoint:"
run 0 sekisho log audit
run 0 sekisho log checkpoint

say "The checkpoint closes."
