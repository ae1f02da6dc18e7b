"""Decisions from S(x) and the thresholds: labels, repaired rows and corrected predictions. Needs only NumPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from skaae._scoring.pools import SharedThreshold, Thresholds

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


class Correction(dict[str, Any]):
    """The result of `correct`: a dict whose values are also attributes.

    Examples
    --------
    >>> from skaae._scoring.decisions import Correction
    >>> Correction(corrected=["cat"]).corrected
    ['cat']
    """

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None


def check_repairable(is_finite: np.ndarray) -> None:
    """Raise a ValueError if the networks overflow for a sample, which then cannot be corrected.

    Parameters
    ----------
    is_finite : ndarray of shape (n_samples,), bool
    """
    overflowed = np.flatnonzero(~is_finite)
    if len(overflowed):
        raise ValueError(
            f"X has {len(overflowed)} sample(s) for which the classifier or the autoencoder returns NaN or infinity, "
            f"or which the classifier refuses, the first at index {overflowed[0]}. predict flags them, but they cannot "
            f"be corrected. Scale or clip X, or remove these samples."
        )


class DecisionsMixin:
    """The methods of a detector that compare S(x) with the threshold of the class that M predicts.

    A subclass must have ``classes_``, ``_thresholds``, ``_checked(X)``, which returns an ndarray, and
    ``_results(X, *names)``, which returns results listed in `skaae._scoring.scorer`.
    """

    _correction: Callable[..., Any] = Correction

    if TYPE_CHECKING:
        classes_: np.ndarray
        _thresholds: Thresholds
        _calibration: Any

        def _checked(self, X: Any) -> np.ndarray: ...
        def _results(self, X: Any, *names: str) -> dict[str, np.ndarray]: ...

    @property
    def threshold_(self) -> float:
        """Threshold of S(x) for the classes that share one.

        To set it sets the threshold of all classes. Then all flagged rows are repaired, as `repair_thresholds_` says.
        """
        return self._thresholds_for("threshold_").threshold

    @threshold_.setter
    def threshold_(self, threshold: float) -> None:
        self._thresholds_for("threshold_")
        if not threshold >= 0:
            raise ValueError(f"threshold_ must be at least 0, got {threshold!r}.")
        self._thresholds, self._calibration = SharedThreshold(float(threshold)), None

    @property
    def class_thresholds_(self) -> np.ndarray:
        """Threshold of S(x) for each class that M predicts; infinite for a class that is never flagged."""
        return self._thresholds_for("class_thresholds_").of_classes(len(self.classes_))

    @property
    def repair_thresholds_(self) -> np.ndarray:
        """S(x) that a flagged row must exceed to be repaired into each class; -inf where any is."""
        return self._thresholds_for("repair_thresholds_").of_repairs(len(self.classes_))

    @property
    def offset_(self) -> float:
        """Rows whose `score_samples` is smaller are adversarial."""
        return self._thresholds_for("offset_").offset

    def _thresholds_for(self, attribute: str) -> Thresholds:
        """The thresholds. Raise an AttributeError that names the attribute for which they are needed before fit."""
        if not hasattr(self, "_thresholds"):
            raise AttributeError(
                f"This {type(self).__name__} instance is not fitted yet, so it has no {attribute}. Call 'fit' first."
            )
        return self._thresholds

    def adversarial_score(self, X: ArrayLike) -> np.ndarray:
        """Compute S(x), the divergence between the predictions on x and on x'. Label changes score highest.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Samples of the shape that was fitted.

        Returns
        -------
        score : ndarray of shape (n_samples,), float64
            At least 0. High scores are adversarial. S(x) in nats, or a value above 1000 if x' has another
            label and ``label_change_first`` is set. Infinite, and so adversarial under any threshold, for a
            sample so large that classifier or autoencoder return NaN or infinity.

        Raises
        ------
        NotFittedError
            If the detector is not fitted.
        ValueError, TypeError
            If X does not fit.
        """
        return self._results(self._checked(X), "score")["score"]

    def score_samples(self, X: ArrayLike) -> np.ndarray:
        """Compute how normal samples are: by the convention of scikit-learn, high scores are normal.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Samples of the shape that was fitted.

        Returns
        -------
        score : ndarray of shape (n_samples,), float64
            Logarithm of the p-value, which goes on falling where S(x) exceeds all calibration scores. With
            ``class_thresholds=False`` or a given threshold: -S(x), as published.
        """
        scores, labels = self._scores_and_labels(self._checked(X))
        return self._thresholds.normality(scores, labels)

    def p_values(self, X: ArrayLike) -> np.ndarray:
        """Compute the conformal p-value of each sample. Small values are adversarial.

        The p-value is the share of the calibration rows, counting the sample itself as one of them, whose score
        is at least that of the sample. They are the calibration rows of the classes that share the threshold
        of the class that M predicts. On samples like these, p-values are uniform.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Samples of the shape that was fitted.

        Returns
        -------
        p_values : ndarray of shape (n_samples,), float64
            In (0, 1].

        Raises
        ------
        ValueError
            If the threshold was given, so that there are no calibration rows.
        """
        scores, labels = self._scores_and_labels(self._checked(X))
        return self._thresholds.p_values(scores, labels)

    def decision_function(self, X: ArrayLike) -> np.ndarray:
        """Compute ``score_samples(X) - offset_``, which is at least 0 exactly where `predict` is +1.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Samples of the shape that was fitted.

        Returns
        -------
        decision : ndarray of shape (n_samples,), float64
        """
        return self.score_samples(X) - self.offset_

    def predict(self, X: ArrayLike) -> np.ndarray:
        """Distinguish normal from adversarial samples.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Samples of the shape that was fitted.

        Returns
        -------
        labels : ndarray of shape (n_samples,), int
            -1 where S(x) exceeds the threshold of the class that M predicts (adversarial), else +1.
        """
        return np.where(self._is_adversarial(self._checked(X)), -1, 1)

    def reconstruct(self, X: ArrayLike) -> np.ndarray:
        """Compute x' = AE(x) for every sample, adversarial or not.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Samples of the shape that was fitted.

        Returns
        -------
        reconstruction : ndarray of the shape of X, float32

        Raises
        ------
        ValueError
            If X does not fit, or x' of a sample has NaN or infinity.
        """
        reconstruction = self._results(self._checked(X), "reconstruction")["reconstruction"]
        check_repairable(np.isfinite(reconstruction).reshape(len(reconstruction), -1).all(axis=1))
        return reconstruction

    def transform(self, X: ArrayLike) -> np.ndarray:
        """Replace the adversarial samples of X by x', so that a classifier after the detector is corrected.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Samples of the shape that was fitted.

        Returns
        -------
        X_repaired : ndarray of the shape of X, float32 or float64 as X
            Samples that are not flagged, or whose repair is not allowed (see `correct`), are unchanged, bit for bit.

        Raises
        ------
        ValueError
            If X does not fit, or if a sample has an infinite score, so that no x' can replace it.
        """
        rows = self._checked(X)
        is_repaired = self._is_repaired(self._results(rows, "score", "no_defense", "defense"))
        repaired = np.array(rows)
        if is_repaired.any():
            # With the score, rows whose x' the classifier does not take are their own x'.
            repaired[is_repaired] = self._results(rows[is_repaired], "reconstruction", "score")["reconstruction"]
            repaired[:, self._kept()] = rows[:, self._kept()]  # exactly, not in float32
        return repaired

    def correct(self, X: ArrayLike) -> Any:
        """Predict corrected class labels, and return them with the results that they follow from.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Samples of the shape that was fitted.

        Returns
        -------
        result : Bunch or Correction
            ``is_adversarial`` (bool), ``instance_score`` (S(x), float64), and class labels from
            ``classes_``: ``corrected`` (M(x') where adversarial, else M(x)), ``no_defense`` (M(x))
            and ``defense`` (M(x') of every sample), each of shape (n_samples,). An adversarial sample keeps
            M(x) where its score does not exceed the element of `repair_thresholds_` of its new label.

        Raises
        ------
        ValueError
            If X does not fit, or if a sample has an infinite score, so that it has no label.
        """
        results = self._results(self._checked(X), "score", "no_defense", "defense")
        is_repaired = self._is_repaired(results)
        is_adversarial = self._thresholds.is_adversarial(results["score"], results["no_defense"])
        no_defense, defense = self.classes_[results["no_defense"]], self.classes_[results["defense"]]
        return self._correction(
            is_adversarial=is_adversarial,
            instance_score=results["score"],
            corrected=np.where(is_repaired, defense, no_defense),
            no_defense=no_defense,
            defense=defense,
        )

    def _corrected_probabilities(self, X: ArrayLike) -> np.ndarray:
        """Probabilities M(x') where x is repaired, else M(x)."""
        names = "score", "no_defense", "defense", "probabilities", "probabilities_reconstructed"
        results = self._results(self._checked(X), *names)
        return np.where(
            self._is_repaired(results)[:, None], results["probabilities_reconstructed"], results["probabilities"]
        )

    def _kept(self) -> list[int]:
        """Columns in which x' is x."""
        return []

    def _is_repaired(self, results: dict[str, np.ndarray]) -> np.ndarray:
        """Whether x' replaces x. Raise a ValueError if a score is infinite, so that there is no x'."""
        check_repairable(np.isfinite(results["score"]))
        return self._thresholds.is_repaired(results["score"], results["no_defense"], results["defense"])

    def _is_adversarial(self, X: np.ndarray) -> np.ndarray:
        return self._thresholds.is_adversarial(*self._scores_and_labels(X))

    def _scores_and_labels(self, X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        results = self._results(X, "score", "no_defense")
        return results["score"], results["no_defense"]
