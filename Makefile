# The project's jobs; `make` alone lists them. Each installs into .venv first, once.
# PYTHON=/path/to/python3.11 chooses the interpreter; without it one is looked for.
.POSIX:

.PHONY: help setup demo bench loaders test test-slow soak lint types constraints clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' Makefile

setup: .venv/.installed ## install everything into .venv

demo: .venv/.installed ## draw pictures, build records, train, evaluate, plot: minutes
	.venv/bin/alexnet demo

bench: .venv/.installed ## time every stage of the input pipeline on the demo's records
	@[ -d demo/records ] || $(MAKE) demo
	.venv/bin/alexnet bench input-pipeline demo/records

loaders: .venv/.installed ## set up the loaders to measure against: 0.9 GB to download
	benchmarks/loaders/scripts/setup.sh .venv/bin/python

test: .venv/.installed ## run the tests
	.venv/bin/python -m pytest -n auto --maxprocesses 4

test-slow: .venv/.installed ## run the tests that take minutes
	.venv/bin/python -m pytest -m slow --timeout 1200

soak: .venv/.installed ## kill, flip, fill and train for long: an hour, for the night
	.venv/bin/python -m pytest -m slow --timeout 3600
	.venv/bin/python -m alexnet.benchmarks.scripts.soak --reader mmap
	.venv/bin/python -m alexnet.benchmarks.scripts.soak --reader stream

lint: .venv/.installed ## check style and formatting
	.venv/bin/ruff check
	.venv/bin/ruff format --check

types: .venv/.installed ## check types
	.venv/bin/mypy

constraints: ## choose the newest versions that fit, for Python 3.10 and 3.11
	@command -v uv >/dev/null || \
		{ echo 'make constraints needs uv: https://docs.astral.sh/uv/' >&2; exit 1; }
	uv pip compile --quiet --upgrade --universal --python-version 3.10 --extra dev \
		--no-annotate --custom-compile-command 'make constraints' \
		--output-file constraints.txt pyproject.toml

clean: ## delete what the targets made; photos, records, runs and .venv stay
	rm -rf demo build dist alexnet.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find alexnet pipeline model cli benchmarks tests -name __pycache__ -prune -exec rm -rf {} +

# A Python counts when it runs: a pyenv shim may exist for a version that is not chosen,
# and Debian's Python lacks ensurepip until python3-venv is installed.
.venv/.installed: pyproject.toml constraints.txt
	@if .venv/bin/python -m pip --version >/dev/null 2>&1; then exit; fi; \
	if command -v uv >/dev/null; then \
		python='$(PYTHON)'; \
		exec uv venv --quiet --seed --allow-existing \
			--python "$${python:->=3.10,<3.12}" .venv; \
	fi; \
	if [ -n '$(PYTHON)' ]; then set -- '$(PYTHON)'; \
	else set -- python3.11 python3.10 python3; fi; \
	usable='import ensurepip, sys; sys.exit(not (3, 10) <= sys.version_info < (3, 12))'; \
	for python do \
		if "$$python" -c "$$usable" 2>/dev/null; then \
			exec "$$python" -m venv .venv; \
		fi; \
	done; \
	{ echo "No usable Python among: $$*"; \
	echo 'TensorFlow 2.15 and tensorflow-addons need Python 3.10 or 3.11, with venv.'; \
	echo 'Install one (python3.11 and python3.11-venv on Debian, python@3.11 in Homebrew)'; \
	echo 'or uv (https://docs.astral.sh/uv/), or name one: make setup PYTHON=/path/to/it'; \
	} >&2; \
	exit 1
	@echo 'Installing into .venv, quietly: 810 MB to download the first time, 2.5 GB on disk'
	@if command -v uv >/dev/null; then \
		uv pip install --quiet --python .venv/bin/python -c constraints.txt -e '.[dev]'; \
	else \
		PIP_DISABLE_PIP_VERSION_CHECK=1 .venv/bin/python -m pip install --quiet \
			-c constraints.txt -e '.[dev]'; \
	fi
	@touch $@
