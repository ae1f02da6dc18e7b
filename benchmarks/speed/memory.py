"""Memory and time against the number of rows, each measurement in a process of its own.

    python -m benchmarks.speed.memory            # all, results/memory.csv
    python -m benchmarks.speed.memory score      # one of them

Memory is what is resident above what was before, sampled: anonymous, which a process takes for itself, and pages of
files, which the system takes back when it needs them. The peak is the largest sum of both.
"""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import csv
import json
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

RESULTS = Path(__file__).parent / "results" / "memory.csv"
N_FEATURES = 30
SCORED, FITTED = 10_000_000, 5_000_000
GROWTH = (10_000, 100_000, 1_000_000)
N_FITS = 100
TURNS = 3
Found = Iterator[tuple[str, float]]


class Peak:
    """The largest memory of this process while a block runs, sampled, above what it had before."""

    def __init__(self) -> None:
        self.anonymous = self.of_files = self.total = 0.0
        self._before = memory()
        self._stopped = threading.Event()

    def __enter__(self) -> Peak:
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()

    def _sample(self) -> None:
        while not self._stopped.wait(0.01):
            anonymous, of_files = (now - before for now, before in zip(memory(), self._before, strict=True))
            self.anonymous, self.of_files = max(self.anonymous, anonymous), max(self.of_files, of_files)
            self.total = max(self.total, anonymous + of_files)

    def found(self) -> Found:
        yield "MB, anonymous", self.anonymous
        yield "MB, of files", self.of_files
        yield "MB, peak", self.total


def memory() -> tuple[float, float]:
    """Resident MB of this process: anonymous, and of files."""
    status = Path("/proc/self/status").read_text()
    anonymous, of_files = (int(re.search(rf"{name}:\s+(\d+)", status)[1]) for name in ("RssAnon", "RssFile"))
    return anonymous * 1024 / 1e6, of_files * 1024 / 1e6


@contextmanager
def memory_map(n_rows: int) -> Iterator[np.ndarray]:
    """Normal rows on disk, written in parts."""
    with tempfile.NamedTemporaryFile(suffix=".npy") as file:
        rows = np.lib.format.open_memmap(file.name, "w+", np.float32, (n_rows, N_FEATURES))
        generator = np.random.default_rng(0)
        for start in range(0, n_rows, 100_000):
            part = rows[start : start + 100_000]
            part[:] = generator.standard_normal(part.shape, np.float32)
        rows.flush()
        del rows, part
        yield np.load(file.name, mmap_mode="r")


def detector(**parameters):
    from benchmarks.speed.worker import Skaae, table_networks

    return Skaae(table_networks(), 128, **parameters).detector


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def score() -> Found:
    fitted = detector(epochs=1).fit(np.random.default_rng(0).normal(size=(1000, N_FEATURES)).astype(np.float32))
    small = np.random.default_rng(0).normal(size=(1_000_000, N_FEATURES)).astype(np.float32)
    fitted.score_samples(small)
    rates: dict[str, list[float]] = {"in memory": [], "memory map": []}
    with memory_map(SCORED) as X, Peak() as peak:
        for _ in range(TURNS):
            rates["in memory"] += [len(small) / seconds(lambda: fitted.score_samples(small)) for _ in range(TURNS)]
            rates["memory map"].append(SCORED / seconds(lambda: fitted.score_samples(X)))
    for name, found in rates.items():
        yield f"million rows a second, {name}", statistics.median(found) / 1e6
    yield from peak.found()


def fit() -> Found:
    estimator = detector(epochs=1).set_params(batch_size=4096, threshold=None)
    estimator.fit(np.random.default_rng(0).normal(size=(1000, N_FEATURES)).astype(np.float32))
    with memory_map(FITTED) as X, Peak() as peak:
        yield "seconds", seconds(lambda: estimator.fit(X))
    yield from peak.found()


def growth() -> Found:
    """Microseconds a row, for an epoch of training and for scoring: medians of several turns."""
    for n_rows in GROWTH:
        X = np.random.default_rng(0).normal(size=(n_rows, N_FEATURES)).astype(np.float32)
        more = 2 * GROWTH[-1] // n_rows
        estimator = detector(epochs=1).fit(X)
        epochs = [seconds_of_fit(X, 1 + more) - seconds_of_fit(X, 1) for _ in range(TURNS)]
        yield f"train {n_rows:,}", statistics.median(epochs) / more / n_rows * 1e6
        scores = [seconds(lambda: estimator.score_samples(X)) for _ in range(TURNS * GROWTH[-1] // n_rows)]  # noqa: B023
        yield f"score {n_rows:,}", statistics.median(scores) / n_rows * 1e6


def seconds_of_fit(X: np.ndarray, epochs: int) -> float:
    return seconds(lambda: detector(epochs=epochs).fit(X))


def fits() -> Found:
    """MB that a fit leaves behind, after the first five."""
    X = np.random.default_rng(0).normal(size=(500, N_FEATURES)).astype(np.float32)
    estimator = detector(epochs=1)
    for position in range(N_FITS):
        estimator.fit(X)
        if position == 4:
            before = memory()[0]
    yield "MB a fit", (memory()[0] - before) / (N_FITS - 5)


MEASUREMENTS: dict[str, Callable[[], Found]] = {"score": score, "fit": fit, "growth": growth, "fits": fits}


def main() -> None:
    if len(sys.argv) > 1:
        warnings.simplefilter("ignore")
        for name, value in MEASUREMENTS[sys.argv[1]]():
            print(json.dumps([name, value]), flush=True)
        return
    lines = []
    for measurement in MEASUREMENTS:
        command = [sys.executable, "-m", "benchmarks.speed.memory", measurement]
        found = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
        lines += [[measurement, *json.loads(line)] for line in found.splitlines()]
        print(found, end="", flush=True)
    with RESULTS.open("w", newline="") as file:
        csv.writer(file).writerows([["measurement", "what", "value"], *lines])


if __name__ == "__main__":
    main()
