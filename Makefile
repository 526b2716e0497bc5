# Everything runs in a virtual environment made on first use; a system Python 3.11 or newer with the
# venv module is all that is needed. No package index is named here: pip's own configuration decides.

PYTHON ?= python3
VENV ?= .venv
# A second index to look for torch in, such as https://download.pytorch.org/whl/cpu.
TORCH_INDEX ?=

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
INSTALL := $(PIP) install --constraint constraints.txt
EXAMPLES := src/itda/data/examples
SOURCES := src tests benchmarks

VENV_DONE := $(VENV)/.venv-done
TORCH_DONE := $(VENV)/.torch-done
ENGINE_DONE := $(VENV)/.engine-done
SERVER_DONE := $(VENV)/.server-done
DEV_DONE := $(VENV)/.dev-done
WEB_DONE := web/node_modules/.web-done

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup demo serve web test check format bench clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo "  PYTHON=python3.12   another interpreter (3.11 or newer)"
	@echo "  TORCH_INDEX=URL     also look for torch there; https://download.pytorch.org/whl/cpu has"
	@echo "                      the CPU build, which on Linux saves several gigabytes of CUDA"

setup: $(DEV_DONE) ## make .venv with all that development needs

demo: $(ENGINE_DONE) ## set up, fold ubiquitin after relatives and alone, compare both with the experiment
	$(BIN)/itda fold $(EXAMPLES)/ubiquitin.fasta --out demo --max-template-identity 0.4 --overwrite
	$(BIN)/itda compare $(EXAMPLES)/1ubq.cif demo/ubiquitin.cif
	@echo
	@echo "The same without templates, from the sequence alone:"
	$(BIN)/itda fold $(EXAMPLES)/ubiquitin.fasta --out demo/alone --templates none --overwrite
	$(BIN)/itda compare $(EXAMPLES)/1ubq.cif demo/alone/ubiquitin.cif

serve: $(SERVER_DONE) ## set up and serve the web page on this machine
	$(BIN)/itda serve

web: $(WEB_DONE) ## fetch the viewer of the web page with npm, which needs Node 20

test: $(DEV_DONE) ## set up and run the tests, side by side
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile

check: $(DEV_DONE) ## lint, formatting, types, spelling, import order
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/python scripts/undefined_names.py $(SOURCES)
	$(BIN)/mypy
	$(BIN)/mypy benchmarks
	$(BIN)/codespell
	$(BIN)/lint-imports

format: $(DEV_DONE) ## let ruff mend what it can
	$(BIN)/ruff check --fix $(SOURCES)
	$(BIN)/ruff format $(SOURCES)

bench: $(ENGINE_DONE) ## measure start-up and a cold fold; writes benchmarks/results/
	$(BIN)/python benchmarks/cold_start.py

clean: ## remove .venv, caches, builds and the demo's output
	rm -rf $(VENV) web/node_modules build dist demo .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
	find src tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV_DONE):
	@command -v $(PYTHON) >/dev/null || \
	    { echo "itda: $(PYTHON) was not found; install Python 3.11 or newer, or say PYTHON=/path/to/python3." >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "itda: Python 3.11 or newer is needed, and $(PYTHON) is $$($(PYTHON) -V 2>&1); say PYTHON=/path/to/python3.11." >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	    { echo "itda: $(PYTHON) has no venv module; on Debian and Ubuntu: apt install python3-venv." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

# torch comes first and alone, at its pinned version: asked for through itda's own range, the newest
# build with several gigabytes of CUDA libraries would be taken.
$(TORCH_DONE): $(VENV_DONE) constraints.txt
	$(INSTALL) $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX)) "$$(grep '^torch==' constraints.txt)"
	@touch $@

$(ENGINE_DONE): $(TORCH_DONE) pyproject.toml
	$(INSTALL) --quiet --editable '.[engine,search]'
	@touch $@

$(SERVER_DONE): $(TORCH_DONE) pyproject.toml
	$(INSTALL) --quiet --editable '.[server]'
	@touch $@ $(ENGINE_DONE)

$(WEB_DONE): web/package.json web/package-lock.json web/build.mjs web/molstar.js
	@command -v npm >/dev/null || \
	    { echo "itda: npm was not found; install Node.js 20 or newer. Without it the page shows structures with a simpler viewer." >&2; exit 1; }
	cd web && npm ci --no-audit --no-fund && node build.mjs
	@touch $@

$(DEV_DONE): $(TORCH_DONE) pyproject.toml
	$(INSTALL) --quiet --editable '.[dev]'
	@touch $@ $(SERVER_DONE) $(ENGINE_DONE)
