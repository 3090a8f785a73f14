# Everything a new machine needs, and everything that is checked. `make run` and `make test` are all a newcomer has to know.

PYTHON ?= $(shell scripts/python)
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/pip install --quiet --disable-pip-version-check --no-input
LOCKED := --require-hashes --only-binary :all:
# Compiles, so it takes a minute. Needs a C compiler (Debian: apt-get install gcc libc6-dev python3-dev).
WHEEL := AIBRIDGE_COMPILED=1 $(BIN)/pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation .
CLIENTS := .venvs/clients-1 .venvs/clients-2 .venvs/clients-3

.PHONY: run test test-compiled check lint cover clients bench e2e fuzz wheel gen lock clean

run: $(VENV)/run
	@exec $(BIN)/aibridge server $(ARGS)

test: $(VENV)/dev clients
	$(BIN)/pytest -n 2 --dist loadgroup $(ARGS)

# What the compiled modules do, by the tests of the interpreted ones.
test-compiled: .venvs/compiled/ready
	PYTHONPATH=$$(echo $(CURDIR)/.venvs/compiled/lib/python*/site-packages) $(BIN)/pytest -n 2 --dist loadgroup \
	  $(or $(ARGS),tests/gateway tests/ledger tests/limits tests/overload tests/reliability tests/server tests/wire)

check: lint cover

lint: $(VENV)/dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python scripts/gen.py --check

cover: $(VENV)/dev
	$(BIN)/pytest -n 2 -m "not thorough" tests/overload tests/wire --cov --cov-report=term-missing:skip-covered

# What `test` needs besides the development environment.
clients: $(CLIENTS:=/ready)

# One core for what is measured, the other for everything else. Needs nginx and wrk (Debian: apt-get install nginx-light wrk).
# The compiled build is measured where it can be made, unless there is --interpreted in ARGS.
bench: $(VENV)/dev .venvs/bench/ready
	@$(if $(findstring --interpreted,$(ARGS)),true,! scripts/compiles $(BIN)/python) || $(MAKE) --no-print-directory .venvs/compiled/ready
	$(BIN)/python -m bench $(ARGS)

# Claude Code and Codex, for real and offline. Large downloads (400 MB each), hence not a part of `test`.
e2e: $(VENV)/dev
	npm ci --prefix tests/e2e --no-audit --no-fund
	$(BIN)/pytest tests/e2e --run-e2e $(ARGS)

# The API's contract for longer, with other requests each time.
fuzz: $(VENV)/dev
	SCHEMATHESIS_EXAMPLES=$(or $(EXAMPLES),40) SCHEMATHESIS_SEED=$$(date +%s) $(BIN)/pytest tests/contract/test_api_fuzz.py -n 2 --dist loadgroup

# A wheel in dist/ whose hot modules are compiled to C, for this Python and this platform.
wheel: $(VENV)/dev
	$(WHEEL) -w dist

gen: $(VENV)/dev
	$(BIN)/python scripts/gen.py

# Rewrites the locks from requirements/*.in; the only target that needs uv. Extras stay in the names: pip before 23.1
# takes `a[b]` for something that is not pinned where only `a` is, as soon as there is a newer `a`.
lock:
	cd requirements && for name in run dev clients-1 clients-2 clients-3 bench; do \
	  uv pip compile --quiet --no-strip-extras --universal --python-version 3.11 --generate-hashes \
	    --custom-compile-command 'make lock' -o $$name.txt $$name.in || exit 1; \
	done

clean:
	rm -rf $(VENV) .venvs build dist

# An environment is made anew when its lock or the project's metadata changes.
$(VENV)/run: requirements/run.txt pyproject.toml | $(VENV)/made
	$(PIP) $(LOCKED) -r requirements/run.txt
	$(PIP) --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/dev: requirements/dev.txt pyproject.toml | $(VENV)/made
	$(PIP) $(LOCKED) -r requirements/dev.txt
	$(PIP) --no-deps --no-build-isolation -e .
	@touch $@ $(VENV)/run

$(VENV)/made:
	@scripts/venv $(PYTHON) $(VENV)
	@touch $@

.venvs/compiled/ready: requirements/run.txt pyproject.toml hatch_build.py requirements/dev.txt $(shell find src -type d -o -type f -not -path '*/__pycache__/*' -not -name __pycache__) | $(VENV)/dev
	@scripts/venv $(PYTHON) $(@D)
	$(WHEEL) -w $(@D)/wheel
	$(@D)/bin/pip install --quiet --disable-pip-version-check --no-input $(LOCKED) -r $<
	$(@D)/bin/pip install --quiet --disable-pip-version-check --no-input --no-deps $(@D)/wheel/*.whl
	@touch $@

.venvs/%/ready: requirements/%.txt
	@scripts/venv $(PYTHON) $(@D)
	$(@D)/bin/pip install --quiet --disable-pip-version-check --no-input $(LOCKED) -r $<
	@touch $@
