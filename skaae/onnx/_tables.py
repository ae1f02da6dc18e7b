"""Encoders of categories as lookup tables: each category gets the row of numbers that the encoder returns for it.

skl2onnx converts encoders to operators that do not know rare categories, missing values or numbers that are not whole.
A table that is filled by the encoder itself has them all, and to the last bit.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, OrdinalEncoder, TargetEncoder

from skaae._classifiers.encoded_columns import sizes_of_groups
from skaae._utils.extras import import_extra
from skaae.onnx._assembly import Assembly
from skaae.onnx._tensors import Rows, column, side_by_side

ENCODERS = (OneHotEncoder, OrdinalEncoder, TargetEncoder)
# Stands for missing values in tensors of text, which cannot hold any. The first character is one for private use.
MISSING_TEXT = "\ue000missing"
# A category that no encoder has seen.
UNKNOWN_TEXT = "\ue000unknown"
ROWS_AT_ONCE = 500


def is_missing(value: Any) -> bool:
    """Whether a category is None or NaN."""
    return value is None or (isinstance(value, float) and bool(np.isnan(value)))


def n_before_encoder(steps: Sequence[Any]) -> int | None:
    """Number of steps before the first encoder, if these only fill in missing values; else None.

    Examples
    --------
    >>> from sklearn.impute import SimpleImputer
    >>> from sklearn.preprocessing import OneHotEncoder, StandardScaler
    >>> from skaae.onnx._tables import n_before_encoder
    >>> n_before_encoder([SimpleImputer(), OneHotEncoder(), StandardScaler()])
    1
    >>> n_before_encoder([StandardScaler(), OneHotEncoder()]) is None
    True
    """
    for place, step in enumerate(steps):
        if isinstance(step, ENCODERS):
            return place
        is_identity = isinstance(step, FunctionTransformer) and step.func is None
        if not is_identity and not (isinstance(step, SimpleImputer) and not step.add_indicator):
            return None
    return None


def values_of_column(steps: Sequence[Any], place: int) -> list[Any]:
    """The values of one column that imputers and the encoder behind them tell apart.

    Parameters
    ----------
    steps : sequence of transformer
        Fitted imputers, and an encoder as the last one.
    place : int
        Number of the column.

    Returns
    -------
    values : list
        Categories, what stands for missing values, and a value that is none of these as the last one.
    """
    known = [value for value in steps[-1].categories_[place].tolist() if not is_missing(value)]
    missing = [value for value in steps[-1].categories_[place].tolist() if is_missing(value)]
    marks = [step.missing_values for step in steps if isinstance(step, SimpleImputer)]
    own = [mark for mark in marks if not is_missing(mark) and mark not in known and mark == mark]
    is_text = any(isinstance(value, str) for value in known)
    unknown = UNKNOWN_TEXT if is_text else max(map(float, [*known, 0.0])) + 1.0
    missing = [mark for mark in marks[:1] if is_missing(mark)] or missing[:1] or [np.nan]
    return [*known, *own, *missing, unknown]


def look_up(steps: Sequence[Any], assembly: Assembly, rows: Rows) -> str:
    """Add tables for imputers and the encoder behind them.

    Parameters
    ----------
    steps : sequence of transformer
        Fitted imputers, and an encoder as the last one.
    assembly : Assembly
        The graph.
    rows : Columns or Matrix
        The rows that the first one takes.

    Returns
    -------
    encoded : str
        Name of the tensor with the encoded rows, float64. Rows with a category that the encoder refuses have
        infinity, which no later step fills in.
    """
    parts = []
    for place, table in enumerate(tables_of(steps)):
        if table.shape[1]:
            tensor, is_text = column(rows, place)
            code = code_of(assembly, tensor, is_text, values_of_column(steps, place))
            is_one_hot = isinstance(steps[-1], OneHotEncoder)
            parts.append((one_hot if is_one_hot else _row_of_table)(assembly, table, code))
    return side_by_side(assembly, parts)


def tables_of(steps: Sequence[Any]) -> list[np.ndarray]:
    """For each column, what imputers and the encoder behind them return for its values.

    Parameters
    ----------
    steps : sequence of transformer
        Fitted imputers, and an encoder as the last one.

    Returns
    -------
    tables : list of ndarray of shape (n_values, n_encoded), float64
        Its rows are those of `values_of_column`. They are infinite for a value that is refused.
    """
    values = [values_of_column(steps, place) for place in range(len(steps[-1].categories_))]
    return [
        _table(steps, values, place, slice(start, start + size))
        for place, (size, start) in enumerate(zip(*_slices(steps[-1]), strict=True))
    ]


def _slices(encoder: Any) -> tuple[list[int], list[int]]:
    """For each column, how many columns the encoder returns for it, and the first of these."""
    if isinstance(encoder, OneHotEncoder):
        sizes = sizes_of_groups(encoder)[0]
    else:
        is_multiclass = getattr(encoder, "target_type_", "") == "multiclass"
        sizes = [len(encoder.classes_) if is_multiclass else 1] * len(encoder.categories_)
    return sizes, [0, *np.cumsum(sizes)[:-1].tolist()]


def _table(steps: Sequence[Any], values: list[list[Any]], place: int, columns: slice) -> np.ndarray:
    """Encoded columns of rows in which one column has each of its values in turn; infinity where they are refused."""
    first = [column[0] for column in values]
    rows = [[*first[:place], value, *first[place + 1 :]] for value in values[place]]
    known = len(steps[-1].categories_[place]) - sum(map(is_missing, steps[-1].categories_[place].tolist()))
    blocks = [rows[start : min(start + ROWS_AT_ONCE, known)] for start in range(0, known, ROWS_AT_ONCE)]
    encoded = [_encoded(steps, block, columns) for block in (*blocks, *([row] for row in rows[known:]))]
    width = columns.stop - columns.start
    return np.concatenate([np.full((1, width), np.inf) if block is None else block for block in encoded])


def _encoded(steps: Sequence[Any], rows: list[list[Any]], columns: slice) -> np.ndarray | None:
    """Rows through the steps, or None if these refuse them."""
    names = getattr(steps[0], "feature_names_in_", None)
    frame = import_extra("pandas", "pandas").DataFrame(rows, columns=names, dtype=object)
    X = frame.to_numpy() if names is None else frame
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Found unknown categories", UserWarning)
        try:
            for step in steps:
                X = step.transform(X)
        except ValueError:  # an unknown category
            return None
    X = X[:, columns].toarray() if hasattr(X, "toarray") else np.asarray(X)[:, columns]
    return np.asarray(X, dtype=np.float64)


def one_hot(assembly: Assembly, table: np.ndarray, code: str) -> str:
    """Add the rows of a table that are zeros with at most a one, or infinite.

    The table is not written into the file, since it has a number for each pair of categories.

    Parameters
    ----------
    assembly : Assembly
        The graph.
    table : ndarray of shape (n_codes, n_columns), float64
    code : str
        Name of the tensor with the row of the table that each sample gets, of shape (n_samples,), int64.

    Returns
    -------
    encoded : str
        Name of the tensor, of shape (n_samples, n_columns), float64.
    """
    size, is_refused = table.shape[1], np.isinf(table).any(axis=1)
    place = np.where(table.sum(axis=1) == 1, table.argmax(axis=1), size)
    places = assembly.constant(np.where(is_refused, size + 1, place)[:, None])
    chosen = assembly.node("Gather", places, code, axis=0)
    is_one = assembly.node("Equal", chosen, assembly.constant(np.arange(size)[None]))
    encoded = assembly.cast(is_one, np.float64)
    if not is_refused.any():
        return encoded
    is_refused_row = assembly.node("Equal", chosen, assembly.constant(np.int64(size + 1)))
    return assembly.node("Where", is_refused_row, assembly.constant(np.float64(np.inf)), encoded)


def _row_of_table(assembly: Assembly, table: np.ndarray, code: str) -> str:
    return assembly.node("Gather", assembly.constant(table), code, axis=0)


def code_of(assembly: Assembly, tensor: str, is_text: bool, values: list[Any]) -> str:
    """Add the place of each value in a list, or the last place if it is not in the list.

    Parameters
    ----------
    assembly : Assembly
        The graph.
    tensor : str
        Name of the tensor with the values, of shape (n_samples, 1).
    is_text : bool
        Whether they are text.
    values : list
        None and NaN stand for missing values. The last one stands for all others.

    Returns
    -------
    code : str
        Name of the tensor with the places, of shape (n_samples,), int64.
    """
    return (_code_of_text if is_text else _code_of_number)(assembly, tensor, values)


def _code_of_text(assembly: Assembly, tensor: str, values: list[Any]) -> str:
    keys = [MISSING_TEXT if is_missing(value) else str(value) for value in values[:-1]]
    code = assembly.node(
        "LabelEncoder",
        tensor,
        domain="ai.onnx.ml",
        keys_strings=keys,
        values_int64s=list(range(len(keys))),
        default_int64=len(keys),
    )
    return assembly.node("Squeeze", code, assembly.constant(np.array([1])))


def _code_of_number(assembly: Assembly, tensor: str, values: list[Any]) -> str:
    numbers = np.array([[np.nan if is_missing(value) else float(value) for value in values[:-1]]])
    is_value = assembly.node("Equal", tensor, assembly.constant(numbers))
    is_nan = assembly.node("And", assembly.node("IsNaN", tensor), assembly.constant(np.isnan(numbers)))
    found = assembly.cast(assembly.node("Or", is_value, is_nan), np.float32)
    code = assembly.node("ArgMax", found, axis=1, keepdims=0)
    is_known = assembly.node("ReduceMax", found, assembly.constant(np.array([1])), keepdims=0)
    is_unknown = assembly.node("Equal", is_known, assembly.constant(np.float32(0)))
    return assembly.node("Where", is_unknown, assembly.constant(np.int64(numbers.size)), code)
