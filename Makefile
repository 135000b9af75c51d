# Two commands on a fresh machine: `make demo` and `make test`. What has to be installed or started is `imparcial setup`'s
# business; this file only calls it. `make help` lists the rest.

TARGET    := x86_64-unknown-linux-gnu
IMPARCIAL := target/$(TARGET)/debug/imparcial
REFERENCE := scenarios/seed/reference
# Labs need the engine and the control groups: root, or sudo.
SUDO      := $(shell [ "$$(id -u)" = 0 ] || echo sudo -E)
# Labs at once; by default as memory and cores allow.
JOBS      ?=

# The tools that `bench` compares with: not needed for anything else.
PEERS     := target/peers

.DEFAULT_GOAL := help
.PHONY: help build setup setup-vms demo test test-all test-vms unit mutants mutants-all lint installed-vms compiled bench bench-peers peers

help: ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

build:
	cargo build

setup: build ## install and start what labs need; the second time it does nothing
	$(SUDO) $(IMPARCIAL) setup

setup-vms: build installed-vms ## the same, and a lab that has a hypervisor: 4 GB more

demo: build ## the main job: grade the bundled reference submission from nothing to reports
	$(IMPARCIAL) inspect $(REFERENCE)
	$(IMPARCIAL) plan $(REFERENCE) --scenario seed
	$(SUDO) $(IMPARCIAL) setup
	$(SUDO) $(IMPARCIAL) grade $(REFERENCE) --scenario seed

# What set-up waits for is the network and the disk: the compiler works meanwhile.
test: build ## what must pass: lints, tests (a small virtual machine boots), and a sample of the mutants
	$(MAKE) --no-print-directory --jobs 2 installed-vms compiled
	$(MAKE) --no-print-directory unit mutants

installed-vms:
	$(SUDO) $(IMPARCIAL) setup --vms

compiled: lint
	cargo test --no-run

test-all: setup-vms lint unit mutants-all ## the same with every mutant, and no check waits less than its scenario says; takes long

# Alone on the machine: what is left behind is looked for on all of it.
test-vms: setup-vms ## the whole exam on four virtual machines, from clean and from a snapshot, machines that were asked for badly, and kill -9 in the middle: before a release
	$(SUDO) env "PATH=$$PATH" cargo test --test it -- --ignored --nocapture --test-threads 1 vms guests

unit:
	$(SUDO) env "PATH=$$PATH" cargo test

mutants: build ## a sample of the mutants, of every kind: each must fail exactly its own check, pass, or stay undecided
	$(SUDO) $(IMPARCIAL) mutants --scenario seed --machines sample --services sample $(if $(JOBS),--jobs $(JOBS)) --patience 12s
	$(SUDO) $(IMPARCIAL) mutants --scenario recovery --machines sample $(if $(JOBS),--jobs $(JOBS))

mutants-all: build ## every mutant of every scenario, at full patience
	$(SUDO) $(IMPARCIAL) mutants --scenario seed $(if $(JOBS),--jobs $(JOBS))
	$(SUDO) $(IMPARCIAL) mutants --scenario parcial-2-2019 $(if $(JOBS),--jobs $(JOBS))
	$(SUDO) $(IMPARCIAL) mutants --scenario parcial-3-2018 $(if $(JOBS),--jobs $(JOBS))
	$(SUDO) $(IMPARCIAL) mutants --scenario recovery $(if $(JOBS),--jobs $(JOBS))

lint: ## formatting, clippy with warnings denied, and licences where cargo-deny is installed
	cargo fmt --check
	cargo clippy --all-targets --quiet -- -D warnings
	@if cargo deny --version >/dev/null 2>&1; then cargo deny --offline check bans licenses sources; else echo "cargo-deny is not installed: licences not checked"; fi

bench: setup ## what the harness costs over the same steps by hand, what a look costs, and other tools where they are installed
	$(SUDO) env "PATH=$(CURDIR)/$(PEERS)/bin:$$PATH" $(IMPARCIAL) bench $(REFERENCE) --scenario seed

bench-peers: peers bench ## the same, after installing the other tools: bats from apt, pytest-testinfra from PyPI below target/

peers:
	command -v bats >/dev/null || $(SUDO) apt-get install -y --no-install-recommends bats
	python3 -c 'import ensurepip' 2>/dev/null || $(SUDO) apt-get install -y --no-install-recommends python3-venv
	$(PEERS)/bin/python -c 'import testinfra' 2>/dev/null || { python3 -m venv $(PEERS) && $(PEERS)/bin/pip install --quiet pytest-testinfra; }
