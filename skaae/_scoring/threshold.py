"""The threshold: which rows are set aside for it, and which quantile of their scores it is."""

from __future__ import annotations

import math

import numpy as np

from skaae._utils.warnings import warn


def split_rows(n_samples: int, calibration_fraction: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Split the rows into those that train the autoencoder and those that set the threshold.

    Parameters
    ----------
    n_samples : int
    calibration_fraction : float
        In [0, 1). With 0 the training rows also set the threshold.
    seed : int

    Returns
    -------
    training, calibration : ndarray of int
        Sorted row numbers.

    Raises
    ------
    ValueError
        If no row remains for training.

    Examples
    --------
    >>> from skaae._scoring.threshold import split_rows
    >>> training, calibration = split_rows(10, 0.2, seed=0)
    >>> len(training), len(calibration)
    (8, 2)
    """
    if calibration_fraction == 0:
        return np.arange(n_samples), np.arange(n_samples)
    n_calibration = _count_calibration_rows(n_samples, calibration_fraction, 1)
    order = np.random.default_rng(seed).permutation(n_samples)
    return np.sort(order[n_calibration:]), np.sort(order[:n_calibration])


def split_labeled_rows(y: np.ndarray, calibration_fraction: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Split the rows like `split_rows`, with at least one training row of each class.

    Parameters
    ----------
    y : ndarray of shape (n_samples,)
        Class labels.
    calibration_fraction : float
        In [0, 1).
    seed : int

    Returns
    -------
    training, calibration : ndarray of int
        Sorted row numbers.

    Raises
    ------
    ValueError
        If there are too few rows.

    Examples
    --------
    >>> import numpy as np
    >>> from skaae._scoring.threshold import split_labeled_rows
    >>> y = np.array(["common"] * 8 + ["rare"])
    >>> training, calibration = split_labeled_rows(y, 0.5, seed=0)
    >>> set(y[training].tolist()) == {"common", "rare"}
    True
    """
    if calibration_fraction == 0:
        return np.arange(len(y)), np.arange(len(y))
    order = np.random.default_rng(seed).permutation(len(y))
    first_of_each_class = np.unique(y[order], return_index=True)[1]
    n_calibration = _count_calibration_rows(len(y), calibration_fraction, len(first_of_each_class))
    calibration = np.delete(order, first_of_each_class)[:n_calibration]
    return np.setdiff1d(order, calibration), np.sort(calibration)


def _count_calibration_rows(n_samples: int, calibration_fraction: float, n_kept: int) -> int:
    n_calibration = max(1, math.ceil(round(calibration_fraction * n_samples, 6)))
    if n_calibration > n_samples - n_kept:
        rest = "no row for training" if n_kept == 1 else f"too few rows to train on each of the {n_kept} classes"
        raise ValueError(
            f"calibration_fraction={calibration_fraction} of {n_samples} rows of X leaves {rest}. "
            f"Use a smaller fraction or more rows."
        )
    return n_calibration


def conformal_threshold(scores: np.ndarray, percentile: float) -> float:
    """Threshold that the given percentage of new normal rows does not exceed.

    It is the k-th smallest of n scores, k = ceil((n + 1) * percentile / 100). A new score that is exchangeable with
    them exceeds it with a probability of at most 1 - percentile / 100 (split conformal prediction; Vovk, Gammerman
    and Shafer, 2005).

    Parameters
    ----------
    scores : ndarray of shape (n_samples,)
        Scores of normal rows on which neither the classifier nor the autoencoder was trained.
    percentile : float
        In (0, 100].

    Returns
    -------
    threshold : float

    Raises
    ------
    ValueError
        If the threshold would be infinite or NaN.

    Warns
    -----
    UserWarning
        If there are fewer than percentile / (100 - percentile) scores. The largest score is returned then, and
        more new rows than promised exceed it. A percentile of 100 means the largest score, without a promise.

    Examples
    --------
    >>> import numpy as np
    >>> from skaae._scoring.threshold import conformal_threshold
    >>> conformal_threshold(np.arange(1.0, 100.0), 95)
    95.0
    """
    rank = math.ceil(round((len(scores) + 1) * percentile / 100, 6))
    if rank > len(scores) and percentile < 100:
        warn(
            f"{len(scores)} rows are too few to promise threshold_percentile={percentile}, which needs at least "
            f"{math.ceil(round(percentile / (100 - percentile), 6))}. The threshold is the largest score, which 1 in "
            f"{len(scores) + 1} new normal rows exceeds."
        )
    threshold = float(np.sort(scores)[min(max(1, rank), len(scores)) - 1])
    if not np.isfinite(threshold):
        raise ValueError(
            f"{np.sum(~np.isfinite(scores))} of {len(scores)} rows of X have a score that is not finite, so that there "
            f"is no threshold. The classifier or the autoencoder overflows for these rows. Scale X (StandardScaler)."
        )
    return threshold
