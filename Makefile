# SPDX-FileCopyrightText: The ttrpc Authors
# SPDX-License-Identifier: Apache-2.0

# All of this needs Go and nothing else, but for the race detector, which needs a
# C compiler; generators, which wants protoc; and interop, which leaves out the peers
# in Rust without cargo, and containerd without root. The tools are pinned in modules of their own, apart from the go.mod
# that users get.

# Modules with tests that need nothing but the library itself.
MODULES := . cmd/ttrpc-gen
FUZZTIME ?= 30s

.PHONY: help build test race lint cover api protos check-protos fuzz bench bench-compare bench-quick integration example tidy generators interop soak stubs defects
.DEFAULT_GOAL := help

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## compile every package and command
	@set -e; for m in $(MODULES); do (cd $$m && go build ./...); done

test: ## run the tests, shuffled, under the race detector
	@set -e; for m in $(MODULES); do (cd $$m && go test -race -shuffle=on ./...); done

race: ## run the tests on one and on many threads, under the race detector, uncached
	go test -race -shuffle=on -count=2 -cpu=1,4 ./...

lint: ## check format and code
	.ci/lint

cover: ## measure the coverage of the library; fails below 90 %
	.ci/cover

api: ## compare the exported API with v1.2.10's
	.ci/api

protos: ## generate the Go code of the .proto files that protos.txt lists
	cd cmd/ttrpc-gen && go run ./internal/protos

check-protos: ## check that the generated code is current
	cd cmd/ttrpc-gen && go run ./internal/protos -check

fuzz: ## run every fuzz target for FUZZTIME (default 30s)
	FUZZTIME=$(FUZZTIME) .ci/fuzz

bench: ## run the benchmarks
	go test -run '^$$' -bench . -benchmem ./...

bench-compare: ## measure against the released v1.2.10, grpc-go and drpc, in some 15 minutes
	cd bench && go run ./compare && go run ./grow

bench-quick: ## measure against the released v1.2.10 in 90 seconds
	cd bench && go run ./compare -quick

integration: ## run the streaming tests over real sockets
	go test -race -count=1 ./integration/...

example: ## run a server and a client in one process, and show what goes over the wire
	go run ./example/cmd demo

tidy: ## tidy every go.mod that users get
	go mod tidy
	cmd/ttrpc-gen/tidy

generators: ## generate code by ttrpc-gen, protoc, buf and protobuild, and compare it
	cd integration/generators && go run .

interop: ## run against released versions, ttrpc-rust, containerd, and the tests of users
	cd integration/interop && go run .

soak: ## load a server for 20 minutes, and watch what it holds
	go run ./integration/soak -for 20m

stubs: ## run the stubs of all generators, ours and upstream's, with all libraries
	cd integration/stubs && go run .
	cd integration/gogo && go run .

defects: ## show that the regression tests fail on the released v1.2.10
	cd integration/upstream && go run .
