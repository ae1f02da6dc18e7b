"""X and y as scikit-learn reads them, with errors that name the argument, what came and what is wanted."""

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
    """Refuse what the block would read as numbers though it means something else, and name X in the errors of NumPy.

    Parameters
    ----------
    X : object
        As it was given.

    Raises
    ------
    ValueError, TypeError
        If X holds dates, missing, complex or no numbers, has columns of one name, or is no array.

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
    # What overflows is infinite then, which the block refuses.
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
    """Whether X is an array of real numbers, which nothing can keep from being read."""
    return isinstance(X, np.ndarray) and X.dtype.kind in REAL_KINDS


def check_finite_in_chunks(X: np.ndarray, estimator_name: str) -> None:
    """Raise scikit-learn's ValueError if a value is NaN or infinite, without all of a memory map in memory.

    Parameters
    ----------
    X : ndarray of shape (n_samples, ...)
    estimator_name : str
        Of the estimator that takes X, for the error message.
    """
    for rows in chunks(X):
        assert_all_finite(rows, estimator_name=estimator_name, input_name="X")


def read_samples(X: Any) -> np.ndarray:
    """X as an array of numbers, where no estimator remembers its features.

    Parameters
    ----------
    X : array-like of shape (n_samples, ...)

    Returns
    -------
    X : ndarray of shape (n_samples, ...), float64 or float32
        The very array if it is one of these.

    Raises
    ------
    ValueError, TypeError
        As `explain_conversion_errors`, or if X is empty or sparse, or a value is not finite or beyond float32.
    """
    with explain_conversion_errors(X):
        X = check_array(X, allow_nd=True, dtype=DTYPES, input_name="X")
    check_float32_range(X)
    return X


def check_labels(y: Any) -> None:
    """Raise if y has labels that are missing, or of types that have no order among each other.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Class labels, or -1 and +1.

    Raises
    ------
    ValueError
        If labels are masked, NaN, None or NA, or y is ragged.
    TypeError
        If strings and numbers, or others without an order, are mixed.

    Examples
    --------
    >>> from skaae._data.input import check_labels
    >>> check_labels(["cat", None])
    Traceback (most recent call last):
        ...
    ValueError: y has 1 missing label(s), the first at 1 (None): a label for each sample is wanted.
    """
    if y is None:
        return  # scikit-learn says better that y is required
    check_unmasked(y, "y")
    if issparse(y):
        raise TypeError("y is sparse: a dense array of labels is wanted, y.toarray().")
    try:
        labels = np.asarray(y)
    except ValueError as error:
        raise ValueError(f"y cannot be read as an array of labels: {error}") from error
    missing = np.flatnonzero(_missing(labels.ravel()))
    if len(missing):
        raise ValueError(
            f"y has {len(missing)} missing label(s), the first at {missing[0]} ({labels.ravel()[missing[0]]}): a label "
            f"for each sample is wanted."
        )
    try:
        np.unique(labels)
    except TypeError as error:
        kinds = sorted({type(label).__name__ for label in labels.ravel()})
        raise TypeError(f"y mixes labels of the types {kinds}: labels of one type are wanted.") from error


def _missing(labels: np.ndarray) -> np.ndarray:
    """Where there is None, NaN, NaT, or the NA of pandas, which is not imported for it."""
    if labels.dtype != object:
        return labels != labels
    names = ("NoneType", "NAType", "NaTType")
    return np.array([type(label).__name__ in names or _is_nan(label) for label in labels], dtype=bool)


def _is_nan(label: Any) -> bool:
    return isinstance(label, float | np.floating) and bool(np.isnan(label))
