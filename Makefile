# Each target makes the virtual environment that it needs, from nothing, and is quick when it exists.
PYTHON ?= python3
TEST := .venv-test/bin
DEMO := .venv-demo/bin

BENCH := .venv-bench/bin

.PHONY: test demo bench-data bench-defence bench-promise format clean

test: .venv-test/ready
	$(TEST)/ruff check .
	$(TEST)/ruff format --check .
	$(TEST)/python -m pytest -n 2 $(PYTEST_ARGS)

demo: .venv-demo/ready
	$(DEMO)/python examples/quickstart.py

bench-data: .venv-bench/ready
	$(BENCH)/python benchmarks/data.py

# SETS="spambase magic" for some data sets only; it goes on where it stopped
bench-defence: .venv-bench/ready
	$(BENCH)/python benchmarks/defence.py $(SETS)
	$(BENCH)/python benchmarks/report.py

bench-promise: .venv-bench/ready
	$(BENCH)/python benchmarks/promise.py

format: .venv-test/ready
	$(TEST)/ruff check --fix .
	$(TEST)/ruff format .

.venv-test/ready: pyproject.toml
	$(PYTHON) -m venv .venv-test
	$(TEST)/python -m pip install --quiet --upgrade pip
	$(TEST)/python -m pip install --quiet --editable '.[test]'
	touch $@

.venv-demo/ready: pyproject.toml
	$(PYTHON) -m venv .venv-demo
	$(DEMO)/python -m pip install --quiet --upgrade pip
	$(DEMO)/python -m pip install --quiet --editable '.[examples]'
	touch $@

.venv-bench/ready: pyproject.toml
	$(PYTHON) -m venv .venv-bench
	$(BENCH)/python -m pip install --quiet --upgrade pip
	$(BENCH)/python -m pip install --quiet --editable '.[benchmarks]'
	touch $@

clean:
	rm -rf .venv-test .venv-demo .venv-bench examples/output
