"""What M says: the rule by which its `predict` chooses a label, which need not be that of the most probable class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from scipy.special import expit, softmax
from sklearn.model_selection import FixedThresholdClassifier, TunedThresholdClassifierCV
from sklearn.svm import SVC, NuSVC

from skaae._classifiers.adapters import Classifier, ConvertedClassifier, PredictProbaClassifier
from skaae._classifiers.unwrapping import decision_threshold_classifier, last_step_of
from skaae._data.rows import Rows, RowSubset
from skaae._frozen_keras_model import FrozenKerasModel

# So many rows show whether `predict` of a classifier returns the most probable class.
ROWS_TO_COMPARE = 2000
# Of a memory map that is larger than memory.
ROWS_AT_ONCE = 2**16
# Thresholds of 0 and 1 have no logarithm.
SMALLEST = 1e-9


@dataclass(frozen=True)
class MostProbable:
    """The label of the most probable class, of equally probable ones the first.

    Examples
    --------
    >>> import numpy as np
    >>> from skaae._classifiers.label_rules import MostProbable
    >>> MostProbable().of_probabilities(np.array([[0.2, 0.8]])).tolist()
    [1]
    """

    def log_weights(self) -> float | np.ndarray:
        """What to subtract from the logits, so that the label is that of the largest."""
        return 0.0

    def of_tensor(self, probabilities: tf.Tensor) -> tf.Tensor:
        """Positions of the labels in ``classes_``, in a graph."""
        return tf.argmax(probabilities, axis=1)

    def of_logits(self, logits: tf.Tensor) -> tf.Tensor:
        """Positions of the labels in ``classes_``, in a graph."""
        return tf.argmax(logits, axis=1)

    def of_probabilities(self, probabilities: np.ndarray, X: Rows | None = None) -> np.ndarray:
        """Positions of the labels in ``classes_``."""
        return probabilities.argmax(axis=1)


@dataclass(frozen=True)
class DecisionThreshold(MostProbable):
    """The positive one of two labels if its probability is at least a threshold.

    Parameters
    ----------
    threshold : float
    positive : int, default=1
        Position of the positive label in ``classes_``.

    Examples
    --------
    >>> import numpy as np
    >>> from skaae._classifiers.label_rules import DecisionThreshold
    >>> DecisionThreshold(0.1).of_probabilities(np.array([[0.9, 0.1], [0.95, 0.05]])).tolist()
    [1, 0]
    """

    threshold: float
    positive: int = 1

    def log_weights(self) -> np.ndarray:
        share = np.clip(self.threshold, SMALLEST, 1 - SMALLEST)
        return np.log([1 - share, share] if self.positive == 1 else [share, 1 - share])

    def of_tensor(self, probabilities: tf.Tensor) -> tf.Tensor:
        is_positive = probabilities[:, self.positive] >= tf.constant(self.threshold, probabilities.dtype)
        return tf.where(is_positive, np.int64(self.positive), np.int64(1 - self.positive))

    def of_logits(self, logits: tf.Tensor) -> tf.Tensor:
        return self.of_tensor(tf.nn.softmax(tf.cast(logits, tf.float64)))

    def of_probabilities(self, probabilities: np.ndarray, X: Rows | None = None) -> np.ndarray:
        is_positive = probabilities[:, self.positive] >= self.threshold
        return np.where(is_positive, self.positive, 1 - self.positive)


@dataclass(frozen=True, eq=False)
class OwnPredict(MostProbable):
    """The label that `predict` of the classifier returns, which is called for it.

    Parameters
    ----------
    classifier : PredictProbaClassifier
    """

    classifier: PredictProbaClassifier

    def of_tensor(self, probabilities: tf.Tensor) -> tf.Tensor:
        name = type(self.classifier.estimator).__name__
        raise TypeError(
            f"classifier={name} cannot be part of a graph, because its predict is not that of the most probable class. "
            f"Wrap it in sklearn.calibration.CalibratedClassifierCV or FixedThresholdClassifier."
        )

    def of_probabilities(self, probabilities: np.ndarray, X: Rows | None = None) -> np.ndarray:
        # Rows that the classifier refuses have no probabilities either.
        taken = np.flatnonzero(np.isfinite(probabilities).all(axis=1))
        positions = np.zeros(len(probabilities), int)
        if len(taken) and X is not None:
            positions[taken] = self.classifier.predict_positions(X[taken])
        return positions


LabelRule = MostProbable  # or one of its subclasses


def label_rule_of(classifier: Any, frozen: Classifier, X: Rows) -> LabelRule:
    """Find the rule by which a classifier chooses its labels.

    Parameters
    ----------
    classifier : object
        The classifier as the user passed it.
    frozen : FrozenKerasModel or PredictProbaClassifier
        Its probabilities.
    X : ndarray of shape (n_samples, ...)
        Rows that show whether `predict` returns the most probable class.

    Returns
    -------
    rule : LabelRule
    """
    thresholded = decision_threshold_classifier(classifier)
    if thresholded is not None:
        return _rule_of_threshold(thresholded, classifier, frozen)
    if not isinstance(frozen, PredictProbaClassifier) or isinstance(frozen.estimator, FrozenKerasModel):
        return MostProbable()
    return _rule_of_predict(frozen, X[:ROWS_TO_COMPARE])


def positions_of_labels(classifier: Classifier, rule: LabelRule, X: Rows) -> np.ndarray:
    """The positions in ``classes_`` of the labels that the classifier predicts.

    Parameters
    ----------
    classifier : FrozenKerasModel or PredictProbaClassifier
    rule : LabelRule
    X : ndarray of shape (n_samples, ...)

    Returns
    -------
    positions : ndarray of shape (n_samples,), int
    """
    rows = X if isinstance(X, RowSubset) else RowSubset(X, np.arange(len(X)))  # gives pages back as they are read
    starts = range(0, len(X), ROWS_AT_ONCE)
    parts = [_positions(classifier, rule, rows[start : start + ROWS_AT_ONCE]).astype(np.int32) for start in starts]
    return np.concatenate(parts)


def _positions(classifier: Classifier, rule: LabelRule, X: np.ndarray) -> np.ndarray:
    if isinstance(classifier, FrozenKerasModel):
        return rule.of_probabilities(softmax(classifier.predict_logits(X), axis=1))
    return rule.of_probabilities(classifier.predict_proba(X), X)


def _rule_of_threshold(
    thresholded: FixedThresholdClassifier | TunedThresholdClassifierCV, classifier: Any, frozen: Classifier
) -> LabelRule:
    """The rule of scikit-learn's classifiers with a decision threshold."""
    by_probability = thresholded.response_method in ("auto", "predict_proba")
    threshold = getattr(thresholded, "best_threshold_", getattr(thresholded, "threshold", "auto"))
    if threshold == "auto":
        threshold = 0.5 if by_probability else 0.0
    if not by_probability and not isinstance(frozen, ConvertedClassifier):
        return OwnPredict(PredictProbaClassifier(classifier))
    positive = _position_of_positive(thresholded, frozen.classes_)
    # The decision function of the linear models that skaae converts is the logit.
    return DecisionThreshold(float(threshold if by_probability else expit(threshold)), positive)


def _position_of_positive(thresholded: Any, classes: np.ndarray) -> int:
    if isinstance(thresholded, TunedThresholdClassifierCV):
        label = thresholded._curve_scorer._get_pos_label()
    else:
        label = thresholded.pos_label
    return 1 if label is None else int(np.flatnonzero(classes == label)[0])


def _rule_of_predict(frozen: PredictProbaClassifier, X: Rows) -> LabelRule:
    """Compare `predict` with the most probable class."""
    if not hasattr(frozen.estimator, "predict"):
        return MostProbable()
    last = last_step_of(frozen.estimator)
    if isinstance(last, SVC | NuSVC):
        # Platt's sigmoid is 0.5 elsewhere than the decision function, by which `predict` goes, is 0. The public
        # attributes warn since scikit-learn 1.9.
        rising = len(last.classes_) == 2 and last._probA[0] < 0
        return DecisionThreshold(float(expit(last._probB[0]))) if rising else OwnPredict(frozen)
    is_equal = (frozen.predict_positions(X) == frozen.predict_proba(X).argmax(axis=1)).all()
    return MostProbable() if is_equal else OwnPredict(frozen)
