# Two commands do everything: `make demo` and `make test`. Both make .venv on their first run.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check install --quiet --constraint constraints.txt
SAY    := @echo "installing into $(VENV):"
PINS   := pyproject.toml constraints.txt
PYTEST ?= $(BIN)/python -m pytest
ARGS   ?=

.PHONY: help demo test check bench bench-load bench-explain bench-web screenshots axe docs format torch constraints clean

help:
	@echo "make demo    install the core and read phantom studies: writes demo/index.html"
	@echo "make test    install what the tests need and run all that this machine can run"
	@echo "make check   format, lint, types, architecture"
	@echo "make bench   measure side by side; writes docs/benchmarks.md"
	@echo "make bench-load  the gateway under load, beside storescp; writes docs/load.md"
	@echo "make bench-explain  measure ways of explaining side by side; writes its section there (needs 'make torch')"
	@echo "make bench-web  measure the reading room in a browser; writes its section there"
	@echo "make screenshots  a picture of every page, in build/screenshots"
	@echo "make axe     add axe-core from npm; then 'make test' looks for barriers on every page"
	@echo "make torch   add PyTorch (training, compiling, comparisons); then 'make test' runs more"
	@echo "make docs    rewrite the pages that are made from tables and from the program"
	@echo "make format  rewrite the sources in the house format"

demo: $(VENV)/.core
	$(BIN)/radiolucent demo -o demo --force $(ARGS)

test: $(VENV)/.test
	$(PYTEST) $(ARGS)

check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(PYTEST) -q tests/test_architecture.py
	if command -v npx > /dev/null; then npx --yes --package typescript@5.9.3 tsc -p .; else echo "no npx: the viewer's types are not checked"; fi

bench: $(VENV)/.test
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python -m bench $(ARGS)

bench-explain: $(VENV)/.torch
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python -W ignore -m bench.explain --markdown docs/benchmarks.md $(ARGS)

# In a network of its own where the machine allows it, because Orthanc listens on every address.
LOAD := exec $(BIN)/python -m bench.load --markdown docs/load.md $(ARGS)
bench-load: $(VENV)/.test
	@if unshare --net ip link set lo up 2>/dev/null; \
	 then OMP_NUM_THREADS=1 unshare --net sh -c 'ip link set lo up && $(LOAD)'; \
	 else OMP_NUM_THREADS=1 sh -c '$(LOAD)'; fi

bench-web: $(VENV)/.test
	$(BIN)/python -m bench.web --markdown docs/benchmarks.md $(ARGS)

# Every page in a browser, to be looked at; the tests that make the pictures must pass.
screenshots: $(VENV)/.test
	RADIOLUCENT_SCREENSHOTS=build/screenshots $(PYTEST) -q tests/e2e/test_every_page.py tests/e2e/test_readers_day.py

# Checks of accessibility, for the tests in a browser alone: pinned with its digest in tests/e2e/package-lock.json.
axe:
	npm ci --prefix tests/e2e --ignore-scripts --no-audit --no-fund

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(VENV)/.core
	$(BIN)/python scripts/write-commands
	$(BIN)/python scripts/write-settings
	$(BIN)/python -m radiolucent.findings.taxonomy > docs/findings.md
	$(BIN)/python -m radiolucent.findings.rule_docs > docs/clinical-rules.md

torch: $(VENV)/.torch

constraints: $(VENV)/.dev
	$(BIN)/python scripts/write-constraints

clean:
	rm -rf $(VENV) demo .mypy_cache .pytest_cache .ruff_cache .hypothesis

# One stamp an extra: each is made again only when the pins change.
$(VENV)/.python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -m venv $(VENV) \
	  || { echo "python3 -m venv failed; on Debian and Ubuntu: apt-get install python3-venv"; exit 1; }
	@touch $@

$(VENV)/.core: $(VENV)/.python $(PINS)
	$(SAY) the core
	@$(PIP) --editable .
	@touch $@

$(VENV)/.test: $(VENV)/.python $(PINS)
	$(SAY) the core and what the tests need
	@$(PIP) --editable '.[test]'
	@touch $@ $(VENV)/.core

$(VENV)/.dev: $(VENV)/.python $(PINS)
	$(SAY) the core, tests, checks
	@$(PIP) --editable '.[test,dev]'
	@touch $@ $(VENV)/.test $(VENV)/.core

# PyTorch first and alone, so that nothing else can choose its version. pytorch-grad-cam (to compare with), timm and MONAI
# without what they ask for: it would bring torchvision, which is needed for pictures only.
$(VENV)/.torch: $(VENV)/.python $(PINS)
	$(SAY) PyTorch, some hundred MB
	@$(PIP) torch==2.13.0
	@$(PIP) --editable '.[torch,explain,openvino,test]'
	@$(PIP) --no-deps grad-cam ttach opencv-python-headless quantus cachetools torchcam timm monai safetensors pyyaml
	@touch $@ $(VENV)/.test $(VENV)/.core
