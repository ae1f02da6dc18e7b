"""Compare a converted model with what it was converted from, on random rows."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from skaae._utils.extras import import_extra

TOLERANCE = 1e-5
N_PROBES = 256


def largest_difference(model: Any, inputs: Mapping[str, np.ndarray], X: Any, function: Callable[[Any], Any]) -> float:
    """Compare model and function on the same rows.

    Parameters
    ----------
    model : onnx.ModelProto
        Has one output.
    inputs : dict of str to ndarray
        What the model takes.
    X : ndarray or DataFrame of shape (n_samples, n_features)
        What the function takes.
    function : callable
        May raise a ValueError for some rows. The model has to return NaN or infinity for these.

    Returns
    -------
    difference : float
        The largest one, relative where the values are larger than 1. Infinite if other values are missing.
    """
    runtime = import_extra("onnxruntime", "onnx")
    session = runtime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (actual,) = session.run(None, dict(inputs))
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # of random rows: logarithms of negative numbers, unknown categories
        expected = _where_possible(function, X, actual.shape[1])
        is_refused = np.isnan(expected).all(axis=1)
        actual = np.where((is_refused & ~np.isfinite(actual).all(axis=1))[:, None], np.nan, actual)
        is_same = (actual == expected) | (np.isnan(actual) & np.isnan(expected))
        differences = np.abs(actual - expected) / np.maximum(1, np.abs(expected))
    return float(np.max(np.where(is_same, 0.0, np.nan_to_num(differences, nan=np.inf))))


def _where_possible(function: Callable[[Any], Any], X: Any, n_columns: int) -> np.ndarray:
    """The results of a function, and NaN for each row that it refuses."""
    try:
        result = function(X)
        return np.asarray(result.toarray() if hasattr(result, "toarray") else result, dtype=np.float64)
    except ValueError:
        if len(X) == 1:
            return np.full((1, n_columns), np.nan)
    half = len(X) // 2
    return np.concatenate([_where_possible(function, part, n_columns) for part in (X[:half], X[half:])])
