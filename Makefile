PYTHON ?= python3
VENV ?= .venv
# Fixed, so that a fresh machine gets the release that the tests know; another one of pyproject.toml's range may be given.
TORCH ?= torch==2.13.0
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: demo test check lint format docs bench bench-peers bench-full clean

demo: $(VENV)/installed
	$(BIN)/penstock train classify

# Two processes side by side: the tests start many small programs and wait for them.
test: $(VENV)/installed-for-checks
	$(BIN)/python -m pytest --numprocesses 2 --dist worksteal

check: lint test

lint: $(VENV)/installed-for-checks
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(VENV)/installed-for-checks
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: $(VENV)/installed
	$(BIN)/python docs/make_reference.py
	$(BIN)/python benchmarks/render.py

# Twenty minutes: beside the peers, where `make bench-peers` has installed them; parts of a step; pictures from files.
bench: $(VENV)/installed
	$(BIN)/python benchmarks/race.py
	$(BIN)/python benchmarks/overhead.py
	$(BIN)/python benchmarks/streaming.py
	$(BIN)/python benchmarks/render.py

# Two hours: every figure of the README.
bench-full: $(VENV)/installed
	$(BIN)/python benchmarks/speed.py
	$(BIN)/python benchmarks/quality.py
	$(BIN)/python benchmarks/race.py --full
	$(BIN)/python benchmarks/overhead.py
	$(BIN)/python benchmarks/streaming.py
	$(BIN)/python benchmarks/render.py

# Lightning, Keras, JAX, skorch and scikit-learn, in an environment of their own.
bench-peers: $(VENV)-peers/installed

clean:
	rm -rf $(VENV) $(VENV)-peers

$(VENV)/installed: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: make PYTHON=python3.12 ..."; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(PIP) "$(TORCH)"
	$(PIP) --editable .
	touch $@

$(VENV)-peers/installed: benchmarks/requirements-peers.txt
	$(PYTHON) -m venv $(VENV)-peers
	$(VENV)-peers/bin/python -m pip install --quiet --disable-pip-version-check "$(TORCH)"
	$(VENV)-peers/bin/python -m pip install --quiet --disable-pip-version-check --requirement $<
	touch $@

$(VENV)/installed-for-checks: $(VENV)/installed
	$(PIP) --editable ".[check]"
	touch $@
