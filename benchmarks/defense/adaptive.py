"""Is the defense only hard to differentiate? Attacks that would win then, and budgets up to where it falls.

    python -m benchmarks.defense.adaptive [--seeds 1] [SET ...] [--checks CHECK ...]

A line of results/adaptive.csv for each set, seed, check, attack and size: accuracy after `correct` of skaae
with its defaults. A run goes on where the last one stopped.
"""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

from benchmarks.common.data import IMAGES, TABLES, Split, load
from benchmarks.defense import attacks, square, victims
from benchmarks.defense.commands import for_each_set, parsed, parser_of
from benchmarks.defense.defense import KNOWING_RESTARTS, KNOWING_STEPS
from benchmarks.defense.ledger import Ledger
from benchmarks.defense.methods import PERCENTILE
from skaae import AdversarialAEDetector, FrozenKerasModel, attack_target

logging.getLogger("tensorflow").setLevel(logging.ERROR)
LEDGER = Ledger.named("adaptive")
N_ROWS = {"table": 300, "image": 100}
MORE_STEPS = 4 * KNOWING_STEPS
OTHER_SEED = 1000
# Budgets grow from a quarter of the unaware attack's, two of them to a doubling.
GROWTH = 2**0.5
SMALLEST = 0.25


@dataclass
class Defense:
    """A trained detector and the rows that it is attacked on."""

    model: keras.Model
    detector: AdversarialAEDetector
    split: Split
    seed: int

    @property
    def n_rows(self) -> int:
        return min(N_ROWS[attacks.kind(self.split)], len(self.split.X_test))

    @property
    def sizes(self) -> tuple[float, ...]:
        return attacks.KNOWING_SIZES[attacks.kind(self.split)]

    def is_right(self, X: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Whether the corrected label of each row is its class."""
        return self.detector.correct(X).corrected == y


def main() -> None:
    parser = parser_of(__doc__, ["spambase", "mnist5k"], seeds=1)
    parser.add_argument("--checks", nargs="*", default=list(CHECKS), choices=CHECKS)
    arguments = parsed(parser, [*TABLES, *IMAGES])
    for_each_set(arguments, partial(run_set, checks=arguments.checks))


def run_set(name: str, seed: int, checks: Sequence[str]) -> None:
    """Run those checks on one set that have no results yet."""
    wanted = [check for check in checks if not LEDGER.done(set=name, seed=seed, check=check)]
    if not wanted:
        return
    split = load(name, seed)
    model = victims.network(name, split, seed)
    defense = Defense(model, trained(model, split, seed), split, seed)
    for check in wanted:
        keras.utils.set_random_seed(seed)
        start = time.perf_counter()
        lines = list(CHECKS[check](defense))
        seconds = time.perf_counter() - start
        LEDGER.write([{"set": name, "seed": seed, "check": check, "rows": defense.n_rows, **line} for line in lines])
        print(
            f"\n{name}, seed {seed}: {check} ({seconds:.0f} s)\n{pd.DataFrame(lines).round(3).to_string()}", flush=True
        )


def trained(model: keras.Model, split: Split, seed: int) -> AdversarialAEDetector:
    """The detector that the benchmark of the defense has under the name of skaae."""
    classifier = FrozenKerasModel(model, from_logits=True)
    detector = AdversarialAEDetector(classifier, threshold=1.0, random_state=seed).fit(split.X_train)
    return detector.infer_threshold(split.X_calibration, PERCENTILE)


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
            X = square.attack(predict, defense.split, defense.n_rows, size, defense.seed)
            right = defense.is_right(X, defense.split.y_test[: defense.n_rows])
            yield {"attack": name, "size": size, "corrected": right.mean()}


def growing_budget(defense: Defense) -> Iterator[dict]:
    """PGD of growing size, up to the first under which no row is right."""
    whole = max(defense.sizes)
    lowest, highest = defense.split.bounds
    size = SMALLEST * whole
    while size < (highest - lowest) * GROWTH:
        lines = list(pgd(defense, restarts=1, sizes=(size,)))
        yield from lines
        if min(line["corrected"] for line in lines) == 0:
            return
        size *= GROWTH


CHECKS: dict[str, Callable[[Defense], Iterator[dict]]] = {
    "PGD": pgd,
    "more steps": more_steps,
    "without gradients": without_gradients,
    "transfer": transfer,
    "growing budget": growing_budget,
}


if __name__ == "__main__":
    main()
