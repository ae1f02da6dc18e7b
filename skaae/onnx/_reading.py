"""Read raw tables into the inputs of a graph: DataFrames, dicts of columns and arrays. Needs only NumPy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np

from skaae._data.rows import Pages
from skaae._data.samples import as_samples, check_feature_names, check_readable, column_names

# Up to so many rows, a DataFrame is read row by row.
FEW_ROWS = 16
GAPS_OF_PANDAS = ("NAType", "NaTType")


@dataclass(frozen=True)
class Table:
    """How a table becomes the inputs of a graph.

    Parameters
    ----------
    n_columns : int
        Number of columns of X.
    names : list of str or None
        Their names.
    selected : list of str or None
        Names of the columns that are read, if these may come in any order, among others.
    columns : list of (int, str, bool) or None
        Number of each column that is read, the name of its input, and whether it is text. None: the input "x" takes
        all columns, which are numbers.
    missing_text : str
        Stands for missing values in columns of text.

    Examples
    --------
    >>> from skaae.onnx._reading import Table
    >>> table = Table(2, ["age", "country"], None, [(0, "age", False), (1, "country", True)], "missing")
    >>> inputs = table.read({"country": ["DE", None], "age": [30, 40]}, "Detector")
    >>> inputs["age"].tolist(), inputs["country"].tolist()
    ([[30.0], [40.0]], [['DE'], ['missing']])
    """

    n_columns: int
    names: list[str] | None
    selected: list[str] | None
    columns: list[tuple[int, str, bool]] | None
    missing_text: str

    def read(self, X: Any, name: str) -> dict[str, np.ndarray]:
        """Check a table, and return the inputs of the graph.

        Parameters
        ----------
        X : DataFrame, dict of array-like, or array-like of shape (n_samples, n_columns)
        name : str
            Name of the class that takes X, for error messages.

        Returns
        -------
        inputs : dict of str to ndarray
            "x" of shape (n_samples, n_columns), float64, or for each column an array of shape (n_samples, 1) of
            float64 or objects. Numbers that are missing are NaN.

        Raises
        ------
        ValueError
            If names or the number of columns are others than in fit, if there is no row, or if a column of numbers has
            text or infinity.
        TypeError
            If X is a dict, but has been fitted without names, or is no table.
        """
        check_collected(X)
        if self.columns is None and not isinstance(X, Mapping) and column_names(X) is None:
            return {"x": as_samples(X, (self.n_columns,), name, allow_missing=True).astype(np.float64, copy=False)}
        parts = columns_by_place(X, self.names, self.selected, self.n_columns, name)
        n_rows = len(next(iter(parts.values()), ()))
        if n_rows == 0:
            raise ValueError(f"X must have at least 1 sample, got {n_rows}.")
        if self.columns is None:
            x = np.zeros((n_rows, self.n_columns))
            for place, values in parts.items():
                x[:, place] = as_numbers(values, self._label(place))
            return {"x": x}
        return {
            tensor: (
                as_text(parts[place], self._label(place), self.missing_text)
                if is_text
                else as_numbers(parts[place], self._label(place))
            )[:, None]
            for place, tensor, is_text in self.columns
        }

    def _label(self, place: int) -> str:
        return repr(self.names[place]) if self.names else str(place)


def columns_by_place(
    X: Any, names: list[str] | None, selected: list[str] | None, n_columns: int, name: str
) -> dict[int, Any]:
    """The columns of a table by their number in fit, after a check of their names.

    Parameters
    ----------
    X : DataFrame, dict of array-like, or array-like of shape (n_samples, n_columns)
    names, selected, n_columns
        See `Table`.
    name : str
        Name of the class that takes X, for error messages.

    Returns
    -------
    columns : dict of int to array-like of shape (n_samples,)
    """
    if isinstance(X, Mapping):
        return _columns_of_dict(X, names, selected, name)
    if column_names(X) is None:
        return dict(enumerate(_columns_of_array(X, n_columns, name)))
    if names is not None and selected is not None:
        check_selected(X.columns, selected)
        columns = _as_objects(X[selected]).T if len(X) <= FEW_ROWS else [X[column] for column in selected]
        return {names.index(column): values for column, values in zip(selected, columns, strict=True)}
    check_feature_names(X, names)
    if len(X.columns) != n_columns:
        raise ValueError(_wrong_number(len(X.columns), n_columns, name))
    if len(set(X.columns)) < n_columns:
        raise ValueError(f"X must have unique column names, got {list(X.columns)}.")
    return dict(enumerate(_as_objects(X).T if len(X) <= FEW_ROWS else (X[column] for column in X.columns)))


def _as_objects(X: Any) -> np.ndarray:
    """A DataFrame as an array of objects, which takes less time than one array for each column if rows are few."""
    if not hasattr(X, "rows"):
        return np.asarray(X.to_numpy(dtype=object))
    rows = np.empty((len(X), len(X.columns)), dtype=object)  # polars
    for place, row in enumerate(X.rows()):
        rows[place] = row
    return rows


def chunks_of(inputs: Mapping[str, np.ndarray], n_bytes: int) -> Iterator[tuple[int, dict[str, np.ndarray]]]:
    """Iterate over the rows of inputs in chunks of bounded size.

    Parameters
    ----------
    inputs : dict of str to ndarray of shape (n_samples, ...)
    n_bytes : int
        Largest size of a chunk, unless this is a single row.

    Yields
    ------
    start : int
        Number of the first row.
    rows : dict of str to ndarray
    """
    arrays = inputs.values()
    n_rows = len(next(iter(arrays)))
    step = max(1, n_bytes * n_rows // sum(values.nbytes for values in arrays))
    pages = [Pages(values) for values in arrays]
    for start in range(0, n_rows, step):
        yield start, {name: values[start : start + step] for name, values in inputs.items()}
        for page in pages:
            page.note_read(step)
    for page in pages:
        page.release()


def check_collected(X: Any) -> None:
    """Raise a TypeError for a LazyFrame of polars."""
    if hasattr(X, "collect"):
        check_readable(X)


def check_selected(columns: Any, selected: list[str]) -> None:
    """Raise a ValueError if columns are missing that the first step of a Pipeline selects by name."""
    missing = [name for name in selected if name not in columns]
    if missing:
        raise ValueError(f"columns are missing: {missing}. The first step of the Pipeline selects {selected}.")


def _columns_of_dict(
    X: Mapping[Any, Any], names: list[str] | None, selected: list[str] | None, name: str
) -> dict[int, Any]:
    if names is None:
        raise TypeError(f"X is a dict, but {name} was fitted on rows without names of columns. Pass an array.")
    if selected is not None:
        check_selected(X, selected)
    else:
        check_feature_names(SimpleNamespace(columns=names if set(X) == set(names) else list(X)), names)
    columns = {names.index(column): np.atleast_1d(_as_array(X[column])) for column in selected or names}
    if len({len(values) for values in columns.values()}) > 1:
        lengths = {names[place]: len(values) for place, values in columns.items()}
        raise ValueError(f"X must have columns of the same length, got {lengths}.")
    return columns


def _columns_of_array(X: Any, n_columns: int, name: str) -> np.ndarray:
    if hasattr(X, "toarray"):
        raise TypeError("X is sparse, but dense data is required. Pass X.toarray().")
    values = _as_array(X)
    if values.ndim != 2:
        raise ValueError(
            f"Expected 2D array, got {values.ndim}D array of shape {values.shape} instead: X must have the shape "
            f"(n_samples, {n_columns})."
        )
    if values.shape[1] != n_columns:
        raise ValueError(_wrong_number(values.shape[1], n_columns, name))
    return values.T


def _wrong_number(n_found: int, n_columns: int, name: str) -> str:
    return f"X has {n_found} features, but {name} is expecting {n_columns} features as input."


def as_numbers(values: Any, label: str) -> np.ndarray:
    """A column as float64, with NaN for missing values.

    Parameters
    ----------
    values : array-like of shape (n_samples,)
    label : str
        Name or number of the column, for error messages.

    Returns
    -------
    numbers : ndarray of shape (n_samples,), float64

    Raises
    ------
    ValueError
        If values are no real numbers, or infinite.

    Examples
    --------
    >>> from skaae.onnx._reading import as_numbers
    >>> as_numbers([1, None, True], "'age'").tolist()
    [1.0, nan, 1.0]
    """
    array = _with_missing(values, np.nan)
    if array.dtype.kind not in "biufOUT":
        raise ValueError(f"X must have numbers in the column {label}, got the dtype {array.dtype}.")
    try:
        numbers = array.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"X must have numbers in the column {label}: {error}") from error
    if np.isinf(numbers).any():
        raise ValueError(f"Input X contains infinity in the column {label}.")
    return numbers


def as_text(values: Any, label: str, missing: str) -> np.ndarray:
    """A column as objects that are text.

    Parameters
    ----------
    values : array-like of shape (n_samples,)
    label : str
        Name or number of the column, for error messages.
    missing : str
        Stands for missing values.

    Returns
    -------
    text : ndarray of shape (n_samples,), object

    Raises
    ------
    ValueError
        If values are neither text nor missing.

    Examples
    --------
    >>> from skaae.onnx._reading import as_text
    >>> as_text(["DE", None], "'country'", "missing").tolist()
    ['DE', 'missing']
    """
    array = _with_missing(values, missing).astype(object)
    other = {type(value).__name__ for value in array if not isinstance(value, str)}
    if other:
        raise ValueError(f"X must have text in the column {label}, got values of type {sorted(other)}.")
    return array


def _as_array(values: Any) -> np.ndarray:
    """An array, of objects if the values are in a list: NumPy would make the text "nan" of NaN beside text."""
    return np.asarray(values, dtype=None if hasattr(values, "dtype") else object)


def _with_missing(values: Any, missing: Any) -> np.ndarray:
    """An array in which something else stands for None, NaN and pandas' NA."""
    if hasattr(values, "isna"):  # pandas
        is_missing = values.isna().to_numpy()
        array = values.to_numpy(dtype=object) if is_missing.any() else np.asarray(values)
    else:
        has_nulls = hasattr(values, "null_count") and values.null_count()  # polars
        array = _as_array(values.to_list() if has_nulls else values)
        is_missing = _is_missing(array)
    if not is_missing.any() or (array.dtype.kind == "f" and not isinstance(missing, str)):
        return array
    array = array.astype(object)
    array[is_missing] = missing
    return array


def _is_missing(array: np.ndarray) -> np.ndarray:
    if array.dtype.kind == "O":
        return np.array([_is_gap(value) for value in array], dtype=bool)
    return np.isnan(array) if array.dtype.kind == "f" else np.zeros(len(array), dtype=bool)


def _is_gap(value: Any) -> bool:
    if value is None or type(value).__name__ in GAPS_OF_PANDAS:
        return True
    return isinstance(value, float | np.floating) and bool(value != value)
