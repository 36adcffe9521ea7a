# What one does with Bobchat. `make` alone lists it.
#
# Cargo is always asked for the whole workspace with all targets (`make run` excepted, which builds the
# server alone), so that no two commands build the same crate twice with other features.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules --no-print-directory

WORKSPACE := --workspace --all-targets --locked
# Tests that hold generated files to what they come from; the first writes its file when it is asked to.
GENERATED := cargo test --workspace --locked --test typescript --bin bobchat-proto-generate
STEP := scripts/step
SERVER := target/release/bobchat
SERVER_DEV := target/debug/bobchat
HARNESS_DEV := target/debug/bobchat-loadtest
# All that the browser client is built from.
WEB_SOURCES := $(shell find web \( -name node_modules -o -path web/dist -o -path web/e2e -o -path web/test-results \) -prune \
	-o -type f -not -name '*.tsbuildinfo' -print 2>/dev/null)

.PHONY: help
help: ## Lists what can be made
	@awk 'BEGIN { FS = ":.*## " } /^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' Makefile

.PHONY: run
run: ## Builds what changed and starts the server; ARGS="..." is handed to it
	@scripts/announce "$(SERVER)"
	@$(MAKE) web
	@cargo build --release --locked -p bobchat
	@exec "$(SERVER)" $(ARGS)

.PHONY: cluster
cluster: ## Starts Redis, Cassandra and three nodes that share them, until Ctrl-C
	@scripts/announce "$(SERVER)"
	@scripts/cluster/announce data/cluster
	@scripts/need redis cassandra
	@$(MAKE) web
	@cargo build --release --locked -p bobchat
	@exec scripts/cluster/run "$(SERVER)"

.PHONY: test
test: web loadtest/peers/node_modules/.package-lock.json ## Runs every test: Rust, browser, examples, faults
	@scripts/need faults redis cassandra
	@$(STEP) "Rust tests" cargo test $(WORKSPACE) --no-fail-fast
	@$(STEP) "Rust doc tests" cargo test --workspace --locked --doc
	@scripts/need chromium
	@$(STEP) "browser tests" env BOBCHAT_BIN="$(CURDIR)/$(SERVER_DEV)" npm --prefix web run e2e
	@scripts/need python jq
	@$(STEP) "examples" scripts/test-examples $(SERVER_DEV)
	@scripts/need schemathesis
	@$(STEP) "REST document" scripts/schemathesis $(SERVER_DEV) brief
	@scripts/need promtool
	@$(STEP) "alerts" promtool test rules monitoring/prometheus/rules.test.yaml

# Builds as the workspace's tests have it: bugs can be planted in it.
HARNESS := cargo build --locked -p bobchat -p bobchat-loadtest -p bobchat-simulation

.PHONY: torture
torture: ## Breaks real servers under clients whose every message is checked; ARGS="--store cluster --nodes 3 --seed 7"
	@case "$(ARGS)" in *cluster*) scripts/need redis cassandra ;; esac
	@case "$(ARGS)" in *clock*) scripts/need faketime ;; esac
	@$(HARNESS)
	@target/debug/bobchat-loadtest torture run $(ARGS)

.PHONY: torture-planted
torture-planted: ## Plants each bug that a process can show and sees it found (some minutes); ARGS="--store embedded"
	@scripts/need redis cassandra
	@$(HARNESS)
	@target/debug/bobchat-loadtest torture planted $(ARGS)

.PHONY: torture-cluster
torture-cluster: ## The tests of a cluster's faults, each as long as it is promised to be outlived (some ten minutes)
	@scripts/need redis cassandra
	@BOBCHAT_TORTURE=1 cargo test --locked --test cluster $(ARGS) -- --nocapture

VERSION = $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)

.PHONY: image
image: ## Builds the container image bobchat, with podman or docker
	@engine=$$(command -v podman || command -v docker) || { echo "this takes podman or docker" >&2; exit 1; }; \
	"$$engine" build $$(case $$engine in *podman) echo --format docker;; esac) --tag bobchat --tag bobchat:$(VERSION) \
	  --build-arg "VERSION=$(VERSION)" --build-arg "REVISION=$$(git rev-parse HEAD)" .

.PHONY: test-ops
test-ops: ## Tries dashboards, traces, runbooks, chart, image and compose files as they are meant to be run (some 15 minutes, as root)
	@scripts/need cassandra compose containers helm jaeger jq kube-apiserver promtool redis
	@$(STEP) "versions" scripts/ops/versions
	@$(STEP) "build" $(HARNESS)
	@$(STEP) "chart" target/tools/venv/bin/python scripts/ops/test-chart $(SERVER_DEV)
	@$(STEP) "chart, installed" target/tools/venv/bin/python scripts/ops/test-kubernetes
	@$(STEP) "Dockerfile" target/tools/venv/bin/hadolint Dockerfile
	@$(MAKE) --jobs 2 ops-observed ops-images
	@$(STEP) "image, run" scripts/ops/test-image localhost/bobchat
	@$(STEP) "compose" scripts/ops/test-compose localhost/bobchat
	@$(STEP) "backup" target/tools/venv/bin/python scripts/ops/test-backup $(SERVER_DEV) $(HARNESS_DEV)
	@$(STEP) "upgrade" target/tools/venv/bin/python scripts/ops/test-upgrade $(SERVER_DEV) $(HARNESS_DEV)

# At once: the first waits most of its time, the second compiles.
.PHONY: ops-observed ops-images
ops-observed:
	@$(STEP) "observed" target/tools/venv/bin/python scripts/ops/test-observed $(SERVER_DEV) $(HARNESS_DEV)
ops-images:
	@$(STEP) "image" scripts/ops/build-image localhost/bobchat
	@$(STEP) "stand-ins" scripts/ops/stand-ins

.PHONY: simulate
simulate: ## Runs the server in simulated time: SEEDS=5000 for more seeds, ARGS="cluster --seed 17 --tell" for one
	@cargo build --locked -p bobchat-simulation
	@target/debug/bobchat-simulation --seeds $(or $(SEEDS),200) $(ARGS)

.PHONY: autobahn
autobahn: ## Holds server and client to the WebSocket standard with Autobahn's suite (some ten minutes)
	@scripts/need autobahn
	@scripts/autobahn/run

.PHONY: fuzz
fuzz: ## Fuzzes what strangers can reach, each target for SECONDS=60; TARGET=NAME for one
	@scripts/need cargo-fuzz
	@scripts/fuzz $(or $(SECONDS),60) $(TARGET)

.PHONY: schemathesis
schemathesis: ## Tries the REST API against its own document, with every check (some minutes)
	@scripts/need schemathesis
	@cargo build --locked -p bobchat
	@scripts/schemathesis $(SERVER_DEV) all

.PHONY: quick
quick: web/node_modules/.package-lock.json ## The checks and tests that answer within minutes
	@$(STEP) "format" cargo fmt --all --check
	@$(STEP) "clippy" cargo clippy $(WORKSPACE) -- -D warnings
	@$(STEP) "Rust unit tests" cargo test --workspace --locked --lib --bins
	@$(STEP) "web types" npm --prefix web run typecheck
	@$(STEP) "web unit tests" npm --prefix web run test

.PHONY: check
check: web/node_modules/.package-lock.json ## Format, lints, documentation, dependencies, generated files, web
	@$(STEP) "format" cargo fmt --all --check
	@$(STEP) "clippy" cargo clippy $(WORKSPACE) -- -D warnings
	@$(STEP) "clippy of what is shipped" cargo clippy --workspace --exclude bobchat-simulation --locked -- -D warnings
	@$(STEP) "Rust documentation" env RUSTDOCFLAGS="-D warnings -A rustdoc::private_intra_doc_links" \
		cargo doc --workspace --locked --no-deps --document-private-items
	@scripts/need cargo-deny
	@$(STEP) "dependencies" scripts/check-dependencies
	@$(STEP) "generated files" $(GENERATED)
	@$(STEP) "dashboards" monitoring/grafana/generate --check
	@$(STEP) "web types" npm --prefix web run typecheck
	@$(STEP) "web lint" npm --prefix web run lint
	@$(STEP) "web unit tests" npm --prefix web run test

.PHONY: bench
bench: ## Measures the server against the floor of this machine and judges it (tens of minutes)
	@cargo build --release --locked -p bobchat
	@cargo build --release --locked -p bobchat-loadtest
	@target/release/bobchat-loadtest bench $(ARGS)

.PHONY: bench-cluster
bench-cluster: ## Measures nodes on real Redis and Cassandra and judges them (most of an hour); ARGS="--row NAME" for one
	@scripts/need redis cassandra
	@cargo build --release --locked -p bobchat
	@cargo build --release --locked -p bobchat-loadtest
	@target/release/bobchat-loadtest bench-cluster $(ARGS)

.PHONY: bench-peers
bench-peers: loadtest/peers/node_modules/.package-lock.json ## Measures Bobchat beside Socket.IO and others (some ten minutes); ARGS="--centrifugo URL --tinode URL"
	@cargo build --release --locked -p bobchat
	@cargo build --release --locked -p bobchat-loadtest
	@target/release/bobchat-loadtest bench-peers $(ARGS)

.PHONY: generate
generate: ## Writes the generated files anew; commit what changes
	@cargo run --locked -p bobchat-proto-generate
	@BOBCHAT_REGENERATE=1 $(GENERATED)
	@monitoring/grafana/generate
	@BOBCHAT_REGENERATE=1 cargo test --workspace --locked --test api the_document_is_the_one

.PHONY: web
web: web/dist/index.html ## Builds the browser client

# Vite writes index.html in every build, and npm the file below in every install: they are the stamps.
web/dist/index.html: web/node_modules/.package-lock.json $(WEB_SOURCES)
	@npm --prefix web run build
	@touch $@

web/node_modules/.package-lock.json: web/package-lock.json web/package.json
	@scripts/need node
	@npm --prefix web ci --no-audit --no-fund
	@touch $@

# What Bobchat is compared with; nothing of it is shipped.
loadtest/peers/node_modules/.package-lock.json: loadtest/peers/package-lock.json loadtest/peers/package.json
	@scripts/need node
	@npm --prefix loadtest/peers ci --no-audit --no-fund
	@touch $@
