# Each target makes the virtual environment that it needs, from nothing, and is quick when it exists.
PYTHON ?= python3
TEST := .venv-test/bin
DEMO := .venv-demo/bin

.PHONY: test demo format clean

test: .venv-test/ready
	$(TEST)/ruff check .
	$(TEST)/ruff format --check .
	$(TEST)/python -m pytest -n 2 $(PYTEST_ARGS)

demo: .venv-demo/ready
	$(DEMO)/python examples/quickstart.py

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

clean:
	rm -rf .venv-test .venv-demo examples/output
