# Thin: each line is a command one could type. `make` alone lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: help build demo test check bench rust python lint model clean
.DEFAULT_GOAL := help

help:
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

$(VENV)/made: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --group dev
	touch $@

build: $(VENV)/made ## the extension module, optimised, into .venv
	$(BIN)/maturin develop --release --quiet

demo: build ## 10,000 messages through the embedded SQS, with boto3 beside it
	$(BIN)/python examples/demo.py

test: lint rust python ## everything: lints, types, Rust tests, Python tests

check: build ## the quick subset, for people at work
	cargo fmt --check
	cargo test --release --quiet --lib
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/pytest -q -x tests/python/parity/test_arguments.py tests/python/parity/test_cases.py tests/python/test_surface.py

rust: ## Rust tests
	cargo test --release

python: build ## Python tests
	$(BIN)/pytest

lint: build ## formatting, lints and types of both languages
	cargo fmt --check
	cargo clippy --release --all-targets --features python -- --deny warnings
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/python -m mypy.stubtest turbosqs
	$(BIN)/python scripts/generate_model.py --check

bench: build ## side by side with boto3 and others, cores pinned, as ratios; writes docs/bench.md (ARGS=--quick)
	$(BIN)/python -m benches.environments
	$(BIN)/python -m benches $(ARGS)

model: $(VENV)/made ## the service model, anew from botocore's
	$(BIN)/python scripts/generate_model.py

clean: ## all that was built
	cargo clean
	rm -rf $(VENV)
