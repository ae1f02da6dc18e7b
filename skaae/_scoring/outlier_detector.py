"""The decisions as methods of scikit-learn: an outlier detector and transformer with a threshold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.base import OneToOneFeatureMixin, OutlierMixin, TransformerMixin
from sklearn.utils import Bunch
from sklearn.utils._param_validation import validate_parameter_constraints
from sklearn.utils.metaestimators import available_if

from skaae._classifiers.adapters import Classifier
from skaae._classifiers.label_rules import LabelRule
from skaae._data.rows import Rows
from skaae._parameters import PERCENTILE
from skaae._scoring.calibration import calibrate
from skaae._scoring.decisions import DecisionsMixin
from skaae._scoring.raw_rows import RawRowsMixin
from skaae._scoring.scorer import check_thresholds
from skaae._training.defense import Defense

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


def has_columns(estimator: Any) -> bool:
    """Whether samples are rows of a table. Raise an AttributeError if they are images or sequences."""
    defense = getattr(estimator, "_defense", None)
    if defense is not None and len(defense.sample_shape) > 1:
        raise AttributeError(f"Samples of shape {defense.sample_shape} have no feature names.")
    return True


class OutlierDetectorMixin(OneToOneFeatureMixin, OutlierMixin, TransformerMixin, RawRowsMixin, DecisionsMixin):
    """The methods of a fitted estimator that compare S(x) with thresholds, or set these.

    A subclass must have ``_results(X, *names)``, which returns results listed in `skaae._scoring.scorer`.
    """

    _correction = Bunch

    if TYPE_CHECKING:
        calibration_fraction: float
        class_thresholds: bool
        classifier_: Classifier
        threshold: float | None
        _label_rule: LabelRule
        _defense: Defense
        threshold_percentile: float

    def transform(self, X: ArrayLike) -> Any:
        """Replace the adversarial samples of X by x', so that a classifier after the detector is corrected.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Samples of the shape that was fitted.

        Returns
        -------
        X_repaired : ndarray of the shape of X, float32 or float64 as X
            Samples that are not repaired (see `correct`) are unchanged, bit for bit. A DataFrame if the classifier
            takes a DataFrame with categories or missing values itself.

        Raises
        ------
        ValueError
            If X does not fit, or if a sample has an infinite score, so that no x' can replace it. If the
            classifier is a Pipeline that encodes X, so that x' is no row like those of X.
        """
        return self._decoded(super().transform, X, keeps_rows=True)

    def reconstruct(self, X: ArrayLike) -> Any:
        """Compute x' = AE(x) for every sample, adversarial or not.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Samples of the shape that was fitted.

        Returns
        -------
        reconstruction : ndarray of the shape of X, float32
            A DataFrame if the classifier takes a DataFrame with categories or missing values itself.

        Raises
        ------
        ValueError
            If X does not fit, or x' of a sample has NaN or infinity. If the classifier is a Pipeline that
            encodes X, so that x' is no row like those of X.
        """
        return self._decoded(super().reconstruct, X)

    @available_if(has_columns)  # type: ignore[untyped-decorator]
    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> np.ndarray:
        """Return the names of the features, which `transform` keeps. Not available for images and sequences.

        Without it scikit-learn leaves the arrays of `transform` as they are, whatever output is set.

        Parameters
        ----------
        input_features : array-like of str or None, default=None
            Names to return if `fit` saw none.

        Returns
        -------
        names : ndarray of str
        """
        return super().get_feature_names_out(input_features)

    def set_output(self, *, transform: str | None = None) -> Self:
        """Set the container that `transform` returns. Images and sequences are always arrays.

        Parameters
        ----------
        transform : {"default", "pandas", "polars"} or None, default=None
            None changes nothing.

        Returns
        -------
        self : AdversarialAEDetector
        """
        return super().set_output(transform=transform) if hasattr(self, "get_feature_names_out") else self

    def infer_threshold(self, X: ArrayLike, threshold_percentile: float | None = None) -> Self:
        """Set all thresholds, the p-values and ``class_report_`` from normal samples, without training.

        The promised rate of false alarms holds for samples like these, if neither the classifier nor the
        autoencoder was trained on them. A threshold that was given is replaced.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Normal samples of the shape that was fitted.
        threshold_percentile : float or None, default=None
            Percentage of normal samples below the threshold, in (0, 100]; None: the parameter of
            the same name.

        Returns
        -------
        self : AdversarialAEDetector
        """
        percentile = self.threshold_percentile if threshold_percentile is None else threshold_percentile
        constraints = {"threshold_percentile": [PERCENTILE]}
        validate_parameter_constraints(constraints, {"threshold_percentile": percentile}, "infer_threshold")
        before = getattr(self, "_calibration", None)
        self._calibrate(self._checked(X), percentile)
        if before is not None:
            self._calibration.warn_of_absent_classes(self.classes_, percentile, before)
        return self

    @property
    def class_report_(self) -> Any:
        """DataFrame with a line for each class that M predicts: what the calibration rows say about it."""
        self._thresholds_for("class_report_")
        calibration = getattr(self, "_calibration", None)
        if calibration is None:
            raise AttributeError(
                "class_report_ requires calibration rows, but threshold was given. Call infer_threshold."
            )
        return calibration.report(self.classes_)

    def _calibrate(self, X: Rows, percentile: float) -> None:
        """Set the thresholds from the scores of calibration rows."""
        results = self._results(X, "score", "no_defense", "defense")
        columns = results["score"], results["no_defense"], results["defense"]
        calibration = calibrate(*columns, len(self.classes_), percentile, self.class_thresholds)
        check_thresholds(calibration.thresholds.of_classes(len(self.classes_)))
        calibration.warn_if_weak(self.classes_, percentile)
        self._calibration = calibration
        self._thresholds = calibration.thresholds
