"""A classifier that repairs its own predictions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, clone
from sklearn.frozen import FrozenEstimator
from sklearn.utils import _safe_indexing
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from skaae._classifiers.adapters import check_kind, is_fitted
from skaae._classifiers.unwrapping import unfrozen
from skaae._data.input import DTYPES, check_labels, clear_errors
from skaae._data.rows import RowSubset
from skaae._data.samples import check_float32_range
from skaae._detector import AdversarialAEDetector
from skaae._keras.seeds import draw_seed, temporary_seed
from skaae._parameters import check_parameters, unchanged_on_error
from skaae._persistence import PersistenceMixin
from skaae._scoring.threshold import split_labeled_rows, split_rows
from skaae._training.autoencoders import check_start
from skaae._utils.documentation import DocumentedMixin

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


class CorrectedClassifier(DocumentedMixin, PersistenceMixin, ClassifierMixin, MetaEstimatorMixin, BaseEstimator):
    """A classifier whose predictions are the corrected ones of a detector.

    It goes wherever a classifier goes: Pipelines, cross-validation, ensembles. With an unfitted
    classifier inside the detector, ``fit`` sets the calibration rows aside, trains the classifier M
    and the autoencoder on the others, and takes the threshold from the rows that neither has
    seen, so that the rate of false alarms is kept for new rows.

    Parameters
    ----------
    detector : AdversarialAEDetector
        Cloned for each fit. Its classifier is trained first if it is an unfitted estimator, such as
        a scikeras ``KerasClassifier`` or a ``RandomForestClassifier``; a fitted one is cloned too,
        and so trained anew, unless it is in ``sklearn.frozen.FrozenEstimator`` or a Keras model.

    Attributes
    ----------
    detector_ : AdversarialAEDetector
        The fitted detector.
    classifier_ : classifier
        M, fitted.
    classes_ : ndarray of shape (n_classes,)
        Class labels.
    n_features_in_ : int
        Size of the first dimension of a sample.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, if X has been a DataFrame.

    See Also
    --------
    AdversarialAEDetector : The detector, which also flags and repairs rows.

    Notes
    -----
    M is trained under the seed of the detector's `random_state`: with an int there, an M without a
    `random_state` of its own is the same every time too, so that a search with `memory` trains the
    autoencoder once for each fold.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skaae import AdversarialAEDetector, CorrectedClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> detector = AdversarialAEDetector(LogisticRegression(max_iter=1000), random_state=0)
    >>> CorrectedClassifier(detector).fit(X, y).score(X, y) > 0.9
    True
    """

    _parameter_constraints: dict[str, Any] = {"detector": [AdversarialAEDetector]}  # noqa: RUF012

    def __init__(self, detector: AdversarialAEDetector) -> None:
        self.detector = detector

    def fit(self, X: ArrayLike, y: ArrayLike) -> CorrectedClassifier:
        """Train the classifier, unless it is frozen, and then the detector.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Normal rows, sequences or images.
        y : array-like of shape (n_samples,)
            Class labels. A frozen classifier is not trained on them, but has to know them.

        Returns
        -------
        self : CorrectedClassifier

        Raises
        ------
        ValueError, TypeError
            If `detector`, X or y is not what is wanted.
        """
        with unchanged_on_error(self):
            self._fit(X, y)
        return self

    def predict(self, X: ArrayLike) -> np.ndarray:
        """Corrected class labels: M(x') where x is adversarial, else M(x).

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Samples of the shape that was fitted.

        Returns
        -------
        labels : ndarray of shape (n_samples,)
            Elements of ``classes_``.
        """
        check_is_fitted(self)
        return self.detector_.correct(X).corrected

    def predict_proba(self, X: ArrayLike) -> np.ndarray:
        """Corrected probabilities: those of x' where x is adversarial, else those of x.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Samples of the shape that was fitted.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes), float64
        """
        check_is_fitted(self)
        return self.detector_._corrected_probabilities(X)

    def _fit(self, X: ArrayLike, y: ArrayLike) -> None:
        rows, y = self._checked(X, y)
        with temporary_seed(0):  # Keras draws seeds for the copies of models
            detector = clone(self.detector)
        seed = draw_seed(detector.random_state)
        if is_fitted(detector.classifier):
            self._check_labels_are_known(detector, X, y)
            training, calibration = split_rows(len(rows), detector._calibration_fraction(), seed)
        else:
            training, calibration = split_labeled_rows(y, detector._calibration_fraction(), seed)
            fitted = self._fit_classifier(detector.classifier, X if hasattr(X, "iloc") else rows, y, training, seed)
            detector.classifier = FrozenEstimator(fitted)
        checked = detector._checked_for_fit(X)
        detector._fit_rows(RowSubset(checked, training), RowSubset(checked, calibration), seed)
        self.detector_ = detector
        self.classifier_ = unfrozen(detector.classifier)
        self.classes_ = detector.classes_

    def _checked(self, X: ArrayLike, y: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
        """Check all that can be checked before the classifier is trained."""
        self._validate_params()
        check_parameters(self.detector)
        check_labels(y)
        with clear_errors(X):
            rows, labels = validate_data(self, X, y, allow_nd=True, dtype=DTYPES, ensure_min_samples=2)
        check_float32_range(rows)
        detector = self.detector
        check_start(rows.shape[1:], detector.autoencoder, detector.encoder, detector.decoder)
        check_classification_targets(labels)
        return rows, labels

    @staticmethod
    def _fit_classifier(classifier: Any, X: Any, y: np.ndarray, training: np.ndarray, seed: int) -> Any:
        check_kind(classifier)
        with temporary_seed(seed):
            return classifier.fit(_safe_indexing(X, training), y[training])

    @staticmethod
    def _check_labels_are_known(detector: AdversarialAEDetector, X: ArrayLike, y: np.ndarray) -> None:
        detector._checked_for_fit(X)
        unknown = sorted(set(y.tolist()) - set(detector.classes_.tolist()), key=str)
        if unknown:
            raise ValueError(
                f"y has labels that the frozen classifier does not know: {unknown[:10]}. It knows "
                f"{detector.classes_.tolist()}; give FrozenKerasModel `classes` if these are other names for them."
            )
