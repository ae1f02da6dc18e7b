# Each target makes the virtual environment that it needs, from nothing, and is quick when it exists.
PYTHON ?= python3
TEST := .venv-test/bin
DEMO := .venv-demo/bin

BENCH := .venv-bench/bin
DOCS := .venv-docs/bin

.PHONY: test test-slow test-lowest demo docs format clean
.PHONY: bench-data bench-defense bench-peers bench-trees bench-tables bench-corruptions bench-adaptive bench-limit
.PHONY: bench-front bench-rows bench-strong bench-promise
.PHONY: bench-speed bench-gpu bench-dask bench-large bench-facade bench-deployment

# Two processes share the cores: more threads in each would wait for one another
test test-slow test-lowest: export OMP_NUM_THREADS = 1
test test-slow test-lowest: export TF_NUM_INTRAOP_THREADS = 1
test test-slow test-lowest: export TF_NUM_INTEROP_THREADS = 1
# Each process takes half of the list, so that most files, and what their tests share, are made in one of them
PYTEST := -m pytest -n 2 --dist worksteal
test: .venv-test/ready
	$(TEST)/ruff check .
	$(TEST)/ruff format --check .
	$(TEST)/python $(PYTEST) -m "not slow" $(PYTEST_ARGS)

# New processes, the pages and the gallery, the site, the wheel, types, Dask, and fits as they are by default
test-slow: .venv-test/ready
	$(TEST)/python $(PYTEST) -m slow $(PYTEST_ARGS)

# With the oldest versions that pyproject.toml allows: old packages warn of new ones, which is no error here
test-lowest: .venv-lowest/ready
	.venv-lowest/bin/python $(PYTEST) -m "not slow" -W default $(PYTEST_ARGS)

demo: .venv-demo/ready
	$(DEMO)/python examples/quickstart.py

# The site, with every example run: docs/_build/html/index.html
docs: .venv-docs/ready
	$(DOCS)/sphinx-build -W --keep-going -b html docs docs/_build/html

bench-data: .venv-bench/ready
	$(BENCH)/python -m benchmarks.common.data

# SETS="spambase magic" for some data sets only; it goes on where it stopped
bench-defense: .venv-bench/ready
	$(BENCH)/python -m benchmarks.defense.defense $(SETS)
	$(BENCH)/python -m benchmarks.defense.report

# The same, for tree ensembles, raw tables with a rare class, natural corruptions of images, attacks that rule out
# masked gradients, networks trained adversarially with labels, and AutoPGD, Square and attacks on the decision
bench-trees bench-tables bench-corruptions bench-adaptive bench-limit bench-strong: .venv-bench/ready
	$(BENCH)/python -m benchmarks.defense.$(@:bench-%=%) $(SETS)
	$(BENCH)/python -m benchmarks.defense.report

# What each choice of virtual_adversarial_shares leaves to the two kinds of attackers, with a picture
bench-front: .venv-bench/ready
	$(BENCH)/python -m benchmarks.defense.front $(SETS)

# How many training rows the defense gains from
bench-rows: .venv-bench/ready
	$(BENCH)/python -m benchmarks.defense.rows $(SETS)

bench-promise: .venv-bench/ready
	$(BENCH)/python -m benchmarks.defense.promise

# Speed beside alibi-detect (make bench-peers), then memory and time against the number of rows
bench-speed: .venv-bench/ready
	$(BENCH)/python -m benchmarks.speed.speed
	$(BENCH)/python -m benchmarks.speed.memory
	$(BENCH)/python -m benchmarks.speed.startup
	$(BENCH)/python -m benchmarks.speed.where_time_goes
	$(BENCH)/python -m benchmarks.speed.report

# On a GPU, in 8 minutes: correctness, training, scoring, default fits of all of MNIST and Fashion-MNIST
bench-gpu: .venv-gpu/ready
	.venv-gpu/bin/python -m benchmarks.speed.gpu $(PARTS)

# Two worker processes of Dask against one process
bench-dask: .venv-bench/ready
	$(BENCH)/python -m benchmarks.speed.dask_workers

# 10 million rows on disk: a memory map in one process, Parquet with two workers of Dask
bench-large: .venv-bench/ready
	$(BENCH)/python -m benchmarks.speed.large

# The same script with skaae.alibi and with alibi-detect
bench-facade: .venv-bench/ready .venv-peers/ready
	$(BENCH)/python -m benchmarks.alibi.facade

# An ONNX file beside the estimator, then the served example under a minute of load
bench-deployment: .venv-bench/ready
	$(BENCH)/python -m benchmarks.deployment.deployment
	$(BENCH)/python -m benchmarks.deployment.load

# alibi-detect, which bench-defense compares with where this environment is there; Python 3.11 or 3.12
bench-peers: .venv-peers/ready

format: .venv-test/ready
	$(TEST)/ruff check --fix .
	$(TEST)/ruff format .

# Each environment by the extra of pyproject.toml that it gets
.venv-test/ready: EXTRA = test
.venv-demo/ready: EXTRA = examples
.venv-docs/ready: EXTRA = docs
.venv-bench/ready: EXTRA = benchmarks
.venv-gpu/ready: EXTRA = benchmarks,cuda
.venv-%/ready: pyproject.toml
	$(PYTHON) -m venv .venv-$*
	.venv-$*/bin/python -m pip install --quiet --upgrade pip
	.venv-$*/bin/python -m pip install --quiet --editable '.[$(EXTRA)]'
	touch $@

.venv-lowest/ready: pyproject.toml
	$(PYTHON) -m venv .venv-lowest
	.venv-lowest/bin/python -m pip install --quiet --upgrade pip uv
	.venv-lowest/bin/uv pip install --quiet --python .venv-lowest/bin/python --resolution lowest-direct --editable '.[test]'
	touch $@

.venv-peers/ready: benchmarks/common/peers.txt
	$(PYTHON) -m venv .venv-peers
	.venv-peers/bin/python -m pip install --quiet --upgrade pip
	.venv-peers/bin/python -m pip install --quiet --requirement benchmarks/common/peers.txt
	touch $@

clean:
	rm -rf .venv-test .venv-lowest .venv-demo .venv-docs .venv-bench .venv-gpu .venv-peers
	rm -rf examples/output docs/_build docs/gallery docs/generated
