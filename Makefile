# Two commands for everybody: `make demo` and `make test`. Each installs what it needs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Each target that needs packages stamps the environment for itself.
DEMO_READY := $(VENV)/.demo-ready
TEST_READY := $(VENV)/.test-ready

.PHONY: demo test test-long lint format clean help

help: ## what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

demo: $(DEMO_READY) ## train, convert, run and verify on real prices; look into demo/
	$(BIN)/edge-lstm demo -o demo

test: $(TEST_READY) lint ## all that CI runs
	$(BIN)/pytest

test-long: $(TEST_READY) ## campaigns that take longer than CI may
	$(BIN)/pytest -m long

lint: $(TEST_READY) ## style, types and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

format: $(TEST_READY) ## bring the code into form
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean: ## remove the environment and the demo
	rm -rf $(VENV) demo build dist

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(DEMO_READY): pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[train,examples]'
	touch $@

$(TEST_READY): pyproject.toml tools/install_system_packages.sh | $(BIN)/python
	tools/install_system_packages.sh
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[train,examples,dev]'
	touch $@
