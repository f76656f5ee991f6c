# `make help` lists what there is. Needs Python 3.11 or newer, make and git; everything else is fetched.
SHELL := /bin/sh
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV_VERSION := 0.13.8
ONCE ?=
PYTEST_ARGS ?=
XDIST ?= -n 2
KILLS ?= 50
EVENTS ?= 10000
SEED ?= 1
STACK ?= sqlite
KEEP ?=
ONLY ?=
QUICK ?=

.DEFAULT_GOAL := help
.PHONY: help setup demo run test lint format types imports browser services services-stop mutants requirements keys chaos chaos-teeth hostile crash-intake bench

help: ## Show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 16

setup: $(VENV)/.installed ## Make .venv with the locked packages

demo: $(VENV)/.runtime ## Play the story on this machine and keep serving; ONCE=1 ends after the story, PANEL=calagopus plays there
	@$(BIN)/python manage.py demo $(if $(ONCE),--once) $(if $(PANEL),--panel=$(PANEL))

run: $(VENV)/.runtime ## Run web server, workers and ticker from .env in this terminal
	@$(BIN)/python manage.py run

test: $(VENV)/.installed ## Run all tests but slow ones and the browser's, on SQLite; PYTEST_ARGS adds options
	@$(BIN)/python -m pytest $(XDIST) -q -m "not browser and not slow" --req-report=var/requirements.json $(PYTEST_ARGS)

lint: $(VENV)/.installed ## Check style, templates and the direction of imports
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/djlint --lint --quiet templates
	@$(BIN)/lint-imports

format: $(VENV)/.installed ## Bring the code into shape
	@$(BIN)/ruff check --fix . ; $(BIN)/ruff format .

types: $(VENV)/.browser ## Check types
	@$(BIN)/mypy billingbridge provisioning upsell tests tools

browser: $(VENV)/.browser ## Drive a real browser through the story (needs Chromium)
	@$(BIN)/python -m pytest -q -m browser --req-report=var/requirements-browser.json $(PYTEST_ARGS)

services: $(VENV)/.installed ## Start a private PostgreSQL and Redis; prints the variables to use them
	@$(BIN)/python -m tools.services start

services-stop: $(VENV)/.installed ## Stop them
	@$(BIN)/python -m tools.services stop

mutants: $(VENV)/.installed ## Break the code on purpose and see that the tests notice
	@$(BIN)/python -m tools.mutants

chaos: $(VENV)/.installed ## Kill processes at random and compare billing with the panel: KILLS, SEED, STACK, KEEP=1
	@$(BIN)/python -m tools.chaos --kills=$(KILLS) --seed=$(SEED) --stack=$(STACK) $(if $(KEEP),--keep)

chaos-teeth: $(VENV)/.installed ## See that the harness catches three sabotaged builds
	@$(BIN)/python -m tools.chaos.teeth

hostile: $(VENV)/.installed ## Fuzz the real web server with hostile requests: EVENTS, SEED, STACK
	@$(BIN)/python -m tools.hostile --events=$(EVENTS) --seed=$(SEED) --stack=$(STACK)

crash-intake: $(VENV)/.installed ## Kill the web server under load; no acknowledged event may be lost: KILLS, SEED, STACK
	@$(BIN)/python -m tools.hostile.crash --kills=$(KILLS) --seed=$(SEED) --stack=$(STACK)

bench: $(VENV)/.installed ## Measure speed and panel calls: ONLY=intake,calls for parts, QUICK=1 without 100,000 services
	@$(BIN)/python -m tools.bench $(if $(ONLY),--only=$(ONLY)) $(if $(QUICK),--quick)

requirements: test ## Write docs/requirements.md: which test proves what
	@$(BIN)/python -m tools.requirements var/requirements*.json

keys: ## Print fresh secrets for .env
	@$(PYTHON) tools/keys.py

# The bare environment is enough to serve; developers' tools and the browser's are added where they are needed.
$(BIN)/uv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed; $(PYTHON) is older. Name a newer one: make PYTHON=python3.12 …"; exit 1; }
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

$(VENV)/.runtime: uv.lock pyproject.toml | $(BIN)/uv
	@$(BIN)/uv sync --quiet --frozen --inexact --no-default-groups --extra scale
	@touch $@

$(VENV)/.installed: uv.lock pyproject.toml | $(BIN)/uv
	@$(BIN)/uv sync --quiet --frozen --inexact --extra scale
	@touch $@ $(VENV)/.runtime

$(VENV)/.browser: uv.lock pyproject.toml | $(BIN)/uv
	@$(BIN)/uv sync --quiet --frozen --inexact --extra scale --group browser
	@touch $@ $(VENV)/.installed $(VENV)/.runtime
