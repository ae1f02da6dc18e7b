"""Checks of the parameters of the detector, and estimators that stay unchanged if fit fails."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from numbers import Integral, Real
from typing import Any

import keras
import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions

from skaae._data.features import check_features
from skaae._frozen_keras_model import FrozenKerasModel
from skaae._keras.models import check_keras_version
from skaae._training.optimizers import OPTIMIZER_TYPES, make_optimizer

PERCENTILE = Interval(Real, 0, 100, closed="right")
# The range of float32, in which Keras computes: larger numbers are infinite, smaller ones are 0.
LARGEST, SMALLEST = float(np.finfo(np.float32).max), float(np.finfo(np.float32).tiny)
WEIGHT = Interval(Real, 0, LARGEST, closed="both")
# TensorFlow counts the rows of a batch with int32.
MOST_ROWS = 2**31 - 1
# Names of metrics that Keras accepts only in `compile`.
METRIC_SHORTHANDS = ("accuracy", "acc", "crossentropy", "ce")
PARAMETER_CONSTRAINTS: dict[str, Any] = {
    "classifier": "no_validation",  # checked by skaae._classifiers.adapters
    "autoencoder": [callable, None],
    "encoder": [callable, None],
    "decoder": [callable, None],
    "hidden_layers": [dict, None],
    "hidden_models": [list, tuple, None],
    "hidden_weights": ["array-like", None],
    "surrogate": [callable, FrozenKerasModel, None],
    "mutable_features": ["array-like", None],
    "temperature": [Interval(Real, SMALLEST, LARGEST, closed="both")],
    "divergence_weight": [WEIGHT],
    "reconstruction_weight": [WEIGHT, None],
    "loss": [callable, None],
    "noise": [WEIGHT],
    "virtual_adversarial": [WEIGHT, None],
    "virtual_adversarial_shares": [tuple, list, None],
    "virtual_adversarial_steps": [Interval(Integral, 1, None, closed="left"), None],
    "label_change_first": ["boolean"],
    "optimizer": list(OPTIMIZER_TYPES),
    "learning_rate": [Interval(Real, 0, LARGEST, closed="right"), callable],
    "epochs": [Interval(Integral, 0, None, closed="left"), None],
    "batch_size": [Interval(Integral, 1, MOST_ROWS, closed="both"), None],
    "callbacks": [list, tuple, None],
    "metrics": [list, tuple, None],
    "preprocess": [callable, None],
    "threshold": [Interval(Real, 0, None, closed="left"), None],
    "threshold_percentile": [PERCENTILE],
    "class_thresholds": ["boolean"],
    "calibration_fraction": [Interval(Real, 0, 1, closed="left")],
    "class_weight": [dict, StrOptions({"balanced"}), None],
    "memory": [str, os.PathLike, HasMethods("cache"), None],
    "random_state": ["random_state"],
    "verbose": ["verbose"],
}


@contextmanager
def unchanged_on_error(estimator: BaseEstimator) -> Iterator[None]:
    """Restore the attributes of the estimator if the block fails or is interrupted."""
    attributes = vars(estimator).copy()
    try:
        yield
    except BaseException:
        estimator.__dict__ = attributes  # a single step, which a second interrupt cannot divide
        raise


def check_parameters(detector: BaseEstimator) -> None:
    """Raise a ValueError or TypeError that names the parameter if a parameter by itself is invalid."""
    for name in ("classifier", "autoencoder", "encoder", "decoder", "surrogate"):
        check_keras_version(getattr(detector, name), name)
    detector._validate_params()
    if detector.mutable_features is not None:
        check_features(detector.mutable_features)
    check_shares(detector.virtual_adversarial_shares)
    make_optimizer(detector.optimizer, detector.learning_rate)
    for position, callback in enumerate(detector.callbacks or ()):
        if not isinstance(callback, keras.callbacks.Callback):
            raise TypeError(f"callbacks[{position}] must be a keras.callbacks.Callback, got {callback!r}.")
    for position, metric in enumerate(detector.metrics or ()):
        _check_metric(metric, f"metrics[{position}]")


def _check_metric(metric: Any, argument: str) -> None:
    if not isinstance(metric, str):
        if not callable(metric):
            raise TypeError(f"{argument} must be a str or a keras.metrics.Metric, got {metric!r}.")
    elif metric not in METRIC_SHORTHANDS:
        try:
            keras.metrics.get(metric)
        except ValueError as error:
            raise ValueError(
                f"{argument}={metric!r} is not the name of a Keras metric such as 'categorical_accuracy'."
            ) from error


def check_shares(shares: Any) -> None:
    """Raise a ValueError unless these are two shares that sum to at most 1, or None."""
    if shares is None:
        return
    numbers = len(shares) == 2 and all(isinstance(share, Real) and not isinstance(share, bool) for share in shares)
    if not numbers or not (min(shares) >= 0 and sum(shares) <= 1):
        raise ValueError(
            f"virtual_adversarial_shares must be two numbers of at least 0 that sum to at most 1, the shares of the "
            f"rows that are perturbed against M and against M(AE(x)), got {shares!r}."
        )
