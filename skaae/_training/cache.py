"""Trained once: the weights of a training are kept by joblib under a key that names all that shaped it."""

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
    """Run a training, or return what it returned before for the same rows and the same key.

    Parameters
    ----------
    memory : str, path or object with a ``cache`` method
        As ``memory`` of scikit-learn's Pipeline.
    X : RowSubset
        Training rows.
    key : object
        Plain values that, with X, determine the result. Never a Keras object: its hash changes
        with the clock.
    training : callable
        Returns weights and history.

    Returns
    -------
    weights : list of list of ndarray
        Of each model that was trained.
    history : dict of list of float

    Warns
    -----
    UserWarning
        If the result could not be stored: it is returned all the same. joblib warns of a full disk by
        itself (``CacheWarning``), and writes under another name until a file is whole.
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
    except Exception as error:  # of any kind, since joblib's stores may be on any system
        if not trained:
            raise
        warn(f"memory={memory!r} could not store the training, which is used all the same: {error}")
        return trained[0]
    return result


def train_once(X: RowSubset, key: str, training: Callable[[], TrainingResult]) -> TrainingResult:
    """What joblib caches, under this name."""
    return training()


def cache_key_of(value: Any) -> Any:
    """Plain values that stand for a parameter in a key.

    A Keras object stands for itself by class and configuration, any other object by its pickle;
    lambdas and local functions are pickled with their code.

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
    """Undo Keras' numbering of names, "adam_12", which differs from one object to the next."""
    return {**config, "name": re.sub(r"_\d+$", "", str(config.get("name")))}
