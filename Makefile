# Rekam. `make` lists what there is.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
MLFLOW_VENV := .venv-mlflow

# `make up` takes these: make up DATA=/tmp/rekam HTTP=127.0.0.1:5001 GRPC=127.0.0.1:50052
DATA ?= .rekam
HTTP ?= 127.0.0.1:5000
GRPC ?= 127.0.0.1:50051
# `make test` hands these to pytest: make test TESTS=tests/unit PYTEST_ARGS="-k filter"
TESTS ?= tests/journeys tests/contracts tests/unit
PYTEST_ARGS ?=
BENCH_ARGS ?=

CLIENTS := proto/pyproject.toml sdk/pyproject.toml plugins/mlflow/pyproject.toml
PROJECTS := pyproject.toml $(CLIENTS)
PROTOS := $(shell find proto -name '*.proto')

.PHONY: help
help: ## Say what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: setup
setup: $(VENV)/.installed proto/.built ## Make .venv with everything pinned, and build the stubs

$(VENV)/.requirements: requirements/runtime.txt requirements/dev.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Rekam needs Python 3.11 or newer (make PYTHON=python3.12)")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@touch $@

$(VENV)/.installed: $(VENV)/.requirements $(PROJECTS)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e proto -e sdk -e plugins/mlflow -e .
	@touch $@

proto/.built: $(VENV)/.requirements proto/build_stubs.py $(PROTOS)
	$(BIN)/python proto/build_stubs.py
	@touch $@

.PHONY: proto
proto: $(VENV)/.requirements ## Build the Python stubs of proto/ (when a .proto changed)
	$(BIN)/python proto/build_stubs.py
	@touch proto/.built

.PHONY: up
up: setup ## Run Rekam here, in the foreground: HTTP 127.0.0.1:5000, gRPC 127.0.0.1:50051, data in ./.rekam
	exec $(BIN)/rekam up --data "$(DATA)" --http "$(HTTP)" --grpc "$(GRPC)"

.PHONY: mlflow
mlflow: setup $(MLFLOW_VENV)/.installed ## Make .venv-mlflow: MLflow's client as users have it, and Rekam's plugin, for the tests

$(MLFLOW_VENV)/.requirements: requirements/mlflow.txt
	test -x $(MLFLOW_VENV)/bin/python || $(PYTHON) -m venv $(MLFLOW_VENV)
	$(MLFLOW_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/mlflow.txt
	@touch $@

# Built by .venv's hatchling: users' environments have no build tools.
$(MLFLOW_VENV)/.installed: $(MLFLOW_VENV)/.requirements $(CLIENTS)
	rm -rf $(MLFLOW_VENV)/editable
	for project in $(dir $(CLIENTS)); do \
		(cd $$project && "$(CURDIR)/$(BIN)/python" -m hatchling build -t wheel:editable -d "$(CURDIR)/$(MLFLOW_VENV)/editable" >/dev/null); \
	done
	$(MLFLOW_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-index --force-reinstall $(MLFLOW_VENV)/editable/*.whl
	@touch $@

.PHONY: test
# Kept, whatever the environment says: tests start hundreds of programs, each would compile all it imports.
test: export PYTHONDONTWRITEBYTECODE :=
test: mlflow ## Run the tests: unit, contracts, and journeys on the real parts
	@# Two at a time: half of a journey is waiting. In this order: what takes longest begins first.
	$(BIN)/python -m pytest $(TESTS) -n 2 --dist loadfile --no-loadscope-reorder $(PYTEST_ARGS)

.PHONY: soak
soak: setup ## Kill tests at full length, about 40 minutes; the result goes into docs/soak.md
	$(BIN)/python -m pytest tests/soak -v $(PYTEST_ARGS)

.PHONY: lint
lint: setup ## Check style, types and import rules
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

.PHONY: format
format: setup ## Format the code
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

.PHONY: bench
bench: mlflow ## Measure; prints a table and writes bench/results/latest.json
	$(BIN)/python -m bench $(BENCH_ARGS)

.PHONY: bench-peers
bench-peers: setup ## The same work on MLflow, FastTrackML and Rekam; installs those two into .bench/
	$(BIN)/python -m bench.peers $(BENCH_ARGS)

.PHONY: requirements
requirements: ## Pin requirements/*.in again, with hashes
	cd requirements && ../$(BIN)/pip-compile $(PIN_FLAGS) -o runtime.txt runtime.in
	cd requirements && ../$(BIN)/pip-compile $(PIN_FLAGS) -c runtime.txt -o dev.txt dev.in
	cd requirements && ../$(BIN)/pip-compile $(PIN_FLAGS) -c runtime.txt -o mlflow.txt mlflow.in

# No host name and no machine's settings may get into the pins.
PIN_FLAGS := --quiet --generate-hashes --allow-unsafe --strip-extras --no-annotate --no-header \
	--no-emit-options --no-emit-index-url --no-emit-trusted-host --no-emit-find-links

.PHONY: clean
clean: ## Remove what was built (not .venv, not ./.rekam)
	find . -path ./$(VENV) -prune -o -type d \( -name __pycache__ -o -name '*.egg-info' \) -exec rm -rf {} +
	find proto -name '*_pb2*.py*' -delete
	rm -rf proto/.built .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis build dist
