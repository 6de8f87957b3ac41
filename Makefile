# `make demo` and `make test` set up what they need in .venv: a fresh machine has to have Python 3.11 or newer, and make.
# `make PYTHON=/opt/python/bin/python3 test` names a Python that is not found by itself; `make ARGS=-x test` adds options;
# with ARGS=-n0 the tests run in one process, one after another.

PYTHON ?= $(shell for python in python3.11 python3; do $$python -c \
	'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)
BIN := .venv/bin
STAMP := .venv/stamp
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: setup demo demo-cluster web test proof bench lint types clean

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer, with venv and ensurepip, is missing: neither python3.11 nor" \
	  "python3 is one. On Debian: apt-get install python3 python3-venv. Or: make PYTHON=/path/to/python" >&2; exit 1; }
	$(PYTHON) -m venv .venv
	$(INSTALL) pip hatchling editables
	$(INSTALL) --no-build-isolation --editable . --group dev --group bench
	@touch $@

demo: $(STAMP)
	$(BIN)/python -m examples.partner_service $(ARGS)

demo-cluster: $(STAMP)
	$(BIN)/python -m examples.partner_cluster $(ARGS)

web: $(STAMP)
	$(BIN)/python -m examples.partner_service.web $(ARGS)

test: $(STAMP)
	$(BIN)/python -m pytest -n auto --dist loadfile $(ARGS)

proof: $(STAMP)
	MIMI_PROOF=1 $(BIN)/python -m pytest -s --timeout=3600 $(ARGS)

bench: $(STAMP)
	$(BIN)/python -m benchmarks $(ARGS)

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)
	$(BIN)/mypy
	PATH="$(CURDIR)/$(BIN):$$PATH" pyright --verifytypes mimi_async --ignoreexternal

clean:
	rm -rf .venv dist .coverage* .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
