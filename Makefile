# Needs Python >= 3.11 and make; everything else comes from the two lock files into .venv.
PYTHON ?= python3
VENV ?= .venv
WORKERS ?= 2
LOCK_FLAGS ?=

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
# Both stamps install into one venv, and a check's last line should not drown in a test's.
.NOTPARALLEL:
.PHONY: help demo test check bench lock clean

help: ## say what the targets do
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-6s %s\n", $$1, $$2 }' Makefile

demo: $(VENV)/.run ## invoice bundled orders against the built-in sandbox: no account, no network
	$(BIN)/syncd demo

test: $(VENV)/.dev ## every test; a skipped one counts as failed
	$(BIN)/python -m pytest -p tests.no_skips -o faulthandler_timeout=120 -n $(WORKERS) $(PYTEST_FLAGS)

check: $(VENV)/.dev ## style, types, import direction, locks, Dockerfile, manifests, unit file
	$(BIN)/python -m ruff check
	$(BIN)/python -m ruff format --check
	$(BIN)/python -m mypy
	$(BIN)/lint-imports
	$(BIN)/python -m tests.deploy

bench: $(VENV)/.dev ## measure throughput and latency on this machine
	$(BIN)/python -m tests.bench

.PHONY: prove mutants
prove: $(VENV)/.dev ## exactly once: 10,000 schedules of faults and kills, 1,000 stories, then a daemon cut at every commit
	$(BIN)/python -m tests.prove $(PROVE_FLAGS)

mutants: $(VENV)/.dev ## take each guard of exactly-once away and see a test go red
	$(BIN)/python -m tests.prove.mutants

lock: ## pin anew what pyproject.toml asks for; LOCK_FLAGS=--upgrade takes the newest
	@tmp=$$(mktemp -d) && trap 'rm -rf "$$tmp"' EXIT && \
	$(PYTHON) -m venv "$$tmp/venv" && "$$tmp/venv/bin/python" -m pip --disable-pip-version-check install --quiet uv && \
	compile() { "$$tmp/venv/bin/uv" pip compile pyproject.toml --extra postgres --universal --python-version 3.11 \
	  --generate-hashes --no-emit-index-url --no-annotate --no-header --quiet $(LOCK_FLAGS) "$$@" > /dev/null; } && \
	compile --group build -o requirements.lock && \
	compile --group dev --group build -c requirements.lock -o tests/requirements.lock

clean: ## remove the venv, caches and build products
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find syncd tests -type d -name __pycache__ -prune -exec rm -rf {} +

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "syncd needs Python 3.11 or newer; name one: make PYTHON=python3.11 ..." >&2; exit 1; }
	@# A venv without pip (Debian: python3-venv is missing) would look finished to the next run.
	$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }

$(VENV)/.run: requirements.lock pyproject.toml | $(BIN)/python
	$(PIP) install --quiet --require-hashes -r requirements.lock
	$(PIP) install --quiet --no-deps --no-build-isolation -e .
	@# As pip does for every package: an editable one would be compiled at each start where Python must write nothing.
	$(BIN)/python -m compileall -q syncd
	@touch $@

# The second lock holds all of the first, so one installation serves both stamps.
$(VENV)/.dev: tests/requirements.lock pyproject.toml | $(BIN)/python
	$(PIP) install --quiet --require-hashes -r tests/requirements.lock
	$(PIP) install --quiet --no-deps --no-build-isolation -e .
	@# As pip does for every package: an editable one would be compiled at each start where Python must write nothing.
	$(BIN)/python -m compileall -q syncd
	@touch $(VENV)/.run $@
