"""Is the defense only hard to differentiate? Attacks that would win then, and budgets up to where it falls.

    python -m benchmarks.defense.adaptive [--seeds 1] [SET ...] [--checks CHECK ...]

A line of results/adaptive.csv for each set, seed, check, attack and size: accuracy after `correct` of skaae
with its defaults. A run goes on where the last one stopped.
"""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import logging
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import keras
import numpy as np
import tensorflow as tf

from benchmarks.common.data import IMAGES, TABLES
from benchmarks.defense import attacks
from benchmarks.defense.checks import (
    KNOWING_RESTARTS,
    KNOWING_STEPS,
    Check,
    Defense,
    run_checks,
    trained,
    trained_on,
)
from benchmarks.defense.commands import for_each_set, parsed, parser_of
from benchmarks.defense.ledger import Ledger
from skaae import attack_target

logging.getLogger("tensorflow").setLevel(logging.ERROR)
LEDGER = Ledger.named("adaptive")
MORE_STEPS = 4 * KNOWING_STEPS
OTHER_SEED = 1000


def main() -> None:
    parser = parser_of(__doc__, ["spambase", "mnist5k"], seeds=1)
    parser.add_argument("--checks", nargs="*", default=list(CHECKS), choices=CHECKS)
    arguments = parsed(parser, [*TABLES, *IMAGES])
    for_each_set(arguments, partial(run_set, checks=arguments.checks))


def run_set(name: str, seed: int, checks: Sequence[str]) -> None:
    """Run those checks on one set that have no results yet."""
    run_checks(LEDGER, {"set": name, "seed": seed}, CHECKS, checks, partial(trained_on, name, seed))


def pgd(
    defense: Defense,
    steps: int = KNOWING_STEPS,
    restarts: int = KNOWING_RESTARTS,
    sizes: tuple[float, ...] | None = None,
    autoencoder: keras.Model | None = None,
) -> Iterator[dict]:
    """PGD on M(AE(x)) and on both; a row counts as right only if every restart left it right."""
    autoencoder = autoencoder or defense.detector.autoencoder_
    for size in sizes or defense.sizes:
        parts = defense.model, autoencoder, defense.split, defense.n_rows
        for name, accuracy in attacks.knowing(*parts, size, steps, restarts, defense.is_right).items():
            yield {"attack": name, "size": size, "corrected": accuracy}


def more_steps(defense: Defense) -> Iterator[dict]:
    """Four times the steps: the accuracy must hardly depend on them."""
    return pgd(defense, steps=MORE_STEPS)


def transfer(defense: Defense) -> Iterator[dict]:
    """PGD on a second detector, of another seed, judged on the first."""
    second = trained(defense.model, defense.split, defense.seed + OTHER_SEED)
    return pgd(defense, autoencoder=second.autoencoder_)


def without_gradients(defense: Defense) -> Iterator[dict]:
    """Square, on the probabilities of what is deployed, and on M(AE(x))."""
    reconstructed = attack_target(defense.detector, "defense")
    targets: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "Square, corrected": defense.detector._corrected_probabilities,
        "Square, composite": lambda X: tf.nn.softmax(reconstructed(X)).numpy(),
    }
    for size in defense.sizes:
        for name, predict in targets.items():
            X = attacks.square(predict, defense.split, defense.n_rows, size, defense.seed)
            right = defense.is_right(X, defense.split.y_test[: defense.n_rows])
            yield {"attack": name, "size": size, "corrected": right.mean()}


def growing_budget(defense: Defense) -> Iterator[dict]:
    """PGD of growing size, up to the first under which no row is right."""
    for size in defense.growing_sizes:
        lines = list(pgd(defense, restarts=1, sizes=(size,)))
        yield from lines
        if min(line["corrected"] for line in lines) == 0:
            return


CHECKS: dict[str, Check] = {
    "PGD": pgd,
    "more steps": more_steps,
    "without gradients": without_gradients,
    "transfer": transfer,
    "growing budget": growing_budget,
}


if __name__ == "__main__":
    main()
