"""Checks of samples that need only NumPy: real numbers within the range of float32, in the shape of fit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from skaae._data.rows import chunks

# Kinds of NumPy dtypes: bool, signed and unsigned integers, floats.
REAL_KINDS = "biuf"


def check_readable(X: Any) -> None:
    """Raise unless X can be read as numbers without changing its meaning."""
    check_unmasked(X, "X")
    check_frame(X)
    if is_frame(X):
        _check_columns(X)
        return
    dtype = getattr(X, "dtype", None)
    kind = getattr(dtype, "kind", "f")
    if kind == "c":
        raise ValueError(f"Complex data not supported: X must have real numbers, got the dtype {dtype}.")
    if kind in "mMV":
        raise TypeError(f"X must have numbers, got the dtype {dtype}. Convert it to numbers first.")


def check_frame(X: Any) -> None:
    """Raise if X is a DataFrame whose rows are not computed yet, or with columns of the same name.

    Examples
    --------
    >>> import pandas as pd
    >>> from skaae._data.samples import check_frame
    >>> check_frame(pd.DataFrame([[1, 2]], columns=["a", "a"]))
    Traceback (most recent call last):
        ...
    ValueError: X must have unique column names, got several columns named ['a'].
    """
    if hasattr(X, "collect"):
        raise TypeError(f"X is a {type(X).__name__}, whose rows are not computed yet. Pass X.collect().")
    names = list(X.columns) if is_frame(X) else []
    if len(set(names)) < len(names):
        doubled = sorted({str(name) for name in names if names.count(name) > 1})
        raise ValueError(f"X must have unique column names, got several columns named {doubled}.")


def check_unmasked(values: Any, name: str) -> None:
    """Raise a ValueError if values are masked: NumPy would use the numbers behind the mask."""
    n_masked = int(np.ma.getmaskarray(values).sum()) if isinstance(values, np.ma.MaskedArray) else 0
    if n_masked:
        raise ValueError(
            f"{name} is a masked array with {n_masked} masked values. Impute them or pass {name}.filled(...)."
        )


def is_frame(X: Any) -> bool:
    """Whether X is a DataFrame of pandas, polars or Dask."""
    return hasattr(X, "columns") and (hasattr(X, "dtypes") or hasattr(X, "schema"))


def _check_columns(X: Any) -> None:
    """Raise if columns of a DataFrame are sparse, or do not have numbers."""
    dtypes = dict(X.schema.items() if hasattr(X, "schema") else X.dtypes.items())
    if dtypes and all(str(dtype).startswith("Sparse") for dtype in dtypes.values()):
        raise TypeError("X is a sparse DataFrame, but dense data is required. Pass X.sparse.to_dense().")
    text = [name for name, dtype in dtypes.items() if not _holds_numbers(X, name, dtype)]
    if text:
        raise ValueError(
            f"X has columns that hold no numbers: {text}. Encode them before the detector, as in "
            f"make_pipeline(ColumnTransformer(...), detector), and pass the detector the classifier that follows the "
            f"encoding."
        )


def _holds_numbers(X: Any, name: Any, dtype: Any) -> bool:
    """Whether a column has numbers, or objects or text that can be read as numbers."""
    if hasattr(dtype, "is_numeric"):  # polars
        certain, refused = dtype.is_numeric() or str(dtype) == "Boolean", dtype.is_temporal()
    else:
        kind = getattr(dtype, "kind", "O")
        # Complex numbers raise their own error.
        certain, refused = kind in REAL_KINDS + "c", kind in "mMV"
    return bool(certain or (not refused and error_of_conversion(X[name]) is None))


def error_of_conversion(values: Any) -> Exception | None:
    """Return the error that NumPy raises when it converts the values to float64, or None."""
    try:
        np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        return error
    return None


def check_float32_range(X: np.ndarray) -> None:
    """Raise a ValueError if a value is finite in float64 but not in float32, the precision of Keras."""
    limit = np.finfo(np.float32).max
    if X.dtype == np.float32 or not X.size:
        return
    if any(rows.max() > limit or rows.min() < -limit for rows in chunks(X)):
        raise ValueError(f"X contains values beyond {limit:.3g}, the largest float32. Scale X.")


def check_sample_shape(X: np.ndarray, sample_shape: tuple[int, ...], name: str) -> None:
    """Raise a ValueError unless the samples have the shape of those of fit."""
    if X.shape[1:] != sample_shape:
        raise ValueError(
            f"X has samples of shape {X.shape[1:]}, but {name} was fitted with samples of shape {sample_shape}."
        )


def as_samples(X: Any, sample_shape: tuple[int, ...], name: str, allow_missing: bool = False) -> np.ndarray:
    """Check samples like an estimator of scikit-learn, without scikit-learn.

    Parameters
    ----------
    X : array-like of shape (n_samples, *sample_shape)
    sample_shape : tuple of int
    name : str
        Name of the class that uses the samples, for error messages.
    allow_missing : bool, default=False
        Whether X may contain NaN.

    Returns
    -------
    X : ndarray of shape (n_samples, *sample_shape), float32 or float64
        The same array if it has one of these types already, else float64.

    Raises
    ------
    TypeError
        If X is sparse or a np.matrix, or holds dates.
    ValueError
        If X is not numeric, has another shape, is empty, or contains NaN, infinity or masked values.

    Examples
    --------
    >>> from skaae._data.samples import as_samples
    >>> as_samples([[1, 2]], (2,), "Detector")
    array([[1., 2.]])
    >>> as_samples([[1, 2, 3]], (2,), "Detector")
    Traceback (most recent call last):
    ValueError: X has 3 features, but Detector is expecting 2 features as input.
    """
    check_readable(X)
    X = _as_floats(X)
    _check_dimensions(X, sample_shape)
    if len(sample_shape) == 1 and X.shape[1:] != sample_shape:
        raise ValueError(f"X has {X.shape[1]} features, but {name} is expecting {sample_shape[0]} features as input.")
    check_sample_shape(X, sample_shape, name)
    if len(X) == 0:
        raise ValueError(f"X must have at least 1 sample, got an array of shape {X.shape}.")
    _check_finite(X, allow_missing)
    return X


def check_feature_names(X: Any, names: Sequence[str] | None) -> None:
    """Raise a ValueError if X is a DataFrame whose columns differ from those of fit, or are in another order."""
    columns = column_names(X)
    if names is None or columns is None or columns == list(names):
        return
    unknown = [name for name in columns if name not in names]
    missing = [name for name in names if name not in columns]
    difference = (
        f"Feature names unseen at fit time: {unknown}. Feature names seen at fit time, yet now missing: {missing}."
    )
    if not unknown and not missing:
        difference = f"Feature names must be in the same order as they were in fit, {list(names)}, but X has {columns}."
    raise ValueError(
        f"The feature names should match those that were passed during fit, in the same order. {difference}"
    )


def column_names(X: Any) -> list[Any] | None:
    """Names of the columns of a DataFrame. None, as for an array, if all of them are numbers."""
    columns = None if getattr(X, "columns", None) is None else list(X.columns)
    return None if columns and not any(isinstance(name, str) for name in columns) else columns


def _as_floats(X: Any) -> np.ndarray:
    if hasattr(X, "toarray"):
        raise TypeError("X is sparse, but dense data is required. Pass X.toarray().")
    if isinstance(X, np.matrix):
        raise TypeError("X is a np.matrix, which is not supported. Pass np.asarray(X).")
    try:
        X = np.asarray(X)
        if X.dtype.kind == "c":
            raise ValueError(f"X has the dtype {X.dtype}: complex data is not supported.")
        with np.errstate(over="ignore"):  # the resulting infinity raises its own error
            return X if X.dtype in (np.float32, np.float64) else X.astype(np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"X must be an array of numbers: {error}") from error


def _check_dimensions(X: np.ndarray, sample_shape: tuple[int, ...]) -> None:
    n_dimensions = len(sample_shape) + 1
    if X.ndim == n_dimensions:
        return
    advice = ""
    if X.ndim == 1 and n_dimensions == 2:
        advice = (
            " Reshape with X.reshape(-1, 1) if it is a single feature or X.reshape(1, -1) if it is a single sample."
        )
    raise ValueError(
        f"Expected {n_dimensions}D array, got {X.ndim}D array of shape {X.shape} instead: X must have the shape "
        f"(n_samples, {', '.join(map(str, sample_shape))}).{advice}"
    )


def _check_finite(X: np.ndarray, allow_missing: bool = False) -> None:
    # If the sum is finite, so are all values: no array of booleans is needed. Otherwise each value is checked.
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(X.sum()):
            return
    if not allow_missing and np.isnan(X).any():
        raise ValueError("Input X contains NaN.")
    if np.isinf(X).any():
        raise ValueError(f"Input X contains infinity or a value too large for {X.dtype!r}.")
