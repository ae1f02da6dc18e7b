"""Wrappers around a fitted Keras model: whether the model alone has the probabilities and labels of the wrapper."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

import keras
import numpy as np
from sklearn.preprocessing import FunctionTransformer

from skaae._classifiers.unwrapping import last_step_of
from skaae._data.rows import Rows
from skaae._frozen_keras_model import FrozenKerasModel
from skaae._keras.devices import full_float32
from skaae._keras.logits import are_probabilities, count_classes, probability_tolerance

# So many rows of fit are compared.
ROWS_TO_COMPARE = 500
# Wrapper and model run the same network, in batches of different sizes.
TOLERANCE = 1e-4


def has_keras_model(classifier: Any) -> bool:
    """Whether this is a fitted wrapper, such as scikeras' ``KerasClassifier``: it has a Keras model as ``model_``."""
    return isinstance(getattr(classifier, "model_", None), keras.Model)


def model_of_wrapper(classifier: Any, X: Rows | None = None) -> FrozenKerasModel | None:
    """Return the Keras model of a wrapper if it predicts what the wrapper predicts.

    Parameters
    ----------
    classifier : object
        A fitted wrapper with ``model_``.
    X : ndarray of shape (n_samples, ...) or None, default=None
        Rows for which the predictions are compared. None: they are not compared.

    Returns
    -------
    frozen : FrozenKerasModel or None
        None if the wrapper does something of its own between X and the model, or between the model and the
        probabilities.

    Raises
    ------
    ValueError
        If the wrapper predicts other labels than the most probable ones, or cannot predict for X.
    """
    if not _passes_rows_unchanged(classifier):
        return None
    candidates = [FrozenKerasModel(classifier.model_, _labels(classifier), logits) for logits in (False, True)]
    if X is None or not _has_probabilities(classifier):
        return _with_equal_labels(classifier, candidates[0], X)
    rows = _some(X)
    own = own_probabilities(classifier, rows)
    for frozen in candidates:
        found = _probabilities(frozen, rows)
        if found is not None and _are_equal(own, found, frozen.model):
            if hasattr(classifier, "predict"):
                check_labels_of_wrapper(classifier, X, frozen)
            return frozen
    # A model that returns logits, and a wrapper that returns these as well: the error of the model says what to do.
    return None if are_probabilities(own) else candidates[0]


def own_probabilities(classifier: Any, X: np.ndarray) -> np.ndarray:
    """Probabilities as the wrapper itself returns them, with one column per class.

    Raises
    ------
    ValueError
        If the wrapper does not take the rows.
    """
    X = in_dtype_of_fit(classifier, X)
    method = "predict_proba" if hasattr(classifier, "predict_proba") else "decision_function"
    try:
        with full_float32():
            values = np.asarray(quiet(classifier, method)(X), dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"classifier={type(classifier).__name__} must take the rows of X, of shape {X.shape[1:]} and the dtype "
            f"{X.dtype}, but its {method} raises: {error}"
        ) from error
    return in_columns(values, len(X))


def in_columns(values: np.ndarray, n_rows: int) -> np.ndarray:
    """Probabilities as one column per class. A single column is the second class, and scikeras squeezes a single row.

    Examples
    --------
    >>> import numpy as np
    >>> from skaae._classifiers.wrappers import in_columns
    >>> in_columns(np.array([0.25]), 1), in_columns(np.array([0.25, 0.75]), 1)
    (array([[0.75, 0.25]]), array([[0.25, 0.75]]))
    """
    values = values.reshape(n_rows, -1)
    return np.hstack([1 - values, values]) if values.shape[1] == 1 else values


def in_dtype_of_fit(classifier: Any, X: np.ndarray) -> np.ndarray:
    """X in the float type on which scikeras was fitted: it refuses a wider one."""
    dtype = np.dtype(getattr(last_step_of(classifier), "X_dtype_", X.dtype))
    if np.can_cast(X.dtype, dtype):
        return X
    cast = X.astype(dtype)
    return cast if dtype.kind == "f" or np.array_equal(cast, X) else X


def check_labels_of_wrapper(classifier: Any, X: Rows, frozen: FrozenKerasModel | None = None) -> None:
    """Raise a ValueError unless ``predict`` of the wrapper returns the most probable class of each row.

    Parameters
    ----------
    classifier : object
        A fitted wrapper with ``model_``.
    X : ndarray of shape (n_samples, ...)
    frozen : FrozenKerasModel or None, default=None
        Whose labels and probabilities are meant. None: those of the wrapper.
    """
    rows = _some(X)
    classes = np.asarray(classifier.classes_ if frozen is None else frozen.classes_)
    probabilities = own_probabilities(classifier, rows) if frozen is None else frozen.predict_proba(rows)
    if probabilities.shape[1] != len(classes):
        return  # another error says so
    predicted = np.asarray(quiet(classifier, "predict")(in_dtype_of_fit(classifier, rows)))
    expected = classes[probabilities.argmax(axis=1)]
    equal = predicted.ravel() == expected if predicted.size == len(rows) else np.zeros(len(rows), bool)
    different = ~equal & _is_clear(probabilities, classifier.model_)
    if different.any():
        raise ValueError(
            f"classifier={type(classifier).__name__} must predict the most probable of its classes_ "
            f"{classes.tolist()}, but its predict returns other labels for {different.sum()} of {len(rows)} rows of X. "
            f"Pass its Keras model with the labels in the order of the outputs: "
            f"FrozenKerasModel(classifier.model_, classes=[...])."
        )


def _is_clear(probabilities: np.ndarray, model: keras.Model) -> np.ndarray:
    """Where rounding does not decide which class is most probable."""
    ordered = np.sort(probabilities, axis=1)
    difference: np.ndarray = ordered[:, -1] - ordered[:, -2]
    return difference > probability_tolerance(model.compute_dtype, TOLERANCE)


def _passes_rows_unchanged(classifier: Any) -> bool:
    """False for scikeras with a `feature_encoder` of its own, also where that leaves the rows of fit unchanged."""
    encoder = getattr(classifier, "feature_encoder_", None)
    return encoder is None or (type(encoder) is FunctionTransformer and encoder.func is None)


def _has_probabilities(classifier: Any) -> bool:
    return hasattr(classifier, "predict_proba") or hasattr(classifier, "decision_function")


def _labels(classifier: Any) -> Any:
    """Labels of the outputs: `classes_`, or what scikeras' `target_encoder` makes of certain outputs, or None."""
    classes = getattr(classifier, "classes_", None)
    encoder = getattr(classifier, "target_encoder_", None)
    if classes is not None or encoder is None:
        return classes
    certain = np.eye(count_classes(classifier.model_))
    if classifier.model_.outputs and classifier.model_.outputs[0].shape[-1] == 1:
        certain = certain[:, 1:]
    try:
        labels = np.asarray(encoder.inverse_transform(certain))
    except (AttributeError, TypeError, ValueError):
        return None  # the labels are then compared with those of `predict`
    return labels.ravel() if labels.size == len(certain) else None


def _with_equal_labels(classifier: Any, frozen: FrozenKerasModel, X: Rows | None) -> FrozenKerasModel:
    if X is not None and hasattr(classifier, "predict"):
        check_labels_of_wrapper(classifier, X, frozen)
    return frozen


def _some(X: Rows) -> np.ndarray:
    """Rows from all over X."""
    return X[np.unique(np.linspace(0, len(X) - 1, ROWS_TO_COMPARE).astype(int))]


def _probabilities(frozen: FrozenKerasModel, X: np.ndarray) -> np.ndarray | None:
    """Probabilities of the model, or None if it does not take X or does not return probabilities for it."""
    try:
        frozen.check_samples(X.shape[1:])
        return frozen.predict_proba(X)
    except ValueError:
        return None


def _are_equal(own: np.ndarray, found: np.ndarray, model: keras.Model) -> bool:
    tolerance = probability_tolerance(model.compute_dtype, TOLERANCE)
    return own.shape == found.shape and np.allclose(own, found, rtol=0, atol=tolerance)


def quiet(classifier: Any, method: str) -> Callable[..., Any]:
    """A method of the classifier, without the progress bar of Keras where it takes `verbose`, as in scikeras."""
    bound = getattr(classifier, method)
    if not has_keras_model(classifier):
        return bound
    kinds = {name: parameter.kind for name, parameter in inspect.signature(bound).parameters.items()}
    takes_verbose = "verbose" in kinds or inspect.Parameter.VAR_KEYWORD in kinds.values()
    return partial(bound, verbose=0) if takes_verbose else bound
