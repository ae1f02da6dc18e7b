"""The modules of the benchmarks for tests: an empty cache, an empty folder for results, and rows made up here."""

import importlib
import sys
import warnings
from types import SimpleNamespace

import numpy as np
import pytest

MODULES = {
    **{name: f"benchmarks.common.{name}" for name in ("data", "peers")},
    **{
        name: f"benchmarks.defense.{name}"
        for name in ("adaptive", "arenas", "attacks", "checks", "commands", "defense")
    },
    **{
        name: f"benchmarks.defense.{name}"
        for name in ("adversarial_training", "auto_pgd", "corruptions", "decision", "front")
    },
    **{name: f"benchmarks.defense.{name}" for name in ("judging", "ledger", "methods", "report")},
    **{name: f"benchmarks.defense.{name}" for name in ("limit", "raw_attacks", "raw_tables", "rows", "sections")},
    **{name: f"benchmarks.defense.{name}" for name in ("strong", "summaries", "tables", "trees", "victims")},
    **{f"speed_{name}": f"benchmarks.speed.{name}" for name in ("report", "targets")},
    **{name: f"benchmarks.deployment.{name}" for name in ("deployment", "load")},
}


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    """The modules of the benchmark, with an empty cache; none stays behind."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SKAAE_BENCHMARK_CACHE", str(tmp_path_factory.mktemp("cache")))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # foolbox imports deprecated names of SciPy
            modules = {name: importlib.import_module(module) for name, module in MODULES.items()}
        yield SimpleNamespace(**modules)
        for module in MODULES.values():
            sys.modules.pop(module)


@pytest.fixture
def results(bench, tmp_path, monkeypatch):
    """An empty folder for results."""
    monkeypatch.setattr(bench.ledger, "FOLDER", tmp_path)
    names = "defense", "trees", "tables", "corruptions", "adaptive", "front", "limit", "rows", "strong", "report"
    for module in (getattr(bench, name) for name in names):
        monkeypatch.setattr(module, "LEDGER", bench.ledger.Ledger.named(module.__name__.rpartition(".")[2]))
    return tmp_path


@pytest.fixture(scope="module")
def split(bench):
    """Two classes, told apart by the sign of the first feature."""
    X = np.random.default_rng(0).normal(size=(260, 4)).astype(np.float32)
    y = (X[:, 0] > 0).astype(int)
    return bench.data.Split(X[:160], y[:160], X[160:220], X[220:], y[220:], (-8.0, 8.0))
