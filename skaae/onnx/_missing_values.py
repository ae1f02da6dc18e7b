"""Rows with missing values and categories as rows of finite numbers, and back, as `skaae._classifiers.frames` does."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from skaae._classifiers.frames import UNKNOWN, FrameColumns, MissingValues
from skaae._utils.extras import import_extra
from skaae.onnx._assembly import Assembly
from skaae.onnx._tables import MISSING_TEXT, code_of, one_hot
from skaae.onnx._tensors import Columns, Matrix, Rows, column, side_by_side
from skaae.onnx._unknown_categories import Unknown


def add_encoding(
    columns: FrameColumns | MissingValues | None,
    assembly: Assembly,
    rows: Rows,
    unknown: Mapping[int, Unknown] = MappingProxyType({}),
) -> str:
    """Add what `columns.encode` does.

    Parameters
    ----------
    columns : FrameColumns, MissingValues or None
        None: nothing is missing.
    assembly : Assembly
        The graph.
    rows : Columns or Matrix
        Raw rows.
    unknown : dict of int to Unknown, default={}
        Categories that are refused, for the number of each column.

    Returns
    -------
    encoded : str
        Name of the tensor with the encoded rows, float64. They are infinite where a category is refused.
    """
    if columns is None:
        return rows.matrix()
    if isinstance(columns, MissingValues):
        return _filled(columns, assembly, rows.matrix())
    numeric, categories = _places(columns)
    parts = [_filled(columns.numbers, assembly, rows.take(numeric).matrix())] if numeric else []
    for place, values in categories.items():
        tensor, is_text = column(rows, place)
        known, table = _table(values, unknown.get(place, Unknown([], False)))
        parts.append(one_hot(assembly, table, code_of(assembly, tensor, is_text, [*known, "none of these"])))
    return side_by_side(assembly, parts)


def _table(values: list[Any], unknown: Unknown) -> tuple[list[Any], np.ndarray]:
    """All categories with a name, and the encoded rows of these and of all others, which are the last one."""
    known = [*values, *unknown.known, *([] if None in unknown.known else [None])]
    rows = np.eye(len(values) + 1)
    refused, other = np.full(len(values) + 1, np.inf), rows[-1]
    further = [refused if value in unknown.known else other for value in known[len(values) :]]
    return known, np.array([*rows[:-1], *further, refused if unknown.others else other])


def _places(columns: FrameColumns) -> tuple[list[int], dict[int, list[Any]]]:
    """Numbers of the columns of numbers, and for the number of each other column its categories."""
    names = list(columns.dtypes)
    categories = {names.index(name): values.tolist() for name, values in columns.categories.items()}
    return [place for place in range(len(names)) if place not in categories], categories


def _filled(numbers: MissingValues, assembly: Assembly, x: str) -> str:
    is_missing = assembly.node("IsNaN", x)
    filled = assembly.node("Where", is_missing, assembly.constant(numbers.fill[None]), x)
    return assembly.node("Concat", filled, assembly.cast(is_missing, np.float64), axis=1)


def add_decoding(columns: FrameColumns | MissingValues, assembly: Assembly, x: str) -> Rows:
    """Add what `columns.decode` does.

    Parameters
    ----------
    columns : FrameColumns or MissingValues
    assembly : Assembly
        The graph.
    x : str
        Name of the tensor with the encoded rows, float64.

    Returns
    -------
    rows : Columns or Matrix
        The raw rows.
    """
    encoded = Matrix(assembly, x, columns.n_encoded)
    if isinstance(columns, MissingValues):
        return _with_gaps(columns, assembly, encoded)
    numeric, categories = _places(columns)
    numbers = encoded.take(range(columns.numbers.n_encoded))
    if not categories:
        return _in_types(columns, _with_gaps(columns.numbers, assembly, numbers))
    tensors, is_text = [""] * len(columns.dtypes), [False] * len(columns.dtypes)
    if numeric:
        decoded = _in_types(columns, _with_gaps(columns.numbers, assembly, numbers))
        for place, source in enumerate(numeric):
            tensors[source] = decoded.take([place]).tensor
    start = columns.numbers.n_encoded
    for place, values in categories.items():
        group = encoded.take(range(start, start + len(values) + 1)).tensor
        tensors[place], is_text[place] = _category(columns, place, values, assembly, group)
        start += len(values) + 1
    return Columns(assembly, tuple(tensors), tuple(is_text))


def _with_gaps(numbers: MissingValues, assembly: Assembly, encoded: Matrix) -> Matrix:
    n_columns = len(numbers.fill)
    values = encoded.take(range(n_columns)).tensor
    marks = encoded.take(range(n_columns, 2 * n_columns)).tensor
    is_missing = assembly.node("Greater", marks, assembly.constant(np.float64(0.5)))
    gaps = assembly.node("Where", is_missing, assembly.constant(np.float64(np.nan)), values)
    return Matrix(assembly, gaps, n_columns)


def _in_types(columns: FrameColumns, rows: Matrix) -> Matrix:
    """Whole numbers in columns of integers, 0 and 1 in those of booleans, and float32 where the column is."""
    types = import_extra("pandas", "pandas").api.types
    assembly, names = rows.assembly, [name for name in columns.dtypes if name not in columns.categories]
    dtypes = [columns.dtypes[name] for name in names]
    tensor = rows.tensor
    is_whole = np.array([[types.is_bool_dtype(dtype) or types.is_integer_dtype(dtype) for dtype in dtypes]])
    if is_whole.any():
        limits = [
            _limits(dtype) if whole else (-np.inf, np.inf) for dtype, whole in zip(dtypes, is_whole[0], strict=True)
        ]
        low, high = (assembly.constant(np.array([column])) for column in zip(*limits, strict=True))
        rounded = assembly.node("Round", tensor)
        rounded = assembly.node("Where", assembly.node("Less", rounded, low), low, rounded)
        rounded = assembly.node("Where", assembly.node("Greater", rounded, high), high, rounded)
        tensor = assembly.node("Where", assembly.constant(is_whole), rounded, tensor)
    is_float32 = np.array([[str(dtype).lower() == "float32" for dtype in dtypes]])
    if is_float32.any():
        short = assembly.cast(assembly.cast(tensor, np.float32), np.float64)
        tensor = assembly.node("Where", assembly.constant(is_float32), short, tensor)
    return Matrix(assembly, tensor, len(names))


def _limits(dtype: Any) -> tuple[float, float]:
    if import_extra("pandas", "pandas").api.types.is_bool_dtype(dtype):
        return 0.0, 1.0
    limits = np.iinfo(getattr(dtype, "numpy_dtype", dtype))
    return float(limits.min), float(limits.max)


def _category(columns: FrameColumns, place: int, values: list[Any], assembly: Assembly, group: str) -> tuple[str, bool]:
    """A tensor of the categories of one column, and whether these are text."""
    name = list(columns.dtypes)[place]
    is_text = not values or any(isinstance(value, str) for value in values)
    last: Any = np.nan
    if is_text:
        is_category = str(columns.dtypes[name]) == "category"
        last = MISSING_TEXT if name in columns.gaps or is_category else UNKNOWN
    code = assembly.node("ArgMax", group, axis=1, keepdims=0)
    if name not in columns.gaps and values:
        inner = assembly.node("Gather", group, assembly.constant(np.arange(len(values))), axis=1)
        mark = assembly.node("Gather", group, assembly.constant(np.int64(len(values))), axis=1)
        is_last = assembly.node("Greater", mark, assembly.constant(np.float64(0.5)))
        among = assembly.node("ArgMax", inner, axis=1, keepdims=0)
        code = assembly.node("Where", is_last, assembly.constant(np.int64(len(values))), among)
    table = np.array([[value] for value in [*values, last]], dtype=object if is_text else np.float64)
    return assembly.node("Gather", assembly.constant(table), code, axis=0), is_text
