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

env: $(STAMP) ## make the environment in .venv

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

sandbox: $(STAMP) ## start an AWS on 127.0.0.1 (PORT=4566) with the stack deployed; Ctrl-C ends it
	@$(BIN)/evenkeel sandbox --port $(PORT)

test: $(STAMP) ## run the tests: every promise, in about five minutes
	$(BIN)/pytest -q -n 3 --dist loadfile

prove: $(STAMP) ## run what is exhaustive or slow by nature: real minutes, real clients, storms, mutants of what changed
	$(BIN)/pytest -q -n 2 --dist loadfile --no-loadscope-reorder --durations 10 tests/prove
	FUZZ_TIMES=3 $(BIN)/pytest -q -n 2 --dist load tests/unit/test_properties.py tests/unit/test_fuzz_events.py \
		tests/unit/test_fuzz_people.py tests/cli/test_settings_fuzz.py
	$(BIN)/python -m tools.mutants --changed

check: lint types imports generated scan test ## what has to be right before a commit; the gate runs this and prove

lint: $(STAMP) ## check style
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP) ## check types, strictly
	$(BIN)/mypy

imports: $(STAMP) ## check that imports keep the floors and rooms of docs/architecture.md
	PYTHONPATH=.:layers/engine:functions/system:cli $(BIN)/lint-imports --no-logo

format: $(STAMP) ## fix style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

changes: $(STAMP) ## show what a deployment would change, nested stacks and all: STACK=evenkeel-prod [ENV=…] [OUTPUT=json]
	@$(BIN)/python -m tools.changes --stack "$(STACK)" --env "$(ENV)" --config-file $(CONFIG) --output $(OUTPUT)

generate: $(STAMP) ## write the template's blocks and the docs' pages from the controls
	$(BIN)/python -m tools.generate

cost: $(STAMP) ## print what a stack costs at list prices, idle and by the event
	@$(BIN)/python -m tools.cost

.PHONY: generated
generated: $(STAMP) ## check that what is generated is fresh
	$(BIN)/python -m tools.generate --check

$(SCANNERS)/installed: $(STAMP) requirements/scanners.txt
	$(BIN)/uv venv --quiet --allow-existing --python $(BIN)/python $(SCANNERS)
	VIRTUAL_ENV=$(abspath $(SCANNERS)) $(BIN)/uv pip sync --quiet --require-hashes requirements/scanners.txt
	touch $@

scan: $(SCANNERS)/installed ## scan the template, its policies and the code for known faults
	$(BIN)/python -m tools.scan $(SCANNERS)/bin

audit: $(SCANNERS)/installed ## ask PyPI for known vulnerabilities of what is locked (needs the network)
	$(SCANNERS)/bin/pip-audit --disable-pip --no-deps --strict -r requirements/dev.txt -r layers/engine/requirements.txt

fuzz: $(STAMP) ## try the properties on forty times as many events, settings and payloads (about a quarter of an hour)
	FUZZ_TIMES=30 $(BIN)/pytest -q -n 2 tests/unit/test_properties.py tests/unit/test_fuzz_events.py \
		tests/unit/test_fuzz_people.py tests/cli/test_settings_fuzz.py

limits: $(STAMP) ## print how far the stack is from each limit of AWS, today and with thirty groups
	@$(BIN)/python -m tools.aws_quotas

coverage: $(STAMP) ## measure branch coverage of engine and controls (at least 95 %)
	$(BIN)/pytest -q --cov --cov-report=term-missing tests/unit tests/contract

bench: $(STAMP) ## measure calls, CPU and wall time against bare boto3, in one run
	$(BIN)/python -m benchmarks

chaos: $(STAMP) ## thousands of events while AWS fails and workers die; is all accounted for?
	$(BIN)/python -m tests.chaos

mutants: $(STAMP) ## plant faults in the pure parts and see that tests find them (at least 90 %)
	$(BIN)/python -m tools.mutants

lock: $(STAMP) ## resolve requirements/*.in into versions with hashes
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
		--no-emit-index-url requirements/dev.in -o requirements/dev.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
		--no-emit-index-url requirements/scanners.in -o requirements/scanners.txt

clean: ## remove what was built, the environment too
	rm -rf $(VENV) build .aws-sam .pytest_cache .mypy_cache .ruff_cache mutants
