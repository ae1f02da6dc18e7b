"""The rows that train the autoencoder, and those that are set aside to set the threshold."""

from __future__ import annotations

import math

import numpy as np

# A rare class sets aside up to so many rows, which is twice what a percentile of 95 needs. It does not depend on the
# percentile, so that a search over it uses one training.
LEAST_ROWS_OF_RARE_CLASS = 40
# Larger integers are labels of the user, not positions in ``classes_``.
LARGEST_POSITION = 100_000
# A class is rare if it has less than this share of the rows that it would have if all classes were equally large.
RARE = 0.5


def split_rows(n_samples: int, calibration_fraction: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Split the rows at random into those that train the autoencoder and those that set the threshold.

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
    >>> from skaae._scoring.split import split_rows
    >>> training, calibration = split_rows(10, 0.2, seed=0)
    >>> len(training), len(calibration)
    (8, 2)
    """
    if calibration_fraction == 0:
        return np.arange(n_samples), np.arange(n_samples)
    n_calibration = _count_calibration_rows(n_samples, calibration_fraction, 1)
    order = np.random.default_rng(seed).permutation(n_samples)
    return np.sort(order[n_calibration:]), np.sort(order[:n_calibration])


def split_by_class(
    labels: np.ndarray, calibration_fraction: float, seed: int, train_each_class: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Split the rows of each class like `split_rows`.

    A rare class sets aside up to 40 rows even if its share of the rows is smaller, but at most half of its rows.

    Parameters
    ----------
    labels : ndarray of shape (n_samples,)
        Class of each row.
    calibration_fraction : float
        In [0, 1).
    seed : int
    train_each_class : bool, default=False
        Whether each class must have a training row.

    Returns
    -------
    training, calibration : ndarray of int
        Sorted row numbers.

    Raises
    ------
    ValueError
        If too few rows remain for training.

    Examples
    --------
    >>> import numpy as np
    >>> from skaae._scoring.split import split_by_class
    >>> labels = np.repeat(["common", "rare"], [1000, 20])
    >>> training, calibration = split_by_class(labels, 0.2, seed=0)
    >>> [int(np.sum(labels[calibration] == name)) for name in ("common", "rare")]
    [200, 10]
    """
    if calibration_fraction == 0:
        return np.arange(len(labels)), np.arange(len(labels))
    places, counts = _places(labels)
    n_kept = len(counts) if train_each_class else 1
    n_calibration = _count_calibration_rows(len(labels), calibration_fraction, n_kept)
    quotas = _quotas(counts, calibration_fraction, n_calibration, least_left=int(train_each_class))
    order = np.random.default_rng(seed).permutation(len(labels))
    by_class = np.split(order[np.argsort(places[order], kind="stable")], np.cumsum(counts)[:-1])
    calibration = np.concatenate([rows[:quota] for rows, quota in zip(by_class, quotas, strict=True)])
    is_training = np.ones(len(labels), bool)
    is_training[calibration] = False
    return np.flatnonzero(is_training), np.sort(calibration)


def _places(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The class of each row as a number from 0, and the rows of each class."""
    if labels.dtype.kind != "i" or labels.min() < 0 or labels.max() > LARGEST_POSITION:
        _, places, counts = np.unique(labels, return_inverse=True, return_counts=True)
        return places.astype(np.int32), counts
    # np.unique sorts, which takes many times the memory of the labels.
    counts = np.bincount(labels)
    present = np.flatnonzero(counts)
    numbers = np.zeros(len(counts), np.int32)
    numbers[present] = np.arange(len(present))
    return numbers[labels], counts[present]


def _quotas(counts: np.ndarray, fraction: float, n_calibration: int, least_left: int) -> np.ndarray:
    """Calibration rows of each class, which sum to at least `n_calibration`."""
    quotas = np.floor(np.round(fraction * counts, 6)).astype(int)
    is_rare = counts < RARE * counts.sum() / len(counts)
    quotas[is_rare] = np.maximum(quotas, np.minimum(LEAST_ROWS_OF_RARE_CLASS, counts // 2))[is_rare]
    quotas = np.minimum(quotas, counts - least_left)
    for _ in range(n_calibration - quotas.sum()):
        quotas[np.argmax(counts - least_left - quotas)] += 1
    return quotas


def _count_calibration_rows(n_samples: int, calibration_fraction: float, n_kept: int) -> int:
    n_calibration = max(1, math.ceil(round(calibration_fraction * n_samples, 6)))
    if n_calibration > n_samples - n_kept:
        rest = "no row for training" if n_kept == 1 else f"too few rows to train on each of the {n_kept} classes"
        raise ValueError(
            f"calibration_fraction={calibration_fraction} of {n_samples} rows of X leaves {rest}. "
            f"Use a smaller fraction or more rows."
        )
    return n_calibration
