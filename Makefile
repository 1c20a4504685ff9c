# Thin: each line is a command one could type; `scripts/step.py` prints one line for it, or all it said if it fails.
# `make` alone lists the targets.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# The environment that is made, of those in scripts/environments.py; one that holds more is as good.
ENVIRONMENT := development
STEP := $(PYTHON) scripts/step.py
# Dependencies as in the extension module, which are built by then.
OWN_CODE := --config profile.release.package.turbosqs
CARGO_TEST := cargo test --release --locked --features same-dependencies
# After a change only what it touches is compiled, which takes longer the first time.
INCREMENTALLY := env CARGO_INCREMENTAL=1
INCREMENTAL := $(OWN_CODE).codegen-units=256

# For each core, for tests wait as long as they work; each has a moto of its own, so more than a few are not worth their start.
PROCESSES := 3
# Who has done its own takes from the others: what is slow stands together.
PARALLEL := --numprocesses $(shell expr $$(getconf _NPROCESSORS_ONLN) \* $(PROCESSES)) --maxprocesses 6 --dist worksteal

# One after another, as many at a time as there are cores.
STEPS := $(MAKE) --no-print-directory --jobs 2

# What is done differently with TURBOSQS_PORTABLE=1: event loops, greenlets, signals, programs.
PORTABLE_TESTS := tests/python/aio/test_process.py tests/python/local/test_server.py::test_the_command \
	tests/python/patching/test_run.py::test_signals_are_its_own tests/python/programs/test_greenlets.py \
	tests/python/receiving/test_command.py

export VIRTUAL_ENV := $(CURDIR)/$(VENV)
# The tests start hundreds of Pythons, each of which would compile botocore and moto anew.
unexport PYTHONDONTWRITEBYTECODE
export CARGO_TERM_PROGRESS_WHEN := never
# PyO3 is told what it is built for; it would ask the Python around, differently under maturin and clippy, and be built anew
# whenever the other was last.
export PYO3_CONFIG_FILE := $(CURDIR)/scripts/pyo3.txt
export PYO3_BUILD_EXTENSION_MODULE := 1
# When the first make of several began.
ifndef MAKE_STARTED
MAKE_STARTED := $(shell date +%s)
endif
export MAKE_STARTED

LINTS := clippy rustdoc fmt ruff ruff-format mypy stubtest service-model workflows licences-fresh console-library
# Environments that tests run programs in.
PROGRAMS := instrumentation instrumentation-aiobotocore aiobotocore aioboto3 typing examples boto3-1.28-json awscli

.PHONY: help docs build environment crate demo test test-latest test-versions test-kombu test-aiobotocore check fuzz deny bench scale rust python lint locks lock model wheel test-wheel licences licences-check clean
.PHONY: $(LINTS) locked-environments $(PROGRAMS) rust-tests unit-tests python-tests parity-tests portable-tests
.DEFAULT_GOAL := help

help:
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

build: ## the extension module, optimised, into .venv
	@$(MAKE) --no-print-directory -j2 ENVIRONMENT=$(ENVIRONMENT) environment crate
	@$(STEP) "turbosqs, installed in $(VENV)" $(BIN)/maturin develop --release --locked --uv

environment:
	@$(STEP) "Python environment: $(ENVIRONMENT)" $(PYTHON) scripts/environments.py make $(ENVIRONMENT) $(VENV)

crate:
	@$(STEP) "Rust crate, optimised" cargo rustc --release --locked --features python --lib --crate-type cdylib

demo: ENVIRONMENT := demo
demo: build ## 10,000 messages through the embedded SQS, with boto3 beside it
	@$(BIN)/python examples/demo.py
	@$(STEP) --since $(MAKE_STARTED) "make demo: done"

# Python tests wait now and then, while Rust tests do not.
test: build ## everything: lints, types, locks, Rust tests, Python tests
	@$(STEPS) $(LINTS) docs locked-environments $(PROGRAMS) rust-tests python-tests portable-tests
	@$(STEP) --since $(MAKE_STARTED) "make test: lints, types, locks, Rust and Python tests passed"

test-latest: ## the same with the newest release of every dependency, in a copy of the tree
	scripts/latest.sh

check: environment ## the quick subset, for people at work
	@$(STEP) "turbosqs, installed in $(VENV)" \
		$(INCREMENTALLY) $(BIN)/maturin develop --release --locked --uv $(OWN_CODE).opt-level=1 $(INCREMENTAL)
	@$(STEPS) fmt ruff ruff-format unit-tests parity-tests
	@$(STEP) --since $(MAKE_STARTED) "make check: passed"

rust: rust-tests ## Rust tests

python: build ## Python tests
	@$(STEPS) python-tests portable-tests

lint: build ## formatting, lints and types of both languages, and whether the generated model is fresh
	@$(STEPS) $(LINTS)

locks: build ## whether each locked environment is whole, if it has changed since it was
	@$(MAKE) --no-print-directory locked-environments

clippy:
	@$(STEP) "clippy" cargo clippy --release --locked --all-targets --features python -- --deny warnings

rustdoc:
	@$(STEP) "rustdoc, links in comments" env RUSTDOCFLAGS='--deny warnings' \
		cargo doc --release --locked --features python --lib --no-deps --document-private-items

fmt:
	@$(STEP) "cargo fmt" cargo fmt --check
	@$(STEP) "cargo fmt, benches/rust" cargo fmt --check --manifest-path benches/rust/Cargo.toml

ruff:
	@$(STEP) "ruff" $(BIN)/ruff check

ruff-format:
	@$(STEP) "ruff format" $(BIN)/ruff format --check

mypy:
	@$(STEP) "mypy" $(BIN)/mypy

stubtest:
	@$(STEP) "stubtest" $(BIN)/python -m mypy.stubtest --mypy-config-file pyproject.toml turbosqs

service-model:
	@$(STEP) "service model, against botocore's" $(BIN)/python scripts/generate_model.py --check

workflows:
	@$(STEP) "workflows" $(BIN)/zizmor --offline --quiet --no-progress .github

licences-fresh:
	@$(STEP) "licences, against Cargo.lock" $(BIN)/python scripts/licences.py --check

console-library:
	@$(STEP) "console's library, against what was published" $(PYTHON) scripts/vendor_console.py --check

locked-environments:
	@$(STEP) "locked environments" $(PYTHON) scripts/environments.py check

# What makes them longer to compile the simulated hours of receiving make good, each time that they run.
rust-tests:
	@$(STEP) --closing '^test result' "Rust tests" $(CARGO_TEST) $(OWN_CODE).opt-level=2

unit-tests:
	@$(STEP) --closing '^test result' "Rust unit tests" \
		$(INCREMENTALLY) TURBOSQS_SEEDS=1000 $(CARGO_TEST) $(OWN_CODE).opt-level=1 $(INCREMENTAL) --lib

parity-tests:
	@$(STEP) --closing '\d passed' "Python parity tests" $(BIN)/pytest -q -x \
		tests/python/parity/test_arguments.py tests/python/parity/test_cases.py tests/python/test_surface.py

$(PROGRAMS):
	@$(STEP) "Python environment: $@" $(PYTHON) scripts/environments.py make $@ $(VENV)/$@

javascript:
	@$(STEP) --closing "^there is no npm" "SDK for JavaScript" $(PYTHON) scripts/javascript.py $(VENV)/javascript

python-tests: $(PROGRAMS) javascript
	@$(STEP) --closing '\d passed' "Python tests" $(BIN)/pytest -q $(PARALLEL)

portable-tests: $(PROGRAMS)
	@$(STEP) --closing '\d passed' "Python tests, without what only Unix has" \
		env TURBOSQS_PORTABLE=1 $(BIN)/pytest -q $(PARALLEL) $(PORTABLE_TESTS)

lock: ## renew the locked environments (ARGS='--keep NAME' for less), and check them on every Python here
	$(PYTHON) scripts/environments.py lock $(ARGS)
	$(PYTHON) scripts/environments.py check --everywhere $(filter-out --keep,$(ARGS))

fuzz: build ## random inputs, beside boto3 and to the embedded SQS (ARGS='--seconds 600 --only replies', TURBOSQS_SEED=...)
	@$(STEP) --closing '^TURBOSQS_SEED|cases passed' "Random inputs" \
		env PYTHONPATH=$(CURDIR)/tests:$(CURDIR)/tests/python $(BIN)/python -m fuzz $(ARGS)

wheel: environment ## what is published, into dist/: a source distribution, and a wheel built from it (minutes)
	$(BIN)/python scripts/wheel.py $(ARGS)

test-wheel: wheel ## the wheel in bare environments of every Python here, as users have it
	$(BIN)/python scripts/test_wheel.py

docs: environment ## the documentation's site, into build/site: strict, every link checked
	@$(STEP) "Python environment: site" $(PYTHON) scripts/environments.py make site $(VENV)/site
	@$(STEP) "documentation, its links" env NO_MKDOCS_2_WARNING=1 $(VENV)/site/bin/mkdocs build --strict

licences: ## the texts of all licences that are linked in, anew
	$(PYTHON) scripts/licences.py

licences-check: ## whether they are those of what Cargo.lock has
	$(PYTHON) scripts/licences.py --check

deny: ## licences, duplicates and origins of all crates, by cargo-deny
	@cargo deny --version > /dev/null 2>&1 || { echo "make deny needs cargo-deny: cargo install cargo-deny --locked"; exit 1; }
	cargo deny --offline check licenses bans sources

bench: build ## the wheel, side by side with boto3 and others, cores pinned, as ratios; writes docs/bench.md (ARGS=--quick)
	@$(STEP) --closing 'MB' "wheel" $(BIN)/python scripts/wheel.py
	$(BIN)/python -m benches.environments
	@$(STEP) "clippy, benches/rust" cargo clippy --locked --manifest-path benches/rust/Cargo.toml \
		--target-dir $(VENV)/bench/rust -- --deny warnings
	$(BIN)/python -m benches $(ARGS)

scale: build ## curves of the wheel over threads, coroutines, queues, sizes, distance; writes docs/scale.md (ARGS=--quick)
	@$(STEP) --closing 'MB' "wheel" $(BIN)/python scripts/wheel.py
	$(BIN)/python -m benches.environments
	$(BIN)/python -m benches.scale $(ARGS)

model: environment ## the service model, anew from botocore's
	$(BIN)/python scripts/generate_model.py

clean: ## all that was built
	cargo clean
	rm -rf $(VENV)

test-versions: build ## patched and own clients with boto3 1.28 to the newest, each in an environment of its own (minutes)
	$(BIN)/python scripts/test_versions.py $(VERSIONS)

test-kombu: build ## kombu's own tests of its SQS transport, on ours (fetches its source distribution)
	$(BIN)/python scripts/test_kombu.py

test-aiobotocore: build ## aiobotocore's own tests of SQS and taskiq-aio-sqs's, patched (fetches their source distributions)
	$(BIN)/python scripts/test_aiobotocore.py
