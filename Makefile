# Every target sets itself up first where that is missing. `make help` lists them.
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

# Tests that wait (for a lease, a restart) leave room for others, so more run than there are cores.
JOBS ?= 4

.PHONY: help setup test lint types contracts unit demo serve bench bench-peers flame chaos fuzz outages conformance test-compose two-regions step-language lock clean
.DEFAULT_GOAL := help

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: $(READY)  ## make .venv with everything, from the hashed lock file

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Sidestep needs Python 3.11 or later: make setup PYTHON=python3.12"; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check 'uv>=0.9,<1'
	@$(BIN)/uv pip sync --quiet --compile-bytecode --python $(BIN)/python --require-hashes requirements.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@$(BIN)/python -m compileall -q -j 0 core adapters api cli localcloud
	@touch $(READY)

test: lint types contracts unit  ## linters, types, import contracts and every test

lint: $(READY)  ## ruff: rules and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)  ## mypy, strict
	$(BIN)/mypy

contracts: $(READY)  ## import-linter: layers, purity, independence
	$(BIN)/lint-imports

unit: $(READY)  ## every test
	$(BIN)/pytest -n $(JOBS) --dist loadfile

demo: $(READY)  ## watch a cloud go dark and every execution complete
	$(BIN)/sidestep demo

serve: $(READY)  ## the server on 127.0.0.1:3000, with the clouds on loopback
	$(BIN)/sidestep serve --localcloud

bench: $(READY)  ## the table of benchmarks (five minutes; SECONDS=2 a repetition, JSON=FILE, RATIOS=FILE, DOCS=docs/performance.md)
	$(BIN)/python -m benchmarks --seconds $(or $(SECONDS),2) $(if $(JSON),--json $(JSON)) $(if $(RATIOS),--ratios $(RATIOS)) $(if $(DOCS),--docs $(DOCS))

bench-peers: $(READY)  ## other engines beside ours, by an outside harness (PEERS=DIR, ENGINES="sidestep-always restate", JSON=, DOCS=)
	@test -n "$(PEERS)" || { echo "PEERS names no folder: make bench-peers PEERS=DIR (docs/performance.md says what it holds)"; exit 2; }
	$(BIN)/python -m benchmarks.peers $(PEERS) $(if $(ENGINES),--engines "$(ENGINES)") $(if $(SECONDS),--seconds $(SECONDS)) $(if $(JSON),--json $(JSON)) $(if $(DOCS),--docs $(DOCS))

flame: $(READY)  ## where the time goes: the server under load, as a flame graph in docs/
	$(BIN)/python -m benchmarks.profile $(if $(SECONDS),--seconds $(SECONDS)) --docs docs/performance.md --svg docs/flame.svg

chaos: $(READY)  ## ten minutes of faults under load, and an audit (SEED=1)
	$(BIN)/python -m chaos --minutes 10 --executions 20000 --workers 3 --apis 2 --seed $(or $(SEED),1)

fuzz: $(READY)  ## what strangers send, changed at random and guided by coverage (SECONDS=180, for each of five targets)
	$(BIN)/python -m tests.fuzz --seconds $(or $(SECONDS),180)

outages: $(READY)  ## every outage against the real server and three baselines: one table (an hour; it can be resumed)
	$(BIN)/python -m outages --docs docs/outages.md

conformance: $(READY)  ## state machines that were recorded on AWS, run here (CASES=DIR)
	$(BIN)/python -m tests.conformance $(if $(CASES),--cases $(CASES)) --report docs/conformance.md

test-compose: $(READY)  ## docker-compose.yml for real: build, start, break under load, audit
	$(BIN)/python -m rehearsals.containers

two-regions: $(READY)  ## the first region dies: what is lost, and how long it takes
	$(BIN)/python -m rehearsals.two_regions

step-language: $(READY)  ## every kind of step on both stores, killed in the middle and compared (20 minutes)
	$(BIN)/python -m rehearsals.step_language

lock: $(READY)  ## solve the dependencies anew
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
	  --no-emit-index-url --no-annotate --extra dev --upgrade pyproject.toml -o requirements.lock
	# For the image: the same versions, without what only development needs; and what builds the wheel.
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
	  --no-emit-index-url --no-annotate --constraint requirements.lock pyproject.toml -o requirements-run.lock
	echo 'hatchling>=1.25' | $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	  --no-header --no-emit-index-url --no-annotate --constraint requirements.lock - -o requirements-build.lock

clean:  ## remove what was made
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
