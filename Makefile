# `make test` and `make demo` need Python 3.11 or later and, the first time, the package index.
# `make help` lists the rest. `make test ARGS="tests/core -k cookie"` runs a part.

PYTHON ?=
ARGS ?=
MINUTES ?= 5
FULL ?=
VENV := .venv
BIN := $(VENV)/bin
CODE := src adapters tests examples .ci
READY := $(VENV)/.ready
READY_DOCS := $(VENV)/.ready-docs
READY_BENCH := $(VENV)/.ready-bench
READY_FUZZ := $(VENV)/.ready-fuzz
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check
export NO_MKDOCS_2_WARNING := 1

.DEFAULT_GOAL := help
.PHONY: help test demo demo-check lint format types imports wheel docs scale two-parties bench schedules prove \
  fuzz modes torture check clean
.SUFFIXES:
.DELETE_ON_ERROR:

help: ## List what make can do here
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

test: $(READY) ## Run the tests on all cores; ARGS go to pytest
	@$(BIN)/python -m pytest -n auto --maxprocesses=8 --dist=worksteal $(ARGS)

demo: $(READY) ## Run the demonstration: one sign-in, two frameworks
	@$(BIN)/python examples/demo $(ARGS)

demo-check: $(READY) ## Run the demonstration against itself, without a browser
	@$(BIN)/python examples/demo --check $(ARGS)

lint: $(READY) ## Check style and layout
	@$(BIN)/ruff check --quiet $(wildcard $(CODE))
	@$(BIN)/ruff format --quiet --check $(wildcard $(CODE)) \
	  || { echo 'run `make format`' >&2; exit 1; }

format: $(READY) ## Lay out the code, and mend what can be mended safely
	@$(BIN)/ruff check --quiet --fix-only $(wildcard $(CODE))
	@$(BIN)/ruff format --quiet $(wildcard $(CODE))

types: $(READY) ## Check types, strictly, with mypy and pyright
	@$(BIN)/mypy --no-error-summary
	@$(BIN)/pyright --warnings

imports: $(READY) ## Check who may import whom
	@$(BIN)/lint-imports --no-logo

wheel: $(READY) ## Build the wheel, install it into an empty environment, import it there
	@$(BIN)/python .ci/wheel.py

docs: $(READY_DOCS) ## Build the documentation into site/; a warning is an error
	@$(BIN)/mkdocs build --quiet --strict

scale: $(READY) ## Write the page on many sessions from its model
	@$(BIN)/python -m tests.scale.page

two-parties: $(READY) ## Write the page on two parties to one session from its tests
	@$(BIN)/python -m tests.two_parties.page

bench: $(READY_BENCH) ## Measure
	@$(BIN)/python -m tests.benchmarks $(ARGS)

schedules: $(READY) ## Try requests in every order of their store calls; ARGS="--store URL"
	@$(BIN)/python -m tests.schedules $(ARGS)

prove: $(READY) ## Break a copy of the code in many ways; the tests must notice each
	@$(BIN)/python -m tests.prove $(ARGS)

fuzz: $(READY_FUZZ) ## Try to break it: MINUTES=30, or FULL=1 for what a release needs
	@$(BIN)/python -m tests.fuzz --minutes $(MINUTES) $(if $(FULL),--full) $(ARGS)

modes: $(READY) ## Run the tests under python -O, then under python -X dev
	@PYTHONOPTIMIZE=1 $(BIN)/python -m pytest -n auto --maxprocesses=8 --dist=worksteal \
	  -W 'ignore:assertions not in test modules:pytest.PytestConfigWarning' $(ARGS)
	@PYTHONDEVMODE=1 $(BIN)/python -m pytest -n auto --maxprocesses=8 --dist=worksteal $(ARGS)

torture: $(READY) ## Torture every kind of store for a minute, and again with kills; see --help
	@$(BIN)/python -m tests.torture $(ARGS)

check: ## Do all that CI does
	@.ci/run

clean: ## Remove .venv and everything that was built
	@rm -rf $(VENV) build dist site .mypy_cache .ruff_cache .pytest_cache .hypothesis \
	  .import_linter_cache
	@find $(wildcard $(CODE)) -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@for candidate in $(PYTHON) python3.11 python3 python3.14 python3.13 python3.12 python; do \
	  if "$$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	    echo "setting up $(VENV) with $$("$$candidate" --version)"; \
	    exec "$$candidate" -m venv $(VENV); \
	  fi; \
	done; \
	echo 'Python 3.11 or later is needed and was not found: install it, or say where it is:' >&2; \
	echo '    make test PYTHON=/path/to/python3.11' >&2; \
	exit 1

# Only a changed pyproject.toml needs the package index again.
$(READY): pyproject.toml | $(BIN)/python
	@$(PIP_INSTALL) --editable '.[dev]'
	@touch $@

$(READY_DOCS): pyproject.toml | $(READY)
	@$(PIP_INSTALL) --editable '.[docs]'
	@touch $@

$(READY_FUZZ): pyproject.toml | $(READY)
	@$(PIP_INSTALL) --editable '.[fuzz]'
	@touch $@

$(READY_BENCH): pyproject.toml | $(READY)
	@$(PIP_INSTALL) --editable '.[bench]'
	@touch $@
