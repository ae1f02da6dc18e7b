"""From the scores of calibration rows to thresholds that promise each class its rate of false alarms, and a report."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.stats import binom

from skaae._scoring.pools import MARGIN, PooledThresholds, SharedThreshold, Thresholds, offset_of, threshold_of_pool
from skaae._scoring.repairs import infer_repair_thresholds
from skaae._scoring.threshold import conformal_threshold, rows_needed
from skaae._utils.extras import import_extra
from skaae._utils.warnings import warn

# A class leaves the pool if so many of its rows are flagged with less than the first probability, divided by the number
# of classes, or less than the second. With many classes, more would leave by chance, to an uncertain threshold.
SIGNIFICANCE, LEAST_SIGNIFICANCE = 0.1, 0.01
# With fewer rows whose label x' keeps, the defense replaces more right labels than it repairs wrong ones.
LEAST_LABELS_KEPT = 0.5
# Of fewer rows the share of kept labels says little.
LEAST_ROWS_TO_JUDGE = 5
# Of more classes a warning names only the first.
MOST_CLASSES_NAMED = 10


@dataclass(frozen=True, eq=False)
class Calibration:
    """Thresholds, and what the calibration rows say about each class.

    Parameters
    ----------
    thresholds : SharedThreshold or PooledThresholds
    n_rows, n_flagged, n_kept : ndarray of shape (n_classes,), int
        Calibration rows that M assigns to the class, those of them that are flagged, and those whose label x' keeps.
    percentile : float or None, default=None
        The percentile of the thresholds. None in files of earlier versions.
    """

    thresholds: Thresholds
    n_rows: np.ndarray
    n_flagged: np.ndarray
    n_kept: np.ndarray
    percentile: float | None = None

    def report(self, classes: np.ndarray) -> Any:
        """Return a DataFrame with a line for each class."""
        pandas = import_extra("pandas", "pandas")
        with np.errstate(invalid="ignore"):
            columns = {
                "calibration_rows": self.n_rows,
                "flagged": self.n_flagged / self.n_rows,
                "label_kept": self.n_kept / self.n_rows,
                "threshold": self.thresholds.of_classes(len(classes)),
                "repair_threshold": self.thresholds.of_repairs(len(classes)),
            }
        return pandas.DataFrame(columns, index=pandas.Index(classes, name="class"))

    def warn_if_weak(self, classes: np.ndarray, percentile: float) -> None:
        """Warn of classes that are never flagged, and of those, or all rows, for which x' keeps too few labels."""
        self._warn_of_never_flagged(classes, percentile)
        self._warn_of_lost_labels(classes)

    def warn_of_absent_classes(self, classes: np.ndarray, percentile: float, before: Calibration) -> None:
        """Warn of classes that have no calibration row now, but had one before, unless nothing is promised."""
        absent = classes[(self.n_rows == 0) & (before.n_rows > 0)]
        is_promised = isinstance(self.thresholds, PooledThresholds) and self.n_rows.sum() >= rows_needed(percentile)
        if is_promised and len(absent):
            warn(
                f"The classifier assigns no calibration row to these classes: {_named([*map(str, absent)])}. Their "
                f"rows have the threshold of other classes and may be flagged far more often than promised. Pass rows "
                f"of all classes, as they occur."
            )

    def _warn_of_never_flagged(self, classes: np.ndarray, percentile: float) -> None:
        never = np.flatnonzero(np.isinf(self.thresholds.of_classes(len(classes))) & (self.n_rows > 0))
        if len(never):
            rows = _named([f"{classes[place]!s} ({self.n_rows[place]} calibration rows)" for place in never])
            warn(
                f"Rows that the classifier assigns to these classes are never flagged: {rows}. With the threshold of "
                f"the other classes they would be flagged too often, and a threshold of their own needs at least "
                f"{rows_needed(percentile)} calibration rows for threshold_percentile={percentile}. Call "
                f"infer_threshold with more rows."
            )

    def _warn_of_lost_labels(self, classes: np.ndarray) -> None:
        n_rows, n_kept = int(self.n_rows.sum()), int(self.n_kept.sum())
        if n_rows >= LEAST_ROWS_TO_JUDGE and n_kept < LEAST_LABELS_KEPT * n_rows:
            warn(_labels_lost(f"only {n_kept / n_rows:.0%} of the calibration rows"))
            return
        weak = np.flatnonzero((self.n_rows >= LEAST_ROWS_TO_JUDGE) & (self.n_kept < LEAST_LABELS_KEPT * self.n_rows))
        if len(weak):
            shares = [f"{self.n_kept[place] / self.n_rows[place]:.0%} for {classes[place]!s}" for place in weak]
            warn(_labels_lost(f"few calibration rows of some classes: {_named(shares)}"))


def calibrate(
    scores: np.ndarray,
    labels: np.ndarray,
    labels_reconstructed: np.ndarray,
    n_classes: int,
    percentile: float,
    class_thresholds: bool,
) -> Calibration:
    """Set the threshold or, with `class_thresholds`, that of each pool of classes and of repairs into each class.

    Parameters
    ----------
    scores : ndarray of shape (n_samples,)
        Scores of the calibration rows.
    labels, labels_reconstructed : ndarray of shape (n_samples,), int
        Positions of the labels that M predicts for x and for x'.
    n_classes : int
    percentile : float
        In (0, 100].
    class_thresholds : bool

    Returns
    -------
    calibration : Calibration

    Raises
    ------
    ValueError
        If a threshold would be NaN, or the threshold of all rows infinite.
    """
    if class_thresholds:
        thresholds: Thresholds = _pools_and_repairs(scores, labels, labels_reconstructed, n_classes, percentile)
    else:
        thresholds = SharedThreshold(conformal_threshold(scores, percentile), np.sort(scores))
    flagged, kept = thresholds.is_adversarial(scores, labels), labels == labels_reconstructed
    n_rows, n_flagged, n_kept = (
        np.bincount(rows, minlength=n_classes) for rows in (labels, labels[flagged], labels[kept])
    )
    return Calibration(thresholds, n_rows, n_flagged, n_kept, float(percentile))


def _pools_and_repairs(
    scores: np.ndarray, labels: np.ndarray, labels_reconstructed: np.ndarray, n_classes: int, percentile: float
) -> PooledThresholds:
    """The thresholds of pools, and those of repairs among the rows that these flag."""
    pools = form_pools(scores, labels, n_classes, percentile)
    flagged = np.where(pools.is_adversarial(scores, labels), scores, -np.inf)
    of_repairs = infer_repair_thresholds(flagged, labels, labels_reconstructed, n_classes, percentile)
    return replace(pools, repair_thresholds=of_repairs)


def form_pools(scores: np.ndarray, labels: np.ndarray, n_classes: int, percentile: float) -> PooledThresholds:
    """Put the classes into pools, so that none has significantly more false alarms than promised.

    All classes start in one pool. A class whose rows exceed the threshold of the pool significantly more often than
    promised leaves it and gets a threshold of its own. Then the threshold of the pool is computed again, until no class
    leaves. A class that left with fewer rows than the percentile needs is never flagged. The level of the one-sided
    binomial test is 10 % divided by the number of classes, but at least 1 %.

    Parameters
    ----------
    scores : ndarray of shape (n_samples,)
    labels : ndarray of shape (n_samples,), int
        In range(`n_classes`).
    n_classes : int
    percentile : float
        In (0, 100].

    Returns
    -------
    pools : PooledThresholds

    Raises
    ------
    ValueError
        If the first threshold is NaN or infinite.

    Examples
    --------
    >>> import numpy as np
    >>> from skaae._scoring.calibration import form_pools
    >>> scores = np.r_[np.linspace(0, 1, 900), np.linspace(0, 9, 100)]
    >>> form_pools(scores, np.repeat([0, 1], [900, 100]), 2, 95).of_classes(2).round(2)
    array([0.95, 8.64])
    """
    conformal_threshold(scores, percentile)  # raises an error or warns where it cannot be promised
    if len(scores) < rows_needed(percentile):
        # No row is flagged then with the promised probability. As published, those above the largest score are.
        offset = math.log(1 / (len(scores) + 1)) + MARGIN
        return PooledThresholds((np.sort(scores),), np.zeros(n_classes, int), offset)
    of_class = [scores[labels == label] for label in range(n_classes)]
    alone = _classes_that_leave(of_class, percentile)
    shared = [label for label in range(n_classes) if label not in alone]
    pools = [np.sort(np.concatenate([of_class[label] for label in shared])), *(np.sort(of_class[k]) for k in alone)]
    pool_of_class = np.zeros(n_classes, int)
    pool_of_class[alone] = np.arange(1, len(alone) + 1)
    return PooledThresholds(tuple(pools), pool_of_class, offset_of(percentile))


def _classes_that_leave(scores: Sequence[np.ndarray], percentile: float) -> list[int]:
    """The classes that get a threshold of their own, given the scores of each class."""
    pool: list[int] = [label for label, values in enumerate(scores) if len(values)]
    left: list[int] = []
    significance = max(SIGNIFICANCE / len(pool), LEAST_SIGNIFICANCE)
    while True:
        threshold = threshold_of_pool(np.sort(np.concatenate([scores[label] for label in pool])), offset_of(percentile))
        leaving = [
            label for label in pool if len(pool) > 1 and _chance(scores[label], threshold, percentile) < significance
        ]
        if not leaving:
            return left
        pool, left = [label for label in pool if label not in leaving], left + leaving


def _chance(scores: np.ndarray, threshold: float, percentile: float) -> float:
    """The probability that so many scores or more are above the threshold, if as many are as promised."""
    n_above = int(np.sum(scores > threshold))
    return float(binom.sf(n_above - 1, len(scores), 1 - percentile / 100))


def _labels_lost(rows: str) -> str:
    return (
        f"The defense cannot repair well, because x' = AE(x) keeps the label of {rows}. Pass more rows, of these "
        f"classes above all, or more epochs. class_report_ has the share of each class."
    )


def _named(names: list[str]) -> str:
    more = len(names) - MOST_CLASSES_NAMED
    return ", ".join(names[:MOST_CLASSES_NAMED]) + (f" and {more} more" if more > 0 else "")
