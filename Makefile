# `make run` serves the app, `make test` checks and tests everything, `make quick` runs the tests
# that need no browser and are not slow; CONTRIBUTING.md has the others. Each sets up what it needs,
# once.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
PORT ?= 8501
# Checks, lints and formats the JavaScript (deno.json); it asks the network for nothing.
DENO := DENO_NO_UPDATE_CHECK=1 $(BIN)/deno
# Tests run side by side in processes of one thread (tests/conftest.py): one more than there are
# cores, as a test that drives a browser often waits; four at most.
WORKERS ?= $(shell expr `getconf _NPROCESSORS_ONLN` + 1)
PYTEST := $(BIN)/python -m pytest -n $(WORKERS) --maxprocesses 4 --dist worksteal

.PHONY: run test quick gpu check-python check-js lint bench docs wheel clean

run: $(VENV)/.run
	$(BIN)/streamlit run app.py --server.port $(PORT)

test: check-python check-js
	$(BIN)/python -m tests.support.setup_programs
	$(PYTEST)

quick: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(PYTEST) -q -m "not browser and not slow"

# A machine without a browser leaves out what needs one.
gpu: $(VENV)/.test
	-$(BIN)/python -m tests.support.setup_programs
	$(BIN)/python -m benchmarks.gpu

check-python: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

check-js: $(VENV)/.test
	$(DENO) check --quiet --no-remote 'nlviz/**/*.js'
	$(DENO) lint --quiet
	$(DENO) fmt --quiet --check

lint: $(VENV)/.test
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(BIN)/mypy
	$(DENO) fmt --quiet

bench: $(VENV)/.test
	$(BIN)/python -m tests.support.setup_programs
	$(BIN)/python -m benchmarks

docs: $(VENV)/.docs
	$(BIN)/sphinx-build -W --keep-going -q -c tools . build/docs
	@echo "Open build/docs/index.html"

wheel: $(VENV)/bin/python
	rm -rf dist
	$(PIP) wheel --no-deps --wheel-dir dist .
	@ls dist/*.whl

clean:
	rm -rf $(VENV) build dist

# The stamps are newer than what they were made from, so a second `make` installs nothing.
$(VENV)/.run: requirements.txt | $(VENV)/bin/python
	@echo "Installing what the app needs (a few minutes, once) …"
	$(PIP) install -r requirements.txt
	@touch $@

$(VENV)/.test: requirements-dev.txt requirements-notebook.txt $(VENV)/.run $(VENV)/.docs
	$(PIP) install -r requirements-dev.txt -r requirements-notebook.txt
	@touch $@

$(VENV)/.docs: requirements-docs.txt | $(VENV)/bin/python
	$(PIP) install -r requirements-docs.txt
	@touch $@

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "nlviz needs Python 3.11 or newer; run: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || \
		{ rm -rf $(VENV); echo "Python cannot make a virtual environment; on Debian: apt-get install python3-venv" >&2; exit 1; }
