"""How many normal rows repairs may move into a rare class: a threshold for each class. Needs only NumPy."""

from __future__ import annotations

import numpy as np

# A class is limited if it has less than this share of the rows that it would have if all classes were equally large: of
# two classes, less than a tenth. At a quarter (adult), a limit saves no clean row and loses .04 of the attacked ones.
RARE = 0.2
# Rows with the score of a calibration row are not repaired, however the score is rounded.
ROUNDING = 1e-6


def infer_repair_thresholds(
    scores: np.ndarray, labels: np.ndarray, new_labels: np.ndarray, n_classes: int, percentile: float
) -> np.ndarray:
    """Find the score that a flagged row must exceed to be repaired into a rare class.

    Of the normal rows that are flagged by mistake, some get another label from x'. A few of the many rows of a common
    class can outnumber those of a rare one. So repairs of normal rows may add to a rare class at most as many
    calibration rows as may be flagged in it: 100 - `percentile` percent of its own, or one row where that is less.

    Parameters
    ----------
    scores : ndarray of shape (n_samples,)
        Scores of the calibration rows, -inf for those that are not flagged.
    labels, new_labels : ndarray of shape (n_samples,), int
        Positions of the labels that M predicts for x and for x'.
    n_classes : int
    percentile : float
        In (0, 100].

    Returns
    -------
    thresholds : ndarray of shape (n_classes,), float64
        -inf for a class that is not rare, or to which fewer rows are added than allowed.

    Examples
    --------
    >>> import numpy as np
    >>> from skaae._scoring.repairs import infer_repair_thresholds
    >>> scores, labels = np.arange(1000.0, 2000.0), np.repeat([0, 1], [960, 40])
    >>> infer_repair_thresholds(scores, labels, np.ones(1000, int), 2, 95).round(1).tolist()
    [-inf, 1958.0]
    """
    counts = np.bincount(labels, minlength=n_classes)
    allowed = np.maximum(1, counts * (1 - percentile / 100) + ROUNDING).astype(int)
    thresholds = np.full(n_classes, -np.inf)
    for label in np.flatnonzero(counts < RARE * counts.sum() / n_classes):
        added = np.sort(scores[(new_labels == label) & (labels != label) & np.isfinite(scores)])
        if len(added) >= allowed[label]:
            # A normal row exceeds the k-th largest of n scores with a probability of at most k / (n + 1).
            score = added[-allowed[label]]
            thresholds[label] = score + ROUNDING * max(1.0, score)
    return thresholds
