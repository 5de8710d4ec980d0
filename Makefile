# What one types here; `make` alone lists it. Needs Python 3.11 or later, nothing else.

.DEFAULT_GOAL := help
.PHONY: help install demo test storm kills hostile mutants histories conformance runtimes up lint format docs bench \
	cluster upgrade webhooks image restore changelog release lock clean
SHELL := /bin/sh
VENV := .venv
BIN := $(VENV)/bin
CHECKOUT := $(CURDIR)

# Bytes and versions come from the locks: no later upload changes what runs here.
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input
UV_COMPILE := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-annotate --custom-compile-command "make lock"

# It takes half a minute: a line now and then says that it goes on.
define INSTALL
	@echo "installing $$(grep -c '^[a-z].*==' $(1)) packages from $(1): half a minute or so"
	@{ $(PIP) install --progress-bar off --require-hashes --only-binary :all: -r $(1) 2>&1; \
		echo $$? > $(VENV)/.pip; } | awk ' \
		/^Collecting /            { if (++n % 10 == 0) { print "  " n " looked up"; fflush() } next } \
		/^Installing collected/   { print "  unpacking them"; fflush(); next } \
		/^(ERROR|WARNING|error)/  { print; fflush() }'; exit $$(cat $(VENV)/.pip)
endef

help:  ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(VENV)/.service  ## .venv with the locked packages and `billing`, to run the service for real

demo: $(VENV)/.embedded  ## charges, refunds and webhooks through the real thing, then the sums
	@$(BIN)/billing demo

# Four at once, also on two cores: they mostly wait for processes to start and leases to end. In the
# order of tests/support/turns.py. Bytecode is kept even where the environment says that it is not:
# to compile the tests takes a quarter of a minute of each of the four.
test: $(VENV)/.dev  ## the whole test suite on throwaway real PostgreSQL and Redis
	@PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n 4 --dist loadfile \
		--no-loadscope-reorder $(ARGS)

# SEED and MINUTES repeat a storm; BROKER is redis, rabbitmq or both; ARGS="--keep FOLDER".
storm: $(VENV)/.dev  ## minutes of kills, cuts and silence, and a witness (SEED, MINUTES, BROKER)
	@$(BIN)/python -m tests.storm blow $(if $(SEED),--seed $(SEED)) \
		$(if $(MINUTES),--minutes $(MINUTES)) $(if $(BROKER),--broker $(BROKER)) $(ARGS)

# SEED, MINUTES and BROKER as above; FROM is one of tests/upgrade/releases.py. Needs git's history.
upgrade: $(VENV)/.dev  ## an upgrade and the way back in a storm, two versions beside each other (FROM)
	@$(BIN)/python -m tests.upgrade $(if $(SEED),--seed $(SEED)) $(if $(MINUTES),--minutes $(MINUTES)) \
		$(if $(BROKER),--broker $(BROKER)) $(if $(FROM),--from $(FROM)) $(ARGS)

# Needs root, and Debian's etcd-server, haproxy, redis-server and postgresql; docs/cluster.md.
# ARGS="--rate 20", "--only primary", "--rounds 3", "--report FILE".
cluster: $(VENV)/.dev $(VENV)/.patroni  ## three machines under Patroni that die, freeze and are cut off
	@$(BIN)/python -m tests.cluster $(ARGS)

# CHARGES is how many meet each fault, and SEED in which order. The figures are printed (-s).
kills: $(VENV)/.dev  ## each fault for 200 charges, and webhooks, through workers that are killed
	@BILLING_TEST_CHARGES_PER_FAULT=$(or $(CHARGES),200) BILLING_TEST_KILLS_SEED=$(or $(SEED),1) \
		BILLING_TEST_WEBHOOK_KILLS=50 \
		$(BIN)/python -m pytest -s tests/kills tests/crash/test_webhook_kills.py $(ARGS)

hostile: $(VENV)/.dev  ## receivers that mean harm, with the real limits (ROUNDS, 10 unless said)
	@BILLING_TEST_HOSTILE=$(or $(ROUNDS),10) $(BIN)/python -m pytest -s \
		tests/integration/test_hostile_receivers.py $(ARGS)

# ONLY is a module or a folder; SHARD=1/8 an eighth; ARGS=--report tells what is known so far.
# MUTANTS_FOLDER in the environment is where that is kept, when several checkouts share it.
mutants: $(VENV)/.dev  ## which small wrongs in payments/ no test notices (SAMPLE, SEED, SHARD, ONLY)
	@$(BIN)/python -m tests.mutants $(if $(SAMPLE),--sample $(SAMPLE)) $(if $(SEED),--seed $(SEED)) \
		$(if $(SHARD),--shard $(SHARD)) $(if $(ONLY),--only $(ONLY)) $(ARGS)

# A rig is what docs/how-to/add-a-processor.md describes; without one, our own processors are tried.
histories: $(VENV)/.dev  ## ten thousand random histories that the ledger must survive (HISTORIES)
	@BILLING_TEST_HISTORIES=$(or $(HISTORIES),10000) $(BIN)/python -m pytest -s --timeout 7200 \
		tests/integration/rules/test_ledger_histories.py $(ARGS)

conformance: $(VENV)/.dev  ## the conformance kit on a processor (RIG=module:function, ARGS)
	@$(BIN)/python -m pytest -p tests.conformance.plugin $(if $(RIG),--rig $(RIG)) \
		tests/conformance tests/contract/test_processor_*.py $(ARGS)

runtimes: $(VENV)/.dev  ## the TypeScript client under Node, Deno and Bun (90 MB from npm)
	@BILLING_TEST_REQUIRE_RUNTIMES=1 $(BIN)/python -m pytest \
		tests/integration/http/test_typescript_client.py $(ARGS)

up: $(VENV)/.embedded  ## everything running for local use, until Ctrl-C
	@$(BIN)/billing up

lint: $(VENV)/.dev  ## formatting, lint, types, import layers
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: $(VENV)/.dev  ## put every file into shape
	@$(BIN)/ruff check --fix-only --quiet .
	@$(BIN)/ruff format .

# NO_MKDOCS_2_WARNING: a notice of the theme's makers, which says nothing about these pages.
docs: $(VENV)/.docs  ## the documentation as a site, in site/; a broken link fails
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --clean

# A quarter of an hour; ARGS="--quick" for two minutes, ARGS="--publish" for docs/performance.md.
bench: $(VENV)/.dev  ## ours beside plain Celery, TaskIQ and a ceiling by hand, in the same run
	@$(BIN)/python -m benchmarks $(ARGS)
	@$(BIN)/python -m benchmarks.prices

# Some minutes; ARGS="--quick", or "--only fair" for the dead endpoints alone.
webhooks: $(VENV)/.dev  ## delivery beside a bare loop of its HTTP client, and beside 500 dead endpoints
	@$(BIN)/python -m benchmarks.webhooks $(ARGS)

# PYTHON_IMAGE pins its base by a digest; ARGS is another name than `billing`.
image:  ## the image of deploy/Dockerfile, with Docker, or without an engine (deploy/README.md)
	@deploy/image.sh $(ARGS)

# Needs Debian's pgbackrest and postgresql. `make test` tries copies by pg_dump, which need neither.
restore: $(VENV)/.dev  ## a database lost, and restored to a moment by pgBackRest, proved by `billing verify`
	@BILLING_TEST_RESTORE=1 $(BIN)/python -m pytest tests/restore tests/integration/test_backups.py $(ARGS)

# ARGS=--show prints what there is. CONTRIBUTING.md, "Release".
changelog:  ## what changed (changelog.d/) into CHANGELOG.md, under the version of this release
	@python3 deploy/release/changelog.py $(ARGS)

# From a clean checkout: wheel, sdist, npm tarball, bill of materials, sums. ARGS are make.py's.
release:  ## what a release consists of, in dist/, built twice to the same bytes
	@python3 deploy/release/make.py --twice $(ARGS) dist

lock:  ## choose versions anew (needs uv); ARGS="--upgrade" for the latest
	@$(UV_COMPILE) $(ARGS) --group service --output-file requirements.lock
	@$(UV_COMPILE) $(ARGS) --group telemetry --constraints requirements.lock \
		--output-file requirements-telemetry.lock
	@$(UV_COMPILE) $(ARGS) --group agent --constraints requirements.lock \
		--output-file requirements-agent.lock
	@$(UV_COMPILE) $(ARGS) --group embedded --constraints requirements.lock \
		--output-file requirements-embedded.lock
	@$(UV_COMPILE) $(ARGS) --group dev --constraints requirements-embedded.lock \
		--constraints requirements-telemetry.lock --constraints requirements-agent.lock \
		--output-file requirements-dev.lock
	@$(UV_COMPILE) $(ARGS) --group docs --constraints requirements-dev.lock \
		--output-file requirements-docs.lock
	@$(UV_COMPILE) $(ARGS) benchmarks/tools.in --output-file benchmarks/tools.lock
	@$(UV_COMPILE) $(ARGS) tests/cluster/patroni.in --output-file tests/cluster/patroni.lock

clean:  ## remove what was made here, except .billing with its data
	rm -rf $(VENV) .bench build dist site .pytest_cache .ruff_cache .mypy_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A virtual environment whose Python is gone, or too old, is made anew; a good one is kept.
$(VENV)/.python: Makefile
	@$(BIN)/python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		for python in python3 python3.14 python3.13 python3.12 python3.11; do \
			$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && break; \
			python=; \
		done; \
		[ -n "$$python" ] || { echo "Python 3.11 or later is needed: https://www.python.org/downloads/" >&2; exit 1; }; \
		echo "making $(VENV) with $$($$python --version)"; \
		rm -rf $(VENV); \
		$$python -m venv $(VENV) || { rm -rf $(VENV); \
			echo "on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }; \
	}
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(BIN)/python -m ensurepip >/dev/null
	@# The checkout itself is importable in .venv, and `billing` runs from it: nothing is copied.
	@printf '%s\n' "$(CHECKOUT)" > \
		"$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/checkout.pth"
	@printf '#!/bin/sh\nexec "%s/$(BIN)/python" -m cli "$$@"\n' "$(CHECKOUT)" > $(BIN)/billing
	@chmod +x $(BIN)/billing
	@touch $@

$(VENV)/.service: requirements.lock $(VENV)/.python
	$(call INSTALL,$<)
	@touch $@

$(VENV)/.embedded: requirements-embedded.lock $(VENV)/.python
	$(call INSTALL,$<)
	@touch $@ $(VENV)/.service

$(VENV)/.dev: requirements-dev.lock $(VENV)/.python
	$(call INSTALL,$<)
	@touch $@ $(VENV)/.embedded $(VENV)/.service

$(VENV)/.docs: requirements-docs.lock $(VENV)/.python
	$(call INSTALL,$<)
	@touch $@

# In an environment of its own: what it needs is no business of ours.
$(VENV)/.patroni: tests/cluster/patroni.lock $(VENV)/.python
	@$(BIN)/python -m venv $(VENV)/patroni
	@$(VENV)/patroni/bin/python -m pip --disable-pip-version-check --no-input --quiet install \
		--require-hashes -r $<
	@touch $@
