# Everything runs in .venv, which `make setup` builds from the lock files; only test-minimum builds its own.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Of three at a time each takes one thread: with more than there are cores, each loop waits for the slowest.
ONE_THREAD := OMP_NUM_THREADS=1
AT_A_TIME := --numprocesses 3 --dist loadfile --no-loadscope-reorder
# A file that is not the one that was locked is refused. The lock files name everything, so no dependency is looked for.
LOCKED := --quiet --require-hashes --no-deps --requirement
HASHED := $(VENV)-lock/uv/bin/uv pip compile --quiet --no-deps --generate-hashes --no-header --no-annotate -
# Whatever leads nowhere ends it. It begins afresh, because of a page that it knows it would not complain twice.
SITE := $(BIN)/python -m sphinx --fresh-env --fail-on-warning --keep-going --nitpicky --quiet -d build/doctrees docs build/site
FREEZE := $(VENV)-lock/bin/pip freeze --all | grep -vE '^(pip=|dpgan-tune)' | sed 's/+[a-z0-9.]*$$//'

.PHONY: help setup run test test-all test-minimum test-dataset test-aws test-cluster check audit bench bench-engine bench-growth bench-gpu \
  bench-study docs lock clean

help:           ## this list
	@grep -hE '^[a-z-]+:.*##' Makefile | sed 's/:.*##/ -/'

$(VENV)/.installed: requirements.lock requirements-torch.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "dpgan-tune needs Python 3.11 or newer; say which with: make PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install $(LOCKED) requirements.lock
	$(BIN)/pip install --quiet --requirement requirements-torch.lock
	$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed requirements-dev.lock
	$(BIN)/pip install $(LOCKED) requirements-dev.lock
	@touch $@

$(VENV)/.installed-audit: $(VENV)/.installed-dev requirements-audit.lock
	$(BIN)/pip install $(LOCKED) requirements-audit.lock
	@touch $@

$(VENV)/.installed-docs: $(VENV)/.installed-dev requirements-docs.lock
	$(BIN)/pip install $(LOCKED) requirements-docs.lock
	@touch $@

setup: $(VENV)/.installed  ## install into .venv, from the lock file

run: setup      ## search on a simulated SPRINT trial and write a synthetic release (minutes)
	$(BIN)/python tuner/run.py --cohort sprint-simulated $(ARGS)

test: $(VENV)/.installed-dev  ## the fast tests and the docstrings' examples, three files at a time: they often wait
	$(ONE_THREAD) $(BIN)/python -m pytest $(AT_A_TIME)

test-all: $(VENV)/.installed-audit  ## the slow and statistical tests too, and which lines of the code no test reaches
	$(ONE_THREAD) FRESH_NOISE=yes REQUIRE_AUDIT=yes $(BIN)/python -m pytest $(AT_A_TIME) -m "not cluster" --cov

test-minimum:   ## the fast tests with the lowest versions that pyproject.toml allows
	rm -rf $(VENV)-minimum && $(PYTHON) -m venv $(VENV)-minimum
	$(PYTHON) -c 'import re, tomllib; \
	  allowed = tomllib.load(open("pyproject.toml", "rb"))["project"]["dependencies"]; \
	  print(*(re.sub(r"\[.*]", "", each).split(",")[0].replace(">=", "==") for each in allowed), sep="\n")' \
	  > $(VENV)-minimum/lowest.txt
	sed -n 's/ \\$$//p' requirements-dev.lock | grep == > $(VENV)-minimum/dev.txt
	$(VENV)-minimum/bin/pip install --quiet --constraint $(VENV)-minimum/lowest.txt \
	  --constraint $(VENV)-minimum/dev.txt --editable '.[test]'
	$(ONE_THREAD) $(VENV)-minimum/bin/python -m pytest $(AT_A_TIME)
	rm -rf $(VENV)-minimum

test-dataset:   ## what mlcroissant, SDV and R (Debian: r-base-core r-cran-foreign r-cran-haven) say of released tables, and files that SAS wrote
	rm -rf $(VENV)-dataset && $(PYTHON) -m venv $(VENV)-dataset
	$(VENV)-dataset/bin/pip install --quiet --editable '.[test]' 'mlcroissant>=1.1' 'sdv>=2'
	git clone --quiet --depth 1 --branch v2.5.5 https://github.com/tidyverse/haven $(VENV)-dataset/haven
	HAVEN=$(VENV)-dataset/haven $(VENV)-dataset/bin/python -m pytest tests/analysis/test_dataset.py \
	  tests/cohorts/test_sas_data_sets.py tests/cohorts/test_parameters.py
	rm -rf $(VENV)-dataset

test-aws:       ## what Ray asks of an imitation of AWS, and whether the policies allow it
	rm -rf $(VENV)-aws && $(PYTHON) -m venv $(VENV)-aws
	$(VENV)-aws/bin/pip install --quiet --editable '.[test]' 'moto[ec2,iam]>=5.2' 'boto3>=1.44.5'
	$(VENV)-aws/bin/python -m pytest tests/cluster/test_aws_permissions.py tests/cluster/test_cluster_files.py
	rm -rf $(VENV)-aws

test-cluster: $(VENV)/.installed-dev  ## two hosts as network namespaces (root, sshd, iproute2, rsync)
	$(BIN)/python -m pytest tests/cluster -m cluster

docs: $(VENV)/.installed-docs  ## the pages and the reference as a site: build/site/index.html, for a browser without a network
	$(SITE)

check: $(VENV)/.installed-docs  ## lint, types, which folder may import which, the site, and links between pages
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(SITE)
	$(BIN)/python -m pytest --quiet tests/test_links.py tests/test_site.py

audit: setup    ## attack the code itself: lower bounds that must stay below what is stated
	$(BIN)/python -m analysis.auditing

bench: setup    ## what a trial's step and a study's overhead cost here
	$(BIN)/python -m benchmarks

bench-engine: setup  ## the packed engine against Opacus: steps per second, memory
	$(BIN)/python -m benchmarks.engine

bench-growth: setup  ## how the packed engine's cost grows with trials, participants and width
	$(BIN)/python -m benchmarks.growth

bench-gpu: setup   ## the packed engine on a GPU, by number of trials
	$(BIN)/python -m benchmarks.gpu

bench-study: setup  ## the same study through Ray Tune with both engines
	$(BIN)/python -m benchmarks.study

lock:           ## bring the lock files up to date with pyproject.toml
	rm -rf $(VENV)-lock && $(PYTHON) -m venv $(VENV)-lock
	$(PYTHON) -m venv $(VENV)-lock/uv && $(VENV)-lock/uv/bin/pip install --quiet uv
	$(VENV)-lock/bin/pip install --quiet setuptools wheel .
	$(FREEZE) > $(VENV)-lock/all
	$(VENV)-lock/bin/pip install --quiet '.[dev]'
	$(FREEZE) | grep -vxFf $(VENV)-lock/all > $(VENV)-lock/dev
	$(VENV)-lock/bin/pip install --quiet '.[dev,audit]'
	$(FREEZE) | grep -vxFf $(VENV)-lock/all | grep -vxFf $(VENV)-lock/dev > $(VENV)-lock/audit
	$(VENV)-lock/bin/pip install --quiet '.[dev,audit,docs]'
	$(FREEZE) | grep -vxFf $(VENV)-lock/all | grep -vxFf $(VENV)-lock/dev | grep -vxFf $(VENV)-lock/audit > $(VENV)-lock/docs
	{ echo "# PyTorch, without hashes: each kind of device has a build of its own, of one version. Made by make lock."; \
	  grep '^torch==' $(VENV)-lock/all; } > requirements-torch.lock
	{ echo "# Everything else that dpgan-tune runs with: exact versions, and the SHA-256 of each of their files."; \
	  grep -v '^torch==' $(VENV)-lock/all | $(HASHED); } > requirements.lock
	{ echo "# What tests and checks need besides."; $(HASHED) < $(VENV)-lock/dev; } > requirements-dev.lock
	{ echo "# What make test-all needs besides."; $(HASHED) < $(VENV)-lock/audit; } > requirements-audit.lock
	{ echo "# What make docs needs besides."; $(HASHED) < $(VENV)-lock/docs; } > requirements-docs.lock
	rm -rf $(VENV)-lock

clean:          ## remove the virtual environments
	rm -rf $(VENV) $(VENV)-minimum $(VENV)-peers-*
