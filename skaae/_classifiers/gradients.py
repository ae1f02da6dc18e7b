"""Keras classifiers without a gradient: they look their input up in a table, or round it."""

from __future__ import annotations

from typing import TypeAlias

import keras
import numpy as np
import tensorflow as tf

from skaae._data.rows import Rows
from skaae._frozen_keras_model import FrozenKerasModel
from skaae._keras.logits import class_logits
from skaae._keras.models import call_frozen, is_layer_graph

ROWS_TO_TRY = 32
# Layers that take categories or bins. Other columns of the same rows may have a gradient.
LOOKUPS = {"CategoryEncoding", "Discretization", "Embedding", "HashedCrossing", "Hashing", "IntegerLookup"}
Gradient: TypeAlias = np.ndarray | None


def has_gradient(classifier: FrozenKerasModel, X: Rows) -> bool:
    """Whether the logits of the classifier have a gradient with respect to X.

    Parameters
    ----------
    classifier : FrozenKerasModel
    X : ndarray of shape (n_samples, ...)
        Rows that the model takes.

    Returns
    -------
    known : bool
        False also if the model looks up categories in a table and some features have no gradient for any row, or if
        the gradient is zero although the logits differ.
    """
    rows = tf.constant(X[np.unique(np.linspace(0, len(X) - 1, ROWS_TO_TRY).astype(int))], tf.float32)
    gradient = _gradient(classifier.model, rows)
    if gradient is None:
        return False
    if gradient.all() or (gradient.any() and not _lookups(classifier.model)):
        return True
    # Behind a softmax in float32, certain predictions have no gradient, but their logits have.
    gradient, logits = _gradient_of_logits(classifier, rows)
    if gradient is None:
        return False
    moves = gradient.any(axis=0)
    if moves.any():
        return bool(moves.all()) or not _lookups(classifier.model)
    return bool((logits == logits[:1]).all())


def layers_without_gradient(model: keras.Model) -> list[str]:
    """Names and kinds of the layers that have no gradient, for error messages."""
    return [f"{layer.name!r} ({type(layer).__name__})" for layer in _lookups(model) or _first_without_gradient(model)]


def _gradient(model: keras.Model, x: tf.Tensor) -> Gradient:
    """Gradient of the sum of squared outputs; that of the sum is zero behind a softmax."""
    with tf.GradientTape() as tape:
        tape.watch(x)
        value = tf.reduce_sum(tf.square(tf.cast(call_frozen(model, x), tf.float32)))
    return _as_array(tape.gradient(value, x))


def _gradient_of_logits(classifier: FrozenKerasModel, x: tf.Tensor) -> tuple[Gradient, np.ndarray]:
    """The same for the logits, which only a graph shows."""

    def logits(x: tf.Tensor) -> tf.Tensor:
        return class_logits(call_frozen(classifier.model, x), classifier.from_logits)

    graph = tf.function(logits, autograph=False).get_concrete_function(tf.TensorSpec(x.shape, tf.float32))
    with tf.GradientTape() as tape:
        tape.watch(x)
        values = graph(x)
        total = tf.reduce_sum(tf.square(values))
    return _as_array(tape.gradient(total, x)), values.numpy()


def _as_array(gradient: tf.Tensor | None) -> Gradient:
    return None if gradient is None else tf.convert_to_tensor(gradient).numpy()


def _lookups(model: keras.Model) -> list[keras.Layer]:
    return [layer for layer in model._flatten_layers() if type(layer).__name__ in LOOKUPS]


def _first_without_gradient(model: keras.Model) -> list[keras.Layer]:
    """The first layer of a layer graph whose output has no gradient; the model itself if it is no such graph."""
    if is_layer_graph(model) and None not in model.inputs[0].shape[1:]:
        x = tf.ones((2, *model.inputs[0].shape[1:]))
        for layer in model.layers:
            if _gradient(keras.Model(model.inputs[0], layer.output), x) is None:
                return [layer]
    return [model]
