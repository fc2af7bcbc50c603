# Everything a fresh machine needs: `make audit` runs the main job, `make test` the tests.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
export RECAUDIT_STORE ?= reports/runs.sqlite

.DEFAULT_GOAL := help

$(STAMP): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[dev,postgres]'
	touch $@

.PHONY: help install assets audit attack-table defense-table fairness hallucination privacy explanation postgres chromium test fuzz check format bench clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

install: $(STAMP) ## make .venv and install RecAudit with its development tools

assets: $(STAMP) ## fetch MovieLens-100K, SmolLM2, MiniLM and WordNet into the user's cache
	$(BIN)/recaudit assets fetch

audit: assets ## audit three LLM recommenders on 30 to 100 MovieLens-100K users; ends in reports/audit.html
	mkdir -p reports
	$(BIN)/recaudit run examples/audits/tallrec.yaml examples/audits/smollm2-ranker.yaml examples/audits/p5.yaml --no-gate \
	    --report reports/audit.html --report reports/audit.md

attack-table: assets ## every attack on two targets in one table; may be stopped and given again; writes docs/attacks/table.md
	mkdir -p reports
	RECAUDIT_STORE=reports/attack-table.sqlite $(BIN)/python -m benchmarks.attack_table

defense-table: assets ## every attack against every defense on two targets; may be stopped and given again; writes docs/defenses/table.md
	mkdir -p reports
	RECAUDIT_STORE=reports/defense-table.sqlite $(BIN)/python -m benchmarks.defense_table

fairness: assets ## the long fairness audits: eight attributes on a language model, six mitigations on P5
	mkdir -p reports
	$(BIN)/recaudit run examples/audits/fairness-smollm2.yaml --no-gate --store reports/fairness.sqlite --report reports/fairness-smollm2.html
	$(BIN)/recaudit run examples/audits/mitigations-p5.yaml --no-gate --store reports/fairness.sqlite --report reports/mitigations-p5.html

explanation: assets ## the long explanation audits: why tallrec says yes and SmolLM2 ranks first, 50 users each, resumable
	mkdir -p reports
	$(BIN)/recaudit run examples/audits/explanation-tallrec.yaml --no-gate --store reports/explanation-tallrec.sqlite --report reports/explanation-tallrec.html
	$(BIN)/recaudit run examples/audits/explanation-smollm2.yaml --no-gate --store reports/explanation-smollm2.sqlite --report reports/explanation-smollm2.html

hallucination: assets ## the long hallucination audit: 100 users in free text, five arms of passages
	mkdir -p reports
	$(BIN)/recaudit run examples/audits/hallucination-smollm2.yaml --no-gate --store reports/hallucination.sqlite --report reports/hallucination-smollm2.html

privacy: assets ## the long privacy audits: whose rows stand in a prompt, and canaries in two trainings of SmolLM2, one of them private
	mkdir -p reports
	$(BIN)/recaudit run examples/audits/privacy-smollm2.yaml --no-gate --store reports/privacy.sqlite --report reports/privacy-smollm2.html
	for kind in plain private; do \
	    test -e reports/canaries-$$kind/guarantee.json || \
	        $(BIN)/python examples/privacy/smollm2_canaries.py $$kind reports/canaries-$$kind || exit; \
	    $(BIN)/recaudit run examples/privacy/audit-$$kind.yaml --no-gate --store reports/privacy.sqlite \
	        --report reports/canaries-$$kind.html || exit; \
	done

postgres: # the store is tested on a real server, which the tests start themselves
	@ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || command -v initdb >/dev/null || \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends postgresql >/dev/null; \
	else echo "PostgreSQL is not installed, so its tests will be skipped; install your system's package 'postgresql'"; fi

chromium: # the dashboard is tested in a browser, which the tests drive themselves
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null || \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >/dev/null; \
	else echo "Chromium is not installed, so tests in a browser will be skipped; install your system's package 'chromium'"; fi

test: assets postgres chromium ## run the tests
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadgroup

fuzz: $(STAMP) ## 10,000 inputs for every reader, drawn anew each time; an hour and more on two cores (RECAUDIT_FUZZ=N for another number)
	RECAUDIT_FUZZ=$${RECAUDIT_FUZZ:-10000} OMP_NUM_THREADS=1 nice $(BIN)/python -m pytest tests/fuzz -n 2 --timeout=0 --durations=0

check: $(STAMP) ## lint, types, and the direction of imports
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(STAMP) ## format the code and mend what the linter can
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: assets ## measure every claim of speed; writes benchmarks/latest.json and docs/performance.md
	$(BIN)/python -m benchmarks

clean: ## remove what the tools wrote, but no stored run
	rm -rf .mypy_cache .pytest_cache .ruff_cache .import_linter_cache build dist *.egg-info
