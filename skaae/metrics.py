"""Scorers for model selection, and a report on how well a defense works."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.metrics import roc_auc_score, roc_curve
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_consistent_length, check_is_fitted, column_or_1d

from skaae._classifiers.unwrapping import transformed
from skaae._corrected import CorrectedClassifier
from skaae._data.input import check_labels
from skaae._detector import AdversarialAEDetector
from skaae._utils.extras import import_extra

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import ArrayLike

LARGEST = float(np.finfo(np.float64).max)

__all__ = ["TruePositiveRateAt", "corrected_accuracy", "defense_report", "detection_auc"]


def detection_auc(estimator: Any, X: ArrayLike, y: ArrayLike) -> float:
    """Compute the area under the ROC curve of adversarial against normal rows.

    Pass it as ``scoring=`` to scikit-learn's model selection.

    Parameters
    ----------
    estimator : AdversarialAEDetector, Pipeline or other outlier detector with ``score_samples``
        The fitted estimator.
    X : array-like of shape (n_samples, ...)
        Normal and adversarial rows.
    y : array-like of shape (n_samples,)
        -1 for each adversarial row and +1 for each normal row, as returned by `predict`.

    Returns
    -------
    auc : float
        Area in [0, 1]. It is 1 if every adversarial row scores above every normal row.

    Raises
    ------
    ValueError
        If y has labels other than -1 and +1, or only one of them. (``scoring="roc_auc"`` does not
        check this, and its result is inverted for the labels 0 and 1.)

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.ensemble import IsolationForest
    >>> from skaae.metrics import detection_auc
    >>> X, y = np.array([[0.0], [0.1], [0.2], [9.0]]), [1, 1, 1, -1]
    >>> detection_auc(IsolationForest(random_state=0).fit(X), X, y)
    1.0
    """
    return float(roc_auc_score(*_labels_and_scores(estimator, X, y)))


@dataclass(frozen=True)
class TruePositiveRateAt:
    """Scorer for the share of adversarial rows that are detected at a given rate of false alarms.

    Pass it as ``scoring=``, or call it with a fitted estimator, X, and y in {-1, +1}. It does not use
    the threshold of the estimator.

    Parameters
    ----------
    false_alarm_rate : float, default=0.05
        Largest share of the normal rows that may be flagged, in [0, 1].

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.ensemble import IsolationForest
    >>> from skaae.metrics import TruePositiveRateAt
    >>> X, y = np.array([[0.0], [0.1], [0.2], [9.0]]), [1, 1, 1, -1]
    >>> TruePositiveRateAt(0.1)(IsolationForest(random_state=0).fit(X), X, y)
    1.0
    """

    false_alarm_rate: float = 0.05

    def __post_init__(self) -> None:
        if not isinstance(self.false_alarm_rate, Real) or not 0 <= self.false_alarm_rate <= 1:
            raise ValueError(f"false_alarm_rate must be in [0, 1], got {self.false_alarm_rate!r}.")

    def __call__(self, estimator: Any, X: ArrayLike, y: ArrayLike) -> float:
        """Score a fitted estimator. The arguments are those of `detection_auc`."""
        false_alarms, detected, _ = roc_curve(*_labels_and_scores(estimator, X, y), drop_intermediate=False)
        return float(detected[false_alarms <= self.false_alarm_rate].max())


def corrected_accuracy(estimator: Any, X: ArrayLike, y: ArrayLike) -> float:
    """Compute the accuracy of the corrected predictions.

    Pass it as ``scoring=`` to scikit-learn's model selection.

    Parameters
    ----------
    estimator : AdversarialAEDetector, Pipeline that ends in one, or CorrectedClassifier
        The fitted estimator.
    X : array-like of shape (n_samples, ...)
        Rows to classify.
    y : array-like of shape (n_samples,)
        Class labels.

    Returns
    -------
    accuracy : float

    Raises
    ------
    TypeError
        If the estimator does not end in a detector, or if y mixes types.
    ValueError
        If labels are missing, or if y contains no class of the classifier. The latter happens if y in
        {-1, +1} is passed by mistake.
    """
    detector, rows = _detector_and_rows(estimator, X)
    y = _class_labels(y, X, detector)
    return float(np.mean(detector.correct(rows).corrected == y))


def defense_report(detector: Any, X: ArrayLike, y: ArrayLike, attacked: Mapping[str, ArrayLike]) -> pd.DataFrame:
    """Tabulate how the defense works on clean and on attacked rows.

    Parameters
    ----------
    detector : AdversarialAEDetector, Pipeline that ends in one, or CorrectedClassifier
        The fitted estimator.
    X : array-like of shape (n_samples, ...)
        Clean rows on which neither the classifier nor the detector was trained.
    y : array-like of shape (n_samples,)
        Class labels.
    attacked : mapping of str to array-like, each with the same shape as X
        Maps the name of an attack to the attacked rows, in the same order as X.

    Returns
    -------
    report : pandas.DataFrame
        One row for "clean" and one for each attack, with these columns, of which the first five are named as in
        the frame of a `skaae.robustness.RobustnessReport`:

        - accuracy: accuracy of the corrected predictions;
        - accuracy_without_defense: accuracy of M(x);
        - flagged: share of the rows that are flagged;
        - undetected: share of the rows whose corrected prediction is wrong and that are not flagged;
        - recall_worst_class: the smallest recall of a class by the corrected predictions;
        - accuracy_reconstructed: accuracy of M(x') on all rows;
        - label_changed: share of the rows whose label the attack changed;
        - detection_auc: area under the ROC curve of the scores of these rows against the clean rows;
        - detection_rate: share of these rows that are flagged.

        detection_auc and detection_rate are NaN if the attack changed no label.

    Raises
    ------
    ValueError
        If attacked rows do not have the shape of X, if labels are missing, or if y contains no class
        of the classifier.
    TypeError
        If the estimator does not end in a detector, or if y mixes types.
    ImportError
        If pandas is not installed.

    See Also
    --------
    skaae.robustness.evaluate_robustness : Makes the attacks too.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skaae import AdversarialAEDetector
    >>> from skaae.metrics import defense_report
    >>> X, y = load_iris(return_X_y=True)
    >>> detector = AdversarialAEDetector(LogisticRegression(max_iter=1000).fit(X, y), epochs=2, random_state=0)
    >>> report = defense_report(detector.fit(X), X, y, attacked={"shifted": X + 2})
    >>> list(report.index)
    ['clean', 'shifted']
    """
    frame = import_extra("pandas", "pandas").DataFrame
    y = _class_labels(y, X, _detector_and_rows(detector, X)[0])
    inputs = {"clean": X, **_checked_attacks(X, attacked)}
    corrections = {name: _correct(detector, rows) for name, rows in inputs.items()}
    lines = {name: _report_row(correction, corrections["clean"], y) for name, correction in corrections.items()}
    return frame.from_dict(lines, orient="index").rename_axis("attack")


def _report_row(attacked: Any, clean: Any, y: np.ndarray) -> dict[str, float]:
    changed, right = attacked.no_defense != clean.no_defense, attacked.corrected == y
    return {
        "accuracy": np.mean(right),
        "accuracy_without_defense": np.mean(attacked.no_defense == y),
        "flagged": np.mean(attacked.is_adversarial),
        "undetected": np.mean(~right & ~attacked.is_adversarial),
        "recall_worst_class": min(np.mean(right[y == label]) for label in np.unique(y)),
        "accuracy_reconstructed": np.mean(attacked.defense == y),
        "label_changed": np.mean(changed),
        "detection_auc": _auc(clean.instance_score, attacked.instance_score[changed]),
        "detection_rate": np.mean(attacked.is_adversarial[changed]) if changed.any() else np.nan,
    }


def _auc(normal: np.ndarray, adversarial: np.ndarray) -> float:
    if not len(adversarial):
        return np.nan
    is_adversarial = np.repeat([False, True], [len(normal), len(adversarial)])
    return roc_auc_score(is_adversarial, np.concatenate([normal, adversarial]))


def _correct(estimator: Any, X: ArrayLike) -> Any:
    detector, rows = _detector_and_rows(estimator, X)
    return detector.correct(rows)


def _detector_and_rows(estimator: Any, X: ArrayLike) -> tuple[AdversarialAEDetector, ArrayLike]:
    """Return the detector inside a search, Pipeline or CorrectedClassifier, and X as the detector receives it."""
    if isinstance(estimator, AdversarialAEDetector):
        return estimator, X
    if isinstance(estimator, CorrectedClassifier):
        return estimator.detector_, X
    if isinstance(estimator, Pipeline):
        return _detector_and_rows(estimator[-1], transformed(estimator, X))
    if hasattr(estimator, "best_estimator_"):
        return _detector_and_rows(estimator.best_estimator_, X)
    raise TypeError(
        f"The estimator must be an AdversarialAEDetector, a CorrectedClassifier, or a Pipeline that ends in one of "
        f"them, got {type(estimator).__name__}."
    )


def _labels_and_scores(estimator: Any, X: ArrayLike, y: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Return whether each row is adversarial, and its score, which is high for adversarial rows."""
    if not hasattr(estimator, "score_samples"):
        raise TypeError(f"estimator must be an outlier detector with score_samples, got {type(estimator).__name__}.")
    is_adversarial = _is_adversarial(y)
    scores = -np.asarray(estimator.score_samples(X))
    if np.isnan(scores).any():
        raise ValueError("estimator.score_samples(X) must return numbers, but it returned NaN for some rows.")
    # scikit-learn refuses infinite scores. The largest float has the same rank.
    return is_adversarial, np.clip(scores, -LARGEST, LARGEST)


def _is_adversarial(y: ArrayLike) -> np.ndarray:
    check_labels(y)
    labels: np.ndarray = column_or_1d(y)
    unique_labels = np.unique(labels).tolist()
    if unique_labels != [-1, 1]:
        raise ValueError(
            f"y must contain both -1 for adversarial and +1 for normal rows, as returned by predict, got the labels "
            f"{unique_labels}. If y is 0 for normal and 1 for adversarial rows, pass 1 - 2 * y."
        )
    return labels == -1


def _class_labels(y: ArrayLike, X: ArrayLike, detector: AdversarialAEDetector) -> np.ndarray:
    check_is_fitted(detector)
    check_labels(y)
    labels: np.ndarray = column_or_1d(y)
    check_consistent_length(X, labels)
    if not np.isin(labels, detector.classes_).any():
        raise ValueError(
            f"y must contain class labels of the classifier, which are {detector.classes_.tolist()}, but it contains "
            f"only {np.unique(labels)[:10].tolist()}."
        )
    return labels


def _checked_attacks(X: ArrayLike, attacked: Mapping[str, ArrayLike]) -> Mapping[str, ArrayLike]:
    if not isinstance(attacked, Mapping) or "clean" in attacked:
        raise ValueError("attacked must be a dict from names of attacks, other than 'clean', to attacked rows.")
    for name, rows in attacked.items():
        if _shape(rows) != _shape(X):
            raise ValueError(f"attacked[{name!r}] has shape {_shape(rows)}, but X has shape {_shape(X)}.")
    return attacked


def _shape(rows: Any) -> tuple[int, ...] | str:
    try:
        return np.shape(rows)
    except ValueError:
        return "ragged"
