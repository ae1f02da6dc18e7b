"""The range of each parameter of the detector, and an estimator that a failed fit leaves as it was."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import HasMethods, Interval

from skaae._frozen_keras_model import FrozenKerasModel
from skaae._training import OPTIMIZER_TYPES

PERCENTILE = Interval(Real, 0, 100, closed="right")
PARAMETER_CONSTRAINTS: dict[str, Any] = {
    "classifier": "no_validation",  # skaae._classifiers says what it has to be
    "autoencoder": [callable, None],
    "encoder": [callable, None],
    "decoder": [callable, None],
    "hidden_layers": [dict, None],
    "hidden_models": [list, tuple, None],
    "hidden_weights": ["array-like", None],
    "surrogate": [callable, FrozenKerasModel, None],
    "temperature": [Interval(Real, 0, None, closed="neither")],
    "divergence_weight": [Interval(Real, 0, None, closed="left")],
    "reconstruction_weight": [Interval(Real, 0, None, closed="left")],
    "loss": [callable, None],
    "noise": [Interval(Real, 0, None, closed="left")],
    "virtual_adversarial": [Interval(Real, 0, None, closed="left")],
    "virtual_adversarial_shares": [tuple, list],
    "virtual_adversarial_steps": [Interval(Integral, 1, None, closed="left")],
    "label_change_first": ["boolean"],
    "optimizer": list(OPTIMIZER_TYPES),
    "learning_rate": [Interval(Real, 0, None, closed="neither"), callable],
    "epochs": [Interval(Integral, 0, None, closed="left"), None],
    "batch_size": [Interval(Integral, 1, None, closed="left")],
    "callbacks": [list, tuple, None],
    "metrics": [list, tuple, None],
    "preprocess": [callable, None],
    "threshold": [Interval(Real, 0, None, closed="left"), None],
    "threshold_percentile": [PERCENTILE],
    "calibration_fraction": [Interval(Real, 0, 1, closed="left")],
    "memory": [str, os.PathLike, HasMethods("cache"), None],
    "random_state": ["random_state"],
    "verbose": ["verbose"],
}


@contextmanager
def unchanged_on_error(estimator: BaseEstimator) -> Iterator[None]:
    """Give the estimator back its attributes if the block fails or is interrupted."""
    found = vars(estimator).copy()
    try:
        yield
    except BaseException:
        estimator.__dict__ = found  # in one step, which a second interrupt cannot cut in two
        raise


def lies_in_unit_interval(X: np.ndarray) -> bool:
    """Whether all values are in [0, 1], as those of images or of min-max scaled features."""
    return bool(X.min() >= 0 and X.max() <= 1)


def check_shares(shares: Any) -> None:
    """Raise a ValueError unless these are two shares that leave no less than nothing over."""
    values = np.asarray(shares)
    sound = values.shape == (2,) and values.dtype.kind in "fiu" and (values >= 0).all() and values.sum() <= 1
    if not sound:
        raise ValueError(
            f"virtual_adversarial_shares must be two numbers of at least 0 that sum to at most 1, the shares of the "
            f"rows that are moved against M and against M(AE(x)), got {shares!r}."
        )


def check_numeric_columns(X: Any) -> None:
    """Raise a ValueError that names the columns of a DataFrame that hold no numbers."""
    if not hasattr(X, "select_dtypes"):
        return
    text = list(X.select_dtypes(exclude=["number", "bool"]).columns)
    if text and not _all_convertible(X[text]):
        raise ValueError(
            f"X has columns that hold no numbers: {text}. Encode them before the detector, for instance "
            f"make_pipeline(ColumnTransformer(...), detector), with the classifier that comes after the encoding."
        )


def _all_convertible(frame: Any) -> bool:
    try:
        frame.astype(np.float64)
    except (TypeError, ValueError):
        return False
    return True
