"""Sets of the benchmark as what the attacks of skaae.robustness take."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
from sklearn.pipeline import Pipeline

from benchmarks.common.data import Split
from benchmarks.defense.raw_tables import Table
from skaae import FeatureConstraints
from skaae.robustness._arena import Arena
from skaae.robustness._budgets import Moves, moves_of
from skaae.robustness._efforts import EFFORTS, Effort
from skaae.robustness._target import Network, Target, target_of


def arena_of(
    split: Split,
    rows: np.ndarray,
    size: float,
    networks: Mapping[str, Network] | None = None,
    probabilities: Mapping[str, Callable[[np.ndarray], np.ndarray]] | None = None,
) -> Arena:
    """Test rows by their numbers; each feature has the unit 1, and all have the bounds of the set.

    `networks` go from rows to logits, and `probabilities` from rows to probabilities, each by what is attacked.
    """
    X, n_classes = split.X_test[rows], int(split.y_train.max()) + 1
    base = X.reshape(len(X), -1).astype(np.float64)
    lowest, highest = (np.full_like(base, bound) for bound in split.bounds)
    ones = np.ones(base.shape[1])
    moves = Moves(X, base, ones, lowest, highest, np.zeros(base.shape[1], bool), None, None, "std")
    target = Target(
        "", np.arange(n_classes), no_judge, probabilities or {}, networks or {}, None, True, images=split.is_image
    )
    return Arena.of(target, moves, split.y_test[rows], size)


def no_judge(X: np.ndarray) -> None:
    """Attacks leave the judgment to those who ask for them here."""
    raise NotImplementedError


def arena_of_table(model: Pipeline, table: Table, rows: np.ndarray, size: float, seed: int) -> Arena:
    """Raw test rows by their numbers: what cannot be altered stays, and the rest within the range of the training."""
    constraints = FeatureConstraints.from_data(table.X_train, mutable_features=table.mutable)
    moves = moves_of(table.X_test, constraints, None, images=False)
    return Arena.of(target_of(model, table.X_test, seed), moves.take(rows), table.y_test[rows], size)


def effort_of(**changed: int) -> Effort:
    """The effort of "thorough", but for these."""
    return replace(EFFORTS["thorough"], **changed)
