"""Thresholds of S(x), one for all classes or one for each pool of classes, and conformal p-values. Needs only NumPy."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import cached_property, partial

import numpy as np

# A p-value that equals the promised rate of false alarms is flagged, however its logarithm is rounded.
MARGIN = 1e-9


@dataclass(frozen=True, eq=False)
class SharedThreshold:
    """One threshold for all rows, as published. Normality is -S(x).

    Parameters
    ----------
    threshold : float
        Rows with a higher score are adversarial.
    calibration_scores : ndarray of shape (n_calibration,) or None, default=None
        Sorted scores that `p_values` compares with. None if the threshold was given.

    Examples
    --------
    >>> import numpy as np
    >>> from skaae._scoring.pools import SharedThreshold
    >>> SharedThreshold(2.0).is_adversarial(np.array([1.0, 2.0, 3.0]), np.array([0, 0, 1])).tolist()
    [False, False, True]
    """

    threshold: float
    calibration_scores: np.ndarray | None = None

    @property
    def offset(self) -> float:
        """The least normality of a row that is not flagged."""
        return -self.threshold

    def of_classes(self, n_classes: int) -> np.ndarray:
        """The threshold of each class."""
        return np.full(n_classes, self.threshold)

    def of_repairs(self, n_classes: int) -> np.ndarray:
        """-inf for each class: every row that is flagged is repaired."""
        return np.full(n_classes, -math.inf)

    def is_adversarial(self, scores: np.ndarray, _: np.ndarray) -> np.ndarray:
        """Whether each row is flagged, given its score."""
        return scores > self.threshold

    def is_repaired(self, scores: np.ndarray, labels: np.ndarray, _: np.ndarray) -> np.ndarray:
        """Whether x' replaces x: wherever a row is flagged."""
        return self.is_adversarial(scores, labels)

    def normality(self, scores: np.ndarray, _: np.ndarray) -> np.ndarray:
        """-S(x)."""
        return -scores

    def p_values(self, scores: np.ndarray, _: np.ndarray) -> np.ndarray:
        """Share of the calibration rows, with the row itself, that score at least as high.

        Raises
        ------
        ValueError
            If the threshold was given, so that there are no calibration rows.
        """
        if self.calibration_scores is None:
            raise ValueError(
                "p_values requires calibration rows, but the threshold was given. Call infer_threshold(X)."
            )
        return np.exp(_log_p_values(self.calibration_scores, scores))


@dataclass(frozen=True, eq=False)
class PooledThresholds:
    """A threshold for each pool of classes: the class of a row is the label that M predicts for it.

    Normality is the logarithm of the conformal p-value, the rank of the score among the calibration scores of the pool
    (Vovk, Gammerman and Shafer, 2005). Above the largest of them it goes on falling, so that rows can be ranked. An
    infinite score is always adversarial.

    Parameters
    ----------
    calibration_scores : tuple of ndarray
        Sorted calibration scores of each pool; none is empty. The first pool is that of the classes that share one.
    pool_of_class : ndarray of shape (n_classes,), int
        The pool of each class.
    offset : float
        Logarithm of the promised rate of false alarms. A row with a smaller normality is adversarial.
    repair_thresholds : ndarray of shape (n_classes,) or None, default=None
        A row that is flagged gets another label only if its score exceeds that of the new label. None: always.

    Examples
    --------
    >>> import numpy as np
    >>> from skaae._scoring.pools import PooledThresholds, offset_of
    >>> pools = PooledThresholds((np.arange(99.0), np.arange(99.0) * 10), np.array([0, 1]), offset_of(95))
    >>> pools.of_classes(2).tolist()
    [94.0, 940.0]
    >>> pools.p_values(np.array([98.0, 98.0]), np.array([0, 1])).tolist()
    [0.02, 0.9]
    """

    calibration_scores: tuple[np.ndarray, ...]
    pool_of_class: np.ndarray
    offset: float
    repair_thresholds: np.ndarray | None = None

    @property
    def threshold(self) -> float:
        """The threshold of the first pool."""
        return threshold_of_pool(self.calibration_scores[0], self.offset)

    def of_classes(self, n_classes: int) -> np.ndarray:
        """The threshold of each class; infinite if no row of the class is flagged."""
        return self._thresholds[:n_classes].copy()

    def of_repairs(self, n_classes: int) -> np.ndarray:
        """The score that a flagged row must exceed to be repaired into each class; -inf: any."""
        return np.full(n_classes, -math.inf) if self.repair_thresholds is None else self.repair_thresholds.copy()

    def is_adversarial(self, scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Whether each row is flagged, given its score and the position of its label in ``classes_``."""
        # As normality(scores, labels) < offset says too, with a fifth of its memory.
        flagged: np.ndarray = scores > self._thresholds[labels]
        flagged |= np.isinf(scores)
        return flagged

    def is_repaired(self, scores: np.ndarray, labels: np.ndarray, new_labels: np.ndarray) -> np.ndarray:
        """Whether x' replaces x, given the score and the positions of both labels."""
        repaired = self.is_adversarial(scores, labels)
        if self.repair_thresholds is not None:
            repaired &= (labels == new_labels) | (scores > self.repair_thresholds[new_labels])
        return repaired

    def normality(self, scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Logarithm of the p-value, which goes on falling where the score exceeds all calibration scores."""
        values = self._in_each_pool(scores, labels, partial(_log_normality, offset=self.offset))
        return np.where(np.isinf(scores), -np.inf, values)

    def p_values(self, scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Share of the calibration rows of the pool, with the row itself, that score at least as high."""
        return np.exp(self._in_each_pool(scores, labels, _log_p_values))

    def __getstate__(self) -> dict[str, object]:
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @cached_property
    def _thresholds(self) -> np.ndarray:
        """The threshold of each class, computed once. It is not saved."""
        thresholds = np.array([threshold_of_pool(scores, self.offset) for scores in self.calibration_scores])
        return thresholds[self.pool_of_class]

    def _in_each_pool(self, scores: np.ndarray, labels: np.ndarray, function: Callable[..., np.ndarray]) -> np.ndarray:
        """Apply a function of the calibration scores of a pool, and the scores of its rows."""
        if len(self.calibration_scores) == 1:
            return function(self.calibration_scores[0], scores)
        values, pools = np.empty(len(scores)), self.pool_of_class[labels]
        for pool, calibration_scores in enumerate(self.calibration_scores):
            in_pool = pools == pool
            if in_pool.any():
                values[in_pool] = function(calibration_scores, scores[in_pool])
        return values


Thresholds = SharedThreshold | PooledThresholds


def offset_of(percentile: float) -> float:
    """Logarithm of the promised rate of false alarms, which is above 0.

    Examples
    --------
    >>> from skaae._scoring.pools import offset_of
    >>> round(offset_of(95), 6)
    -2.995732
    """
    return min(0.0, math.log(1 - percentile / 100) + MARGIN)


def threshold_of_pool(calibration_scores: np.ndarray, offset: float) -> float:
    """The score above which the logarithm of the p-value is below `offset`; infinite if it never is.

    Parameters
    ----------
    calibration_scores : ndarray of shape (n_calibration,)
        Sorted.
    offset : float

    Returns
    -------
    threshold : float

    Examples
    --------
    >>> import numpy as np
    >>> from skaae._scoring.pools import offset_of, threshold_of_pool
    >>> threshold_of_pool(np.arange(1.0, 100.0), offset_of(95)), threshold_of_pool(np.arange(18.0), offset_of(95))
    (95.0, inf)
    """
    n = len(calibration_scores)
    n_flagged = int(np.searchsorted(_log_p_values_of_ranks(np.arange(n), n), offset))
    return float(calibration_scores[n - n_flagged]) if n_flagged else math.inf


def _log_p_values(calibration_scores: np.ndarray, scores: np.ndarray) -> np.ndarray:
    n = len(calibration_scores)
    return _log_p_values_of_ranks(n - np.searchsorted(calibration_scores, scores), n)


def _log_p_values_of_ranks(n_at_least: np.ndarray | int, n: int) -> np.ndarray:
    """Logarithm of the p-value of a row whose score `n_at_least` of n calibration scores reach."""
    values: np.ndarray = np.log((n_at_least + 1) / (n + 1))
    return values


def _log_normality(calibration_scores: np.ndarray, scores: np.ndarray, offset: float) -> np.ndarray:
    return _log_p_values(calibration_scores, scores) - _excess(calibration_scores, scores, offset)


def _excess(calibration_scores: np.ndarray, scores: np.ndarray, offset: float) -> np.ndarray:
    """What normality is below the logarithm of the least p-value, where a score exceeds all calibration scores."""
    with np.errstate(invalid="ignore"):
        excess: np.ndarray = np.log1p(np.maximum(scores - calibration_scores[-1], 0.0))
    above_offset = float(_log_p_values_of_ranks(0, len(calibration_scores))) - offset
    # A pool of so few rows that the least p-value is not small enough never flags a row, however high its score.
    return excess if above_offset < 0 else above_offset / 2 * -np.expm1(-excess)
