# Everything here works on a fresh clone. `make help` lists the targets.
# Paths are relative throughout, so a folder with spaces in its name is fine.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: run test soak soak-hour bench bench-peers lint clean help system

# The Japanese sources must read alike under LC_ALL=C, and foreign paths must not leak in.
export PYTHONUTF8 := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_USER := 0
unexport PYTHONPATH PYTHONHOME

ifndef PYTHON
PYTHON := $(shell for p in python3 python3.11 python3.12 python3.13 python3.14; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo "$$p"; break; }; done)
endif

VENV := .venv
RUN := $(VENV)/bin/python
# An editable install remembers where it was made: a moved or copied folder needs a new one.
STAMP := $(VENV)/installed-$(shell pwd | cksum | cut -d' ' -f1)
STAGE = echo "== $(1)"; $(2) || { echo "make $@: $(1) failed" >&2; exit 1; }

run: system $(STAMP)  ## open the window; without a display, film the LSTM scene (ARGS="lstm" opens a scene)
	@if [ -n "$${DISPLAY:-}$${WAYLAND_DISPLAY:-}" ] || [ "$$(uname)" = Darwin ]; then \
		exec $(VENV)/bin/backstep $(ARGS); \
	fi; \
	echo "No display is set, so instead of a window this films a step through the LSTM scene."; \
	film=out/lstm.mp4; \
	$(RUN) -c 'import av' 2>/dev/null || film=out/lstm.gif; \
	mkdir -p out; \
	QT_QPA_PLATFORM=offscreen exec $(VENV)/bin/backstep render lstm --out "$$film"

test: export QT_QPA_PLATFORM := offscreen
test: system $(STAMP) lint  ## lint, types and tests, without a display (ARGS="-k lstm" picks tests)
	@$(call STAGE,pytest,$(RUN) -m pytest -n 2 $(ARGS))

lint: $(STAMP)  ## lint, formatting and types
	@$(call STAGE,ruff check,$(RUN) -m ruff check .)
	@$(call STAGE,ruff format --check,$(RUN) -m ruff format --check .)
	@$(call STAGE,mypy,$(RUN) -m mypy)

soak: export QT_QPA_PLATFORM := offscreen
soak: system $(STAMP)  ## spoil 500,000 scene files, kill programs while they save and edit; ten minutes
	@$(call STAGE,fuzz,$(RUN) -W ignore -m tests.soak fuzz --count 500000)
	@$(call STAGE,kill while saving,$(RUN) -W ignore -m tests.soak kill)
	@$(call STAGE,kill a careless writer,$(RUN) -W ignore -m tests.soak kill --plain)
	@$(call STAGE,kill the window,$(RUN) -W ignore -m tests.soak window)

soak-hour: export QT_QPA_PLATFORM := offscreen
soak-hour: system $(STAMP)  ## an hour of random clicks and keys: nothing breaks, and memory does not grow
	@$(call STAGE,an hour of random events,$(RUN) -W ignore -m tests.soak hour)

bench: export QT_QPA_PLATFORM := offscreen
bench: system $(STAMP)  ## measure speed; writes out/bench.json
	@mkdir -p out
	@$(RUN) -m tests.benchmarks $(ARGS)

bench-peers: $(STAMP)  ## install what `make bench` compares with (PyTorch is large)
	@$(RUN) -m pip install torch==2.13.0 micrograd
	@$(RUN) -m pip install pygraphviz || { \
		echo "pygraphviz is built from source: apt-get install gcc pkg-config python3-dev graphviz libgraphviz-dev" >&2; \
		exit 1; }

clean:  ## remove .venv, caches and build products; out/ stays
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

help:  ## this list
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/^([a-z-]+):.*##  ?/\1\t/' | while IFS=$$'\t' read -r name says; do \
		printf '  make %-12s %s\n' "$$name" "$$says"; done

# Before anything is installed: Python with venv, and the shared libraries that Qt expects.
system:
	@[ -n "$(PYTHON)" ] || { echo "Backstep needs Python 3.11 or newer, for instance: apt-get install python3 python3-venv" >&2; exit 1; }
	@"$(PYTHON)" explorer/system.py --install $(if $(wildcard $(RUN)),,--venv)

$(STAMP): pyproject.toml constraints.txt | system
	@echo "Installing Backstep into $(VENV); the first time takes a few minutes."
	@$(RUN) -m pip --version >/dev/null 2>&1 || "$(PYTHON)" -m venv --clear $(VENV)
	@$(RUN) -m pip install --editable '.[film,formula,dev]' --constraint constraints.txt || { \
		echo "make: installing the packages failed; pip's message is above" >&2; exit 1; }
	@rm -f $(VENV)/installed-*
	@touch $@
