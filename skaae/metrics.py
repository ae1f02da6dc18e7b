"""How well a defense does: scorers for model selection, and a report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.metrics import roc_auc_score, roc_curve
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_consistent_length, check_is_fitted, column_or_1d

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
    """Area under the ROC curve of adversarial against normal rows; a scorer for ``scoring=``.

    Parameters
    ----------
    estimator : AdversarialAEDetector, Pipeline or other outlier detector with ``score_samples``
        Fitted.
    X : array-like of shape (n_samples, ...)
        Normal and adversarial rows.
    y : array-like of shape (n_samples,)
        -1 for an adversarial row, +1 for a normal one, as `predict` returns.

    Returns
    -------
    auc : float
        In [0, 1]; 1 if every adversarial row scores above every normal one.

    Raises
    ------
    ValueError
        If y has other labels than -1 and +1, or only one of them: ``scoring="roc_auc"`` would be
        inverted without a word for 0 and 1.

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
    """Share of the adversarial rows that score above all but a given share of the normal ones.

    A scorer for ``scoring=``: call it with a fitted estimator, X, and y in {-1, +1}. The estimator's
    own threshold plays no part.

    Parameters
    ----------
    false_alarm_rate : float, default=0.05
        Share of the normal rows that may be flagged, in [0, 1].

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
        """Score a fitted estimator; the arguments are those of `detection_auc`."""
        false_alarms, found, _ = roc_curve(*_labels_and_scores(estimator, X, y), drop_intermediate=False)
        return float(found[false_alarms <= self.false_alarm_rate].max())


def corrected_accuracy(estimator: Any, X: ArrayLike, y: ArrayLike) -> float:
    """Accuracy of the corrected predictions; a scorer for ``scoring=``.

    Parameters
    ----------
    estimator : AdversarialAEDetector, Pipeline that ends in one, or CorrectedClassifier
        Fitted.
    X : array-like of shape (n_samples, ...)
    y : array-like of shape (n_samples,)
        Class labels.

    Returns
    -------
    accuracy : float

    Raises
    ------
    TypeError
        If there is no detector at the end of the estimator, or y mixes types.
    ValueError
        If labels are missing, or none is known to the classifier, as with y in {-1, +1} by mistake.
    """
    detector, rows = _detector_and_rows(estimator, X)
    y = _class_labels(y, X, detector)
    return float(np.mean(detector.correct(rows).corrected == y))


def defense_report(detector: Any, X: ArrayLike, y: ArrayLike, attacked: Mapping[str, ArrayLike]) -> pd.DataFrame:
    """Tabulate what the defense does to clean and to attacked rows.

    Parameters
    ----------
    detector : AdversarialAEDetector, Pipeline that ends in one, or CorrectedClassifier
        Fitted.
    X : array-like of shape (n_samples, ...)
        Clean rows that nothing has been trained on.
    y : array-like of shape (n_samples,)
        Class labels.
    attacked : mapping of str to array-like of the shape of X
        Name of an attack -> the rows of X, attacked, in the same order.

    Returns
    -------
    report : pandas.DataFrame
        A row for "clean" and for each attack, with the columns

        - accuracy_without_defense, accuracy_corrected, accuracy_reconstructed: accuracy of M(x), of
          the corrected predictions, and of M(x') for every row;
        - label_changed: share of the rows whose label the attack changed;
        - detection_auc: area under the ROC curve of the scores of these rows against the clean ones;
        - detection_rate: share of these rows that is flagged;
        - false_alarms: share of the clean rows that is flagged.

        NaN where no label has changed.

    Raises
    ------
    ValueError
        If attacked rows have another shape than X, labels are missing, or y holds none of the classifier.
    TypeError
        If there is no detector at the end of the estimator, or y mixes types.
    ImportError
        If pandas is not installed.

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
    found = {name: _correct(detector, rows) for name, rows in {"clean": X, **_checked_attacks(X, attacked)}.items()}
    rows = {name: _report_row(results, found["clean"], y) for name, results in found.items()}
    return frame.from_dict(rows, orient="index")


def _report_row(attacked: Any, clean: Any, y: np.ndarray) -> dict[str, float]:
    changed = attacked.no_defense != clean.no_defense
    return {
        "accuracy_without_defense": np.mean(attacked.no_defense == y),
        "accuracy_corrected": np.mean(attacked.corrected == y),
        "accuracy_reconstructed": np.mean(attacked.defense == y),
        "label_changed": np.mean(changed),
        "detection_auc": _auc(clean.instance_score, attacked.instance_score[changed]),
        "detection_rate": np.mean(attacked.is_adversarial[changed]) if changed.any() else np.nan,
        "false_alarms": np.mean(clean.is_adversarial),
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
    """The detector at the end of a search, a Pipeline or a CorrectedClassifier, and X as it receives it."""
    if isinstance(estimator, AdversarialAEDetector):
        return estimator, X
    if isinstance(estimator, CorrectedClassifier):
        return estimator.detector_, X
    if isinstance(estimator, Pipeline):
        rows = estimator[:-1].transform(X) if len(estimator) > 1 else X
        return _detector_and_rows(estimator[-1], rows)
    if hasattr(estimator, "best_estimator_"):
        return _detector_and_rows(estimator.best_estimator_, X)
    raise TypeError(
        f"detector must be an AdversarialAEDetector, a CorrectedClassifier, or a Pipeline that ends in one of them, "
        f"got {type(estimator).__name__}."
    )


def _labels_and_scores(estimator: Any, X: ArrayLike, y: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Whether each row is adversarial, and its score, high = adversarial."""
    if not hasattr(estimator, "score_samples"):
        raise TypeError(f"estimator must be an outlier detector with score_samples, got {type(estimator).__name__}.")
    is_adversarial = _is_adversarial(y)
    scores = -np.asarray(estimator.score_samples(X))
    if np.isnan(scores).any():
        raise ValueError("estimator.score_samples(X) returned NaN: numbers are wanted.")
    # An infinite score is the highest, which scikit-learn does not take.
    return is_adversarial, np.clip(scores, -LARGEST, LARGEST)


def _is_adversarial(y: ArrayLike) -> np.ndarray:
    check_labels(y)
    found: np.ndarray = column_or_1d(y)
    labels = np.unique(found).tolist()
    if labels != [-1, 1]:
        raise ValueError(
            f"y has the labels {labels}, but both -1 for adversarial and +1 for normal rows are wanted, as predict "
            f"returns. From 0 for normal and 1 for adversarial: 1 - 2 * y."
        )
    return found == -1


def _class_labels(y: ArrayLike, X: ArrayLike, detector: AdversarialAEDetector) -> np.ndarray:
    check_is_fitted(detector)
    check_labels(y)
    labels: np.ndarray = column_or_1d(y)
    check_consistent_length(X, labels)
    if not np.isin(labels, detector.classes_).any():
        raise ValueError(
            f"y has the labels {np.unique(labels)[:10].tolist()}, of which the classifier knows none: class labels are "
            f"wanted, of {detector.classes_.tolist()}."
        )
    return labels


def _checked_attacks(X: ArrayLike, attacked: Mapping[str, ArrayLike]) -> Mapping[str, ArrayLike]:
    if not isinstance(attacked, Mapping) or "clean" in attacked:
        raise ValueError("attacked must be a dict of attacked rows by the name of the attack, other than 'clean'.")
    for name, rows in attacked.items():
        if _shape(rows) != _shape(X):
            raise ValueError(f"attacked[{name!r}] has shape {_shape(rows)}, the shape of X is wanted: {_shape(X)}.")
    return attacked


def _shape(rows: Any) -> tuple[int, ...] | str:
    try:
        return np.shape(rows)
    except ValueError:
        return "ragged"
