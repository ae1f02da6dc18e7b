"""Exact conversions: scikit-learn estimators as Keras models with the same probabilities and a gradient.

To add a kind, write one function ``(estimator, x) -> x`` and add it to a table: `TRANSFORMERS` for a step before the
classifier, `CLASSIFIERS` for a classifier, whose function returns logits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import keras
import numpy as np
from keras import ops
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression, LogisticRegressionCV, SGDClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, Normalizer, RobustScaler, StandardScaler

from skaae._classifiers.unwrapping import all_steps_of

Tensor: TypeAlias = keras.KerasTensor
Conversion = Callable[[Any, Tensor], Tensor]
# Large weights of unscaled features cancel each other: in single precision the fifth digit would be lost.
DTYPE = "float64"


def convert(classifier: Any) -> keras.Model | None:
    """Convert a fitted classifier to a Keras model that returns logits.

    Parameters
    ----------
    classifier : estimator
        Fitted. A Pipeline is converted step by step.

    Returns
    -------
    model : keras.Model or None
        Its outputs are logits (n_samples, n_classes), or (n_samples, 1) for the second of two classes. None if
        the classifier, or a step of the Pipeline, is of a kind without a conversion.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skaae._classifiers.conversions import convert
    >>> X, y = load_iris(return_X_y=True)
    >>> convert(LogisticRegression(max_iter=1000).fit(X, y)).output_shape
    (None, 3)
    """
    *transformers, last = all_steps_of(classifier)
    known = all(type(step) in TRANSFORMERS for step in transformers) and type(last) in CLASSIFIERS
    if not known or not _has_logits(last):
        return None
    first = (*transformers, last)[0]
    inputs = keras.Input((first.n_features_in_,), name="sample")
    x = ops.cast(inputs, DTYPE)
    for step in transformers:
        x = TRANSFORMERS[type(step)](step, x)
    return keras.Model(inputs, CLASSIFIERS[type(last)](last, x), name="converted")


def _has_logits(classifier: Any) -> bool:
    """Whether the probabilities of this classifier are made from logits: of SGDClassifier only with log_loss."""
    return not isinstance(classifier, SGDClassifier) or classifier.loss == "log_loss"


def _affine(x: Tensor, weights: np.ndarray, bias: np.ndarray) -> Tensor:
    return ops.matmul(x, weights.astype(DTYPE)) + bias.astype(DTYPE)


def _linear(classifier: Any, x: Tensor) -> Tensor:
    """One logit for two classes, else one per class."""
    return _affine(x, classifier.coef_.T, np.atleast_1d(classifier.intercept_))


def _logistic_regression(classifier: LogisticRegression, x: Tensor) -> Tensor:
    # scikit-learn 1.7 can fit one binary classifier per class.
    one_vs_rest = classifier.solver == "liblinear" or getattr(classifier, "multi_class", None) == "ovr"
    return _one_vs_rest(classifier, x) if one_vs_rest else _linear(classifier, x)


def _one_vs_rest(classifier: Any, x: Tensor) -> Tensor:
    """Logarithms of sigmoids, which scikit-learn normalizes over the classes."""
    logits = _linear(classifier, x)
    if len(classifier.classes_) == 2:
        return logits
    # If all sigmoids are exactly 0, scikit-learn returns equal probabilities.
    vanished = ops.equal(ops.max(ops.sigmoid(logits), axis=1, keepdims=True), 0)
    return ops.where(vanished, ops.zeros_like(logits), ops.log_sigmoid(logits))


def _multilayer_perceptron(classifier: MLPClassifier, x: Tensor) -> Tensor:
    activation = ACTIVATIONS[classifier.activation]
    layers = list(zip(classifier.coefs_, classifier.intercepts_, strict=True))
    for weights, bias in layers[:-1]:
        x = activation(_affine(x, weights, bias))
    return _affine(x, *layers[-1])


def _standard_scaler(scaler: StandardScaler, x: Tensor) -> Tensor:
    x = x if scaler.mean_ is None or not scaler.with_mean else x - scaler.mean_
    return x if scaler.scale_ is None else x / scaler.scale_


def _min_max_scaler(scaler: MinMaxScaler, x: Tensor) -> Tensor:
    x = x * scaler.scale_ + scaler.min_
    return ops.clip(x, *scaler.feature_range) if scaler.clip else x


def _robust_scaler(scaler: RobustScaler, x: Tensor) -> Tensor:
    x = x - scaler.center_ if scaler.with_centering else x
    return x / scaler.scale_ if scaler.with_scaling else x


def _max_abs_scaler(scaler: MaxAbsScaler, x: Tensor) -> Tensor:
    x = x / scaler.scale_
    return ops.clip(x, -1.0, 1.0) if getattr(scaler, "clip", False) else x


def _normalizer(normalizer: Normalizer, x: Tensor) -> Tensor:
    norm = NORMS[normalizer.norm](x)
    return x / ops.where(ops.equal(norm, 0), ops.ones_like(norm), norm)


def _l2_norm(x: Tensor) -> Tensor:
    squares = ops.sum(ops.square(x), axis=1, keepdims=True)
    # The square root has an infinite gradient at 0, and 0 * inf would be NaN.
    root = ops.sqrt(ops.where(ops.equal(squares, 0), ops.ones_like(squares), squares))
    return ops.where(ops.equal(squares, 0), ops.zeros_like(squares), root)


def _pca(pca: PCA, x: Tensor) -> Tensor:
    x = ops.matmul(x - pca.mean_.astype(DTYPE), pca.components_.T.astype(DTYPE))
    smallest = np.finfo(pca.explained_variance_.dtype).eps
    return x / np.maximum(np.sqrt(pca.explained_variance_), smallest) if pca.whiten else x


ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "identity": lambda x: x,
    "logistic": ops.sigmoid,
    "tanh": ops.tanh,
    "relu": ops.relu,
}
NORMS: dict[str, Callable[[Tensor], Tensor]] = {
    "l1": lambda x: ops.sum(ops.abs(x), axis=1, keepdims=True),
    "l2": _l2_norm,
    "max": lambda x: ops.max(ops.abs(x), axis=1, keepdims=True),
}
# By exact type: a subclass may predict differently.
TRANSFORMERS: dict[type, Conversion] = {
    MaxAbsScaler: _max_abs_scaler,
    MinMaxScaler: _min_max_scaler,
    Normalizer: _normalizer,
    PCA: _pca,
    RobustScaler: _robust_scaler,
    StandardScaler: _standard_scaler,
}
CLASSIFIERS: dict[type, Conversion] = {
    LinearDiscriminantAnalysis: _linear,
    LogisticRegression: _logistic_regression,
    LogisticRegressionCV: _logistic_regression,
    MLPClassifier: _multilayer_perceptron,
    SGDClassifier: _one_vs_rest,
}
