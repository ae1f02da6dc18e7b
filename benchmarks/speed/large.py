"""Rows on disk: as a memory map that one process scores, and as Parquet files that workers of Dask score.

    python -m benchmarks.speed.large [--rows 10000000]

The detector is fitted with defaults on a sample of the rows, in each of the two ways. Rates are medians of three turns;
memory is the peak of a process above what it was before.
"""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import argparse
import resource
import statistics
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path

import dask
import dask.dataframe
import numpy as np
import pandas as pd
from dask.distributed import Client, LocalCluster

from benchmarks.speed.memory import Peak, memory_map, seconds
from benchmarks.speed.worker import table_networks
from skaae import AdversarialAEDetector

SAMPLE, ROWS_PER_FILE, ROWS_PER_GROUP = 20_000, 500_000, 100_000
TURNS = 3


def main() -> None:
    warnings.filterwarnings("ignore", "The defense cannot repair well|Rows that the classifier assigns")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000_000)
    n_rows = parser.parse_args().rows
    with memory_map(n_rows) as X:
        as_memory_map(X)
        with tempfile.TemporaryDirectory() as folder:
            write_parquet(X, Path(folder))
            as_parquet(folder)


def as_memory_map(X: np.ndarray) -> None:
    """Fit on a sample of the rows, and score all of them in this process."""
    rows = np.sort(np.random.default_rng(0).choice(len(X), min(SAMPLE, len(X)), replace=False))
    sample = X[rows]
    detector = new_detector()
    print(f"fit on {len(sample):,} rows of the memory map: {seconds(lambda: detector.fit(sample)):.0f} s", flush=True)
    detector.score_samples(sample)
    with Peak() as peak:
        rate = median_rate(lambda: detector.score_samples(X), len(X))
    in_memory = np.asarray(X[:ROWS_PER_FILE])
    plain = median_rate(lambda: detector.score_samples(in_memory), len(in_memory))
    print(f"memory map, one process: {rate:.2f} million rows a second, {peak.total:.0f} MB; in memory {plain:.2f}")


def write_parquet(X: np.ndarray, folder: Path) -> None:
    """Files of float32 columns, not compressed."""
    for place, start in enumerate(range(0, len(X), ROWS_PER_FILE)):
        frame = pd.DataFrame(X[start : start + ROWS_PER_FILE]).rename(columns=str)
        path = folder / f"{place:04}.parquet"
        frame.to_parquet(path, compression=None, row_group_size=ROWS_PER_GROUP)


def as_parquet(folder: str) -> None:
    """Fit on a sample of the files, and score all of them with two workers, which write the p-values to Parquet."""
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster, Client(cluster) as client:
        frame = dask.dataframe.read_parquet(folder, split_row_groups=True)
        n_rows = len(frame)
        sample = frame.sample(frac=min(1.0, SAMPLE / n_rows), random_state=0).compute()
        detector = new_detector().fit(sample)
        sent = dask.delayed(detector, traverse=False)
        scored = frame.map_partitions(p_values, sent, meta=pd.DataFrame({"p": np.empty(0)}))
        scored.partitions[:2].compute()  # the imports of the workers
        before = client.run(peak_of_process)
        with tempfile.TemporaryDirectory() as target:
            rate = median_rate(lambda: scored.to_parquet(target), n_rows)
        after = client.run(peak_of_process)
        read = median_rate(lambda: frame.sum().compute(), n_rows)
    growth = max(after[worker] - before[worker] for worker in after)
    print(
        f"Parquet, two workers: {rate:.2f} million rows a second, {growth:.0f} MB a worker; "
        f"their sums alone {read:.2f} million rows a second"
    )


def new_detector() -> AdversarialAEDetector:
    """With the networks of the other benchmarks of speed, and the default training."""
    model, autoencoder = table_networks()
    return AdversarialAEDetector(model, autoencoder=autoencoder, random_state=0)


def p_values(part: pd.DataFrame, detector: AdversarialAEDetector) -> pd.DataFrame:
    """What is kept of one partition."""
    return pd.DataFrame({"p": detector.p_values(part)}, index=part.index)


def median_rate(work: Callable[[], object], n_rows: int) -> float:
    """Million rows a second."""
    return n_rows / statistics.median(seconds(work) for _ in range(TURNS)) / 1e6


def peak_of_process() -> float:
    """The largest memory of this process so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


if __name__ == "__main__":
    main()
