# Each target does all of its own set-up: a fresh clone needs nothing but Python 3.11 and `make`.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.installed
RUNS   := $(VENV)/.installed-to-run
PIP    := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: demo test check lint types architecture sizes coverage simulate mutants fuzz soak bench guard wheel ci clean

demo: $(RUNS) ## the whole story in one minute, without touching the exchange
	@$(BIN)/market-backbone demo

WORKERS ?= 4 # many tests wait for real sockets, so that two cores serve four of them

test: $(READY) ## every test except the wheel's
	@$(BIN)/pytest -n $(WORKERS) --dist worksteal --cov --cov-report=term:skip-covered --cov-fail-under=0

check: lint types architecture sizes

lint: $(READY)
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check

types: $(READY)
	@$(BIN)/basedpyright --pythonpath $(BIN)/python

architecture: $(READY)
	@$(BIN)/lint-imports

sizes: $(READY)
	@$(BIN)/python .ci/checks/sizes.py

coverage: $(READY) ## of the last `make test`
	@echo "branch coverage of the package in percent:"; $(BIN)/coverage report --format=total

SEEDS ?= 200
FIRST ?= 0
HOURS ?= 0
LIMIT ?= 0

simulate: $(READY) ## many bad days in virtual time; SEEDS, FIRST, HOURS of each, LIMIT in real seconds
	@$(BIN)/python tests/simulation/simulate.py --seeds $(SEEDS) --first $(FIRST) --hours $(HOURS) --seconds $(LIMIT)

mutants: $(READY) ## plants realistic bugs one by one: does the simulation find them?
	@$(BIN)/python tests/simulation/mutants.py

FUZZING := rest headers frames settings cache_file cache_bytes recording faults
SECONDS ?= 60

fuzz: $(READY) ## bytes of strangers, guided by coverage; SECONDS for each target, TARGETS of the list above
	@$(PIP) -e '.[fuzz]'
	@for target in $(or $(TARGETS),$(FUZZING)); do \
	    echo "fuzzing $$target for $(SECONDS) s"; $(BIN)/python tests/fuzzing/fuzz.py $$target $(SECONDS) || exit 1; done

MINUTES ?= 10
SPEED   ?= 20
SEED    ?= 1

soak: $(READY) ## a long life under faults, watched for leaks and lost trades; MINUTES, SPEED, SEED
	@PYTHONPATH=tests/doubles $(BIN)/python tests/soak/soak.py --minutes $(MINUTES) --speed $(SPEED) --seed $(SEED)

ROUNDS ?= 3

bench: ## everything beside its peers over loopback: installs them, measures, writes benchmarks/RESULTS.md; ROUNDS, QUICK=1
	@$(PYTHON) benchmarks/bench.py --rounds $(ROUNDS) $(if $(QUICK),--quick)

guard: $(READY) ## has anything become much slower than bare parts beside it?
	@$(BIN)/python benchmarks/guard.py

wheel: $(READY)
	@$(BIN)/pytest -m wheel tests/test_wheel.py tests/test_examples_from_outside.py

ci:
	@.ci/run

clean:
	rm -rf $(VENV) .bench build dist *.egg-info .coverage .coverage.* .pytest_cache .ruff_cache .hypothesis .import_linter_cache

$(BIN)/python:
	@command -v $(PYTHON) >/dev/null || { \
	    echo "make: no '$(PYTHON)' found; install Python 3.11 or newer, or name one: make PYTHON=/path/to/python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	    echo "make: '$(PYTHON)' is $$($(PYTHON) -V 2>&1); 3.11 or newer is needed: make PYTHON=/path/to/python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { \
	    echo "make: '$(PYTHON)' cannot create virtual environments; on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }

$(READY): pyproject.toml setup.py | $(BIN)/python
	@echo "installing market-backbone and its tools into $(VENV) ..."
	@$(PIP) -e '.[dev]'
	@touch $(READY) $(RUNS)

$(RUNS): pyproject.toml setup.py | $(BIN)/python
	@echo "installing market-backbone into $(VENV) ..."
	@$(PIP) -e .
	@touch $(RUNS)
