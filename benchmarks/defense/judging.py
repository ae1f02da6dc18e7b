"""How a method is judged: its thresholds from held-out rows, then flags and labels of clean and of attacked rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.metrics import roc_auc_score

from benchmarks.common.data import Split
from benchmarks.defense.methods import PERCENTILE, Fitted, labels
from skaae._scoring.calibration import form_pools
from skaae._scoring.pools import PooledThresholds


def thresholds_of(fitted: Fitted, model: Any, split: Split) -> PooledThresholds:
    """Thresholds at 5 % false alarms in each class, from rows that neither M nor the method has seen.

    The rule is that of `class_thresholds`, for all methods.
    """
    given, n_classes = labels(model, split.X_calibration), int(split.y_train.max()) + 1
    return form_pools(fitted.score(split.X_calibration), given, n_classes, PERCENTILE)


def judge_unaware(
    fitted: Fitted, model: Any, split: Split, attacked: dict[str, np.ndarray], rows: slice | np.ndarray
) -> Iterator[dict]:
    """A line for all clean test rows, and one for each attack on some of these rows."""
    thresholds = thresholds_of(fitted, model, split)
    clean = Predictions.of(fitted, model, split.X_test, thresholds)
    yield {"attack": "clean", "seconds": fitted.seconds, **clean.summary(split.y_test)}
    for name, moved in attacked.items():
        found = Predictions.of(fitted, model, moved, thresholds)
        yield {"attack": name, "auc": auc(clean[rows], found), **found.summary(split.y_test[rows])}


class Predictions:
    """Flags and labels of some rows."""

    def __init__(self, score, flagged, given, repaired):
        self.score, self.flagged, self.given, self.repaired = score, flagged, given, repaired
        self.corrected = np.where(flagged, repaired, given)

    @classmethod
    def of(cls, fitted: Fitted, model: Any, X: np.ndarray, thresholds: PooledThresholds) -> Predictions:
        score, given = fitted.score(X), labels(model, X)
        repaired = fitted.repaired_labels(X) if fitted.repaired_labels else given
        return cls(score, thresholds.is_adversarial(score, given), given, repaired)

    def __getitem__(self, rows: slice | np.ndarray) -> Predictions:
        return Predictions(self.score[rows], self.flagged[rows], self.given[rows], self.repaired[rows])

    def summary(self, y: np.ndarray) -> dict[str, float]:
        accuracies = {"without": self.given, "corrected": self.corrected, "reconstructed": self.repaired}
        return {**{name: np.mean(found == y) for name, found in accuracies.items()}, "flagged": self.flagged.mean()}


def auc(clean: Predictions, attacked: Predictions) -> float:
    """Attacked rows whose label changed against the clean ones."""
    return separation(clean.score, attacked.score[attacked.given != clean.given])


def separation(low: np.ndarray, high: np.ndarray) -> float:
    """AUC of the scores of rows that should score high against those that should not; nan if there are none."""
    if not (len(low) and len(high)):
        return np.nan
    return roc_auc_score(np.repeat([0, 1], [len(low), len(high)]), np.concatenate([low, high]))
