"""How far rows may be moved: sizes in units of each feature, ranges, whole numbers, and features that stay."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from skaae._classifiers.frames import as_pandas
from skaae._constraints import FeatureConstraints, _as_frame, _relation_holds
from skaae._utils.extras import import_extra

UNITS = ("auto", "std", "range")
# A move of exactly 1 in a column of whole numbers may be 0.9999999 in float32.
ROUNDING = 1e-6
DEFAULT_SIZES = {"table": (0.1, 0.2, 0.3), "image": (0.05, 0.1, 0.2)}


@dataclass(frozen=True, eq=False)
class Moves:
    """Rows, and where an attack may move them.

    An attack works on displacements z of shape (n_samples, n_moving), in units of each feature. The rows themselves
    are z = 0.

    Parameters
    ----------
    X : DataFrame of pandas or ndarray
        The rows.
    base : ndarray of shape (n_samples, n_moving), float64
        Values of the features that may move; 0 where a value is missing.
    unit : ndarray of shape (n_moving,), float64
        What counts as 1.
    lowest, highest : ndarray of shape (n_samples, n_moving), float64
        Bounds of each value. Both are the value itself where it is missing.
    whole : ndarray of shape (n_moving,), bool
        Features of whole numbers.
    columns : list or None
        Names of the moving columns of a DataFrame, or their places in an array; None: all values of an array.
    relations : FeatureConstraints or None
        Constraints with relations: rows that would violate them are not moved.
    unit_name : {"std", "range"}
        What the unit is, for the report.
    as_given : callable or None, default=None
        Turns a DataFrame of pandas into one of the kind that the user passed. None: that is one of pandas.
    """

    X: Any
    base: np.ndarray
    unit: np.ndarray
    lowest: np.ndarray
    highest: np.ndarray
    whole: np.ndarray
    columns: list[Any] | None
    relations: FeatureConstraints | None
    unit_name: str
    as_given: Callable[[Any], Any] | None = None

    def __len__(self) -> int:
        return len(self.base)

    @property
    def n_moving(self) -> int:
        """Number of features that may move."""
        return self.base.shape[1]

    @property
    def bound(self) -> float:
        """The largest displacement that leads anywhere."""
        return max(float(np.abs(self.reach).max()), 1e-3)

    @property
    def reach(self) -> tuple[np.ndarray, np.ndarray]:
        """The smallest and the largest displacement of each value that leads anywhere, of the shape of `base`."""
        return (self.lowest - self.base) / self.unit, (self.highest - self.base) / self.unit

    def stuck(self, size: float) -> dict[Any, float]:
        """Columns of whole numbers that moves of a size leave where they are, with the size that moves them."""
        places = np.flatnonzero(self.whole & (self.unit * size < 1 - ROUNDING))
        names = self.columns or range(self.n_moving)
        return {names[place]: float(1 / self.unit[place]) for place in places}

    def take(self, rows: np.ndarray) -> Moves:
        """The same for some of the rows."""
        X = self.X.iloc[rows] if hasattr(self.X, "iloc") else self.X[rows]
        parts = {name: getattr(self, name)[rows] for name in ("base", "lowest", "highest")}
        return replace(self, X=X, **parts)

    def values(self, z: np.ndarray) -> np.ndarray:
        """Values of the moving features after displacements, in range and whole where they have to be.

        Whole numbers are rounded towards where they were, so that no move exceeds its size.
        """
        delta = z.reshape(len(z), -1).astype(np.float64) * self.unit
        steps = np.trunc(delta + ROUNDING * np.sign(delta))
        return np.clip(self.base + np.where(self.whole, steps, delta), self.lowest, self.highest)

    def moved(self, z: np.ndarray) -> Any:
        """The rows after displacements, in the container that the user passed."""
        rows = self._with_values(self.values(z))
        if self.relations is not None:
            rows = self._without_violations(rows, z)
        return rows if self.as_given is None else self.as_given(rows)

    def distance(self, z: np.ndarray) -> np.ndarray:
        """Displacements that remain in range: what the rows are really moved by."""
        return (self.values(z) - self.base) / self.unit

    def _with_values(self, values: np.ndarray) -> Any:
        if hasattr(self.X, "iloc"):
            return self._frame_with(values)
        X = np.array(self.X, copy=True)
        if self.columns is None:
            return values.reshape(X.shape).astype(X.dtype)
        known = ~np.isnan(X[:, self.columns])
        X[:, self.columns] = np.where(known, values, np.nan)
        return X

    def _frame_with(self, values: np.ndarray) -> Any:
        frame, pandas = self.X.copy(), import_extra("pandas", "pandas")
        for place, name in enumerate(self.columns or ()):
            old = frame[name]
            column = pandas.Series(values[:, place], old.index).where(old.notna())
            frame[name] = column.astype(old.dtype)
        return frame

    def _without_violations(self, rows: Any, z: np.ndarray) -> Any:
        """The rows, of which those that violate a relation that held before stay where they were."""
        assert self.relations is not None
        before, after = (_relations_hold(self.relations, X) for X in (self.X, rows))
        bad = (before & ~after).any(axis=0)
        return self._with_values(self.values(np.where(bad[:, None], 0, z))) if bad.any() else rows


def radius(size: float, norm: str, n_moving: int) -> float:
    """The radius of the ball that has the volume of the box of a size.

    Parameters
    ----------
    size : float
        Largest move of each feature.
    norm : {"linf", "l2", "l1"}
    n_moving : int
        Number of features that may move.

    Returns
    -------
    radius : float

    Examples
    --------
    >>> from skaae.robustness._budgets import radius
    >>> radius(0.3, "linf", 30), round(radius(0.3, "l2", 30), 2), round(radius(0.3, "l1", 30), 2)
    (0.3, 0.86, 3.61)
    """
    if norm == "linf":
        return size
    if norm == "l2":
        return 2 * size * math.exp(math.lgamma(n_moving / 2 + 1) / n_moving) / math.sqrt(math.pi)
    return size * math.exp(math.lgamma(n_moving + 1) / n_moving)


def inside(z: np.ndarray, limit: float, norm: str) -> np.ndarray:
    """Displacements scaled back into a ball, as far as they are outside."""
    lengths = np.abs(z).sum(axis=1) if norm == "l1" else np.sqrt((z.astype(np.float64) ** 2).sum(axis=1))
    scale = np.minimum(1, limit / np.maximum(lengths, 1e-12))
    return np.asarray(z * scale[:, None], dtype=np.float32)


def moves_of(
    X: Any, constraints: FeatureConstraints | None, mutable_features: Any, images: bool, unit: str = "auto"
) -> Moves:
    """Find how rows may be moved.

    Parameters
    ----------
    X : DataFrame or ndarray of shape (n_samples, ...)
    constraints : FeatureConstraints or None
        None: inferred from X, with the `mutable_features`. Only for tables.
    mutable_features : array-like or None
    images : bool
        Whether samples are images, whose values all have one unit and one range.
    unit : {"auto", "std", "range"}
        "auto": the range for images, standard deviations for all else.

    Returns
    -------
    moves : Moves

    Raises
    ------
    ValueError
        If no feature can be moved, or constraints are passed for images or sequences.
    """
    name = ("range" if images else "std") if unit == "auto" else unit
    if not hasattr(X, "columns") and X.ndim > 2:
        if constraints is not None:
            raise ValueError("constraints must be None for images and sequences, of which every value can be moved.")
        return _moves_of_samples(X, images, name)
    pandas_X = as_pandas(X) if hasattr(X, "columns") else X
    constraints = constraints or FeatureConstraints.from_data(pandas_X, mutable_features)
    moves = _moves_of_table(pandas_X, constraints, name)
    if not hasattr(X, "to_pandas"):
        return moves
    return replace(moves, as_given=import_extra("polars", "polars").from_pandas)


def _moves_of_samples(X: np.ndarray, images: bool, unit: str) -> Moves:
    """Of images and sequences: all values move."""
    axes = tuple(range(X.ndim)) if images else (0, 1)
    lowest, highest, spread = (np.broadcast_to(f(X, axis=axes), X.shape[1:]) for f in (np.min, np.max, np.std))
    scale = np.asarray(spread if unit == "std" else highest - lowest, dtype=np.float64).ravel()
    base = X.reshape(len(X), -1).astype(np.float64)
    low, high = (np.broadcast_to(bound.ravel(), base.shape).astype(np.float64) for bound in (lowest, highest))
    whole = np.zeros(len(scale), bool)
    return Moves(X, base, np.where(scale > 0, scale, 1.0), low, high, whole, None, None, unit)


def _moves_of_table(X: Any, constraints: FeatureConstraints, unit: str) -> Moves:
    frame = _as_frame(X, list(constraints.features["feature"]))
    lines = constraints.features
    numeric = lines[lines["mutable"] & (lines["type"] != "cat")]
    numbers = frame[list(numeric["feature"])].to_numpy(dtype=np.float64, na_value=np.nan)
    lowest, highest = _ranges(numeric, numbers)
    with np.errstate(invalid="ignore"):
        scale = highest - lowest if unit == "range" else _spread(numbers)
    moving = np.flatnonzero((scale > 0) & np.isfinite(scale))
    if not len(moving):
        raise ValueError(
            "X must have at least one mutable column of numbers that differ, but an attack can move none. Text, "
            "categories and truth values are never altered."
        )
    names = numeric["feature"].iloc[moving].tolist()
    base, known = np.nan_to_num(numbers[:, moving]), ~np.isnan(numbers[:, moving])
    low = np.where(known, np.fmin(lowest[moving], base), base)
    high = np.where(known, np.fmax(highest[moving], base), base)
    is_whole = [line.type == "int" or frame[line.feature].dtype.kind in "iu" for line in numeric.itertuples()]
    places = names if hasattr(X, "iloc") else [list(lines["feature"]).index(name) for name in names]
    relations = constraints if constraints.relations else None
    return Moves(X, base, scale[moving], low, high, np.array(is_whole)[moving], places, relations, unit)


def _ranges(numeric: Any, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Bounds of columns: those of the constraints, else those of the rows."""
    if not len(numbers):
        raise ValueError("X must have at least 1 row.")
    seen = np.where(np.isnan(numbers), np.inf, numbers).min(axis=0), np.nan_to_num(numbers, nan=-np.inf).max(axis=0)
    given = numeric["min"].to_numpy(dtype=np.float64), numeric["max"].to_numpy(dtype=np.float64)
    lowest, highest = (np.where(np.isnan(own), other, own) for own, other in zip(given, seen, strict=True))
    is_whole = (numeric["type"] == "int").to_numpy()
    return np.where(is_whole, np.ceil(lowest), lowest), np.where(is_whole, np.floor(highest), highest)


def _spread(numbers: np.ndarray) -> np.ndarray:
    """Standard deviations of the values that are not missing."""
    known = ~np.isnan(numbers)
    count = np.maximum(known.sum(axis=0), 1)
    mean = np.where(known, numbers, 0).sum(axis=0) / count
    return np.asarray(np.sqrt((np.where(known, numbers - mean, 0) ** 2).sum(axis=0) / count))


def _relations_hold(constraints: FeatureConstraints, X: Any) -> np.ndarray:
    """Whether each row obeys each relation, of shape (n_relations, n_samples)."""
    frame = _as_frame(X, list(constraints.features["feature"]))
    return np.array([_relation_holds(name, f, frame) for name, f in constraints.relations.items()])
