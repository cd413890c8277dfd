# One door: `make run` (the main job), `make test` (all tests), `make check` (all that CI checks).
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# Three processes of tests for two cores, for a test often waits for a disk or for another process;
# each has a PostgreSQL server of its own. WORKERS=0 for one alone.
WORKERS ?= $(shell $(PYTHON) -c 'import os; print(3 * os.cpu_count() // 2)')
PYTEST := -m pytest --numprocesses=$(WORKERS) --maxprocesses=8 --dist=loadscope --no-loadscope-reorder
# Each branch of these four is reached by the tests of the four themselves: measured are those
# alone, for measuring makes a test slower by half.
MEASURED := tests/core tests/sealing tests/log tests/services

.PHONY: run demo test check lint types contracts coverage others words verifier bench images format clean

run: $(VENV)/.ready  ## the pages, with a trial for testing, on this machine alone
	$(BIN)/alloc quickstart

demo: $(VENV)/.ready  ## the whole life of a simulated trial, in a temporary folder
	$(BIN)/alloc demo

test: $(VENV)/.ready  ## all tests
	$(BIN)/python $(PYTEST)

check: lint types contracts coverage others  ## what CI runs; each test once

lint: $(VENV)/.ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.ready
	$(BIN)/mypy

contracts: $(VENV)/.ready
	$(BIN)/lint-imports

coverage: $(VENV)/.ready  ## the tests of core, sealing, log and services, and every branch of the four
	rm -rf .coverage && mkdir .coverage
	$(BIN)/coverage run $(PYTEST) $(MEASURED)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report --fail-under=100

others: $(VENV)/.ready  ## all other tests
	$(BIN)/python $(PYTEST) $(MEASURED:%=--ignore=%)

words: $(VENV)/.ready  ## write the catalogue of the pages' strings anew
	$(BIN)/python -m tests.support.catalogue

verifier: $(VENV)/.ready  ## write the stand-alone verifier of bundles anew
	$(BIN)/python -m alloc_service.log.build_verifier

bench: $(VENV)/.ready  ## each figure a ratio to a floor measured in the same run
	$(BIN)/python -m bench

images: $(VENV)/.ready  ## the pictures of the pages; needs Chromium
	PYTHONPATH=. $(BIN)/python docs/images/make.py

format: $(VENV)/.ready
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) .coverage .mypy_cache .ruff_cache .pytest_cache .import_linter_cache *.egg-info build

$(VENV)/.ready: setup.cfg pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed; name it with: make PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	PYTHONWARNINGS=ignore $(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@
