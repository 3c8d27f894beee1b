# `make demo` and `make test` set up everything in .venv first; all they need is Python and the package index.
PYTHON ?= python3
VENV   := .venv
ifeq ($(OS),Windows_NT)
SHELL  := bash
BIN    := $(VENV)/Scripts
else
BIN    := $(VENV)/bin
endif
STAMP  := $(VENV)/.installed

SETUP_FILES := constraints.txt requirements-dev.txt tools/opencv-headless/pyproject.toml $(wildcard packages/*/pyproject.toml)

.PHONY: demo test quick lint typecheck unit slow random fuzz browser cluster wheels bench setup clean

setup: $(STAMP)

# Stale when a set-up file is newer, or when the interpreter it was made from is gone.
ifneq ($(shell $(BIN)/python -c "print('ok')" 2>/dev/null),ok)
.PHONY: demo test quick lint typecheck unit slow random fuzz browser cluster wheels bench setup clean
endif

# With a new pip, as that of Python 3.11 thinks for a minute about which wheel fits.
# Not compiled ahead: most modules of what is installed are never imported. The others are compiled when they first
# are, and that has to be kept: without it every process compiles torch and MMDetection anew.
unexport PYTHONDONTWRITEBYTECODE

$(STAMP): $(SETUP_FILES)
	@$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 10))" || { \
	  echo "Deep Dissect needs Python 3.10 or newer; '$(PYTHON)' is older or missing. Try: make PYTHON=python3.11 $(MAKECMDGOALS)"; exit 2; }
	@echo "Setting up $(VENV) (some minutes the first time) ..."
	@rm -rf $(VENV)
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt --upgrade pip
	@$(BIN)/python -m pip install --quiet --no-compile -c constraints.txt -r requirements-dev.txt
	@touch $@

demo: $(STAMP)
	@$(BIN)/deep-dissect demo

test: lint typecheck unit wheels

# After each edit, in less than a minute: what `tests/quick.py` does not leave out. No browser, no packaging, no MMDetection.
quick: $(STAMP)
	$(BIN)/ruff check .
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n auto --maxprocesses 8 --dist worksteal --quick tests/core tests/eval tests/contracts -m "not packaging and not slow"

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

typecheck: $(STAMP)
	$(BIN)/mypy --num-workers 2 packages/dissect-core/src packages/dissect-eval/src packages/dissect-mmdet/src packages/dissect-transformers/src packages/deep-dissect/src packages/dissect-widgets/src
	cd examples/own_model && ../../$(BIN)/mypy --cache-dir ../../.mypy_cache --config-file ../../pyproject.toml *.py

# A worker for each core, each on one thread: tests are small, and two would only wait for each other.
unit: $(STAMP)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --maxprocesses 8 --dist worksteal -m "not slow and not packaging and not browser and not cluster"

# What takes long: every architecture of the zoo, notebooks, real detectors over all photographs.
slow: $(STAMP)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --maxprocesses 8 --dist worksteal -m "slow and not packaging and not browser and not cluster"

# Random models against prefix replay, thousands of them, with a fresh seed, which is printed; `unit` has some, too.
random: $(STAMP)
	OMP_NUM_THREADS=1 DISSECT_RANDOM_MODELS=2000 $(BIN)/python -m pytest -n auto --maxprocesses 8 --timeout 1800 tests/core/test_torch_replay_random.py

# Damaged files for every reader, thousands of them, with a fresh seed, which is printed; DISSECT_FUZZ_SEED repeats a run,
# and DISSECT_FUZZ_CASES says how many. What fails is kept in fuzz-failures. `unit` has some, too.
fuzz: $(STAMP)
	cd tests && OMP_NUM_THREADS=1 ../$(BIN)/python -W ignore -m hostile.fuzz

# A worker for each front end. Without Chromium these tests skip, and say so.
browser: $(STAMP)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadgroup -m browser

# Studies on a Ray cluster of several processes on this machine, one test after the other.
cluster: $(STAMP)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m cluster --timeout 240 tests/cluster

wheels: $(STAMP)
	$(BIN)/python -m pytest -n 2 -m packaging tests/contracts

bench: $(STAMP)
	$(BIN)/python benchmarks/ops.py
	$(BIN)/python benchmarks/detectors.py
	$(BIN)/python benchmarks/ablation.py
	$(BIN)/python benchmarks/study.py
	$(BIN)/python benchmarks/scaling.py
	$(BIN)/python benchmarks/eval_metrics.py
	$(BIN)/python benchmarks/eval_edge_battery.py
	$(BIN)/python benchmarks/panels.py
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/measuring.py
	$(BIN)/python benchmarks/cluster.py
	$(BIN)/python benchmarks/cost_model.py

clean:
	rm -rf $(VENV) deep-dissect-demo tests/fuzz-failures
