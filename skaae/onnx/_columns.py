"""ColumnTransformers that name their columns, with the positions of these columns instead."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.calibration import _CalibratedClassifier
from sklearn.compose import ColumnTransformer
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline


def by_position(estimator: Any) -> Any:
    """Return an equal estimator whose ColumnTransformers select columns by position, as skl2onnx requires.

    Parameters
    ----------
    estimator : estimator
        A fitted estimator. It is not changed.

    Returns
    -------
    estimator : estimator
        A shallow copy, in which the same is done for all estimators of scikit-learn inside it, and in
        which there is no FrozenEstimator.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn.compose import ColumnTransformer
    >>> from skaae.onnx._columns import by_position
    >>> columns = ColumnTransformer([("kept", "passthrough", ["b"])]).fit(pd.DataFrame({"a": [1.0], "b": [2.0]}))
    >>> [selected for _, _, selected in by_position(columns).transformers_]
    [[1], [0]]
    """
    if isinstance(estimator, FrozenEstimator):
        return by_position(estimator.estimator)
    if type(estimator) in (list, tuple):
        return type(estimator)(map(by_position, estimator))
    if not isinstance(estimator, Pipeline) and not type(estimator).__module__.startswith("sklearn."):
        return estimator
    if not isinstance(estimator, BaseEstimator | _CalibratedClassifier):
        return estimator
    changed = copy.copy(estimator)
    vars(changed).update({name: by_position(value) for name, value in vars(estimator).items()})
    if hasattr(estimator, "_transformer_to_input_indices"):
        places = estimator._transformer_to_input_indices
        changed.transformers_ = [(name, part, list(places[name])) for name, part, _ in changed.transformers_]
    return changed


def selected_by_name(step: Any) -> list[str] | None:
    """Return the columns that a first step takes from a DataFrame by name, in whatever order they come.

    Parameters
    ----------
    step : estimator
        A fitted estimator.

    Returns
    -------
    names : list of str or None
        Names of the columns that the step uses. None if it takes all columns in the order of fit.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn.compose import ColumnTransformer
    >>> from skaae.onnx._columns import selected_by_name
    >>> columns = ColumnTransformer([("kept", "passthrough", ["b"])]).fit(pd.DataFrame({"a": [1.0], "b": [2.0]}))
    >>> selected_by_name(columns)
    ['b']
    """
    if isinstance(step, FrozenEstimator):
        return selected_by_name(step.estimator)
    if isinstance(step, Pipeline):
        return selected_by_name(step.steps[0][1])
    if not isinstance(step, ColumnTransformer) or not hasattr(step, "feature_names_in_"):
        return None
    used = [step._transformer_to_input_indices[name] for name, part, _ in step.transformers_ if part != "drop"]
    return [str(name) for name in step.feature_names_in_[np.unique(np.concatenate(used)).astype(int)]]
