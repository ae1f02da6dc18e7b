"""Features that a user names, counts or marks, as a mask."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Any

import numpy as np


def mask_of_features(features: Any, n_features: int, names: Sequence[str] | None = None) -> np.ndarray:
    """Turn names, indices or a boolean mask of features into a mask.

    Parameters
    ----------
    features : array-like of str, int or bool, or None
        None: all features.
    n_features : int
        Number of features of X.
    names : sequence of str or None, default=None
        Names of the features, if X has names.

    Returns
    -------
    mask : ndarray of shape (n_features,), bool

    Raises
    ------
    ValueError, TypeError
        If a name or index is not one of the features, the mask has another length, or no feature is chosen.

    Examples
    --------
    >>> from skaae._data.features import mask_of_features
    >>> mask_of_features(["b"], 2, ["a", "b"]).tolist()
    [False, True]
    """
    if features is None:
        return np.ones(n_features, bool)
    chosen = check_features(features)
    if all(isinstance(value, bool | np.bool_) for value in chosen):
        if len(chosen) != n_features:
            raise ValueError(f"mutable_features is a mask of {len(chosen)} features, but X has {n_features}.")
        return np.array(chosen, bool)
    mask = np.zeros(n_features, bool)
    mask[_places(chosen, n_features, names)] = True
    return mask


def check_features(features: Any) -> list[Any]:
    """Raise unless these are names, indices or a mask, of at least one feature. Return them as a list."""
    if isinstance(features, str) or not hasattr(features, "__len__"):
        raise TypeError(
            f"mutable_features must be a list of names or indices, a boolean mask, or None, got {features!r}."
        )
    chosen = list(features)
    is_mask = [isinstance(value, bool | np.bool_) for value in chosen]
    is_known = all(isinstance(value, str | Integral | np.bool_) for value in chosen)
    if not is_known or (any(is_mask) and not all(is_mask)):
        raise TypeError(f"mutable_features must be names, indices or a boolean mask, got {chosen[:10]!r}.")
    if not chosen or (all(is_mask) and not any(chosen)):
        raise ValueError("mutable_features must contain at least one feature, got none. Pass None for all features.")
    return chosen


def _places(chosen: list[Any], n_features: int, names: Sequence[str] | None) -> list[int]:
    if any(isinstance(value, str) for value in chosen) and names is None:
        raise ValueError("mutable_features has names, but X has none. Pass indices, or a DataFrame as X.")
    known = {} if names is None else {name: place for place, name in enumerate(names)}
    unknown = [value for value in chosen if isinstance(value, str) and value not in known]
    if unknown:
        raise ValueError(f"mutable_features has names that are no features of X: {unknown[:10]}. X has {list(known)}.")
    places = [known[value] if isinstance(value, str) else int(value) for value in chosen]
    beyond = [place for place in places if not -n_features <= place < n_features]
    if beyond:
        raise ValueError(f"mutable_features has indices {beyond[:10]}, but X has {n_features} features.")
    return places
