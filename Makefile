# The project's jobs; `make` alone lists them. Each installs into $(VENV) first, once.
# Python 3.11 or 3.10 is taken where there is one, else 3.13 or 3.12, and TensorFlow goes
# by it; PYTHON=3.13 or PYTHON=/path/to/python chooses, VENV=.venv-3.13 keeps both.
.POSIX:

VENV = .venv

.PHONY: help setup demo bench loaders test coverage test-slow soak lint types docs constraints clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' Makefile

setup: $(VENV)/.installed ## install everything into .venv

demo: $(VENV)/.installed ## draw pictures, build records, train, evaluate, plot: minutes
	$(VENV)/bin/alexnet demo

bench: $(VENV)/.installed ## time every stage of the input pipeline on the demo's records
	@[ -d demo/records ] || $(MAKE) demo
	$(VENV)/bin/alexnet bench input-pipeline demo/records

loaders: $(VENV)/.installed ## set up the loaders to measure against: 0.9 GB to download
	benchmarks/loaders/scripts/setup.sh $(VENV)/bin/python

test: $(VENV)/.installed ## run the tests
	$(VENV)/bin/python -m pytest -n auto --maxprocesses 4

coverage: $(VENV)/.installed ## run the tests, and say which lines none of them runs
	$(VENV)/bin/python -m pytest -n auto --maxprocesses 4 --cov --cov-report term

test-slow: $(VENV)/.installed ## run the tests that take minutes
	$(VENV)/bin/python -m pytest -n 3 --dist worksteal -m 'slow and not soak' --timeout 1200

soak: $(VENV)/.installed ## kill, flip, fill and train for hours, at night
	$(VENV)/bin/python -m pytest -m 'slow or soak' --timeout 3600
	$(VENV)/bin/python -m alexnet.benchmarks.scripts.soak --reader mmap
	$(VENV)/bin/python -m alexnet.benchmarks.scripts.soak --reader stream

lint: $(VENV)/.installed ## check style and formatting
	$(VENV)/bin/ruff check
	$(VENV)/bin/ruff format --check

types: $(VENV)/.installed ## check types
	$(VENV)/bin/mypy

docs: $(VENV)/.installed ## build the documentation into site/
	$(VENV)/bin/mkdocs build

constraints: ## choose the newest versions that fit, for every Python
	@command -v uv >/dev/null || \
		{ echo 'make constraints needs uv: https://docs.astral.sh/uv/' >&2; exit 1; }
	uv pip compile --quiet --upgrade --universal --python-version 3.10 --extra dev \
		--no-annotate --custom-compile-command 'make constraints' \
		--output-file constraints.txt pyproject.toml

clean: ## delete what the targets made; photos, records, runs and .venv stay
	rm -rf demo build dist site alexnet.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage
	find alexnet pipeline model cli benchmarks tests -name __pycache__ -prune -exec rm -rf {} +

# pip would compile the packages on one CPU; a file of theirs that cannot be is no matter.
$(VENV)/.installed: pyproject.toml constraints.txt
	@if $(VENV)/bin/python -m pip --version >/dev/null 2>&1; then exit; fi; \
	set -- 3.11 3.10 3.13 3.12 python3; \
	if [ -n '$(PYTHON)' ]; then set -- '$(PYTHON)'; fi; \
	if python=$$(.ci/python "$$@"); then \
		exec "$$python" -m venv $(VENV); \
	elif command -v uv >/dev/null; then \
		exec uv venv --quiet --seed --python "$$1" $(VENV); \
	fi; \
	{ echo "No usable Python among: $$*"; \
	echo 'alexnet needs Python 3.10 to 3.13, with venv.'; \
	echo 'Install one (python3 and python3-venv on Debian, python@3.13 in Homebrew)'; \
	echo 'or uv (https://docs.astral.sh/uv/), or name one: make setup PYTHON=/path/to/it'; \
	} >&2; \
	exit 1
	@echo 'Installing into $(VENV), quietly: 1 GB to download the first time, 3 GB on disk'
	@if command -v uv >/dev/null; then \
		uv pip install --quiet --python $(VENV)/bin/python -c constraints.txt -e '.[dev]'; \
	else \
		PIP_DISABLE_PIP_VERSION_CHECK=1 $(VENV)/bin/python -m pip install --quiet \
			--no-compile -c constraints.txt -e '.[dev]' || exit; \
		$(VENV)/bin/python -m compileall -q -j 0 $(VENV)/lib >/dev/null || :; \
	fi
	@touch $@
