"""A fitted Keras model as a frozen scikit-learn classifier."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import keras
import numpy as np
import tensorflow as tf
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin

from skaae._data.input import read_samples
from skaae._data.rows import Rows
from skaae._keras.logits import (
    are_probabilities,
    check_outputs,
    class_logits,
    count_classes,
    end_in_activation,
    outputs_to_check,
)
from skaae._keras.models import call_frozen, check_input_shape, check_keras_version, check_one_input_one_output
from skaae._keras.row_function import RowFunction
from skaae._persistence import PersistenceMixin
from skaae._utils.documentation import DocumentedMixin

# The outputs for this many rows, each multiplied by these scales, show whether a model returns logits.
N_PROBES = 100
PROBE_SCALES = 1.0, -1.0, 100.0, -100.0


class FrozenKerasModel(DocumentedMixin, PersistenceMixin, ClassifierMixin, BaseEstimator):
    """A fitted ``keras.Model`` as a scikit-learn classifier that is never trained again.

    ``fit`` does nothing, and ``sklearn.base.clone`` returns the same object. The model therefore
    keeps its weights inside Pipelines and GridSearchCV. The classifier holds a reference to the
    model, not a copy. To train the model further, train a copy of it.

    Parameters
    ----------
    model : keras.Model
        A model with one input and one output. The output contains the probability of each class,
        with shape (n_samples, n_classes), or the probability of the second class, with shape
        (n_samples, 1), or logits in either shape.
    classes : array-like of shape (n_classes,) or None, default=None
        Labels in the order of the model's outputs. None means 0, 1, 2, ...
    from_logits : bool, default=False
        Whether the model returns logits (unnormalized log-probabilities) instead of probabilities.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels.
    n_features_in_ : int
        Size of the first dimension of a sample. Available only if the model fixes it.

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

    _not_saved: ClassVar[tuple[str, ...]] = ("_compiled",)

    def __init__(
        self, model: keras.Model, classes: Sequence[Any] | np.ndarray | None = None, from_logits: bool = False
    ) -> None:
        self.model = model
        self.classes = classes
        self.from_logits = from_logits

    @property
    def classes_(self) -> np.ndarray:
        n_classes = count_classes(self.model)
        if self.classes is None:
            return np.arange(n_classes)
        classes = np.asarray(self.classes)
        # NaN and None cannot be labels: NaN equals nothing, and None cannot be ordered.
        labels = classes.tolist() if classes.ndim == 1 else []
        different = {label for label in labels if label is not None and label == label}
        if len(labels) != n_classes or len(different) != n_classes:
            raise ValueError(
                f"classes must be {n_classes} different labels, one for each output of the model, got {classes}."
            )
        return classes

    @property
    def n_features_in_(self) -> int:
        n_features = self.model.inputs[0].shape[1] if getattr(self.model, "inputs", None) else None
        if n_features is None:
            raise AttributeError("n_features_in_: the model is not built, or it accepts any number of features.")
        return int(n_features)

    def fit(self, X: Any, y: Any = None) -> FrozenKerasModel:
        """Do nothing, because the model is frozen.

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
        """Predict the label of the most probable class of each sample.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Samples with the input shape of the model.

        Returns
        -------
        labels : ndarray of shape (n_samples,)
            Elements of ``classes_``.
        """
        positions = self.predict_proba(X).argmax(axis=1)
        return self.classes_[positions]

    def predict_proba(self, X: Any) -> np.ndarray:
        """Predict the probability of each class.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Samples with the input shape of the model.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes), float64
            Each row sums to 1, also if the model returns logits or has one sigmoid unit.

        Raises
        ------
        ValueError
            If X does not have the input shape of the model, or if the model does not return
            probabilities although `from_logits` is False.
        """
        return softmax(self.predict_logits(read_samples(X)), axis=1)

    def predict_logits(self, X: Rows) -> np.ndarray:
        """Compute the logits of each class, and check the outputs of the model.

        Parameters
        ----------
        X : ndarray of shape (n_samples, ...), float32 or float64

        Returns
        -------
        logits : ndarray of shape (n_samples, n_classes), float64
            Defined up to a constant for each row.
        """
        self.check_samples(X.shape[1:])
        compiled = self.__dict__.get("_compiled")
        if compiled is None or compiled[0] != (self.model, self.from_logits, X.shape[1:]):
            function = RowFunction(self._outputs_and_logits, X.shape[1:])
            compiled = self._compiled = ((self.model, self.from_logits, X.shape[1:]), function)
        results = compiled[1](X, ["outputs", "logits"])
        check_outputs(results["outputs"], self.from_logits)
        return results["logits"].astype(np.float64)

    def check_samples(self, sample_shape: Sequence[int]) -> None:
        """Raise an error unless the model takes samples of this shape and returns (n_samples, n_classes).

        Parameters
        ----------
        sample_shape : sequence of int
            Shape of one sample.
        """
        model = self.model
        check_keras_version(model, "FrozenKerasModel(model=...)")
        if not isinstance(model, keras.Model):
            raise TypeError(f"FrozenKerasModel(model=...) must be a keras.Model, got {type(model).__name__}.")
        if not model.built:
            raise ValueError(
                f"classifier: the {type(model).__name__} is not built yet. Build and train it before you pass it."
            )
        check_one_input_one_output(model, "classifier")
        check_input_shape(model, sample_shape, "classifier")
        count_classes(model)

    def _outputs_and_logits(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
        outputs = call_frozen(self.model, x)
        checked = outputs_to_check(outputs, self.from_logits)
        return {"outputs": checked, "logits": class_logits(outputs, self.from_logits)}

    def __sklearn_clone__(self) -> FrozenKerasModel:
        return self

    def __sklearn_is_fitted__(self) -> bool:
        return True


def freeze_inferring_logits(model: keras.Model, X: np.ndarray) -> FrozenKerasModel:
    """Freeze a model, and infer whether it returns probabilities or logits.

    A softmax or sigmoid as the last operation shows that it returns probabilities. If the last
    operation is something else, the outputs for some rows decide.

    Parameters
    ----------
    model : keras.Model
        The model to freeze.
    X : ndarray of shape (n_samples, ...)
        Rows that the model takes.

    Returns
    -------
    classifier : FrozenKerasModel
    """
    check_input_shape(model, X.shape[1:], "model")
    ends_in_activation: list[bool] = []

    def graph(x: tf.Tensor) -> dict[str, tf.Tensor]:
        outputs = call_frozen(model, x)
        ends_in_activation.append(end_in_activation(outputs))
        return {"outputs": outputs}

    function = RowFunction(graph, X.shape[1:])
    function(X[:1])
    if all(ends_in_activation):
        return FrozenKerasModel(model)
    # Logits may lie in [0, 1] by chance, but those of large rows rarely do. Outputs that overflow are ignored.
    with np.errstate(over="ignore"):
        rows = np.concatenate([scale * X[:N_PROBES].astype(np.float32) for scale in PROBE_SCALES])
    outputs = function(rows)["outputs"]
    finite = outputs[np.isfinite(outputs).all(axis=1)]
    return FrozenKerasModel(model, from_logits=len(finite) > 0 and not are_probabilities(finite))
