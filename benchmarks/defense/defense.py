"""The benchmark of the defense: every method against every attack, on the same networks and rows.

    python -m benchmarks.defense.defense [--seeds 3] [SET ...] [--methods METHOD ...]

A line of results/defense.csv for each set, seed, method and attack, written as it is known. A run goes
on where the last one stopped.
"""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import logging
import warnings
from collections.abc import Sequence
from functools import partial

import keras
import numpy as np
import pandas as pd

from benchmarks.common.data import IMAGES, TABLES, Split, UnavailableError, load
from benchmarks.defense import attacks, victims
from benchmarks.defense.checks import KNOWING_RESTARTS, KNOWING_STEPS
from benchmarks.defense.commands import for_each_set, parsed, parser_of
from benchmarks.defense.judging import Predictions, judge_unaware, thresholds_of
from benchmarks.defense.ledger import Ledger
from benchmarks.defense.methods import METHODS, ONLY_IMAGES, Fitted

logging.getLogger("tensorflow").setLevel(logging.ERROR)
warnings.filterwarnings("ignore", "PyTorch not found")
LEDGER = Ledger.named("defense")
N_ROWS = 300
# Attacks that know the defense take most of the time.
KNOWING_IMAGES = 100


def main() -> None:
    known = [*TABLES, *IMAGES]
    parser = parser_of(__doc__, known, seeds=3)
    parser.add_argument("--methods", nargs="*", default=list(METHODS), choices=METHODS)
    arguments = parsed(parser, known)
    for_each_set(arguments, partial(run_set, methods=arguments.methods))


def run_set(name: str, seed: int, methods: Sequence[str] = tuple(METHODS)) -> None:
    """Run those methods on one set that have no results yet."""
    wanted = [method for method in methods if not LEDGER.done(set=name, seed=seed, method=method)]
    if not wanted:
        return
    split, model, attacked = prepared(name, seed)
    for method in wanted:
        if method in ONLY_IMAGES and not split.is_image:
            continue
        try:
            run_method(method, name, seed, model, split, attacked)
        except UnavailableError as error:
            print(f"skipped {method} on {name}: {error}")


def prepared(name: str, seed: int) -> tuple[Split, keras.Model, dict[str, np.ndarray]]:
    """A set, its classifier, and its test rows under every attack on the classifier alone."""
    split = load(name, seed)
    model = victims.network(name, split, seed)
    return split, model, attacks.unaware(name, model, split, N_ROWS, seed)


def run_method(method: str, name: str, seed: int, model, split, attacked) -> None:
    fitted = METHODS[method](model, split, seed)
    lines = list(judge(fitted, model, split, attacked))
    LEDGER.write([{"set": name, "seed": seed, "method": method, **line} for line in lines])
    shown = pd.DataFrame(lines).set_index("attack")[["auc", "corrected", "without"]]
    print(f"\n{name}, seed {seed}: {method} ({fitted.seconds:.0f} s)\n{shown.round(3).to_string()}", flush=True)


def judge(fitted: Fitted, model, split, attacked):
    """A line for the clean rows and for each attack."""
    yield from judge_unaware(fitted, model, split, attacked, slice(N_ROWS))
    if fitted.autoencoder is not None:
        yield from judge_knowing(fitted, model, split, thresholds_of(fitted, model, split))


def judge_knowing(fitted: Fitted, model, split, thresholds):
    """A line for each attack that knows the defense."""

    def is_right(X: np.ndarray, y: np.ndarray) -> np.ndarray:
        return Predictions.of(fitted, model, X, thresholds).corrected == y

    n_rows = min(N_ROWS, KNOWING_IMAGES) if split.is_image else N_ROWS
    for size in attacks.KNOWING_SIZES[attacks.kind(split)]:
        budget = {"size": size, "steps": KNOWING_STEPS, "restarts": KNOWING_RESTARTS}
        found = attacks.knowing(model, fitted.autoencoder, split, n_rows, **budget, is_right=is_right)
        for name, accuracy in found.items():
            yield {"attack": f"knowing, {name} {size}", "corrected": accuracy}


if __name__ == "__main__":
    main()
