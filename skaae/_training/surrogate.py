"""The surrogate of a classifier without a gradient: a Keras network distilled from its probabilities.

The surrogate provides the gradient while the autoencoder is trained. It is never used for a score or a label.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeAlias

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from scipy.special import softmax

from skaae._classifiers.adapters import PredictProbaClassifier, floored_logarithms
from skaae._data.rows import Rows, Statistics
from skaae._divergence import kullback_leibler, log_probabilities
from skaae._frozen_keras_model import FrozenKerasModel
from skaae._keras.logits import class_logits, count_classes
from skaae._keras.models import check_input_shape, check_keras_version, check_one_input_one_output, copy_model
from skaae._training.batches import shuffled_batches
from skaae._training.domain import Domain, into_domain
from skaae._training.optimizers import skip_all_reduce
from skaae._utils.warnings import warn

SampleShape = tuple[int, ...]
Surrogate: TypeAlias = keras.Model | Callable[[SampleShape, int], keras.Model] | FrozenKerasModel | None
HIDDEN_UNITS = 256
BATCH_SIZE = 128
LEARNING_RATE = 2e-3
STEPS = 2000
STEPS_PER_EXECUTION = 100
MOST_ROWS = 20_000
# Standard deviations of the noise on the copies of X, in units of the standard deviation of each feature.
NOISE = (0.0, 0.1, 0.3, 1.0)
LOWEST_AGREEMENT = 0.8


def build_surrogate(surrogate: Surrogate, X: Rows, classes: np.ndarray) -> FrozenKerasModel:
    """Build the surrogate, which is not distilled yet. Models that the user passed are not changed.

    Parameters
    ----------
    surrogate : keras.Model, callable, FrozenKerasModel or None
        A model that returns probabilities: a copy of it is distilled, starting from its weights. A
        ``callable(sample_shape, n_classes) -> keras.Model``. A FrozenKerasModel, which is used without
        distillation. None: a default network.
    X : ndarray or RowSubset of shape (n_samples, n_features)
        Training rows. The default network standardizes with their mean and variance.
    classes : ndarray of shape (n_classes,)
        Labels of the classifier.

    Returns
    -------
    surrogate : FrozenKerasModel

    Raises
    ------
    ValueError
        If the surrogate does not fit the shape of X or the number of classes.
    TypeError
        If the callable does not return a Keras model.
    """
    sample_shape, n_classes = X.shape[1:], len(classes)
    if isinstance(surrogate, FrozenKerasModel):
        model, from_logits = surrogate.model, surrogate.from_logits
    else:
        model, from_logits = _start(surrogate, X, n_classes), False
    check_one_input_one_output(model, "surrogate")
    check_input_shape(model, sample_shape, "surrogate")
    n_outputs = count_classes(model, "surrogate")
    if n_outputs != n_classes:
        raise ValueError(f"surrogate has {n_outputs} classes, but the classifier has {n_classes}: {classes}.")
    return FrozenKerasModel(model, classes=classes, from_logits=from_logits)


def distill(
    surrogate: FrozenKerasModel,
    classifier: PredictProbaClassifier,
    X: Rows,
    seed: int,
    domain: Domain | None = None,
) -> None:
    """Train the surrogate in place, on the probabilities of the classifier for X and for perturbed X.

    Parameters
    ----------
    surrogate : FrozenKerasModel
        The weights of its model are changed.
    classifier : PredictProbaClassifier
    X : ndarray or RowSubset of shape (n_samples, n_features)
        Training rows, of which at most `MOST_ROWS` are used.
    seed : int
        Seeds the perturbations and the order of the rows.
    domain : tuple of three ndarray or None, default=None
        Where the perturbed rows stay, see `skaae._training.domain`. Those that the classifier refuses are left out.
    """
    rows = into_domain(perturbed_copies(X, np.random.default_rng(seed)), domain)
    rows, targets = _targets(classifier, rows)
    model, replicas = surrogate.model, tf.distribute.get_strategy().num_replicas_in_sync
    model.compile(
        keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(LEARNING_RATE, STEPS)),
        loss=divergence_from_targets,
        steps_per_execution=STEPS_PER_EXECUTION if replicas == 1 else 1,
        jit_compile=False,
    )
    model.optimizer.build(model.trainable_variables)
    skip_all_reduce(model.optimizer)
    epochs = math.ceil(STEPS / math.ceil(len(rows) / BATCH_SIZE))
    batches = shuffled_batches([rows, targets], BATCH_SIZE, epochs, seed)
    model.fit(batches, steps_per_epoch=STEPS, shuffle=False, verbose=0)


def divergence_from_targets(targets: tf.Tensor, outputs: tf.Tensor) -> tf.Tensor:
    """The Kullback-Leibler divergence of the outputs of a network from target probabilities.

    It has the gradient of the cross-entropy. That of TensorFlow rounds differently once its operations are to be
    deterministic, as they are after scikeras has fitted anything: a fit would depend on what the process did before.

    Parameters
    ----------
    targets : tf.Tensor of shape (n_samples, n_classes)
        Positive probabilities.
    outputs : tf.Tensor of shape (n_samples, n_classes) or (n_samples, 1)
        Probabilities. A single column stands for the second of two classes.

    Returns
    -------
    divergence : tf.Tensor of shape (n_samples,), float32
    """
    logits = class_logits(outputs, from_logits=False)
    return tf.cast(kullback_leibler(log_probabilities(tf.math.log(targets)), log_probabilities(logits)), tf.float32)


def _targets(classifier: PredictProbaClassifier, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The rows that the classifier takes, and its floored probabilities for them."""
    probabilities = classifier.predict_proba_where_possible(rows)
    is_taken = np.isfinite(probabilities).all(axis=1)
    if not is_taken.all():
        rows, probabilities = rows[is_taken], probabilities[is_taken]
    return rows, softmax(floored_logarithms(probabilities), axis=1).astype(np.float32)


def perturbed_copies(X: Rows, generator: np.random.Generator) -> np.ndarray:
    """Rows of X, noisy copies of them, and points between pairs of them.

    Attacks look for the boundary between the classes, where X has few rows.

    Parameters
    ----------
    X : ndarray or RowSubset of shape (n_samples, n_features)
    generator : numpy.random.Generator

    Returns
    -------
    rows : ndarray of shape (5 * min(n_samples, MOST_ROWS), n_features), float32
        Each feature stays within its range in X.
    """
    chosen = X[generator.permutation(len(X))[:MOST_ROWS]].astype(np.float32)
    statistics = Statistics.of(X)
    spread = np.sqrt(statistics.variance).astype(np.float32)
    noisy = [chosen + scale * spread * generator.standard_normal(chosen.shape, dtype=np.float32) for scale in NOISE]
    share = generator.random((len(chosen), 1), dtype=np.float32)
    between = share * chosen + (1 - share) * chosen[generator.permutation(len(chosen))]
    return np.clip(np.concatenate([*noisy, between]), statistics.lowest, statistics.highest).astype(np.float32)


def share_of_equal_labels(surrogate: FrozenKerasModel, classifier: PredictProbaClassifier, X: Rows) -> float:
    """Share of the rows of X for which surrogate and classifier predict the same label.

    Parameters
    ----------
    surrogate : FrozenKerasModel
    classifier : PredictProbaClassifier
    X : ndarray or RowSubset of shape (n_samples, n_features)
        Rows on which the surrogate was not distilled.

    Returns
    -------
    share : float
        In [0, 1].

    Warns
    -----
    UserWarning
        If the share is below 0.8.
    """
    same = surrogate.predict_logits(X).argmax(axis=1) == classifier.predict_logits(X).argmax(axis=1)
    share = float(same.mean())
    if share < LOWEST_AGREEMENT:
        warn(
            f"The surrogate predicts the label of the classifier for only {share:.0%} of the held-out rows, so the "
            f"defense may be weak: the autoencoder was trained with the gradient of a different classifier. Pass more "
            f"rows, or a better `surrogate`."
        )
    return share


def _start(surrogate: Any, X: Rows, n_classes: int) -> keras.Model:
    if surrogate is None:
        return _default_network(X, n_classes)
    if isinstance(surrogate, keras.Model):
        return copy_model(surrogate, "surrogate")
    model = surrogate(X.shape[1:], n_classes)
    check_keras_version(model, f"surrogate{X.shape[1:], n_classes}")
    if not isinstance(model, keras.Model):
        raise TypeError(f"surrogate{X.shape[1:], n_classes} must return a keras.Model, got {type(model).__name__}.")
    return copy_model(model, "surrogate")


def _default_network(X: Rows, n_classes: int) -> keras.Model:
    statistics = Statistics.of(X)
    moments = {name: getattr(statistics, name).astype(np.float32) for name in ("mean", "variance")}
    scale = layers.Normalization(**moments, name="scale")
    hidden = [layers.Dense(HIDDEN_UNITS, activation="relu", name=f"hidden_{level}") for level in range(2)]
    outputs = layers.Dense(n_classes, activation="softmax", name="probabilities")
    return keras.Sequential([keras.Input(X.shape[1:]), scale, *hidden, outputs], name="surrogate")
