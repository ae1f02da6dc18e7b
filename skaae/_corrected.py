"""A classifier that repairs its own predictions."""

from __future__ import annotations

from inspect import Parameter, signature
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn import get_config
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, clone
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils import Tags, _safe_indexing
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_consistent_length, check_is_fitted, column_or_1d, validate_data

from skaae._classifiers.adapters import is_fitted
from skaae._classifiers.encoding import may_take_raw
from skaae._classifiers.frames import has_categories, is_raw
from skaae._classifiers.kinds import check_categories, check_kind
from skaae._classifiers.unwrapping import allows_missing, unfrozen
from skaae._constraints import FeatureConstraints
from skaae._data.features import mask_of_features
from skaae._data.input import DTYPES, check_labels, explain_conversion_errors
from skaae._data.samples import check_float32_range, check_frame
from skaae._data.weights import check_class_weight, check_sample_weight, rows_with_weight
from skaae._detector import AdversarialAEDetector
from skaae._keras.processes import check_not_forked
from skaae._keras.seeds import draw_seed, temporary_seed
from skaae._parameters import check_parameters, unchanged_on_error
from skaae._persistence import PersistenceMixin
from skaae._scoring.split import split_by_class
from skaae._training.autoencoders import check_autoencoder_arguments
from skaae._utils.documentation import DocumentedMixin

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike


class CorrectedClassifier(DocumentedMixin, PersistenceMixin, ClassifierMixin, MetaEstimatorMixin, BaseEstimator):
    """A classifier that returns the corrected predictions of a detector.

    It can be used like any classifier, in Pipelines, cross-validation and ensembles. If the
    classifier M inside the detector is not fitted, ``fit`` sets the calibration rows aside and
    trains M and the autoencoder on the other rows. It then sets the threshold with the calibration
    rows. Neither M nor the autoencoder has seen these, so the promised rate of false alarms holds
    for new rows.

    Parameters
    ----------
    detector : AdversarialAEDetector
        The detector. Each fit clones it together with its classifier, such as a scikeras
        ``KerasClassifier`` or a ``RandomForestClassifier``, and trains the cloned classifier first.
        A classifier that is already fitted is trained again as well. To use it as it is, wrap it in
        ``sklearn.frozen.FrozenEstimator``. A Keras model is never trained.

    Attributes
    ----------
    detector_ : AdversarialAEDetector
        The fitted detector.
    classifier_ : classifier
        The fitted classifier M.
    classes_ : ndarray of shape (n_classes,)
        Class labels.
    n_features_in_ : int
        Size of the first dimension of a sample.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features. Defined only if X was a DataFrame.

    See Also
    --------
    AdversarialAEDetector : Detect and repair adversarial rows.

    Notes
    -----
    M is trained with the global random generators seeded from the detector's `random_state`. If that
    is an int, an M without a `random_state` of its own is the same every time too. A search with
    `memory` then trains the autoencoder only once for each fold.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skaae import AdversarialAEDetector, CorrectedClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> detector = AdversarialAEDetector(LogisticRegression(max_iter=1000), epochs=20, random_state=0)
    >>> CorrectedClassifier(detector).fit(X, y).score(X, y) > 0.9
    True
    """

    _parameter_constraints: dict[str, Any] = {"detector": [AdversarialAEDetector]}  # noqa: RUF012

    def __init__(self, detector: AdversarialAEDetector) -> None:
        self.detector = detector

    def fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> CorrectedClassifier:
        """Train the classifier, unless it is frozen, and then train the detector.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Normal rows, sequences or images.
        y : array-like of shape (n_samples,)
            Class labels. A frozen classifier is not trained on them, but every label must be one of its
            classes.
        sample_weight : array-like of shape (n_samples,) or None, default=None
            Weights of the rows, for the classifier, unless it is frozen, and for the detector. In a
            Pipeline they go to the last step, or where metadata routing, if it is enabled, sends them.

        Returns
        -------
        self : CorrectedClassifier

        Raises
        ------
        ValueError, TypeError
            If `detector`, X, y or `sample_weight` is not valid, or the classifier takes no `sample_weight`.
        """
        with unchanged_on_error(self):
            self._fit(X, y, sample_weight)
        return self

    def predict(self, X: ArrayLike) -> np.ndarray:
        """Predict corrected class labels: those of x' for rows that are repaired, those of x for all others.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Samples with the same shape as those seen in fit.

        Returns
        -------
        labels : ndarray of shape (n_samples,)
            Elements of ``classes_``.
        """
        check_is_fitted(self)
        return self.detector_.correct(X).corrected

    def predict_proba(self, X: ArrayLike) -> np.ndarray:
        """Predict corrected probabilities: M(x') for rows that are repaired, M(x) for all others.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Samples with the same shape as those seen in fit.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes), float64
        """
        check_is_fitted(self)
        return self.detector_._corrected_probabilities(X)

    def correct(self, X: ArrayLike) -> Any:
        """Predict corrected class labels, and return them with the results that they follow from.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Samples with the same shape as those seen in fit.

        Returns
        -------
        result : Bunch
            See :meth:`AdversarialAEDetector.correct`.
        """
        check_is_fitted(self)
        return self.detector_.correct(X)

    def p_values(self, X: ArrayLike) -> np.ndarray:
        """Compute the conformal p-value of each sample. Small values are adversarial.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Samples with the same shape as those seen in fit.

        Returns
        -------
        p_values : ndarray of shape (n_samples,), float64
            See :meth:`AdversarialAEDetector.p_values`.
        """
        check_is_fitted(self)
        return self.detector_.p_values(X)

    def score_samples(self, X: ArrayLike) -> np.ndarray:
        """Compute how normal samples are. High scores are normal.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Samples with the same shape as those seen in fit.

        Returns
        -------
        score : ndarray of shape (n_samples,), float64
            See :meth:`AdversarialAEDetector.score_samples`.
        """
        check_is_fitted(self)
        return self.detector_.score_samples(X)

    def explain(
        self,
        X: ArrayLike,
        *,
        n_features: int | None = 5,
        constraints: FeatureConstraints | None = None,
        inverse_transform: Callable[[np.ndarray], Any] | None = None,
    ) -> Any:
        """Explain each flagged row by the features that x' changed most.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows as in fit.
        n_features, constraints, inverse_transform : object
            See :meth:`AdversarialAEDetector.explain`.

        Returns
        -------
        explanation : DataFrame
            See :meth:`AdversarialAEDetector.explain`.
        """
        check_is_fitted(self)
        return self.detector_.explain(
            X, n_features=n_features, constraints=constraints, inverse_transform=inverse_transform
        )

    def _fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None) -> None:
        check_not_forked()
        rows, y = self._checked(X, y)
        weights = check_sample_weight(sample_weight, rows)
        with temporary_seed(0):  # Keras draws seeds when it copies models
            detector = clone(self.detector)
        seed = draw_seed(detector.random_state)
        if is_fitted(detector.classifier):
            checked = detector._checked_for_fit(X)
            self._check_labels_are_known(detector, y)
            training, calibration = detector._split(checked, weights, seed)
        else:
            check_class_weight(detector.class_weight, np.unique(y))
            used, fraction = rows_with_weight(weights, len(y)), detector._calibration_fraction()
            training, calibration = (used[part] for part in split_by_class(y[used], fraction, seed, True))
            frame = X if hasattr(X, "iloc") else rows
            fitted = self._fit_classifier(detector.classifier, frame, y, training, weights, seed)
            detector.classifier = FrozenEstimator(fitted)
            checked = detector._checked_for_fit(X)
        detector._fit_rows(checked, training, calibration, weights, seed)
        self.detector_ = detector
        self.classifier_ = unfrozen(detector.classifier)
        self.classes_ = detector.classes_

    def _checked(self, X: ArrayLike, y: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
        """Check everything that can be checked before the classifier is trained."""
        self._validate_params()
        check_parameters(self.detector)
        check_labels(y)
        check_frame(X)
        if may_take_raw(self.detector.classifier) and (is_raw(X) or has_categories(X)):
            return self._checked_raw(X, y)
        check_categories(self.detector.classifier, X)
        with explain_conversion_errors(X):
            rows, labels = validate_data(self, X, y, allow_nd=True, dtype=DTYPES, ensure_min_samples=2)
        check_float32_range(rows)
        detector = self.detector
        check_autoencoder_arguments(rows.shape[1:], detector.autoencoder, detector.encoder, detector.decoder)
        check_classification_targets(labels)
        self._check_features()
        return rows, labels

    def _checked_raw(self, X: Any, y: ArrayLike) -> tuple[Any, np.ndarray]:
        """Check rows with categories or missing values, which the classifier encodes or takes itself."""
        validate_data(self, X, skip_check_array=True)
        labels = column_or_1d(y, warn=True)
        check_consistent_length(X, labels)
        check_classification_targets(labels)
        self._check_features()
        return X, labels

    def _check_features(self) -> None:
        names = getattr(self, "feature_names_in_", None)
        mask_of_features(self.detector.mutable_features, self.n_features_in_, names)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = allows_missing(self.detector.classifier)
        return tags

    @staticmethod
    def _fit_classifier(
        classifier: Any, X: Any, y: np.ndarray, training: np.ndarray, weights: np.ndarray | None, seed: int
    ) -> Any:
        check_kind(classifier, fitted=False)
        named = {} if weights is None else {_name_of_weights(classifier): weights[training]}
        with temporary_seed(seed):
            return classifier.fit(_safe_indexing(X, training), y[training], **named)

    @staticmethod
    def _check_labels_are_known(detector: AdversarialAEDetector, y: np.ndarray) -> None:
        unknown = sorted(set(y.tolist()) - set(detector.classes_.tolist()), key=str)
        if unknown:
            raise ValueError(
                f"y contains labels that are not classes of the frozen classifier: {unknown[:10]}. Its classes are "
                f"{detector.classes_.tolist()}. If the labels are other names for these classes, pass them to "
                f"FrozenKerasModel as `classes`."
            )


def _name_of_weights(classifier: Any) -> str:
    """The argument of `fit` with which a classifier takes weights. A Pipeline without routing hands them to a step."""
    if isinstance(classifier, Pipeline) and not get_config()["enable_metadata_routing"]:
        name, step = classifier.steps[-1]
        return f"{name}__{_name_of_weights(step)}"
    parameters = signature(classifier.fit).parameters
    hands_on = any(parameter.kind == Parameter.VAR_KEYWORD for parameter in parameters.values())
    if "sample_weight" not in parameters and not hands_on:
        raise TypeError(f"sample_weight must be None, because {type(classifier).__name__}.fit does not take it.")
    return "sample_weight"
