"""Columns of categories and missing values as numbers, and back, for classifiers that take them themselves."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from skaae._utils.extras import import_extra

# Kinds of NumPy that may be text: objects, bytes, str, variable str.
TEXT = "OSUT"
# Rows become dense: 2 GiB of float64.
MOST_NUMBERS = 2**28
# Stands for a category that fit has not seen, in columns of text without missing values.
UNKNOWN = "unknown category"


def is_raw(X: Any) -> bool:
    """Whether X has text or missing values, so that it is no array of numbers.

    Examples
    --------
    >>> import numpy as np
    >>> from skaae._classifiers.frames import is_raw
    >>> is_raw(np.zeros((2, 2))), is_raw(np.array([[1.0, np.nan]])), is_raw(np.array([["a"]], dtype=object))
    (False, True, True)
    """
    if hasattr(X, "collect"):  # a LazyFrame of polars
        return False
    if isinstance(X, list | tuple):
        X = _as_array(X)
    if hasattr(X, "columns"):
        if len(set(X.columns)) < len(X.columns):
            return False
    elif not isinstance(X, np.ndarray) or isinstance(X, np.memmap | np.ma.MaskedArray) or X.ndim != 2:
        return False
    elif X.dtype.kind not in TEXT:
        return X.dtype.kind == "f" and bool(np.isnan(X).any())
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", np.exceptions.ComplexWarning)
            values = np.asarray(X, dtype=np.float64)
    except (OverflowError, np.exceptions.ComplexWarning):
        return False
    except (TypeError, ValueError):
        return np.ndim(X) == 2
    return values.ndim == 2 and bool(np.isnan(values).any())


def _as_array(X: Any) -> Any:
    try:
        return np.asarray(X)
    except ValueError:  # rows of different lengths raise their own error later
        return None


def has_categories(X: Any) -> bool:
    """Whether X is a DataFrame of pandas with columns of categories."""
    return hasattr(X, "columns") and any(str(dtype) == "category" for dtype in getattr(X, "dtypes", ()))


def check_dates(X: Any) -> None:
    """Raise a TypeError if X is a DataFrame with columns of dates: new rows have dates that fit has not seen.

    Examples
    --------
    >>> import pandas as pd
    >>> from skaae._classifiers.frames import check_dates
    >>> check_dates(pd.DataFrame({"due": pd.to_datetime(["2024-01-31"])}))
    Traceback (most recent call last):
        ...
    TypeError: X has dates in the columns ['due'], which cannot be encoded. Turn them into numbers, leave them out, \
or pass a Pipeline whose first step turns them into numbers.
    """
    if not hasattr(X, "columns"):
        return
    types = import_extra("pandas", "pandas").api.types
    is_date = types.is_datetime64_any_dtype, types.is_timedelta64_dtype
    dates = [name for name, dtype in as_pandas(X).dtypes.items() if any(check(dtype) for check in is_date)]
    if dates:
        raise TypeError(
            f"X has dates in the columns {dates}, which cannot be encoded. Turn them into numbers, leave them out, or "
            f"pass a Pipeline whose first step turns them into numbers."
        )


def as_pandas(X: Any) -> Any:
    """The DataFrame of pandas of another DataFrame, such as one of polars."""
    return X.to_pandas() if hasattr(X, "to_pandas") else X


def like(rows: Any, X: Any, unchanged: np.ndarray | None = None) -> Any:
    """Decoded rows in the container of X.

    Parameters
    ----------
    rows : DataFrame of pandas or ndarray
    X : DataFrame or ndarray
        As the user passed it.
    unchanged : ndarray of shape (n_samples,), bool, or None, default=None
        Rows that are taken from X.

    Returns
    -------
    rows : DataFrame of pandas or polars with the index of X, or ndarray
    """
    if isinstance(rows, np.ndarray):
        return rows if unchanged is None else np.where(unchanged[:, None], np.asarray(X, dtype=rows.dtype), rows)
    frame = as_pandas(X)
    rows = rows.set_axis(frame.index)
    if unchanged is not None:
        pandas = import_extra("pandas", "pandas")
        order = np.argsort(np.concatenate([np.flatnonzero(unchanged), np.flatnonzero(~unchanged)]))
        rows = pandas.concat([frame.loc[:, list(rows.columns)][unchanged], rows[~unchanged]]).iloc[order]
    return import_extra("polars", "polars").from_pandas(rows) if hasattr(X, "to_pandas") else rows


@dataclass(frozen=True, eq=False)
class MissingValues:
    """Rows of numbers with missing values: each is filled, and a column tells which were missing.

    Parameters
    ----------
    fill : ndarray of shape (n_features,)
        Median of each column in fit; 0 where all values are missing.

    Examples
    --------
    >>> import numpy as np
    >>> from skaae._classifiers.frames import MissingValues
    >>> X = np.array([[1.0, np.nan], [3.0, 5.0]])
    >>> encoding = MissingValues.of(X)
    >>> encoding.encode(X).tolist()
    [[1.0, 5.0, 0.0, 1.0], [3.0, 5.0, 0.0, 0.0]]
    >>> encoding.decode(encoding.encode(X)).tolist()
    [[1.0, nan], [3.0, 5.0]]
    """

    fill: np.ndarray

    @classmethod
    def of(cls, X: np.ndarray) -> MissingValues:
        """Learn the values to fill in from the rows of fit."""
        is_known = ~np.isnan(X).all(axis=0)
        fill = np.zeros(X.shape[1])
        fill[is_known] = np.nanmedian(X[:, is_known], axis=0)
        return cls(fill)

    @property
    def n_encoded(self) -> int:
        return 2 * len(self.fill)

    @property
    def sources(self) -> list[int]:
        """For each encoded column, the number of the column that it is made from."""
        return [*range(len(self.fill)), *range(len(self.fill))]

    @property
    def places(self) -> dict[int, int]:
        """For each column of numbers, the number of the encoded column that has its values."""
        return {place: place for place in range(len(self.fill))}

    def encode(self, X: Any) -> np.ndarray:
        X = np.asarray(X, dtype=np.float64)
        is_missing = np.isnan(X)
        return np.hstack([np.where(is_missing, self.fill, X), is_missing])

    def decode(self, rows: np.ndarray) -> np.ndarray:
        values, is_missing = np.hsplit(rows, 2)
        return np.where(is_missing > 0.5, np.nan, values)

    def rules(self) -> dict[str, Any]:
        """What is missing in x is missing in x'."""
        return {"kept": list(range(len(self.fill), 2 * len(self.fill))), "groups": [], "may_be_zero": [], "codes": []}


@dataclass(frozen=True, eq=False)
class FrameColumns:
    """The columns of a DataFrame: numbers as they are, categories one-hot, with a column for missing and unknown ones.

    Parameters
    ----------
    dtypes : dict of str to dtype of pandas
        The columns in their order.
    categories : dict of str to Index
        Categories of the columns that are not numbers.
    numbers : MissingValues
        Fill values of the other columns.
    gaps : dict of str to object
        Columns of categories with missing values in fit, and what stood for them there (None, NaN or NA), which is a
        category like the others to the encoders of scikit-learn.
    """

    dtypes: dict[Any, Any]
    categories: dict[Any, Any]
    numbers: MissingValues
    gaps: Mapping[Any, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, X: Any) -> FrameColumns:
        """Learn categories and fill values from the rows of fit."""
        pandas, frame = import_extra("pandas", "pandas"), as_pandas(X)
        check_dates(frame)
        dtypes = dict(frame.dtypes.items())
        categories = {
            name: dtype.categories
            if isinstance(dtype, pandas.CategoricalDtype)
            else pandas.Index(frame[name].dropna().unique())
            for name, dtype in dtypes.items()
            if not pandas.api.types.is_numeric_dtype(dtype)
        }
        _check_number_of_categories(categories, len(frame))
        gaps = {name: frame[name][frame[name].isna()].iloc[0] for name in categories if frame[name].isna().any()}
        return cls(dtypes, categories, MissingValues.of(_numbers(frame, dtypes, categories)), gaps)

    @property
    def n_encoded(self) -> int:
        return self.numbers.n_encoded + sum(len(categories) + 1 for categories in self.categories.values())

    @property
    def sources(self) -> list[int]:
        """For each encoded column, the number of the column that it is made from."""
        numeric = list(self.places)
        places = {name: place for place, name in enumerate(self.dtypes)}
        levels = [places[name] for name, categories in self.categories.items() for _ in range(len(categories) + 1)]
        return [*numeric, *numeric, *levels]

    @property
    def places(self) -> dict[int, int]:
        """For each column of numbers, the number of the encoded column that has its values."""
        numeric = [place for place, name in enumerate(self.dtypes) if name not in self.categories]
        return {source: place for place, source in enumerate(numeric)}

    def unknown_categories(self, X: Any) -> dict[Any, np.ndarray]:
        """For each column of categories, whether each row has one, or misses one, unlike the rows of fit."""
        frame = as_pandas(X)
        return {
            name: (categories.get_indexer(frame[name]) < 0) & (frame[name].notna().to_numpy() | (name not in self.gaps))
            for name, categories in self.categories.items()
            if name in frame.columns
        }

    def encode(self, X: Any) -> np.ndarray:
        frame = as_pandas(X)
        missing = [name for name in self.dtypes if name not in frame.columns]
        if missing:
            raise ValueError(f"X lacks the columns {missing}, with which the detector was fitted.")
        parts = [self.numbers.encode(_numbers(frame, self.dtypes, self.categories))]
        for name, categories in self.categories.items():
            part = np.zeros((len(frame), len(categories) + 1))
            # Missing values and unknown categories are -1: the last column.
            part[np.arange(len(frame)), categories.get_indexer(frame[name])] = 1
            parts.append(part)
        return np.hstack(parts)

    def decode(self, rows: np.ndarray) -> Any:
        pandas = import_extra("pandas", "pandas")
        numbers = self.numbers.decode(rows[:, : self.numbers.n_encoded])
        columns = {
            name: _as_dtype(values, self.dtypes[name]) for name, values in zip(self._numeric(), numbers.T, strict=True)
        }
        start = self.numbers.n_encoded
        for name, categories in self.categories.items():
            columns[name] = self._category(name, rows[:, start : start + len(categories) + 1])
            start += len(categories) + 1
        return pandas.DataFrame({name: columns[name] for name in self.dtypes})

    def _category(self, name: Any, rows: np.ndarray) -> Any:
        """A column of categories from the columns that encode it."""
        pandas, categories = import_extra("pandas", "pandas"), self.categories[name]
        codes, dtype = rows.argmax(axis=1), self.dtypes[name]
        if name not in self.gaps and len(categories):
            codes = np.where(rows[:, -1] > 0.5, len(categories), rows[:, :-1].argmax(axis=1))
        codes = np.where(codes == len(categories), -1, codes)
        values = pandas.Series(pandas.Categorical.from_codes(codes, categories))
        if not isinstance(dtype, pandas.CategoricalDtype):
            values = values.to_numpy(dtype=object)
            values[codes < 0] = self.gaps.get(name, UNKNOWN)
            values = pandas.Series(values, dtype=object)  # which keeps None
        return values.astype(dtype)

    def rules(self) -> dict[str, Any]:
        """One category in each group, 0 or 1 for booleans, and missing numbers as in x.

        Where no category was missing in fit, none is in x', unless it is in x.
        """
        start, rules = self.numbers.n_encoded, self.numbers.rules()
        for name, categories in self.categories.items():
            columns = [*range(start, start + len(categories) + 1)]
            if name not in self.gaps:
                rules["kept"].append(columns.pop())
            if len(columns) > 1:
                rules["groups"].append(columns)
                rules["may_be_zero"].append(False)
            else:  # a single category, of which x' has what x has
                rules["kept"] += columns
            start += len(categories) + 1
        is_bool = import_extra("pandas", "pandas").api.types.is_bool_dtype
        rules["codes"] = [(place, 0, 1) for place, name in enumerate(self._numeric()) if is_bool(self.dtypes[name])]
        return rules

    def _numeric(self) -> list[Any]:
        return [name for name in self.dtypes if name not in self.categories]


def _check_number_of_categories(categories: dict[Any, Any], n_rows: int) -> None:
    """Raise a ValueError if there are so many categories that a column for each does not fit into memory."""
    n_categories = sum(map(len, categories.values()))
    if n_rows * n_categories > MOST_NUMBERS:
        most = sorted(categories, key=lambda name: len(categories[name]), reverse=True)[:5]
        raise ValueError(
            f"X has {n_categories} categories, in the columns {most} above all, and {n_rows} rows, which is too large "
            f"for a column for each category. Leave out columns such as identifiers, or pass a Pipeline that encodes "
            f"them (OneHotEncoder(min_frequency=...))."
        )


def _numbers(frame: Any, dtypes: dict[Any, Any], categories: dict[Any, Any]) -> np.ndarray:
    names = [name for name in dtypes if name not in categories]
    columns = [_column_of_numbers(frame[name], name) for name in names]
    return np.column_stack(columns) if columns else np.zeros((len(frame), 0))


def _column_of_numbers(values: Any, name: Any) -> np.ndarray:
    check_dates(values.to_frame())
    try:
        return np.asarray(values.to_numpy(dtype=np.float64, na_value=np.nan))
    except (TypeError, ValueError) as error:
        raise ValueError(f"X must have numbers in the column {name!r}, as in fit: {error}") from error


def _as_dtype(values: np.ndarray, dtype: Any) -> Any:
    """Numbers in the type of their column: whole where it holds integers, unless some are missing in a NumPy column."""
    pandas = import_extra("pandas", "pandas")
    is_bool = pandas.api.types.is_bool_dtype(dtype)
    is_whole = is_bool or pandas.api.types.is_integer_dtype(dtype)
    if is_whole:
        values = np.clip(np.round(values), *((0, 1) if is_bool else _limits(dtype)))
    if np.isnan(values).any() and is_whole:
        if not pandas.api.types.is_extension_array_dtype(dtype):
            return values
        kind = bool if is_bool else int
        return pandas.array([pandas.NA if np.isnan(value) else kind(value) for value in values], dtype=dtype)
    return pandas.Series(values).astype(dtype).array


def _limits(dtype: Any) -> tuple[float, float]:
    """The smallest and the largest whole number of a type that float64 has too."""
    limits = np.iinfo(getattr(dtype, "numpy_dtype", dtype))
    return float(limits.min), np.nextafter(float(limits.max), 0) if limits.bits > 53 else float(limits.max)
