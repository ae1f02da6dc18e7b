"""The range of x' where the classifier takes only rows like those of fit: behind a logarithm, or an encoder of numbers.

A classifier with a gradient, and most others, take any numbers. Their x' is not limited.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import tensorflow as tf

from skaae._classifiers.adapters import REFUSALS, PredictProbaClassifier
from skaae._data.rows import Rows, Statistics, chunks

# Lowest and highest value of each feature, and whether it has whole numbers only.
Domain: TypeAlias = tuple[np.ndarray, np.ndarray, np.ndarray]
ROWS_TO_TRY = 1000
# Standard deviations by which the rows are moved.
NOISE = 3.0
UNDEFINED = ("invalid value", "divide by zero")


def find_domain(classifier: PredictProbaClassifier, X: Rows, seed: int, kept: Sequence[int] = ()) -> Domain | None:
    """Find where x' has to stay so that the classifier takes it.

    Parameters
    ----------
    classifier : PredictProbaClassifier
    X : ndarray or RowSubset of shape (n_samples, n_features)
        Training rows.
    seed : int
        Seeds the noise on the rows that are tried.
    kept : sequence of int, default=()
        Columns in which x' is x, and which therefore have no limits.

    Returns
    -------
    domain : tuple of three ndarray of shape (n_features,), or None
        None if the classifier takes rows beyond the range of X.

    Raises
    ------
    ValueError
        If it takes few rows but those of X, so that no x' can be used.
    """
    rows = X[np.unique(np.linspace(0, len(X) - 1, ROWS_TO_TRY).astype(int))]
    noise = np.random.default_rng(seed).standard_normal(rows.shape)
    noise[..., list(kept)] = 0.0
    moved = (rows + NOISE * Statistics.of(X).spread * noise).astype(rows.dtype)
    if not is_any_refused(classifier, rows, moved):
        return None
    lowest, highest = _range(X)
    lowest[list(kept)], highest[list(kept)] = -np.inf, np.inf
    has_whole_numbers = _has_whole_numbers(X)
    has_whole_numbers[list(kept)] = False
    for is_whole in (np.zeros(len(lowest), bool), has_whole_numbers):
        domain = lowest, highest, is_whole
        if not is_any_refused(classifier, rows, into_domain(moved, domain).astype(rows.dtype)):
            return domain
    taken = classifier.predict_proba_where_possible(into_domain(moved, domain).astype(rows.dtype))
    if np.isfinite(taken).all(axis=1).mean() < 0.5:
        raise ValueError(
            f"classifier={type(classifier.estimator).__name__} must take values between those of X, because the "
            f"detector passes it x' = AE(x). It refuses most of these, for instance with: "
            f"{classifier.error_for(into_domain(moved, domain).astype(rows.dtype))} Put the step that encodes X "
            f"before the detector, make_pipeline(encoder, detector), and pass the detector the classifier that follows."
        )
    return domain


def into_domain(X: np.ndarray, domain: Domain | None) -> np.ndarray:
    """Move each value to the nearest one in the domain, as `tensor_into_domain` does. None: leave X as it is."""
    if domain is None:
        return X
    lowest, highest, is_whole = domain
    moved: np.ndarray = np.clip(X, lowest, highest)
    return np.where(is_whole, np.round(moved), moved)


def tensor_into_domain(x: tf.Tensor, domain: Domain | None) -> tf.Tensor:
    """Move each value of a float32 tensor to the nearest one in the domain. None: leave x as it is."""
    if domain is None:
        return x
    lowest, highest, is_whole = domain
    # The comparisons keep NaN, which shows that the networks overflow.
    moved = tf.where(x < lowest, lowest, tf.where(x > highest, highest, x))
    return tf.where(is_whole, tf.round(moved), moved) if is_whole.any() else moved


def is_any_refused(classifier: PredictProbaClassifier, X: np.ndarray, moved: np.ndarray) -> bool:
    """Whether the classifier refuses moved rows, or computes what is not defined for them, unlike for X."""
    classifier.predict_proba(X[:1])  # an error that concerns X itself is raised
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            classifier.predict_proba(moved)
        except REFUSALS:
            return True
    return _is_undefined(caught) and not _warns(classifier, X)


def _warns(classifier: PredictProbaClassifier, X: np.ndarray) -> bool:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        classifier.predict_proba(X)
    return _is_undefined(caught)


def _is_undefined(caught: list[warnings.WarningMessage]) -> bool:
    return any(
        issubclass(warning.category, RuntimeWarning) and any(text in str(warning.message) for text in UNDEFINED)
        for warning in caught
    )


def _range(X: Rows) -> tuple[np.ndarray, np.ndarray]:
    """Range of each feature, rounded inwards to the float32 of x': what is beyond may be refused."""
    statistics = Statistics.of(X)
    lowest, highest = statistics.lowest.astype(np.float32), statistics.highest.astype(np.float32)
    lowest = np.where(lowest < statistics.lowest, np.nextafter(lowest, np.float32(np.inf)), lowest)
    highest = np.where(highest > statistics.highest, np.nextafter(highest, np.float32(-np.inf)), highest)
    return np.minimum(lowest, highest), highest


def _has_whole_numbers(X: Rows) -> np.ndarray:
    """Whether all values of a feature are whole numbers."""
    return np.all([(rows == np.round(rows)).all(axis=0) for rows in chunks(X)], axis=0)
