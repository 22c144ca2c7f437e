# The commands of this project. `make` alone lists them.
# Needs python3 (3.11 or newer), pip and make; everything else is installed below .tools and .venv.

PYTHON ?= python3
WORKERS ?= 2
SEEDS ?= 2000
# Works in an empty environment too (`env -i make test`).
ifeq ($(strip $(PATH)),)
export PATH := /usr/local/bin:/usr/bin:/bin
endif
UV := $(shell command -v uv 2>/dev/null || echo .tools/bin/uv)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

export UV_PYTHON_PREFERENCE := only-system
export UV_PYTHON_DOWNLOADS := never
# Trust what the operating system trusts, as pip does: networks with an authority of their own work without more.
export UV_SYSTEM_CERTS := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# Without a home directory the caches stay inside the clone.
ifeq ($(strip $(HOME)),)
export UV_CACHE_DIR ?= $(CURDIR)/.tools/cache/uv
export XDG_CACHE_HOME ?= $(CURDIR)/.tools/cache
endif

.DEFAULT_GOAL := help
.PHONY: help install demo test simulate bench check fmt proto proto-image requirements clean

help: ## list the targets
	@echo "make TARGET"
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(READY) ## make .venv with exactly what requirements/dev.txt pins

demo: $(READY) ## four regions agree, exchange 5,000 transfers, lose one, restore one, take fraud back; every promise checked
	$(BIN)/hutong demo $(ARGS)

test: $(READY) ## all tests, the simulation's seeds among them (ARGS="-k name")
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal $(ARGS)

simulate: $(READY) ## more simulated histories (SEEDS=2000)
	$(BIN)/python -m tests.simulation --seeds $(SEEDS) $(ARGS)
	$(BIN)/python -m tests.simulation --restores --seeds $(SEEDS) $(ARGS)
	$(BIN)/python -m tests.simulation --dealings --seeds $(SEEDS) $(ARGS)
	$(BIN)/python -m tests.simulation --dealings --restores --seeds $(SEEDS) $(ARGS)

bench: $(READY) ## measure and write benchmarks/results.json (QUICK=1 for under three minutes)
	$(BIN)/python -m benchmarks $(if $(QUICK),--quick) $(ARGS)

check: $(READY) ## static checks: style, types, import rules, wire format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python proto/generate.py --check
	XDG_CACHE_HOME=$(CURDIR)/.tools/cache $(BIN)/buf lint proto
	XDG_CACHE_HOME=$(CURDIR)/.tools/cache $(BIN)/buf breaking proto --against proto/image.binpb

fmt: $(READY) ## format and sort imports
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

proto: $(READY) ## generate gateway/v1 from proto/
	$(BIN)/python proto/generate.py

proto-image: $(READY) ## accept today's proto/ as what later versions must stay compatible with
	XDG_CACHE_HOME=$(CURDIR)/.tools/cache $(BIN)/buf build proto --path proto/gateway --exclude-source-info -o proto/image.binpb

requirements: $(UV) ## pin requirements/*.txt again from requirements/*.in (ARGS=--upgrade)
	$(UV) pip compile $(ARGS) --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
	    --quiet requirements/runtime.in -o requirements/runtime.txt
	$(UV) pip compile $(ARGS) --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
	    --quiet requirements/dev.in -o requirements/dev.txt

clean: ## remove what was installed and cached
	rm -rf $(VENV) .tools .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis build dist

.tools/bin/uv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; name one with make PYTHON=...")'
	$(PYTHON) -m pip install --quiet --root-user-action=ignore --target .tools uv

# The stamp is newer than all that decides what is installed, so the second time costs nothing.
$(READY): requirements/dev.txt pyproject.toml | $(UV)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; name one with make PYTHON=...")'
	test -x $(BIN)/python || $(UV) venv --quiet --python "$$(command -v $(PYTHON))" $(VENV)
	$(UV) pip sync --quiet --python $(BIN)/python --require-hashes requirements/dev.txt
	$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $(READY)
