# What people and CI call. Everything that is needed beyond Go, make, gcc and git
# is built from pinned modules into .cache, once.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS := -s -w -X main.version=$(VERSION)
export CACHE ?= $(CURDIR)/.cache

.PHONY: help build test test-integration demo lint generate bench hammer fmt

help: ## show this
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 18

build: ## build bin/sekishod and bin/sekisho
	@mkdir -p bin
	CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)' -o bin/ ./cmd/sekishod ./cmd/sekisho

test: ## all Go tests that need only Go, make, gcc and git; a short kill -9 run with them
	go test -timeout 20m ./...

test-integration: build ## the tests against stock clients: cosign and npm's sigstore
	@scripts/integration.sh

demo: build ## the main job on real provenance, told as a story
	@go build -o $(CACHE)/bin/verify-bundle ./internal/stock/cmd
	@scripts/demo.sh

lint: ## formatting, layers, staticcheck, protos, generated code
	@scripts/lint.sh

generate: ## generate Go and OpenAPI from the protos
	go tool -modfile=tools/go.mod buf generate

bench: ## the benchmarks of docs/performance.md
	go test -run '^$$' -bench . -benchmem ./attest ./policy ./verifier ./sbom ./store/... ./server/...
	go test -run '^$$' -bench BenchmarkAppend -benchtime 4000x ./tlog/tiles

hammer: build ## kill -9 under load, 50 rounds, then used and attacked at once for ten minutes; every receipt verified
	go run ./internal/hammer/cmd -rounds 50 -soak 10m

fmt: ## format
	gofmt -w $$(git ls-files '*.go' | grep -v '\.pb\.')
