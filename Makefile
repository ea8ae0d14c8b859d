# `make help` lists the targets. Everything runs in .venv, which the first target that needs it makes.
PYTHON ?= python3
VENV ?= .venv
PORT ?= 4566
CONFIG ?= samconfig.toml
OUTPUT ?= table
BIN := $(VENV)/bin
SCANNERS := $(VENV)/scanners
STAMP := $(VENV)/installed

.DEFAULT_GOAL := help
.PHONY: help env demo sandbox test check lint types imports format changes generate cost fuzz prove limits coverage bench chaos mutants lock scan audit clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

env: $(STAMP) ## create the environment in .venv

$(STAMP): requirements/dev.txt requirements/bootstrap.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' \
		|| { echo "Evenkeel needs Python 3.11 to 3.13; name one with PYTHON=…" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/bootstrap.txt
	VIRTUAL_ENV=$(abspath $(VENV)) $(BIN)/uv pip sync --quiet --require-hashes requirements/dev.txt
	VIRTUAL_ENV=$(abspath $(VENV)) $(BIN)/uv pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@

demo: $(STAMP) ## watch the real stack repair real resources on a local AWS
	@$(BIN)/evenkeel demo

sandbox: $(STAMP) ## start a local AWS on 127.0.0.1 (PORT=4566) with the stack deployed; Ctrl-C stops it
	@$(BIN)/evenkeel sandbox --port $(PORT)

test: $(STAMP) ## run the tests (about six minutes)
	$(BIN)/pytest -q -n 3 --dist loadfile --no-loadscope-reorder

prove: $(STAMP) ## run the slow and exhaustive tests: real waits, other clients, a storm, mutants of recent changes
	$(BIN)/pytest -q -n 2 --dist loadfile --no-loadscope-reorder --durations 10 tests/prove
	FUZZ_TIMES=6 $(BIN)/pytest -q -n 2 --dist load -m hypothesis tests/unit tests/cli
	$(BIN)/python -m tools.mutants --changed

check: lint types imports generated scan test ## run all checks and tests to pass before a push; CI runs this and prove

lint: $(STAMP) ## check style
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP) ## check types
	$(BIN)/mypy

imports: $(STAMP) ## check imports against the layers in docs/architecture.md
	PYTHONPATH=.:layers/engine:functions/system:cli $(BIN)/lint-imports --no-logo

format: $(STAMP) ## fix style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

changes: $(STAMP) ## print what a deployment would change, with nested stacks: STACK=evenkeel-prod [ENV=…] [OUTPUT=json]
	@$(BIN)/python -m tools.changes --stack "$(STACK)" --env "$(ENV)" --config-file $(CONFIG) --output $(OUTPUT)

generate: $(STAMP) ## generate template blocks and docs pages from the controls
	$(BIN)/python -m tools.generate

cost: $(STAMP) ## print what a stack costs at list prices, idle and per event
	@$(BIN)/python -m tools.cost

.PHONY: generated
generated: $(STAMP) ## check that generated files are up to date
	$(BIN)/python -m tools.generate --check

$(SCANNERS)/installed: $(STAMP) requirements/scanners.txt
	$(BIN)/uv venv --quiet --allow-existing --python $(BIN)/python $(SCANNERS)
	VIRTUAL_ENV=$(abspath $(SCANNERS)) $(BIN)/uv pip sync --quiet --require-hashes requirements/scanners.txt
	touch $@

scan: $(SCANNERS)/installed ## scan templates, policies and code for known security problems
	$(BIN)/python -m tools.scan $(SCANNERS)/bin

audit: $(SCANNERS)/installed ## check the locked packages for known vulnerabilities (needs the network)
	$(SCANNERS)/bin/pip-audit --disable-pip --no-deps --strict -r requirements/dev.txt -r layers/engine/requirements.txt

fuzz: $(STAMP) ## run the property tests with eighty times as many examples (about 15 minutes)
	FUZZ_TIMES=80 $(BIN)/pytest -q -n 2 --dist load -m hypothesis tests/unit tests/cli

limits: $(STAMP) ## print how much of each AWS quota the stack uses, today and with thirty groups
	@$(BIN)/python -m tools.aws_quotas

coverage: $(STAMP) ## measure branch coverage of engine and controls (at least 95 %)
	$(BIN)/pytest -q --cov --cov-report=term-missing tests/unit tests/contract

bench: $(STAMP) ## measure calls, CPU and wall time, compared with bare boto3
	$(BIN)/python -m benchmarks

chaos: $(STAMP) ## send thousands of events while AWS fails and workers crash; check that none is lost
	$(BIN)/python -m tests.chaos

mutants: $(STAMP) ## run mutation tests of the pure modules (at least 90 % killed)
	$(BIN)/python -m tools.mutants

lock: $(STAMP) ## lock requirements/*.in to versions with hashes
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
		--no-emit-index-url requirements/dev.in -o requirements/dev.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
		--no-emit-index-url requirements/scanners.in -o requirements/scanners.txt

clean: ## delete build files and the environment
	rm -rf $(VENV) build .aws-sam .pytest_cache .mypy_cache .ruff_cache mutants
