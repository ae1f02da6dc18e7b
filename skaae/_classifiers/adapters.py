"""Adapters: any classifier of the user as M, with logits, class labels and, if it has one, a gradient."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from sklearn.base import BaseEstimator, is_regressor
from sklearn.compose import ColumnTransformer
from sklearn.exceptions import NotFittedError
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, TargetEncoder
from sklearn.utils.validation import check_is_fitted

from skaae._classifiers.conversions import convert
from skaae._classifiers.unwrapping import inner_estimators, last_step_of, unwrapped
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
ACCEPTED = (
    "a keras.Model, skaae.FrozenKerasModel, or a fitted classifier with predict_proba, on its own or inside "
    "sklearn.frozen.FrozenEstimator"
)
ENCODERS = (OneHotEncoder, OrdinalEncoder, TargetEncoder)


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

    def _predict_proba(self, X: np.ndarray) -> np.ndarray:
        probabilities = self._probabilities_of_estimator(X)
        expected = (len(X), len(self.classes_))
        if probabilities.shape != expected:
            raise ValueError(
                f"{type(self.estimator).__name__}.predict_proba must return shape {expected}, a column per class, got "
                f"the shape {probabilities.shape}."
            )
        check_outputs(probabilities, from_logits=False)
        return probabilities

    def _probabilities_of_estimator(self, X: np.ndarray) -> np.ndarray:
        rows = self._named(in_dtype_of_fit(self.estimator, X))
        probabilities = np.asarray(quiet(self.estimator, "predict_proba")(rows), dtype=np.float64)
        return in_columns(probabilities, len(X)) if has_keras_model(last_step_of(self.estimator)) else probabilities

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
        Possibly inside FrozenEstimators and Pipelines.
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
    classifier = unwrapped(classifier)
    if isinstance(classifier, Classifier):
        return classifier
    if isinstance(classifier, keras.Model):
        return FrozenKerasModel(classifier)
    if has_keras_model(classifier):
        return _from_wrapper(classifier, X)
    check_kind(classifier)
    _check_fitted(classifier)
    converted = convert(classifier)
    return PredictProbaClassifier(classifier) if converted is None else ConvertedClassifier(classifier, converted)


def _from_wrapper(classifier: Any, X: Rows | None) -> Classifier:
    """The Keras model of a wrapper, or the wrapper itself if it predicts something else than its model."""
    _check_target_type(classifier)
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
    _check_labels(classifier, name)
    if X is not None:
        check_labels_of_wrapper(classifier, X)
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


def _check_target_type(classifier: Any) -> None:
    """Raise if a scikeras classifier predicts several labels at once."""
    target = str(getattr(classifier, "target_type_", ""))
    if target.startswith("multilabel") or target.endswith("multioutput"):
        raise ValueError(f"classifier must predict one label per sample, got a classifier for {target} targets.")


def check_kind(classifier: Any) -> None:
    """Raise unless this is an estimator, fitted or not, that can be defended.

    Parameters
    ----------
    classifier : object

    Raises
    ------
    ValueError, TypeError
        If it is None, a class or a regressor, if it has no ``predict_proba``, or if it encodes categorical columns.
    """
    if classifier is None:
        raise ValueError(f"classifier must be the classifier to defend, {ACCEPTED}, got None.")
    name = type(classifier).__name__
    if isinstance(classifier, type):
        raise TypeError(f"classifier must be a fitted instance, {ACCEPTED}, got the class {classifier.__name__}.")
    if not hasattr(classifier, "fit"):
        raise TypeError(f"classifier must be {ACCEPTED}, got an object of type {name}.")
    if _is_regressor(classifier):
        raise TypeError(f"classifier must be {ACCEPTED}, got the regressor {name}.")
    if not hasattr(classifier, "predict_proba"):
        raise TypeError(
            f"classifier={name} has no predict_proba. Wrap it in sklearn.calibration.CalibratedClassifierCV."
        )
    _check_columns(classifier, name)


def _check_fitted(classifier: Any) -> None:
    name = type(classifier).__name__
    if not is_fitted(classifier):
        raise NotFittedError(
            f"classifier={name} is not fitted. Fit it and wrap it in sklearn.frozen.FrozenEstimator, so that clone and "
            f"GridSearchCV keep the fit. Or use skaae.CorrectedClassifier, which fits classifier and detector together."
        )
    _check_labels(classifier, name)


def _is_regressor(classifier: Any) -> bool:
    # is_regressor needs the tags, which scikeras does not have. Its classifiers are recognized by their `model_`.
    return hasattr(classifier, "__sklearn_tags__") and is_regressor(classifier)


def _check_labels(classifier: Any, name: str) -> None:
    classes = getattr(classifier, "classes_", None)
    several = isinstance(classes, list) and any(np.ndim(labels) for labels in classes)
    if classes is None or several or getattr(classifier, "multilabel_", False):
        raise ValueError(f"classifier must predict one label per sample, but {name} predicts several.")
    if len(classes) < 2:
        raise ValueError(f"classifier must have at least two classes, but {name} has a single class, {list(classes)}.")
    if getattr(classifier, "out_activation_", "") == "logistic" and classifier.n_outputs_ > 1:
        raise ValueError(f"classifier must predict one label per sample, but {name} was fitted with several.")


def _check_columns(classifier: Any, name: str) -> None:
    """Raise if the classifier encodes categorical columns: the values of x' = AE(x) would not be categories."""
    for step in inner_estimators(classifier):
        if isinstance(step, ColumnTransformer):
            encoders = [type(inner).__name__ for inner in inner_estimators(step) if isinstance(inner, ENCODERS)]
            if encoders:
                raise ValueError(
                    f"classifier={name} encodes categorical columns ({', '.join(encoders)} in a ColumnTransformer). "
                    f"Put the ColumnTransformer before the detector, make_pipeline(columns, detector), and pass the "
                    f"detector the classifier that follows the ColumnTransformer."
                )
