"""How a method is judged: its thresholds from held-out rows, then flags and labels of clean and of attacked rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.metrics import roc_auc_score

from benchmarks.common.data import Split
from benchmarks.defense.methods import PERCENTILE, Fitted, labels
from skaae._scoring.calibration import calibrate
from skaae._scoring.pools import Thresholds


def thresholds_of(fitted: Fitted, model: Any, split: Split) -> Thresholds:
    """Thresholds at 5 % false alarms in each class, from rows that neither M nor the method has seen.

    The rule is that of `class_thresholds`, for all methods, with its limit of repairs into rare classes.
    """
    given, repaired = labels_of(fitted, model, split.X_calibration)
    n_classes = int(split.y_train.max()) + 1
    return calibrate(fitted.score(split.X_calibration), given, repaired, n_classes, PERCENTILE, True).thresholds


def labels_of(fitted: Fitted, model: Any, X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The labels that M predicts, and those that the method would give instead."""
    given = labels(model, X)
    return given, fitted.repaired_labels(X) if fitted.repaired_labels else given


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


@dataclass(frozen=True)
class Predictions:
    """Flags and labels of some rows."""

    score: np.ndarray
    flagged: np.ndarray
    given: np.ndarray
    repaired: np.ndarray
    corrected: np.ndarray

    @classmethod
    def of(cls, fitted: Fitted, model: Any, X: np.ndarray, thresholds: Thresholds) -> Predictions:
        score, (given, repaired) = fitted.score(X), labels_of(fitted, model, X)
        corrected = np.where(thresholds.is_repaired(score, given, repaired), repaired, given)
        return cls(score, thresholds.is_adversarial(score, given), given, repaired, corrected)

    def __getitem__(self, rows: slice | np.ndarray) -> Predictions:
        return Predictions(*(values[rows] for values in vars(self).values()))

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
