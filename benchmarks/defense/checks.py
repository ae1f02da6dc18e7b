"""Checks of a trained detector under attack: what they share, and the run of those that have no results yet."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import keras
import numpy as np
import pandas as pd

from benchmarks.common.data import Split, load
from benchmarks.defense import attacks, victims
from benchmarks.defense.ledger import Ledger
from benchmarks.defense.methods import PERCENTILE
from skaae import AdversarialAEDetector, FrozenKerasModel

N_ROWS = {"table": 300, "image": 100}
KNOWING_STEPS, KNOWING_RESTARTS = 100, 5
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
    _under_pgd: dict[float, np.ndarray] = field(default_factory=dict)

    @property
    def n_rows(self) -> int:
        return min(N_ROWS[attacks.kind(self.split)], len(self.split.X_test))

    @property
    def sizes(self) -> tuple[float, ...]:
        return attacks.KNOWING_SIZES[attacks.kind(self.split)]

    @property
    def growing_sizes(self) -> Iterator[float]:
        """Sizes from a quarter of the unaware attack's up to the whole range."""
        lowest, highest = self.split.bounds
        size = SMALLEST * max(self.sizes)
        while size < (highest - lowest) * GROWTH:
            yield size
            size *= GROWTH

    def is_right(self, X: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Whether the corrected label of each row is its class."""
        return self.detector.correct(X).corrected == y

    def right_under_pgd(self, size: float) -> np.ndarray:
        """The rows that PGD leaves right, on M(AE(x)) and on both; computed once for each size."""
        if size not in self._under_pgd:
            budget = {"size": size, "steps": KNOWING_STEPS, "restarts": KNOWING_RESTARTS}
            parts = self.model, self.detector.autoencoder_, self.split, self.n_rows
            right = attacks.right_under_knowing(*parts, **budget, is_right=self.is_right)
            self._under_pgd[size] = np.logical_and.reduce(list(right.values()))
        return self._under_pgd[size]

    def surviving(self, attack: attacks.RowAttack, restarts: int = 1) -> np.ndarray:
        """The attacked rows whose corrected label stays right."""
        return attacks.surviving(attack, self.split, self.n_rows, restarts, self.is_right)


Check = Callable[[Defense], Iterator[dict]]


def trained(model: keras.Model, split: Split, seed: int) -> AdversarialAEDetector:
    """The detector that the benchmark of the defense has under the name of skaae."""
    classifier = FrozenKerasModel(model, from_logits=True)
    detector = AdversarialAEDetector(classifier, threshold=1.0, random_state=seed).fit(split.X_train)
    return detector.infer_threshold(split.X_calibration, PERCENTILE)


def trained_on(name: str, seed: int) -> Defense:
    """The detector of a data set."""
    split = load(name, seed)
    model = victims.network(name, split, seed)
    return Defense(model, trained(model, split, seed), split, seed)


def run_checks(
    ledger: Ledger,
    keys: dict[str, str | int],
    checks: Mapping[str, Check],
    wanted: Sequence[str],
    train: Callable[[], Defense],
) -> None:
    """Run those wanted checks that have no lines with these keys; nothing is trained if there are none."""
    wanted = [check for check in wanted if not ledger.done(**keys, check=check)]
    defense = train() if wanted else None
    for check in wanted:
        keras.utils.set_random_seed(defense.seed)
        start = time.perf_counter()
        lines = list(checks[check](defense))
        seconds = time.perf_counter() - start
        ledger.write([{**keys, "check": check, "rows": defense.n_rows, **line} for line in lines])
        shown = pd.DataFrame(lines).round(3).to_string()
        print(f"\n{keys['set']}, seed {keys['seed']}: {check} ({seconds:.0f} s)\n{shown}", flush=True)
