"""Weights of the training rows: those that the user passes, and those of classes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.validation import _check_sample_weight

ClassWeight = Mapping[Any, float] | str | None


def check_sample_weight(sample_weight: Any, X: Any) -> np.ndarray | None:
    """Check the weights of rows.

    Parameters
    ----------
    sample_weight : array-like of shape (n_samples,), float, or None
    X : array-like of shape (n_samples, ...)

    Returns
    -------
    weights : ndarray of shape (n_samples,), float64, or None

    Raises
    ------
    ValueError
        If the weights have another shape, are negative, not finite, or all zero.

    Examples
    --------
    >>> from skaae._data.weights import check_sample_weight
    >>> check_sample_weight([1, 2], [[0.0], [1.0]])
    array([1., 2.])
    """
    if sample_weight is None:
        return None
    weights: np.ndarray = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
    if not weights.any():
        raise ValueError("sample_weight must contain at least one weight above 0, got zeros only.")
    return weights


def rows_with_weight(weights: np.ndarray | None, n_samples: int) -> np.ndarray:
    """Numbers of the rows whose weight is above 0."""
    return np.arange(n_samples) if weights is None else np.flatnonzero(weights)


def check_class_weight(class_weight: Any, classes: np.ndarray) -> None:
    """Raise unless `class_weight` is None, "balanced", or finite weights of at least 0 for some of the classes.

    Raises
    ------
    ValueError
        That names the classes, or the weights.
    """
    if class_weight is None or isinstance(class_weight, str):
        return
    unknown = [label for label in class_weight if label not in classes.tolist()]
    if unknown:
        raise ValueError(
            f"class_weight has weights for {unknown[:10]}, which are no classes of the classifier. It has "
            f"{classes.tolist()[:10]}."
        )
    weights = np.array([class_weight.get(label, 1.0) for label in classes.tolist()], dtype=np.float64)
    if not (np.isfinite(weights).all() and weights.min() >= 0 and weights.max() > 0):
        raise ValueError(
            f"class_weight must have finite weights of at least 0, of which one is above 0, got {class_weight}."
        )


def weights_of_rows(class_weight: ClassWeight, classes: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The weight of the class of each row.

    Parameters
    ----------
    class_weight : dict or "balanced"
        Classes that a dict leaves out have the weight 1. "balanced": all classes that occur weigh the same.
    classes : ndarray of shape (n_classes,)
    labels : ndarray of shape (n_samples,), int
        Positions in `classes`.

    Returns
    -------
    weights : ndarray of shape (n_samples,), float64

    Examples
    --------
    >>> import numpy as np
    >>> from skaae._data.weights import weights_of_rows
    >>> weights_of_rows({"rare": 3.0}, np.array(["common", "rare"]), np.array([0, 0, 1]))
    array([1., 1., 3.])
    >>> weights_of_rows("balanced", np.array(["common", "rare"]), np.array([0, 0, 1]))
    array([0.75, 0.75, 1.5 ])
    """
    if isinstance(class_weight, str):
        present, places = np.unique(labels, return_inverse=True)
        balanced: np.ndarray = compute_class_weight(class_weight, classes=present, y=labels)[places]
        return balanced
    of_class = [1.0 if class_weight is None else class_weight.get(label, 1.0) for label in classes.tolist()]
    return np.array(of_class, dtype=np.float64)[labels]


def with_mean_one(weights: np.ndarray) -> np.ndarray:
    """The weights in proportion, float32, so that the loss keeps its size."""
    if not weights.any():
        raise ValueError(
            "sample_weight and class_weight leave no training row with a weight above 0. Pass other weights or rows."
        )
    return (weights / weights.mean()).astype(np.float32)
