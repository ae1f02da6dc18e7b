"""Adapters: any classifier of the user as M, with logits, class labels and, if it has one, a gradient."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted

from skaae._classifiers.conversions import convert
from skaae._classifiers.gradients import has_gradient, layers_without_gradient
from skaae._classifiers.kinds import check_kind, check_labels, check_target_type
from skaae._classifiers.unwrapping import last_step_of, unwrapped, without_decision_threshold
from skaae._classifiers.wrappers import (
    check_labels_of_wrapper,
    has_keras_model,
    in_columns,
    in_dtype_of_fit,
    model_of_wrapper,
    quiet,
)
from skaae._data.rows import Rows
from skaae._frozen_keras_model import FrozenKerasModel
from skaae._keras.logits import check_outputs
from skaae._persistence import PersistenceMixin
from skaae._utils.extras import import_extra

# Probabilities are floored at this divided by the number of classes, which is 0.01 for two classes: zeros have no
# logarithm, and ratios of the small probabilities of a forest mean little (lower floors detected fewer attacks).
FLOOR_TIMES_CLASSES = 0.02
ROWS_PER_CALL = 8192
# What classifiers raise for values that they do not take.
REFUSALS = (ArithmeticError, AssertionError, LookupError, ValueError, tf.errors.InvalidArgumentError)


class ConvertedClassifier(FrozenKerasModel):
    """A scikit-learn classifier as a Keras model with the same probabilities. Loading converts it again.

    Parameters
    ----------
    estimator : classifier
        Fitted, of a kind that `skaae._classifiers.conversions` can convert.
    model : keras.Model
        Its conversion.
    """

    def __init__(self, estimator: Any, model: keras.Model) -> None:
        super().__init__(model, classes=estimator.classes_, from_logits=True)
        self.estimator = estimator

    _not_saved = ("model", "classes", "from_logits", "_compiled")

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self.__init__(self.estimator, convert(self.estimator))  # type: ignore[misc]


class PredictProbaClassifier(PersistenceMixin, BaseEstimator):
    """Any fitted classifier with ``predict_proba``. It has logits but no gradient.

    Parameters
    ----------
    estimator : classifier
        Fitted.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels.
    """

    def __init__(self, estimator: Any) -> None:
        self.estimator = estimator

    @property
    def classes_(self) -> np.ndarray:
        return np.asarray(self.estimator.classes_)

    def predict_logits(self, X: Rows) -> np.ndarray:
        """Logarithms of the probabilities, floored at 0.02 / n_classes.

        Parameters
        ----------
        X : ndarray of shape (n_samples, n_features)

        Returns
        -------
        logits : ndarray of shape (n_samples, n_classes), float64
        """
        return floored_logarithms(self.predict_proba(X))

    def predict_proba(self, X: Rows) -> np.ndarray:
        """Compute the probabilities of the classifier slice by slice, and check them.

        Parameters
        ----------
        X : ndarray of shape (n_samples, n_features)

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes), float64

        Raises
        ------
        ValueError
            If the probabilities are not finite, of the wrong shape, or do not sum to 1.
        """
        starts = range(0, len(X), ROWS_PER_CALL)
        return np.concatenate([self._predict_proba(X[start : start + ROWS_PER_CALL]) for start in starts])

    def predict_positions(self, X: Rows) -> np.ndarray:
        """Call `predict` of the classifier slice by slice.

        Parameters
        ----------
        X : ndarray of shape (n_samples, n_features)

        Returns
        -------
        positions : ndarray of shape (n_samples,), int
            Positions of the labels in ``classes_``.
        """
        positions = {label: position for position, label in enumerate(self.classes_.tolist())}
        starts = range(0, len(X), ROWS_PER_CALL)
        labels = [np.ravel(self._call("predict", X[start : start + ROWS_PER_CALL])) for start in starts]
        return np.array([positions[label] for label in np.concatenate(labels).tolist()], dtype=int)

    def predict_proba_where_possible(self, X: Rows) -> np.ndarray:
        """Compute the same probabilities, and NaN for each row that the classifier refuses.

        Parameters
        ----------
        X : ndarray of shape (n_samples, n_features)

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes), float64
        """
        try:
            return self.predict_proba(X)
        except REFUSALS:
            if len(X) == 1:
                return np.full((1, len(self.classes_)), np.nan)
        half = len(X) // 2
        return np.concatenate([self.predict_proba_where_possible(part) for part in (X[:half], X[half:])])

    def error_for(self, X: Rows) -> str:
        """Return what the classifier says about rows that it refuses."""
        try:
            self.predict_proba(X)
        except REFUSALS as error:
            return " ".join(str(error).split())[:300]
        return ""

    def _predict_proba(self, X: np.ndarray) -> np.ndarray:
        probabilities = self._probabilities_of_estimator(X)
        expected = (len(X), len(self.classes_))
        if probabilities.shape != expected:
            raise ValueError(
                f"{type(self.estimator).__name__}.predict_proba must return shape {expected}, a column per class, got "
                f"the shape {probabilities.shape}."
            )
        # One-vs-rest of trees gives a row of zeros where every binary classifier says no.
        is_zero = (probabilities == 0).all(axis=1, keepdims=True)
        probabilities = np.where(is_zero, 1 / len(self.classes_), probabilities) if is_zero.any() else probabilities
        check_outputs(probabilities, from_logits=False)
        return probabilities

    def _probabilities_of_estimator(self, X: np.ndarray) -> np.ndarray:
        probabilities = np.asarray(self._call("predict_proba", X), dtype=np.float64)
        return in_columns(probabilities, len(X)) if has_keras_model(last_step_of(self.estimator)) else probabilities

    def _call(self, method: str, X: np.ndarray) -> Any:
        return quiet(self.estimator, method)(self._named(in_dtype_of_fit(self.estimator, X)))

    def _named(self, X: np.ndarray) -> Any:
        """X as a DataFrame if the classifier was fitted with feature names, else X itself."""
        names = getattr(self.estimator, "feature_names_in_", None)
        if names is None:
            return X
        return import_extra("pandas", "pandas").DataFrame(X, columns=names)

    def check_samples(self, sample_shape: Sequence[int]) -> None:
        """Raise a ValueError unless the classifier accepts rows with so many features."""
        n_features = getattr(self.estimator, "n_features_in_", None)
        if len(sample_shape) != 1 or n_features not in (None, sample_shape[0]):
            raise ValueError(
                f"classifier expects samples of shape ({n_features},), but gets samples of shape {tuple(sample_shape)}."
            )


Classifier = FrozenKerasModel | PredictProbaClassifier


def floored_logarithms(probabilities: np.ndarray) -> np.ndarray:
    """Logarithms of probabilities, some of which may be 0."""
    return np.log(np.maximum(probabilities, FLOOR_TIMES_CLASSES / probabilities.shape[1]))


def as_frozen_classifier(classifier: Any, X: Rows | None = None) -> Classifier:
    """Turn a classifier of any accepted kind into one that returns logits.

    Parameters
    ----------
    classifier : keras.Model, FrozenKerasModel or fitted classifier
        Possibly inside FrozenEstimators, Pipelines and scikit-learn's classifiers with a decision threshold.
    X : ndarray of shape (n_samples, ...) or None, default=None
        Rows for which a wrapper around a Keras model, such as a scikeras classifier, is compared with the model.

    Returns
    -------
    frozen : FrozenKerasModel or PredictProbaClassifier
        The former if a Keras model has exactly the probabilities of the classifier.

    Raises
    ------
    ValueError
        If the classifier is None, has several inputs or outputs, predicts several labels at once, or
        encodes categorical columns.
    NotFittedError
        If it is an estimator that is not fitted.
    TypeError
        If it is of another kind.

    Examples
    --------
    >>> import keras
    >>> from skaae._classifiers.adapters import as_frozen_classifier
    >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, activation="softmax")])
    >>> as_frozen_classifier(model).classes_
    array([0, 1, 2])
    """
    classifier = unwrapped(without_decision_threshold(classifier))
    if not hasattr(classifier, "predict_proba") and has_keras_model(getattr(classifier, "best_estimator_", None)):
        classifier = classifier.best_estimator_
    if has_keras_model(classifier):
        classifier = _from_wrapper(classifier, X)
    if isinstance(classifier, keras.Model):
        classifier = FrozenKerasModel(classifier)
    if isinstance(classifier, FrozenKerasModel):
        return classifier if X is None else _with_gradient(classifier, X)
    if isinstance(classifier, Classifier):
        return classifier
    check_kind(classifier)
    check_fitted(classifier)
    check_labels(classifier, type(classifier).__name__)
    converted = convert(classifier)
    return PredictProbaClassifier(classifier) if converted is None else ConvertedClassifier(classifier, converted)


def _from_wrapper(classifier: Any, X: Rows | None) -> Classifier:
    """The Keras model of a wrapper, or the wrapper itself if it predicts something else than its model."""
    check_target_type(classifier)
    frozen = model_of_wrapper(classifier, X)
    if frozen is not None:
        return frozen
    name = type(classifier).__name__
    if not hasattr(classifier, "predict_proba") or (X is not None and len(X.shape) > 2):
        raise ValueError(
            f"classifier={name} must return what its Keras model returns for X, but it changes X or the outputs. Such "
            f"a classifier is accepted for rows of features, if it has predict_proba. Otherwise put these steps "
            f"before the detector, or into the model as layers, and pass the model: FrozenKerasModel(model)."
        )
    check_labels(classifier, name)
    if X is not None:
        check_labels_of_wrapper(classifier, X)
    return PredictProbaClassifier(classifier)


def _with_gradient(classifier: FrozenKerasModel, X: Rows) -> Classifier:
    """The classifier itself or, if it has no gradient, one with a surrogate, which is possible for rows of features."""
    classifier.check_samples(X.shape[1:])
    if isinstance(classifier, ConvertedClassifier) or has_gradient(classifier, X):
        return classifier
    if len(X.shape) > 2:
        raise ValueError(
            f"classifier must have a gradient with respect to samples of shape {X.shape[1:]}, but its layers "
            f"{layers_without_gradient(classifier.model)} have none. Put these layers before the detector, and pass "
            f"the detector a model of the layers that follow."
        )
    return PredictProbaClassifier(classifier)


def is_fitted(classifier: Any) -> bool:
    """Whether there is nothing to fit: for a Keras model, a fitted estimator, or an object that is not an estimator."""
    classifier = unwrapped(classifier)
    is_estimator = hasattr(classifier, "fit") and not isinstance(classifier, type)
    if not is_estimator or isinstance(classifier, keras.Model | FrozenKerasModel):
        return True
    try:
        check_is_fitted(classifier)
    except NotFittedError:
        return False
    return True


def check_fitted(classifier: Any) -> None:
    """Raise a NotFittedError if the classifier has to be fitted first."""
    if not is_fitted(classifier):
        raise NotFittedError(
            f"classifier={type(unwrapped(classifier)).__name__} is not fitted. Fit it and wrap it in "
            f"sklearn.frozen.FrozenEstimator, so that clone and GridSearchCV keep the fit. Or use "
            f"skaae.CorrectedClassifier, which fits classifier and detector together."
        )
