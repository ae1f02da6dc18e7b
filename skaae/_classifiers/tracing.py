"""On which columns of X each column that transformers return depends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.feature_selection import SelectorMixin
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import (
    Binarizer,
    FunctionTransformer,
    KBinsDiscretizer,
    MaxAbsScaler,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    PolynomialFeatures,
    PowerTransformer,
    QuantileTransformer,
    RobustScaler,
    SplineTransformer,
    StandardScaler,
    TargetEncoder,
)

from skaae._classifiers.encoded_columns import sizes_of_groups
from skaae._classifiers.unwrapping import all_steps_of, steps_of

Sources = list[frozenset[int]]
# They return as many columns for each column, one column after the other.
COLUMN_BY_COLUMN = (
    Binarizer,
    MaxAbsScaler,
    MinMaxScaler,
    OrdinalEncoder,
    PowerTransformer,
    QuantileTransformer,
    RobustScaler,
    SplineTransformer,
    StandardScaler,
    TargetEncoder,
)


def sources_of_transformers(pipeline: Pipeline, n_features: int, n_encoded: int) -> Sources:
    """Find the columns of X on which each column depends that the last step of a Pipeline receives.

    A transformer of an unknown kind is taken to mix all of its columns.

    Parameters
    ----------
    pipeline : Pipeline
        Fitted, with the classifier as the last step.
    n_features : int
        Number of columns of X.
    n_encoded : int
        Number of columns that the classifier receives.

    Returns
    -------
    sources : list of frozenset of int

    Examples
    --------
    >>> from sklearn.naive_bayes import GaussianNB
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import OneHotEncoder
    >>> from skaae._classifiers.tracing import sources_of_transformers
    >>> encoder = OneHotEncoder(sparse_output=False)
    >>> pipeline = make_pipeline(encoder, GaussianNB()).fit([[0, 0], [1, 0]], [0, 1])
    >>> [sorted(columns) for columns in sources_of_transformers(pipeline, 2, 3)]
    [[0], [0], [1]]
    """
    transformers = [step for outer in steps_of(pipeline[:-1]) for step in all_steps_of(outer)]
    return _through(transformers, [frozenset([column]) for column in range(n_features)], n_encoded)


def _through(transformers: Sequence[Any], sources: Sources, n_returned: int) -> Sources:
    """The sources behind several transformers: each returns as many columns as the next one takes."""
    sizes = [getattr(following, "n_features_in_", None) for following in transformers[1:]]
    for transformer, size in zip(transformers, [*sizes, n_returned], strict=False):
        if size is None:
            return _mixed(sources, n_returned)
        sources = _behind(transformer, sources, size)
    return sources


def _mixed(sources: Sources, n_returned: int) -> Sources:
    return [frozenset().union(*sources)] * n_returned


def _behind(transformer: Any, sources: Sources, n_returned: int) -> Sources:
    """The sources behind one transformer."""
    if isinstance(transformer, ColumnTransformer):
        return _behind_columns(transformer, sources, n_returned)
    traced = [frozenset().union(*(sources[place] for place in places)) for places in _places(transformer, len(sources))]
    if not traced and n_returned and isinstance(transformer, COLUMN_BY_COLUMN) and n_returned % len(sources) == 0:
        return [columns for columns in sources for _ in range(n_returned // len(sources))]
    return traced if len(traced) == n_returned else _mixed(sources, n_returned)


def _behind_columns(transformer: ColumnTransformer, sources: Sources, n_returned: int) -> Sources:
    traced = _mixed(sources, n_returned)
    for name, inner, _ in transformer.transformers_:
        columns = transformer.output_indices_.get(name, slice(0, 0))
        if isinstance(inner, str) or columns.stop <= columns.start:
            continue
        chosen = [sources[place] for place in transformer._transformer_to_input_indices[name]]
        traced[columns] = _through(all_steps_of(inner), chosen, columns.stop - columns.start)
    return traced


def _places(transformer: Any, n_features: int) -> list[list[int]]:
    """For each column that a transformer returns, the columns that it takes for it. Empty: unknown."""
    if isinstance(transformer, FunctionTransformer):
        is_known = transformer.func is None or transformer.feature_names_out == "one-to-one"
        return [[place] for place in range(n_features)] if is_known else []
    if isinstance(transformer, SimpleImputer):
        return places_of_imputer(transformer, n_features)
    if isinstance(transformer, PolynomialFeatures):
        return [np.flatnonzero(powers).tolist() for powers in transformer.powers_]
    if isinstance(transformer, SelectorMixin):
        return [[int(place)] for place in transformer.get_support(indices=True)]
    if isinstance(transformer, OneHotEncoder | KBinsDiscretizer):
        is_ordinal = getattr(transformer, "encode", "") == "ordinal"
        sizes = [1] * n_features if is_ordinal else sizes_of_groups(transformer)[0]
        return [[place] for place, size in enumerate(sizes) for _ in range(size)]
    return []


def places_of_imputer(imputer: SimpleImputer, n_features: int) -> list[list[int]]:
    """For each column that a fitted imputer returns, the column that it takes for it.

    Columns without any value are left out; columns that tell what was missing are at the end.

    Parameters
    ----------
    imputer : SimpleImputer
    n_features : int

    Returns
    -------
    places : list of list of int
    """
    empty = [value is None or value != value for value in imputer.statistics_]
    kept = [place for place in range(n_features) if imputer.keep_empty_features or not empty[place]]
    indicated = imputer.indicator_.features_ if imputer.add_indicator else ()
    return [[int(place)] for place in (*kept, *indicated)]
