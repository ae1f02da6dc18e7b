"""How many training rows the defense gains from: the same classifier, defended with more and more rows.

    python -m benchmarks.defense.rows [--seeds 1] [SET ...]

A line of results/rows.csv for each set, seed and number of rows; the accuracies are those of `front`. A run goes on
where the last one stopped.
"""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import logging
from dataclasses import replace

import numpy as np

from benchmarks.common.data import IMAGES, TABLES
from benchmarks.defense.commands import for_each_set, parsed, parser_of
from benchmarks.defense.defense import prepared
from benchmarks.defense.front import judged
from benchmarks.defense.ledger import Ledger

logging.getLogger("tensorflow").setLevel(logging.ERROR)
LEDGER = Ledger.named("rows")
N_ROWS = (300, 1000, 3000, 10_000, 30_000)


def main() -> None:
    known = [*TABLES, *IMAGES]
    for_each_set(parsed(parser_of(__doc__, ["letter", "adult"], seeds=1), known), run_set)


def run_set(name: str, seed: int) -> None:
    """Train and judge with those numbers of rows that have no results yet, up to all that there are."""
    split, model, attacked = prepared(name, seed)
    order = np.random.default_rng(seed).permutation(len(split.X_train))
    for n_rows in sorted({min(n_rows, len(order)) for n_rows in N_ROWS}):
        key = {"set": name, "seed": seed, "rows": n_rows}
        if LEDGER.done(**key):
            continue
        chosen = order[:n_rows]
        part = replace(split, X_train=split.X_train[chosen], y_train=split.y_train[chosen])
        line = {**key, **judged(part, model, attacked, seed)}
        LEDGER.write([line])
        print(line, flush=True)


if __name__ == "__main__":
    main()
