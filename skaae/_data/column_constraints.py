"""One column of a table and what values it can have: a line of `FeatureConstraints`."""

from __future__ import annotations

from numbers import Number
from typing import Any

import numpy as np

from skaae._utils.extras import import_extra

# x' has the precision of float32: a bound is not violated by its rounding.
TOLERANCE = 1e-6
MOST_CATEGORIES_SHOWN = 10


def describe_column(values: Any, name: Any) -> dict[str, Any]:
    """A line of the constraints for a column that is as it should be."""
    types = import_extra("pandas", "pandas").api.types
    if types.is_datetime64_any_dtype(values) or types.is_timedelta64_dtype(values):
        raise TypeError(f"X has dates in the column {name!r}. Turn them into numbers, or leave the column out.")
    known = values.dropna()
    if types.is_bool_dtype(values) or not _are_numbers(values):
        categories = sorted(known.unique().tolist(), key=str)
        return {"feature": name, "type": "cat", "min": np.nan, "max": np.nan, "categories": categories}
    numbers = known.to_numpy(dtype=np.float64)
    if np.isinf(numbers).any():
        raise ValueError(
            f"X has infinity in the column {name!r}, which is no bound. Replace it, or leave these rows out."
        )
    lowest, highest = (numbers.min(), numbers.max()) if len(numbers) else (np.nan, np.nan)
    is_whole = len(numbers) and (numbers == np.round(numbers)).all()
    return {"feature": name, "type": "int" if is_whole else "real", "min": lowest, "max": highest, "categories": None}


def _are_numbers(values: Any) -> bool:
    """Whether a column has numbers, or objects that are all numbers."""
    types = import_extra("pandas", "pandas").api.types
    if isinstance(values.dtype, import_extra("pandas", "pandas").CategoricalDtype):
        return False
    is_number = [isinstance(value, Number) and not isinstance(value, bool) for value in values.dropna().head(100)]
    return bool(types.is_numeric_dtype(values) or (types.is_object_dtype(values) and all(is_number)))


def _as_numbers(values: Any) -> np.ndarray:
    """Values as floats; NaN for those that are no numbers."""
    numbers = import_extra("pandas", "pandas").to_numeric(values.astype(object), errors="coerce")
    return np.asarray(numbers.to_numpy(dtype=np.float64, na_value=np.nan))


def violations_of_column(values: Any, line: Any) -> np.ndarray:
    """Whether each value violates a line of the constraints."""
    is_known = values.notna().to_numpy()
    if line.categories is not None:
        return np.asarray(is_known & ~values.isin(line.categories).to_numpy())
    numbers = _as_numbers(values)
    # Written so that a missing bound holds, and text in place of a number does not.
    is_valid = (
        ~np.isnan(numbers) & ~(numbers < line.min - _allowed(line.min)) & ~(numbers > line.max + _allowed(line.max))
    )
    if line.type != "real":
        with np.errstate(invalid="ignore"):  # infinity is no whole number
            is_valid &= np.abs(numbers - np.round(numbers)) <= _allowed(numbers)
    return np.asarray(is_known & ~is_valid)


def _allowed(numbers: Any) -> Any:
    """What rounding may add to numbers."""
    return TOLERANCE * np.maximum(1, np.abs(numbers))


def expected_values(line: Any) -> str:
    if line.categories is not None:
        more = ", ..." if len(line.categories) > MOST_CATEGORIES_SHOWN else ""
        return f"one of {', '.join(map(repr, line.categories[:MOST_CATEGORIES_SHOWN]))}{more}"
    kind = "a number" if line.type == "real" else "a whole number"
    if np.isnan(line.min) and np.isnan(line.max):
        return kind
    if np.isnan(line.max):
        return f"{kind} of at least {line.min:.10g}"
    if np.isnan(line.min):
        return f"{kind} of at most {line.max:.10g}"
    return f"{kind} from {line.min:.10g} to {line.max:.10g}"


def project_column(values: Any, line: Any) -> Any:
    """A column with its numbers in range, in the same type if that can hold them."""
    numbers = _as_numbers(values)
    moved, lowest, highest = numbers, line.min, line.max
    if line.type != "real":
        moved, lowest, highest = np.round(moved), np.ceil(lowest), np.floor(highest)
    # fmin and fmax: a missing bound bounds nothing. Missing values stay so.
    moved = np.where(np.isnan(numbers), np.nan, np.fmin(np.fmax(moved, lowest), highest))
    changed = ~np.isnan(numbers) & (moved != numbers)
    if not changed.any():
        return values
    return _with_numbers(values, moved, changed)


def _with_numbers(values: Any, moved: np.ndarray, changed: np.ndarray) -> Any:
    """A column in which some numbers are others, as floats if its type cannot hold these."""
    dtype = getattr(values.dtype, "numpy_dtype", values.dtype)  # int64 of Int64
    if not _holds(dtype, moved[changed]):
        return import_extra("pandas", "pandas").Series(moved, values.index, name=values.name)
    result = values.copy()
    result[changed] = moved[changed].astype(dtype)
    return result


def _holds(dtype: Any, numbers: np.ndarray) -> bool:
    """Whether a column of a type can hold the numbers. Categories, sparse columns and text cannot."""
    if not isinstance(dtype, np.dtype) or dtype.kind not in "iu":
        return isinstance(dtype, np.dtype) and dtype.kind in "fO"
    limits = np.iinfo(dtype)
    return bool(((numbers == np.round(numbers)) & (numbers >= limits.min) & (numbers <= limits.max)).all())
