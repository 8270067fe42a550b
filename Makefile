# `make run` sets everything up and starts the service; `make test` sets everything up and passes every test.
# `make run AI=1` also sets up the libraries of models (on Linux about 6 GB with CUDA), which `make test` needs as well.

PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do \
	command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV ?= .venv
BIN := $(VENV)/bin
# Exact versions, e.g. CONSTRAINTS=.ci/constraints.txt; empty: the newest that pyproject.toml allows.
CONSTRAINTS ?=
PIP_CONSTRAINTS := $(if $(CONSTRAINTS),-c $(CONSTRAINTS))
WHEELHOUSE := .wheelhouse
# Anything but empty: models can be used.
AI ?=
# Libraries of models that cannot be installed like others: sam2 is built here, without its CUDA kernels, against the
# torch that is installed; ultralytics asks for a second OpenCV, which would lie over ours. What both need is in `ai`.
AI_APART := 'sam2>=1.1,<2' 'ultralytics>=8.3,<9'

# The browser library. DJANGO_HTMX is a Python package that ships the same file, for where npm is missing.
HTMX_VERSION := 2.0.10
DJANGO_HTMX_VERSION := 1.29.0
HTMX_SHA512 := e65eb990c8c6beb9bb1004debc22bf48574c51f21441f02c40b658e7bb7bb66b0f7f966d8ebcd4f30cd207292944386a9ccc25288482af14135111542ec5dda5
HTMX := static/vendor/htmx.min.js

# Real photos and recordings for tests, where they lie beside the checkout.
ifneq ($(wildcard ../shared/photos),)
export SIDECAR_TEST_DATA ?= $(abspath ../shared)
endif
PYTEST_ARGS ?=
# Test files that run at the same time: many wait most of their time.
TEST_JOBS ?= $(shell n=$$(nproc 2>/dev/null || echo 2); [ $$n -lt 8 ] && echo $$((n + 1)) || echo 8)

# The engine's inner loops are compiled once and kept, so that nobody's first photo waits for it.
COMPILE := $(BIN)/python -c 'from immich_sidecar.pipeline.tasks import warm_up; warm_up()'

.PHONY: run setup ai ai-apart test test-crash test-day lint client format bench screenshots system clean

run: $(VENV)/.run $(HTMX) $(if $(AI),$(VENV)/.ai)
	$(BIN)/immich-sidecar run

setup: $(VENV)/.dev $(HTMX)

ai: $(VENV)/.ai

test: system setup ai lint $(WHEELHOUSE)/.filled
	$(BIN)/python -m pytest -n $(TEST_JOBS) --dist loadfile $(PYTEST_ARGS)

# Ten rounds of kill -9 in each state, each on a fresh data directory.
test-crash: setup
	$(BIN)/python -m pytest -m crash -s $(PYTEST_ARGS)

# A day of three people beside Immich, longer than in `make test` and several times, each with another seed.
test-day: setup
	$(BIN)/python -m pytest -m day $(PYTEST_ARGS)

lint: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python openapi/generate.py --check

format: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# Generates openapi/immich_py_client/ from openapi/immich.yaml.
client: setup
	$(BIN)/python openapi/generate.py

# Figures as ratios against peers in the same run; fails nothing.
bench: setup
	for program in tests/benchmarks/[a-z]*.py; do $(BIN)/python -m tests.benchmarks.$$(basename $$program .py) || exit 1; done

# The pictures of docs/immich.md, taken anew; needs chromium.
screenshots: setup
	$(BIN)/python -m tests.e2e.screenshots

# Debian packages that tests use: a browser, exiftool and nginx. Installed where we are root, named where not.
system:
	@missing=""; \
	command -v chromium >/dev/null 2>&1 || missing="$$missing chromium"; \
	command -v exiftool >/dev/null 2>&1 || missing="$$missing libimage-exiftool-perl"; \
	PATH="$$PATH:/usr/sbin" command -v nginx >/dev/null 2>&1 || missing="$$missing nginx-light"; \
	if [ -n "$$missing" ]; then \
		if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then \
			apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing >/dev/null; \
		else echo "Tests that need them will skip; install:$$missing"; fi; \
	fi

$(VENV)/bin/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed, with venv and pip"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run: pyproject.toml $(CONSTRAINTS) | $(VENV)/bin/python
	@echo "Setting up in $(VENV); this takes a minute or two the first time."
	$(BIN)/pip install -q $(PIP_CONSTRAINTS) -e .
	@$(COMPILE)
	@touch $@

$(VENV)/.dev: pyproject.toml $(CONSTRAINTS) | $(VENV)/bin/python
	$(BIN)/pip install -q $(PIP_CONSTRAINTS) -e '.[dev]'
	@$(COMPILE)
	@touch $@ $(VENV)/.run

$(VENV)/.ai: pyproject.toml Makefile $(CONSTRAINTS) | $(VENV)/bin/python
	@echo "Setting up the libraries of models; they are large."
	$(BIN)/pip install -q $(PIP_CONSTRAINTS) -e '.[ai]'
	@$(MAKE) --no-print-directory ai-apart
	@touch $@

# Also for an environment that torch was put into otherwise, as the image's.
ai-apart:
	$(BIN)/pip install -q $(PIP_CONSTRAINTS) setuptools wheel
	SAM2_BUILD_CUDA=0 $(BIN)/pip install -q $(PIP_CONSTRAINTS) --no-deps --no-build-isolation $(AI_APART)

# Everything that the built wheel needs, so that a test can install it without network.
$(WHEELHOUSE)/.filled: pyproject.toml $(CONSTRAINTS) | $(VENV)/.dev
	rm -rf $(WHEELHOUSE)
	$(BIN)/python -m pip download -q $(PIP_CONSTRAINTS) -d $(WHEELHOUSE) --no-build-isolation .
	@touch $@

$(HTMX): Makefile | $(VENV)/bin/python
	@mkdir -p $(@D); rm -rf $(@D)/.fetch; mkdir $(@D)/.fetch
	@cd $(@D)/.fetch && \
	if command -v npm >/dev/null 2>&1 && npm pack --silent htmx.org@$(HTMX_VERSION) >/dev/null 2>&1; then \
		tar -xzf htmx.org-$(HTMX_VERSION).tgz --strip-components=2 package/dist/htmx.min.js; \
	else \
		$(abspath $(BIN))/pip download -q --no-deps -d . django-htmx==$(DJANGO_HTMX_VERSION) && \
		$(abspath $(BIN))/python -c "import glob, zipfile; open('htmx.min.js', 'wb').write(zipfile.ZipFile(glob.glob('*.whl')[0]).read('django_htmx/static/django_htmx/htmx-2.min.js'))"; \
	fi
	@$(BIN)/python -c "import hashlib, sys; sys.exit(hashlib.sha512(open('$(@D)/.fetch/htmx.min.js', 'rb').read()).hexdigest() != '$(HTMX_SHA512)' and 'htmx.min.js is not the file this project pins; nothing was installed')"
	@mv $(@D)/.fetch/htmx.min.js $@; rm -rf $(@D)/.fetch; touch $@

clean:
	rm -rf $(VENV) $(WHEELHOUSE) static/vendor build dist .mypy_cache .ruff_cache .pytest_cache
