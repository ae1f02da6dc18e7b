"""From the columns that transformers return back to the columns of X, as far as each transformer can be inverted."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.feature_selection import SelectorMixin
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    KBinsDiscretizer,
    MaxAbsScaler,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    PowerTransformer,
    QuantileTransformer,
    RobustScaler,
    StandardScaler,
)

from skaae._classifiers.tracing import places_of_imputer
from skaae._classifiers.unwrapping import all_steps_of, steps_of

# For each column of X its values, or None if they cannot be computed.
Values = list[np.ndarray | None]
SCALERS = (MaxAbsScaler, MinMaxScaler, PowerTransformer, QuantileTransformer, RobustScaler, StandardScaler)
ENCODERS = (KBinsDiscretizer, OneHotEncoder, OrdinalEncoder)


def inverted(pipeline: Pipeline, rows: np.ndarray) -> Values:
    """Invert the transformers of a fitted Pipeline, column by column.

    Parameters
    ----------
    pipeline : Pipeline
        Fitted, with the classifier as the last step.
    rows : ndarray of shape (n_samples, n_encoded)
        What the last transformer returns.

    Returns
    -------
    values : list of ndarray of shape (n_samples,), or None
        For each column of X.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.naive_bayes import GaussianNB
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import OneHotEncoder
    >>> from skaae._classifiers.inversion import inverted
    >>> encoder = OneHotEncoder(sparse_output=False)
    >>> pipeline = make_pipeline(encoder, GaussianNB()).fit([["cat"], ["dog"]], [0, 1])
    >>> inverted(pipeline, np.array([[0.1, 0.9]]))
    [array(['dog'], dtype=object)]
    """
    transformers = [step for outer in steps_of(pipeline[:-1]) for step in all_steps_of(outer)]
    return _through(transformers, list(rows.T))


def _through(transformers: list[Any], values: Values) -> Values:
    """What several transformers received, given what the last of them returned."""
    for transformer in reversed(transformers):
        values = _before(transformer, values)
    return values


def _before(transformer: Any, values: Values) -> Values:
    """What one transformer received, given what it returned."""
    if isinstance(transformer, str) or transformer is None:
        return values
    if isinstance(transformer, ColumnTransformer):
        return _before_columns(transformer, values)
    if isinstance(transformer, SimpleImputer):
        places = places_of_imputer(transformer, transformer.n_features_in_)
        n_indicators = len(transformer.indicator_.features_) if transformer.add_indicator else 0
        return _placed(values, [place for (place,) in places[: len(places) - n_indicators]], transformer.n_features_in_)
    if isinstance(transformer, SelectorMixin):
        return _placed(values, transformer.get_support(indices=True).tolist(), transformer.n_features_in_)
    if isinstance(transformer, FunctionTransformer) and transformer.func is None:
        return values
    if _is_invertible(transformer) and all(column is not None for column in values):
        return _inverse(transformer, values)
    return [None] * getattr(transformer, "n_features_in_", 0)


def _before_columns(transformer: ColumnTransformer, values: Values) -> Values:
    received: Values = [None] * transformer.n_features_in_
    for name, inner, _ in transformer.transformers_:
        columns = transformer.output_indices_.get(name, slice(0, 0))
        if inner == "drop" or columns.stop <= columns.start:
            continue
        steps = [] if isinstance(inner, str) else all_steps_of(inner)
        block = _through(steps, values[columns])
        for place, column in zip(transformer._transformer_to_input_indices[name], block, strict=True):
            received[place] = column if received[place] is None else received[place]
    return received


def _placed(values: Values, places: list[int], n_features: int) -> Values:
    received: Values = [None] * n_features
    for place, column in zip(places, values, strict=False):
        received[place] = column
    return received


def _is_invertible(transformer: Any) -> bool:
    if isinstance(transformer, FunctionTransformer):
        return transformer.inverse_func is not None and transformer.feature_names_out == "one-to-one"
    return isinstance(transformer, SCALERS + ENCODERS)


def _inverse(transformer: Any, values: Values) -> Values:
    rows = np.column_stack([np.asarray(column, dtype=np.float64) for column in values])
    if isinstance(transformer, OrdinalEncoder):
        rows = np.round(rows)  # codes are cut off, not rounded
    return list(np.asarray(transformer.inverse_transform(rows)).T)
