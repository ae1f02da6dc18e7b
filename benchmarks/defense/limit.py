"""The limit of the defense: networks that are trained adversarially with labels, under the attacks on skaae.

    python -m benchmarks.defense.limit [--seeds 3] [SET ...]

A line of results/limit.csv for each set, seed, training and attack, as in defense.csv. A run goes on where
the last one stopped.
"""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import logging
import time
from collections.abc import Iterator
from functools import partial

import foolbox
import keras
import numpy as np
import pandas as pd

from benchmarks.common.data import IMAGES, TABLES, Split
from benchmarks.defense import attacks, victims
from benchmarks.defense.adversarial_training import train
from benchmarks.defense.checks import KNOWING_RESTARTS, KNOWING_STEPS
from benchmarks.defense.commands import for_each_set, parsed, parser_of
from benchmarks.defense.defense import KNOWING_IMAGES, N_ROWS, prepared
from benchmarks.defense.ledger import Ledger

logging.getLogger("tensorflow").setLevel(logging.ERROR)
LEDGER = Ledger.named("limit")
# The weight of TRADES' term; 0 is the cross-entropy of attacked rows.
BETAS = {"labels, TRADES": 6.0, "labels, cross-entropy": 0.0}


def main() -> None:
    known = [*TABLES, *IMAGES]
    for_each_set(parsed(parser_of(__doc__, known, seeds=3), known), run_set)


def run_set(name: str, seed: int) -> None:
    """Train and judge the networks of one set that have no results yet."""
    wanted = [method for method in BETAS if not LEDGER.done(set=name, seed=seed, method=method)]
    if not wanted:
        return
    split, model, attacked = prepared(name, seed)
    for method in wanted:
        start = time.perf_counter()
        net = train(split, seed, BETAS[method])
        seconds = time.perf_counter() - start
        lines = list(judge(net, model, split, attacked, seconds))
        LEDGER.write([{"set": name, "seed": seed, "method": method, **line} for line in lines])
        shown = pd.DataFrame(lines).set_index("attack")[["corrected", "without"]].round(3).to_string()
        print(f"\n{name}, seed {seed}: {method} ({seconds:.0f} s)\n{shown}", flush=True)


def judge(
    net: keras.Model, model: keras.Model, split: Split, attacked: dict[str, np.ndarray], seconds: float
) -> Iterator[dict]:
    """A line for the clean rows, for the attacks on M, which transfer or not, and for PGD on the network itself."""
    y = split.y_test[:N_ROWS]
    both = {"corrected": net, "without": model}
    accuracies = lambda X, y: {name: victims.accuracy(judged, X, y) for name, judged in both.items()}  # noqa: E731
    yield {"attack": "clean", "seconds": seconds, **accuracies(split.X_test, split.y_test)}
    for name, moved in attacked.items():
        yield {"attack": name, **accuracies(moved, y)}
    for size in attacks.KNOWING_SIZES[attacks.kind(split)]:
        yield {"attack": f"knowing, PGD {size}", "corrected": under_pgd(net, split, size)}


def under_pgd(net: keras.Model, split: Split, size: float) -> float:
    """Accuracy under PGD with the steps and restarts that skaae is attacked with."""
    pgd = foolbox.attacks.LinfPGD(steps=KNOWING_STEPS, rel_stepsize=2.5 / KNOWING_STEPS)
    attack = partial(attacks.run, pgd, net, split, size=size)
    n_rows = min(N_ROWS, KNOWING_IMAGES if split.is_image else N_ROWS, len(split.X_test))
    return attacks.surviving(attack, split, n_rows, KNOWING_RESTARTS, partial(is_right, net)).mean()


def is_right(net: keras.Model, X: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Whether the network gives each row its class."""
    return net.predict(X, verbose=0, batch_size=1000).argmax(axis=1) == y


if __name__ == "__main__":
    main()
