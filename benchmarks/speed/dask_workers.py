"""Rows a second that two worker processes of Dask score, and one process without it.

python -m benchmarks.speed.dask_workers
"""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import time

import dask
import dask.array
import numpy as np
from dask.distributed import Client, LocalCluster

from benchmarks.speed.worker import Skaae, table_networks

N_ROWS, ROWS_PER_BLOCK, N_FEATURES = 20_000_000, 500_000, 30


def score(rows, detector):
    return detector.score_samples(rows)


def main() -> None:
    generator = np.random.default_rng(0)
    package = Skaae(table_networks(), 128)
    package.fit(generator.random((1000, N_FEATURES), dtype=np.float32), 1)
    block = generator.random((ROWS_PER_BLOCK, N_FEATURES), dtype=np.float32)
    package.score(block)
    start = time.perf_counter()
    for _ in range(4):
        package.score(block)
    print(f"one process: {4 * ROWS_PER_BLOCK / (time.perf_counter() - start) / 1e6:.2f} million rows a second")
    X = dask.array.random.default_rng(0).random(
        (N_ROWS, N_FEATURES), dtype=np.float32, chunks=(ROWS_PER_BLOCK, N_FEATURES)
    )
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster, Client(cluster):
        sent = dask.delayed(package.detector, traverse=False)
        for rows, title in ((X[: 2 * ROWS_PER_BLOCK], "first million, with their imports"), (X, f"{N_ROWS:,} rows")):
            start = time.perf_counter()
            rows.map_blocks(score, sent, drop_axis=1, meta=np.empty(0)).sum().compute()
            rate = len(rows) / (time.perf_counter() - start) / 1e6
            print(f"two workers, {title}: {rate:.2f} million rows a second, made and scored")


if __name__ == "__main__":
    main()
