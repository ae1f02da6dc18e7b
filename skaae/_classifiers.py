"""M: whatever classifier the user has, as one frozen Keras model with logits, probabilities and classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.utils.validation import check_array, check_is_fitted

from skaae._inference import RowFunction
from skaae._keras_models import call_frozen, check_input_shape, check_one_input_one_output, zeros

SMALLEST_PROBABILITY = float(np.finfo(np.float32).tiny)
SUM_TOLERANCE = 1e-3
PASS_THROUGH = ("Identity", "Cast", "StopGradient")
ACCEPTED = (
    "a keras.Model, skaae.FrozenKerasModel, or a fitted scikeras KerasClassifier or keras.wrappers.SKLearnClassifier, "
    "on its own or inside sklearn.frozen.FrozenEstimator"
)


class FrozenKerasModel(ClassifierMixin, BaseEstimator):
    """A fitted ``keras.Model`` as a scikit-learn classifier that is never trained again.

    ``fit`` does nothing and ``sklearn.base.clone`` returns the very same object, so it keeps its
    weights inside Pipelines and GridSearchCV. The model is referred to, not copied: train a copy
    if you want to train it further.

    Parameters
    ----------
    model : keras.Model
        One input, one output: probabilities (n_samples, n_classes), one probability of the second
        class (n_samples, 1), or logits of either shape.
    classes : array-like of shape (n_classes,) or None, default=None
        Labels in the order of the model's outputs; None: 0, 1, 2, ...
    from_logits : bool, default=False
        Whether the model returns logits (unnormalised log-probabilities) instead of probabilities.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels.
    n_features_in_ : int
        Length of the first dimension of a sample, where the model fixes it.

    Examples
    --------
    >>> import keras, numpy as np
    >>> from skaae import FrozenKerasModel
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Activation("softmax")])
    >>> frozen = FrozenKerasModel(model, classes=["cat", "dog"])
    >>> frozen.predict(np.array([[1.0, 0.0], [0.0, 1.0]]))
    array(['cat', 'dog'], dtype='<U3')
    >>> frozen.predict_proba(np.array([[1.0, 0.0]])).round(3)
    array([[0.731, 0.269]])
    """

    def __init__(self, model: keras.Model, classes: Sequence[Any] | None = None, from_logits: bool = False) -> None:
        self.model = model
        self.classes = classes
        self.from_logits = from_logits

    @property
    def classes_(self) -> np.ndarray:
        n_classes = count_classes(self.model)
        if self.classes is None:
            return np.arange(n_classes)
        classes = np.asarray(self.classes)
        if classes.shape != (n_classes,) or len(np.unique(classes)) != n_classes:
            raise ValueError(
                f"classes must be {n_classes} different labels, one an output of the model, got {classes}."
            )
        return classes

    @property
    def n_features_in_(self) -> int:
        n_features = self.model.inputs[0].shape[1] if getattr(self.model, "inputs", None) else None
        if n_features is None:
            raise AttributeError("the model accepts any number of features, or is not built yet")
        return int(n_features)

    def fit(self, X: Any, y: Any = None) -> FrozenKerasModel:
        """Do nothing: the model is frozen.

        Parameters
        ----------
        X, y : object
            Ignored.

        Returns
        -------
        self : FrozenKerasModel
        """
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Label of the most probable class of each sample.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Samples of the shape that the model takes.

        Returns
        -------
        labels : ndarray of shape (n_samples,)
            Elements of ``classes_``.
        """
        positions = self.predict_proba(X).argmax(axis=1)
        return self.classes_[positions]

    def predict_proba(self, X: Any) -> np.ndarray:
        """Probability of each class.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Samples of the shape that the model takes.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes), float64
            Rows sum to 1, also for one sigmoid unit or logits.

        Raises
        ------
        ValueError
            If X does not fit, or if the model returns something else than probabilities.
        """
        X = check_array(X, allow_nd=True, dtype=(np.float64, np.float32))
        return softmax(self.predict_logits(X), axis=1)

    def predict_logits(self, X: np.ndarray) -> np.ndarray:
        """Logits of each class, checked.

        Parameters
        ----------
        X : ndarray of shape (n_samples, ...), float32 or float64

        Returns
        -------
        logits : ndarray of shape (n_samples, n_classes), float64
            Up to a constant for each row.
        """
        check_classifier_model(self.model, X.shape[1:])
        compiled = self.__dict__.get("_compiled")
        if compiled is None or compiled[0] != (self.model, self.from_logits, X.shape[1:]):
            function = RowFunction(self._outputs_and_logits, X.shape[1:])
            compiled = self._compiled = ((self.model, self.from_logits, X.shape[1:]), function)
        found = compiled[1](X, ["outputs", "logits"])
        check_outputs(found["outputs"], self.from_logits)
        return found["logits"].astype(np.float64)

    def _outputs_and_logits(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
        outputs = call_frozen(self.model, x)
        return {"outputs": outputs, "logits": class_logits(outputs, self.from_logits)}

    def __sklearn_clone__(self) -> FrozenKerasModel:
        return self

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in super().__getstate__().items() if name != "_compiled"}


def as_frozen_model(classifier: Any) -> FrozenKerasModel:
    """Turn a classifier of any accepted kind into a FrozenKerasModel.

    Parameters
    ----------
    classifier : keras.Model, FrozenKerasModel, fitted classifier with a ``model_``, or FrozenEstimator around it

    Returns
    -------
    frozen : FrozenKerasModel

    Raises
    ------
    ValueError
        If the classifier is None, or has several inputs or outputs, or predicts several labels at once.
    NotFittedError
        If it is an estimator that has not been fitted.
    TypeError
        If it is of a kind that is not accepted.

    Examples
    --------
    >>> import keras
    >>> from skaae._classifiers import as_frozen_model
    >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, activation="softmax")])
    >>> as_frozen_model(model).classes_
    array([0, 1, 2])
    """
    if classifier is None:
        raise ValueError(f"classifier=None was given: the detector needs the classifier that it defends, {ACCEPTED}.")
    if isinstance(classifier, FrozenEstimator):
        return as_frozen_model(classifier.estimator)
    if isinstance(classifier, FrozenKerasModel):
        return classifier
    if isinstance(classifier, keras.Model):
        return FrozenKerasModel(classifier)
    if isinstance(getattr(classifier, "model_", None), keras.Model):
        return _from_wrapper(classifier)
    raise _refusal(classifier)


def _from_wrapper(classifier: Any) -> FrozenKerasModel:
    """Take model and labels from a fitted scikeras KerasClassifier or keras.wrappers.SKLearnClassifier."""
    target = str(getattr(classifier, "target_type_", ""))
    if target.startswith("multilabel") or target.endswith("multioutput"):
        raise ValueError(f"classifier predicts a {target} target: a classifier of one label for a sample is wanted.")
    classes = getattr(classifier, "classes_", None)
    return FrozenKerasModel(classifier.model_, classes=classes)


def _refusal(classifier: Any) -> Exception:
    name = type(classifier).__name__
    if isinstance(classifier, type):
        return TypeError(f"classifier is the class {classifier.__name__}: a fitted instance is wanted, {ACCEPTED}.")
    if hasattr(classifier, "fit") and not is_fitted(classifier):
        return NotFittedError(
            f"classifier={name} is not fitted. Fit it and wrap it in sklearn.frozen.FrozenEstimator, so that clone and "
            f"GridSearchCV keep the fit; or let skaae.CorrectedClassifier fit classifier and detector together."
        )
    return TypeError(f"classifier is of type {name}, which is not supported: give {ACCEPTED}.")


def is_fitted(estimator: Any) -> bool:
    """Whether an estimator has been fitted."""
    try:
        check_is_fitted(estimator)
    except NotFittedError:
        return False
    return True


def check_classifier_model(model: keras.Model, sample_shape: Sequence[int]) -> None:
    """Raise unless M has one input that fits the samples and one output of shape (n_samples, n_outputs)."""
    if not isinstance(model, keras.Model):
        raise TypeError(f"FrozenKerasModel(model=...) must be a keras.Model, got {type(model).__name__}.")
    if not model.built:
        raise ValueError(f"classifier: the {type(model).__name__} is not built, so it cannot have been trained.")
    check_one_input_one_output(model, "classifier")
    check_input_shape(model, sample_shape, "classifier")
    count_classes(model)


def count_classes(model: keras.Model) -> int:
    """Count the classes that the model tells apart: its outputs, or 2 for a single one."""
    shape = _output_shape(model)
    if len(shape) != 2 or shape[1] is None:
        raise ValueError(f"classifier returns outputs of shape {shape}: (n_samples, n_classes) is wanted.")
    return max(2, shape[1])


def _output_shape(model: keras.Model) -> tuple[int | None, ...]:
    if getattr(model, "outputs", None):
        return tuple(model.outputs[0].shape)
    # A subclassed model knows the shape of its input from its first call, but not that of its output.
    outputs = call_frozen(model, zeros(model.get_build_config()["input_shape"][1:]))
    if not tf.is_tensor(outputs):
        raise ValueError(f"classifier returns {type(outputs).__name__}: a model with one output is wanted.")
    return (None, *outputs.shape[1:])


def class_logits(outputs: tf.Tensor, from_logits: bool) -> tf.Tensor:
    """Logits of all classes behind the outputs of a classifier, inside a graph.

    Where the outputs come from a softmax or a sigmoid, these are the values before it. Otherwise
    they are the logarithms of the probabilities, floored at the smallest normal float32.

    Parameters
    ----------
    outputs : tf.Tensor of shape (n_samples, n_classes) or (n_samples, 1)
        One column is the second of two classes.
    from_logits : bool
        Whether the outputs are logits already.

    Returns
    -------
    logits : tf.Tensor of shape (n_samples, n_classes), float32
        Up to a constant for each row.
    """
    if outputs.shape[-1] == 1:
        logit = outputs if from_logits else _before(outputs, "Sigmoid")
        if logit is None:
            logit = _floored_log(outputs) - _floored_log(1.0 - outputs)
        return tf.pad(tf.cast(logit, tf.float32), [[0, 0], [1, 0]])
    logits = outputs if from_logits else _before(outputs, "Softmax")
    return tf.cast(_floored_log(outputs) if logits is None else logits, tf.float32)


def _before(outputs: tf.Tensor, activation: str) -> tf.Tensor | None:
    """The values that went into the activation which made the outputs, or None if they came otherwise."""
    operation = outputs.op
    while operation.type in PASS_THROUGH:
        operation = operation.inputs[0].op
    return operation.inputs[0] if operation.type == activation else None


def _floored_log(probabilities: tf.Tensor) -> tf.Tensor:
    return tf.math.log(tf.maximum(tf.cast(probabilities, tf.float32), SMALLEST_PROBABILITY))


def check_outputs(outputs: np.ndarray, from_logits: bool, argument: str = "classifier") -> None:
    """Raise a ValueError that names `argument` unless the outputs of a model are what they are said to be."""
    if not np.isfinite(outputs).all():
        raise ValueError(f"{argument} returned NaN or infinity for rows of X: finite predictions are wanted.")
    if from_logits:
        return
    lowest, highest = outputs.min(), outputs.max()
    sums = outputs.sum(axis=1, dtype=np.float64) if outputs.shape[1] > 1 else np.ones(1)
    worst = sums[np.abs(sums - 1).argmax()]
    if lowest < 0 or highest > 1 + SUM_TOLERANCE or abs(worst - 1) > SUM_TOLERANCE:
        raise ValueError(
            f"{argument} returned values from {lowest:.4g} to {highest:.4g} with a row that sums to {worst:.4g}: these "
            f"are no probabilities. If they are logits, say so: FrozenKerasModel(model, from_logits=True)."
        )
