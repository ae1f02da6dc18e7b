"""The cache of trainings: joblib stores the weights under a key made of everything that determines them."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import cloudpickle
import joblib
import numpy as np
from sklearn.utils.validation import check_memory

from skaae._data.rows import RowSubset
from skaae._utils.warnings import warn

TrainingResult = tuple[list[list[np.ndarray]], dict[str, list[float]]]


def cached_training(memory: Any, X: RowSubset, key: Any, training: Callable[[], TrainingResult]) -> TrainingResult:
    """Run a training, or return the stored result of the same training.

    Parameters
    ----------
    memory : str, path or object with a ``cache`` method
        Like ``memory`` of scikit-learn's Pipeline.
    X : RowSubset
        Training rows.
    key : object
        Plain values that determine the result together with X. They must not be Keras objects, whose hash
        changes with the clock.
    training : callable
        Takes no arguments and returns weights and history.

    Returns
    -------
    weights : list of list of ndarray
        The weights of each trained model.
    history : dict of list of float
        Loss and metrics of each epoch.

    Warns
    -----
    UserWarning
        If the result could not be stored. It is returned nevertheless. joblib itself warns about a full disk
        (``CacheWarning``), and writes each file under a temporary name until it is complete.
    """
    if isinstance(memory, os.PathLike):
        memory = os.fspath(memory)
    cached = check_memory(memory).cache(train_once, ignore=["training"])
    trained: list[TrainingResult] = []

    def training_that_is_kept() -> TrainingResult:
        trained.append(training())
        return trained[0]

    try:
        result: TrainingResult = cached(X, joblib.hash([version("skaae"), key]), training_that_is_kept)
    except Exception as error:  # a store of joblib may raise any kind of error
        if not trained:
            raise
        warn(f"memory={memory!r} could not store the training. The detector is fitted, but not cached: {error}")
        return trained[0]
    return result


def train_once(X: RowSubset, key: str, training: Callable[[], TrainingResult]) -> TrainingResult:
    """Run the training. joblib caches this function under its name."""
    return training()


def cache_key_of(value: Any) -> Any:
    """Plain values that represent a parameter in a cache key.

    A Keras object is represented by its class and configuration, any other object by its pickle. Lambdas and
    local functions are pickled together with their code.

    Examples
    --------
    >>> from skaae._training.cache import cache_key_of
    >>> cache_key_of([1e-3, "adam", None])
    [0.001, 'adam', None]
    >>> cache_key_of(lambda x: x) == cache_key_of(lambda x: x + 1)
    False
    """
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, list | tuple):
        return [cache_key_of(item) for item in value]
    if not isinstance(value, type) and hasattr(value, "get_config"):
        return [type(value).__qualname__, joblib.hash(_without_number(value.get_config()))]
    return joblib.hash(cloudpickle.dumps(value))


def _without_number(config: dict[str, Any]) -> dict[str, Any]:
    """Remove the number that Keras appends to a name, as in "adam_12": it differs between equal objects."""
    return {**config, "name": re.sub(r"_\d+$", "", str(config.get("name")))}
