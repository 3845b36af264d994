# Requirements: Python 3.11 or newer with venv, make, and access to a package registry.

PYTHON ?= python3
ARGS ?=
ROUNDS ?= 500
EXAMPLES ?= 200

VENV := .venv
PY := $(VENV)/bin/python
PIP_INSTALL := -m pip -qq --no-input --disable-pip-version-check install \
	--root-user-action ignore
# The tests start hundreds of Python processes, which would each compile the modules again.
unexport PYTHONDONTWRITEBYTECODE

# With loadgroup, tests that share a server run in one process. It hands out each test by itself, and
# searches the list of all tests for that; worksteal gives each process a part of the list.
DIST := loadgroup
# More processes than there are processors: many tests wait for servers, most of all those in tests/wire.
EXTRA_PROCESSES := 1
PYTEST = $(PY) -m pytest --dist=$(DIST) --maxprocesses=4 \
	--numprocesses=$(or $(PROCESSES),$(shell expr $$(nproc) + $(EXTRA_PROCESSES)))
# Loading Schemathesis takes each process a quarter of a second; only tests/wire uses it.
NO_WIRE := --ignore=tests/wire -p no:schemathesis
# Without the extra `ldap`: python-ldap has no wheels, and needs a compiler and OpenLDAP's headers.
EXTRAS := --extra keystone --extra oidc --extra policy --extra schema
LOCK := pip compile pyproject.toml $(EXTRAS) --universal --python-version 3.11 \
	--generate-hashes --no-header --no-emit-index-url --quiet

.PHONY: help run test test-all test-postgres test-fast test-long lint dist sbom audit release bench growth crash attack cluster fuzz conformance interop container docs screenshots changelog lock clean
.DELETE_ON_ERROR:

help: ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## /make \1\t/p' Makefile | expand -t 14

run: $(VENV)/runtime ## Serve on 127.0.0.1:9292; options: make run ARGS='--bind 127.0.0.1:9393'
	@$(PY) manage.py serve $(ARGS)

# The checks use their own data folder, so that they never touch a folder with real images.
lint test test-all test-postgres test-fast test-long bench growth crash cluster fuzz conformance interop docs screenshots: export IMAGECATALOG_DATA_DIR := $(CURDIR)/var/test

test: lint ## Run every check and the whole test suite, as CI does
	@$(MAKE) --no-print-directory --keep-going test-postgres test-all

test-postgres: $(VENV)/tests
	$(PY) -m tests.with_postgres $(PYTEST) $(NO_WIRE) -m "database and not wire"

test-all: EXTRA_PROCESSES := 2
test-all: $(VENV)/tests
	$(PYTEST) -m "not long"

test-fast: DIST := worksteal
test-fast: $(VENV)/tests ## Run the tests on SQLite without wire, s3, needs_postgres, slow and long ones
	$(PYTEST) $(NO_WIRE) -m "not wire and not s3 and not needs_postgres and not slow and not long"

test-long: $(VENV)/tests ## Run the further cases of long tests, of which `make test` runs one
	$(PYTEST) -m long

lint: $(VENV)/tests ## Run the checks that need no test: format, style, types, settings, migrations
	$(PY) -m ruff format --check .
	$(PY) -m ruff check .
	$(PY) -m mypy
	$(PY) -m vulture
	$(PY) manage.py check --fail-level WARNING
	$(PY) manage.py makemigrations --check --dry-run

dist: $(VENV)/made ## Make the package for installation, dist/imagecatalog_server-VERSION-py3-none-any.whl
	@rm -f dist/imagecatalog_server-*
	@$(PY) -m pip -qq --no-input --disable-pip-version-check wheel --no-deps -w dist .

sbom: $(VENV)/tests dist ## Write the bill of materials of the package into dist/ (CycloneDX)
	@$(PY) -m tests.release sbom

audit: $(VENV)/tests ## Ask for known vulnerabilities of the packages in requirements.txt
	@$(PY) -m tests.release audit

release: $(VENV)/tests dist ## Check that tag, changelog and package agree; write what a release needs into dist/
	@$(PY) -m tests.release check
	@$(PY) -m tests.release audit
	@$(PY) -m tests.release sbom

bench: $(VENV)/tests ## Measure the running service; options: make bench ARGS=--help
	@$(PY) -m tests.bench $(ARGS)

growth: $(VENV)/tests ## Measure how times grow with the catalogue; options: make growth ARGS=--help
	@$(PY) -m tests.bench.growth $(ARGS)

crash: $(VENV)/tests ## Kill the running service repeatedly; options: make crash ROUNDS=500 ARGS=--help
	@$(PY) -m tests.crash --rounds $(ROUNDS) $(ARGS)
	@$(if $(ARGS),,CRASH_STEPS=all $(PY) -m pytest -q tests/wire/test_two_services.py)

attack: $(VENV)/tests ## Attack a running service, and compare what others notice with limits; options: make attack ARGS=--help
	@$(PY) -m tests.attack $(ARGS)

cluster: $(VENV)/tests ## Run two services behind HAProxy, kill one, and fail the database over; options: make cluster ARGS=--help
	@$(PY) -m tests.cluster $(ARGS)

fuzz: $(VENV)/tests ## Send many unusual requests to the running service; options: make fuzz EXAMPLES=60
	FUZZ_EXAMPLES=$(EXAMPLES) $(PYTEST) tests/wire/test_fuzz.py tests/test_state_machine.py

conformance: $(VENV)/tests ## Run the Image API tests of Tempest with a real Keystone; options: make conformance ARGS=--help
	@$(PY) -m tests.conformance $(ARGS)
	@$(if $(ARGS),,$(MAKE) --no-print-directory fuzz)

interop: $(VENV)/tests ## Let clients of other projects use the running service; options: make interop ARGS='--only nova'
	@$(PY) -m tests.interop $(ARGS)

container: $(VENV)/tests dist ## Build the container image and run it; options: make container ARGS='--base IMAGE'
	@$(PY) -m tests.container $(ARGS)

docs: $(VENV)/tests ## Write the generated parts of docs/, and build the site in docs/_build
	@$(PY) -m tests.docs
	@$(PY) -m sphinx --quiet --fail-on-warning --keep-going docs docs/_build
	@echo "docs/_build/index.html"

screenshots: $(VENV)/tests ## Take the pictures in docs/images
	SCREENSHOTS=$(CURDIR)/docs/images $(PY) -m pytest -q tests/wire/test_screenshots.py

changelog: $(VENV)/tests ## Show the next changelog; write it: make changelog ARGS='--version 0.2.0 --yes'
	@$(PY) -m towncrier build $(or $(ARGS),--draft --version next)

lock: ## Rewrite both lock files from pyproject.toml; newer versions: make lock ARGS=--upgrade
	@set -e; tools=$$(mktemp -d); trap 'rm -rf "$$tools"' EXIT; \
	$(PYTHON) -m venv "$$tools"; \
	"$$tools/bin/python" $(PIP_INSTALL) uv; \
	"$$tools/bin/uv" $(LOCK) $(ARGS) -o requirements.txt; \
	"$$tools/bin/uv" $(LOCK) $(ARGS) --group test -c requirements.txt -o requirements-test.txt

clean: ## Remove all files that the targets create; your data in var/ is kept
	rm -rf $(VENV) dist docs/_build var/test .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Each of these files represents a state of the environment; its time is that of the state.

$(VENV)/made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "'$(PYTHON)' is not Python 3.11 or newer. Name one that is: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@$(PYTHON) -m venv --clear $(VENV) || { \
		rm -rf $(VENV); \
		echo "'$(PYTHON)' cannot create a virtual environment. On Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	@touch $@

$(VENV)/runtime: requirements.txt $(VENV)/made
	@echo "Installing the packages of $< into $(VENV)"
	@$(PY) $(PIP_INSTALL) --require-hashes -r $<
	@touch $@

$(VENV)/tests: requirements-test.txt $(VENV)/made
	@echo "Installing the packages of $< into $(VENV)"
	@$(PY) $(PIP_INSTALL) --require-hashes -r $<
	@touch $@
