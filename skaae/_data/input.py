"""X and y as scikit-learn reads them, with error messages that say what was expected and what was found."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from scipy.sparse import issparse
from sklearn.utils.validation import assert_all_finite, check_array

from skaae._data.rows import chunks
from skaae._data.samples import (
    REAL_KINDS,
    check_float32_range,
    check_readable,
    check_unmasked,
    error_of_conversion,
    is_frame,
)

DTYPES = (np.float64, np.float32)


@contextmanager
def explain_conversion_errors(X: Any) -> Iterator[None]:
    """Raise an error if X has values that are not numbers but can be read as such, and name X in the errors of NumPy.

    Parameters
    ----------
    X : object
        X as the user passed it.

    Raises
    ------
    ValueError, TypeError
        If X has dates, masked values, complex numbers or text, has columns of the same name, or is not an array.

    Examples
    --------
    >>> import numpy as np
    >>> from skaae._data.input import explain_conversion_errors
    >>> with explain_conversion_errors([["cat"]]):
    ...     np.asarray([["cat"]], dtype=float)
    Traceback (most recent call last):
        ...
    ValueError: X cannot be read as an array of numbers: could not convert string to float: 'cat'
    """
    check_readable(X)
    # A value that overflows becomes infinite, for which the block raises an error.
    with np.errstate(over="ignore", invalid="ignore"):
        try:
            yield
        except (TypeError, ValueError, OverflowError) as error:
            reason = None if issparse(X) or is_frame(X) or _holds_reals(X) else error_of_conversion(X)
            if reason is None:
                raise
            kind = TypeError if isinstance(reason, TypeError) else ValueError
            raise kind(f"X cannot be read as an array of numbers: {reason}") from error


def _holds_reals(X: Any) -> bool:
    """Whether X is an array of real numbers, which can always be read."""
    return isinstance(X, np.ndarray) and X.dtype.kind in REAL_KINDS


def check_finite_in_chunks(X: np.ndarray, estimator_name: str) -> None:
    """Raise the ValueError of scikit-learn if a value is NaN or infinite, without loading a memory map whole.

    Parameters
    ----------
    X : ndarray of shape (n_samples, ...)
    estimator_name : str
        Name of the estimator, for the error message.
    """
    for rows in chunks(X):
        assert_all_finite(rows, estimator_name=estimator_name, input_name="X")


def read_samples(X: Any) -> np.ndarray:
    """Read X as an array of numbers, without an estimator that checks its features.

    Parameters
    ----------
    X : array-like of shape (n_samples, ...)

    Returns
    -------
    X : ndarray of shape (n_samples, ...), float64 or float32
        The same array if it has one of these types already.

    Raises
    ------
    ValueError, TypeError
        As `explain_conversion_errors`. If X is empty or sparse, or a value is not finite or beyond float32.
    """
    with explain_conversion_errors(X):
        X = check_array(X, allow_nd=True, dtype=DTYPES, input_name="X")
    check_float32_range(X)
    return X


def check_labels(y: Any) -> None:
    """Raise if labels are missing, or have types that cannot be sorted.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Class labels, or -1 and +1.

    Raises
    ------
    ValueError
        If labels are masked, NaN, None or NA, or if y is ragged.
    TypeError
        If y is sparse, or mixes types that cannot be compared, such as strings and numbers.

    Examples
    --------
    >>> from skaae._data.input import check_labels
    >>> check_labels(["cat", None])
    Traceback (most recent call last):
        ...
    ValueError: y must have a label for each sample, but 1 are missing, the first at index 1 (None).
    """
    if y is None:
        return  # scikit-learn raises a better error
    check_unmasked(y, "y")
    if issparse(y):
        raise TypeError("y is sparse, but dense labels are required. Pass y.toarray().")
    try:
        labels = np.asarray(y)
    except ValueError as error:
        raise ValueError(f"y cannot be read as an array of labels: {error}") from error
    missing = np.flatnonzero(_missing(labels.ravel()))
    if len(missing):
        raise ValueError(
            f"y must have a label for each sample, but {len(missing)} are missing, the first at index {missing[0]} "
            f"({labels.ravel()[missing[0]]})."
        )
    try:
        np.unique(labels)
    except TypeError as error:
        kinds = sorted({type(label).__name__ for label in labels.ravel()})
        raise TypeError(f"y must have labels of one type, got labels of the types {kinds}.") from error


def _missing(labels: np.ndarray) -> np.ndarray:
    """Where labels are None, NaN, NaT or the NA of pandas, which is recognized without importing pandas."""
    if labels.dtype != object:
        return labels != labels
    names = ("NoneType", "NAType", "NaTType")
    return np.array([type(label).__name__ in names or _is_nan(label) for label in labels], dtype=bool)


def _is_nan(label: Any) -> bool:
    return isinstance(label, float | np.floating) and bool(np.isnan(label))
