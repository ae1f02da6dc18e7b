"""What values rows can have: ranges, whole numbers, categories, and relations between columns."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from skaae._data.column_constraints import describe_column, expected_values, project_column, violations_of_column
from skaae._data.features import mask_of_features
from skaae._data.samples import check_frame
from skaae._utils.extras import import_extra

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    Relation = Callable[[Any], ArrayLike]

TYPES = ("int", "real", "cat")
# TabularBench's word for a bound that differs from row to row.
NO_BOUND = "dynamic"


class FeatureConstraints:
    """What values the features of a table can have, and which of them an attacker can alter.

    Parameters
    ----------
    features : DataFrame
        One line for each feature, with the columns

        - ``feature``: its name in X;
        - ``type``: "int" for whole numbers, "real" for other numbers, "cat" for categories;
        - ``min``, ``max``: the smallest and the largest value. Missing, or "dynamic" as in the files of
          TabularBench: no bound;
        - ``mutable``: whether an attacker can alter it. Without this column: all can be altered;
        - ``categories``: optional, a list of all values of a "cat". Without it a "cat" has whole numbers.
    relations : callable, list of callable, dict of {str: callable} or None, default=None
        Relations between columns. Each callable takes a DataFrame and returns a boolean for each row:
        whether the relation holds; missing: it does not. In a list each has the name of its function, and
        a number if several have the same name.

    Attributes
    ----------
    features : DataFrame
        The constraints, with ``min`` and ``max`` as floats and ``mutable`` as booleans.
    relations : dict of {str: callable}
        The relations by name.

    Raises
    ------
    ValueError, TypeError
        If a column is missing, a type is unknown, a name occurs twice, or ``min`` exceeds ``max``.

    See Also
    --------
    AdversarialAEDetector : Its parameter `mutable_features` takes those of the constraints.

    Notes
    -----
    Missing values violate no constraint of a feature. A relation can forbid them.

    Examples
    --------
    >>> import pandas as pd
    >>> from skaae import FeatureConstraints
    >>> features = pd.DataFrame(
    ...     {"feature": ["age", "debt", "income"], "type": ["int", "real", "real"],
    ...      "min": [18, 0, 0], "max": [120, None, None], "mutable": [False, True, True]}
    ... )
    >>> constraints = FeatureConstraints(features, {"can pay": lambda X: X["debt"] <= 5 * X["income"]})
    >>> X = pd.DataFrame({"age": [30, 17.6], "debt": [90.0, -1.0], "income": [10.0, 8.0]})
    >>> constraints.check(X)
       row violated value                       expected
    0    0  can pay  None                           True
    1    1      age  17.6  a whole number from 18 to 120
    2    1     debt  -1.0         a number of at least 0
    >>> constraints.project(X).values.tolist()
    [[30.0, 90.0, 10.0], [18.0, 0.0, 8.0]]
    >>> constraints.mutable_features
    ['debt', 'income']
    """

    def __init__(
        self, features: Any, relations: Relation | Sequence[Relation] | Mapping[str, Relation] | None = None
    ) -> None:
        self.features = _checked_features(features)
        self.relations = _named_relations(relations)

    @classmethod
    def from_data(
        cls,
        X: Any,
        mutable_features: ArrayLike | None = None,
        relations: Relation | Sequence[Relation] | Mapping[str, Relation] | None = None,
    ) -> FeatureConstraints:
        """Infer the constraints from rows that are as they should be.

        A column of numbers gets its range in X, and is of whole numbers if all of its values are. All other
        columns, and booleans, are categories, with the values that occur.

        Parameters
        ----------
        X : DataFrame of pandas or polars, or ndarray of shape (n_samples, n_features)
            The columns of an array are named x0, x1, and so on.
        mutable_features : array-like of str, int or bool, or None, default=None
            Names, indices or a boolean mask of the features that an attacker can alter. None: all.
        relations : callable, list of callable, dict of {str: callable} or None, default=None
            Relations between columns.

        Returns
        -------
        constraints : FeatureConstraints

        Raises
        ------
        TypeError
            If a column has dates.
        ValueError
            If X has no rows, or infinity.

        Examples
        --------
        >>> import pandas as pd
        >>> from skaae import FeatureConstraints
        >>> X = pd.DataFrame({"age": [30, 41], "job": ["cook", "baker"]})
        >>> FeatureConstraints.from_data(X, mutable_features=["job"]).features.drop(columns="mutable")
          feature type   min   max     categories
        0     age  int  30.0  41.0           None
        1     job  cat   NaN   NaN  [baker, cook]
        """
        frame = _as_frame(X, None)
        names = list(frame.columns)
        if not len(frame):
            raise ValueError(f"X must have at least 1 row, got a table of shape {frame.shape}.")
        described = import_extra("pandas", "pandas").DataFrame([describe_column(frame[name], name) for name in names])
        described.insert(4, "mutable", mask_of_features(mutable_features, len(names), names))
        return cls(described, relations)

    @property
    def mutable_features(self) -> list[Any]:
        """Names of the features that an attacker can alter, for the parameter of :class:`AdversarialAEDetector`."""
        return list(self.features["feature"][self.features["mutable"]])

    def check(self, X: Any) -> Any:
        """Name what each row violates.

        Parameters
        ----------
        X : DataFrame of pandas or polars, or ndarray of shape (n_samples, n_features)
            A DataFrame has at least the features of the constraints. An array has these, in their order.

        Returns
        -------
        violations : DataFrame
            One line for each row and each feature or relation that it violates: ``row``, the label of the row
            in the index of X, or its number; ``violated``, the name of the feature or relation; the ``value``
            of the feature; and what was ``expected``. Empty if all rows are valid.

        Raises
        ------
        ValueError
            If a feature is missing, or a relation does not return a boolean for each row.
        """
        frame = _as_frame(X, list(self.features["feature"]))
        found = [
            (place, (frame.index[place], line.feature, values.iloc[place], expected_values(line)))
            for line in self.features.itertuples()
            for values in [frame[line.feature]]
            for place in np.flatnonzero(violations_of_column(values, line))
        ]
        found += [
            (place, (frame.index[place], name, None, "True"))
            for name, relation in self.relations.items()
            for place in np.flatnonzero(~_relation_holds(name, relation, frame))
        ]
        pandas, lines = import_extra("pandas", "pandas"), [line for _, line in sorted(found, key=lambda item: item[0])]
        violations = pandas.DataFrame(lines, columns=["row", "violated", "value", "expected"])
        # Numbers as they are in X, and None for a relation.
        violations["value"] = pandas.Series([line[2] for line in lines], dtype=object)
        return violations

    def project(self, X: Any) -> Any:
        """Bring numbers back into range, and round those that are whole.

        Relations, categories that do not exist, and missing values stay as they are.

        Parameters
        ----------
        X : DataFrame of pandas or polars, or ndarray of shape (n_samples, n_features)
            A DataFrame has at least the features of the constraints. An array has these, in their order.

        Returns
        -------
        X_valid : DataFrame or ndarray, as X
            A copy.
        """
        frame = _as_frame(X, list(self.features["feature"])).copy()
        for line in self.features.itertuples():
            if line.categories is None:
                frame[line.feature] = project_column(frame[line.feature], line)
        if not hasattr(X, "columns"):
            return frame.to_numpy(dtype=np.asarray(X).dtype)
        return import_extra("polars", "polars").from_pandas(frame) if hasattr(X, "to_pandas") else frame

    def __repr__(self) -> str:
        n_fixed = len(self.features) - len(self.mutable_features)
        return f"FeatureConstraints({len(self.features)} features, {n_fixed} immutable, relations={[*self.relations]})"


def _checked_features(features: Any) -> Any:
    pandas = import_extra("pandas", "pandas")
    features = features.to_pandas() if hasattr(features, "to_pandas") else features
    if not isinstance(features, pandas.DataFrame):
        raise TypeError(f"features must be a DataFrame with a line for each feature, got {type(features).__name__}.")
    missing = [name for name in ("feature", "type") if name not in features.columns]
    if missing:
        raise ValueError(f"features must have the columns feature and type, but lacks {missing}.")
    names = features["feature"]
    if not len(names) or names.duplicated().any():
        raise ValueError(f"features must name each feature once, got {names[names.duplicated()].unique().tolist()}.")
    unknown = sorted(set(features["type"].map(str)) - set(TYPES))
    if unknown:
        raise ValueError(f"features must have types that are one of {TYPES}, got {unknown}.")
    checked = pandas.DataFrame({"feature": names, "type": features["type"].map(str)})
    for bound in ("min", "max"):
        checked[bound] = _bounds(features, bound)
    checked["mutable"] = _mutable(features)
    categories = features.get("categories", [None] * len(features))
    lists = [list(values) if np.iterable(values) and not isinstance(values, str) else None for values in categories]
    checked["categories"] = pandas.Series(lists, index=checked.index, dtype=object)
    _check_order(checked)
    return checked.reset_index(drop=True)


def _bounds(features: Any, bound: str) -> Any:
    pandas = import_extra("pandas", "pandas")
    if bound not in features.columns:
        return np.nan
    values = features[bound].astype(object)
    values = values.where(values != NO_BOUND, None)
    numbers = pandas.to_numeric(values, errors="coerce")
    wrong = values.notna() & numbers.isna()
    if wrong.any():
        raise ValueError(
            f"features must have numbers as {bound}, or {NO_BOUND!r}, got {values[wrong].tolist()} for "
            f"{features['feature'][wrong].tolist()}."
        )
    return numbers.astype(float)


def _mutable(features: Any) -> Any:
    if "mutable" not in features.columns:
        return True
    known = {"true": True, "false": False, "1": True, "0": False}
    values = features["mutable"].map(lambda value: known.get(str(value).removesuffix(".0").lower()))
    if values.isna().any():
        wrong = features["mutable"][values.isna()].tolist()
        raise ValueError(f"features must have True or False as mutable, got {wrong}.")
    return values.astype(bool)


def _check_order(features: Any) -> None:
    crossed = features["min"] > features["max"]
    if crossed.any():
        raise ValueError(
            f"features must have a min that is at most max, unlike {features['feature'][crossed].tolist()}."
        )


def _named_relations(relations: Any) -> dict[str, Relation]:
    if relations is None:
        return {}
    if callable(relations):
        relations = [relations]
    if not isinstance(relations, Mapping):
        relations = dict(
            zip(_unique([getattr(item, "__name__", repr(item)) for item in relations]), relations, strict=True)
        )
    wrong = [name for name, relation in relations.items() if not callable(relation)]
    if wrong:
        raise TypeError(f"relations must be callables that take a DataFrame, unlike {wrong}.")
    return dict(relations)


def _as_frame(X: Any, names: Sequence[Any] | None) -> Any:
    """X as a DataFrame of pandas with at least the features of these names. None: whatever features X has."""
    pandas = import_extra("pandas", "pandas")
    check_frame(X)
    if hasattr(X, "columns"):
        frame = X.to_pandas() if hasattr(X, "to_pandas") else X
        missing = [name for name in names or () if name not in frame.columns]
        if missing:
            raise ValueError(f"X must have all features of the constraints, but these are missing: {missing[:10]}.")
        return frame
    X = np.asarray(X)
    if X.ndim != 2 or (names is not None and X.shape[1] != len(names)):
        expected = "n_features" if names is None else len(names)
        raise ValueError(f"X must have the shape (n_samples, {expected}), got an array of shape {X.shape}.")
    return pandas.DataFrame(X, columns=[f"x{place}" for place in range(X.shape[1])] if names is None else names)


def _unique(names: Sequence[str]) -> list[str]:
    """The names; those that several relations have, such as that of all lambdas, with a number.

    Examples
    --------
    >>> from skaae._constraints import _unique
    >>> _unique(["<lambda>", "small", "<lambda>"])
    ['<lambda> 1', 'small', '<lambda> 2']
    """
    return [
        name if names.count(name) == 1 else f"{name} {names[: place + 1].count(name)}"
        for place, name in enumerate(names)
    ]


def _relation_holds(name: str, relation: Relation, frame: Any) -> np.ndarray:
    found = np.asarray(relation(frame))
    if found.shape != (len(frame),):
        raise ValueError(
            f"relation {name!r} must return a boolean for each of the {len(frame)} rows, got the shape {found.shape}."
        )
    if found.dtype == object:  # with NA of pandas, which is not True either
        found = np.where(import_extra("pandas", "pandas").isna(found), False, found)
    return np.equal(found, True).astype(bool)
