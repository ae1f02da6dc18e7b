"""X and y as they are accepted: real numbers that float32 can hold, labels without gaps; else an error that says so."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from scipy.sparse import issparse
from sklearn.utils.validation import check_array

from skaae._samples import check_float32_range

DTYPES = (np.float64, np.float32)
# Of a NumPy dtype: bool, signed and unsigned integers, floats.
REAL_KINDS = "biuf"


@contextmanager
def clear_errors(X: Any) -> Iterator[None]:
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
    >>> from skaae._accepted_input import clear_errors
    >>> with clear_errors([["cat"]]):
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
            found = None if issparse(X) or _is_frame(X) else _error_of_conversion(X)
            if found is None:
                raise
            kind = TypeError if isinstance(found, TypeError) else ValueError
            raise kind(f"X cannot be read as an array of numbers: {found}") from error


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
        As `clear_errors`, or if X is empty or sparse, or a value is not finite or beyond float32.
    """
    with clear_errors(X):
        X = check_array(X, allow_nd=True, dtype=DTYPES, input_name="X")
    check_float32_range(X)
    return X


def check_readable(X: Any) -> None:
    """Raise unless X is of a kind that is read as numbers without changing what it means."""
    _check_unmasked(X, "X")
    if hasattr(X, "collect"):
        raise TypeError(f"X is a {type(X).__name__}, whose rows are not there yet: X.collect() is wanted.")
    if _is_frame(X):
        _check_columns(X)
        return
    dtype = getattr(X, "dtype", None)
    kind = getattr(dtype, "kind", "f")
    if kind == "c":
        raise ValueError(f"Complex data not supported: X has the dtype {dtype}, real numbers are wanted.")
    if kind in "mMV":
        raise TypeError(f"X has the dtype {dtype}: numbers are wanted; turn it into numbers that mean something first.")


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
    >>> from skaae._accepted_input import check_labels
    >>> check_labels(["cat", None])
    Traceback (most recent call last):
        ...
    ValueError: y has 1 missing label(s), the first at 1 (None): a label for each sample is wanted.
    """
    if y is None:
        return  # scikit-learn says better that y is required
    _check_unmasked(y, "y")
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


def _check_unmasked(values: Any, name: str) -> None:
    """Raise a ValueError if values are masked, since the numbers behind a mask would be used."""
    n_masked = np.ma.count_masked(values) if isinstance(values, np.ma.MaskedArray) else 0
    if n_masked:
        raise ValueError(
            f"{name} is a masked array of which {n_masked} values are masked: fill or impute them, {name}.filled(...)."
        )


def _is_frame(X: Any) -> bool:
    """Whether X is a DataFrame of pandas, polars or Dask."""
    return hasattr(X, "columns") and (hasattr(X, "dtypes") or hasattr(X, "schema"))


def _check_columns(X: Any) -> None:
    """Raise if the columns of a DataFrame have one name, are sparse, or hold no numbers."""
    names = list(X.columns)
    doubled = sorted({str(name) for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
    if doubled:
        raise ValueError(f"X has several columns of the name(s) {doubled}: a name of its own for each is wanted.")
    dtypes = dict(X.schema.items() if hasattr(X, "schema") else X.dtypes.items())
    if dtypes and all(str(dtype).startswith("Sparse") for dtype in dtypes.values()):
        raise TypeError("X is a sparse DataFrame, dense data is required: X.sparse.to_dense().")
    text = [name for name, dtype in dtypes.items() if not _holds_numbers(X, name, dtype)]
    if text:
        raise ValueError(
            f"X has columns that hold no numbers: {text}. Encode them before the detector, for instance "
            f"make_pipeline(ColumnTransformer(...), detector), with the classifier that comes after the encoding."
        )


def _holds_numbers(X: Any, name: Any, dtype: Any) -> bool:
    """Whether a column is of numbers, or of objects or text that can be read as numbers."""
    if hasattr(dtype, "is_numeric"):  # polars
        certain, refused = dtype.is_numeric() or str(dtype) == "Boolean", dtype.is_temporal()
    else:
        kind = getattr(dtype, "kind", "O")
        # Complex numbers have an error of their own.
        certain, refused = kind in REAL_KINDS + "c", kind in "mMV"
    return bool(certain or (not refused and _error_of_conversion(X[name]) is None))


def _error_of_conversion(values: Any) -> Exception | None:
    try:
        np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        return error
    return None
