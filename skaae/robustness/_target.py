"""What is attacked and how its answers are judged: a detector, alone or in another estimator, or a bare classifier."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from sklearn.utils.validation import check_is_fitted

from skaae._attack_target import attack_target
from skaae._classifiers.adapters import Classifier, PredictProbaClassifier, as_frozen_classifier
from skaae._classifiers.encoding import encoded
from skaae._classifiers.kinds import check_categories
from skaae._classifiers.label_rules import LabelRule, MostProbable, label_rule_of, positions_of_labels
from skaae._classifiers.unwrapping import all_steps_of, allows_missing, unfrozen, unwrapped
from skaae._classifiers.wrappers import has_keras_model
from skaae._corrected import CorrectedClassifier
from skaae._data.input import read_samples
from skaae._data.samples import check_frame
from skaae._detector import AdversarialAEDetector
from skaae._divergence import log_probabilities
from skaae._frozen_keras_model import FrozenKerasModel
from skaae._keras.devices import run_deterministically
from skaae._keras.logits import class_logits
from skaae._keras.models import call_frozen
from skaae._keras.sample_kinds import are_images
from skaae._keras.seeds import temporary_seed
from skaae._training.domain import find_domain
from skaae._training.surrogate import build_surrogate, distill

Network = Callable[[tf.Tensor], tf.Tensor]
Steps = Callable[[Any], Any]


@dataclass(frozen=True, eq=False)
class Verdict:
    """The answers for some rows.

    Parameters
    ----------
    predicted : ndarray of shape (n_samples,)
        The final answers: corrected labels where there is a defense.
    flagged : ndarray of shape (n_samples,), bool
        Whether the defense raised an alarm.
    undefended : ndarray of shape (n_samples,)
        The labels of the classifier alone.
    """

    predicted: np.ndarray
    flagged: np.ndarray
    undefended: np.ndarray


@dataclass(frozen=True, eq=False)
class Target:
    """What is attacked.

    Parameters
    ----------
    name : str
        The kind of estimator, for the report.
    classes : ndarray of shape (n_classes,)
    judge : callable
        Takes rows of the user and returns a `Verdict`.
    probabilities : dict of {str: callable}
        From rows of the user to probabilities: of the "classifier", and "corrected".
    networks : dict of {str: callable}
        From encoded rows to logits: of the "classifier", through the "defense", and "corrected".
    encode : callable or None
        From rows of the user to those of the networks. None: these are the same.
    own_gradient : bool
        Whether the networks contain the classifier itself rather than a surrogate.
    images : bool
        Whether samples are images.
    detector : AdversarialAEDetector or None
    has_prefix : bool
        Whether transformers stand before the detector.
    frozen : FrozenKerasModel or PredictProbaClassifier
        The classifier of encoded rows.
    log_weights : float or ndarray of shape (n_classes,)
        What the label rule of the classifier subtracts from log-probabilities.
    """

    name: str
    classes: np.ndarray
    judge: Callable[[Any], Verdict]
    probabilities: Mapping[str, Callable[[Any], np.ndarray]]
    networks: Mapping[str, Network]
    encode: Callable[[Any], np.ndarray] | None
    own_gradient: bool
    images: bool
    detector: AdversarialAEDetector | None = None
    has_prefix: bool = False
    frozen: Classifier | None = None
    log_weights: float | np.ndarray = 0.0

    def with_surrogate_of(self, X: Any, seed: int) -> Target:
        """The same with a surrogate that depends on the classifier and X only, not on the defense around it."""
        if not isinstance(self.frozen, PredictProbaClassifier):
            return self
        rows = np.asarray(X if self.encode is None else self.encode(X), dtype=np.float64)
        network = _network_of(_surrogate_of(self.frozen, rows, seed), MostProbable())
        return replace(self, networks={**self.networks, "classifier": network})


def read_rows(X: Any, estimator: Any) -> Any:
    """X as a DataFrame, or as an array of numbers, in which values may be missing if the classifier takes that.

    Raises
    ------
    ValueError, TypeError
        If X is no table, or has NaN that the classifier does not take.
    """
    check_frame(X)
    if hasattr(X, "columns"):
        return X
    if not isinstance(X, np.ndarray) or X.dtype.kind != "f" or not np.isnan(X).any():
        return read_samples(X)
    if not _takes_missing(estimator):
        raise ValueError(f"X contains NaN, but {type(unfrozen(estimator)).__name__} takes no missing values.")
    return X


def _takes_missing(estimator: Any) -> bool:
    first = all_steps_of(without_searches(estimator))[0]
    if isinstance(first, CorrectedClassifier):
        check_is_fitted(first)
        return allows_missing(first.detector_.classifier)
    return allows_missing(first.classifier if isinstance(first, AdversarialAEDetector) else first)


def without_searches(estimator: Any) -> Any:
    """The estimator that searches around it have found, out of FrozenEstimators."""
    estimator = unfrozen(estimator)
    while hasattr(estimator, "best_estimator_"):
        estimator = unfrozen(estimator.best_estimator_)
    return estimator


def target_of(estimator: Any, X: Any, seed: int = 0) -> Target:
    """Find what is attacked in an estimator.

    Parameters
    ----------
    estimator : AdversarialAEDetector, CorrectedClassifier, Pipeline or classifier
        Fitted.
    X : DataFrame or ndarray of shape (n_samples, ...)
        Rows of the user.
    seed : int, default=0
        Of the surrogate that a bare classifier without a gradient gets.

    Returns
    -------
    target : Target

    Raises
    ------
    ValueError, TypeError
        If it is of another kind, such as a regressor.
    NotFittedError
        If it is not fitted.
    """
    estimator = without_searches(estimator)
    steps = all_steps_of(estimator)
    places = [n for n, step in enumerate(steps) if isinstance(step, AdversarialAEDetector | CorrectedClassifier)]
    if not places:
        return _bare_target(estimator, X, seed)
    place = places[-1]
    check_is_fitted(steps[place])
    holder = steps[place]
    detector = holder.detector_ if isinstance(holder, CorrectedClassifier) else holder
    check_is_fitted(detector)
    name = " in ".join(dict.fromkeys([type(holder).__name__, type(estimator).__name__]))
    is_encoded = place > 0 or detector._encoding is not None or hasattr(X, "columns")
    return _defended_target(name, estimator, detector, steps[:place], steps[place + 1 :], is_encoded)


def _through(steps: list[Any]) -> Steps:
    def transform(X: Any) -> Any:
        for step in steps:
            X = step.transform(X)
        return X

    return transform


def _defended_target(
    name: str, estimator: Any, detector: AdversarialAEDetector, before: list[Any], after: list[Any], is_encoded: bool
) -> Target:
    prefix = _through(before)
    judge: Callable[[Any], Verdict] = _judge_of_detector(detector, prefix)
    probabilities: dict[str, Callable[[Any], np.ndarray]] = {
        "classifier": lambda X: detector._results(detector._checked(prefix(X)), "probabilities")["probabilities"],
        "corrected": lambda X: detector._corrected_probabilities(prefix(X)),
    }
    if after:
        judge = _judge_of_pipeline(estimator, detector, prefix, after)
        if hasattr(estimator, "predict_proba"):
            probabilities["corrected"] = estimator.predict_proba
    networks: dict[str, Network] = {
        "classifier": attack_target(detector, "classifier"),
        "defense": attack_target(detector, "defense"),
        "corrected": corrected_network(detector),
    }
    return Target(
        name,
        detector.classes_,
        judge,
        probabilities,
        networks,
        (lambda X: detector.encode(prefix(X))) if is_encoded else None,
        own_gradient=detector.surrogate_ is None,
        images=detector._defense.images or len(detector._defense.sample_shape) == 3,
        detector=detector,
        has_prefix=bool(before),
        frozen=detector.classifier_,
        log_weights=detector._defense.label_rule.log_weights(),
    )


def _judge_of_detector(detector: AdversarialAEDetector, prefix: Steps) -> Callable[[Any], Verdict]:
    def judge(X: Any) -> Verdict:
        found = detector.correct(prefix(X))
        return Verdict(found.corrected, found.is_adversarial, found.no_defense)

    return judge


def _judge_of_pipeline(
    pipeline: Any, detector: AdversarialAEDetector, prefix: Steps, after: list[Any]
) -> Callable[[Any], Verdict]:
    """Of a Pipeline in which the detector repairs the rows for the classifier behind it."""
    middle, last = _through(after[:-1]), after[-1]

    def judge(X: Any) -> Verdict:
        rows = prefix(X)
        return Verdict(pipeline.predict(X), detector.predict(rows) == -1, np.ravel(last.predict(middle(rows))))

    return judge


def corrected_network(detector: AdversarialAEDetector) -> Network:
    """The logarithms of the corrected probabilities, with the gradient of the branch that the decision takes."""
    defense, thresholds = detector._defense, tf.constant(detector.class_thresholds_, tf.float64)
    repair_thresholds = tf.constant(detector.repair_thresholds_, tf.float64)
    weights = defense.label_rule.log_weights()

    def logits(x: tf.Tensor) -> tf.Tensor:
        x = tf.cast(x, tf.float32)
        terms, repaired_terms = defense.heads(x), defense.heads(defense.reconstruct(x))
        plain, repaired = (log_probabilities(values[0]) - weights for values in (terms, repaired_terms))
        labels = tf.argmax(plain, axis=1), tf.argmax(repaired, axis=1)
        score = defense.score.ranked(terms, repaired_terms, labels, weights)
        is_allowed = (labels[0] == labels[1]) | (score > tf.gather(repair_thresholds, labels[1]))
        is_repaired = (score > tf.gather(thresholds, labels[0])) & is_allowed
        return tf.cast(tf.where(is_repaired[:, None], repaired, plain), tf.float32)

    return tf.function(logits, autograph=False, reduce_retracing=True)


def _bare_target(classifier: Any, X: Any, seed: int) -> Target:
    """Of a classifier without a defense, which gets the attacks on itself."""
    encoding, inner = encoded(classifier, X)
    if encoding is None:
        check_categories(classifier, X)
        rows = np.asarray(X) if hasattr(X, "columns") else X
        rows = read_samples(rows)
    else:
        rows = encoding.encode(X)
    frozen = as_frozen_classifier(inner, rows)
    frozen.check_samples(rows.shape[1:])
    rule = label_rule_of(inner, frozen, rows)
    encode = (lambda X: encoding.encode(X)) if encoding is not None else None
    predict, probabilities = _functions_of(classifier, frozen, rule, encode)

    def judge(X: Any) -> Verdict:
        labels = predict(X)
        return Verdict(labels, np.zeros(len(labels), bool), labels)

    own = not isinstance(frozen, PredictProbaClassifier)
    network = OnDemand(lambda: _network_of(frozen if own else _surrogate_of(frozen, rows, seed), rule))
    return Target(
        type(unwrapped(classifier)).__name__,
        frozen.classes_,
        judge,
        {"classifier": probabilities},
        network,
        encode if encode is not None else (np.asarray if hasattr(X, "columns") else None),
        own_gradient=own,
        images=rows.ndim > 2 and are_images(getattr(frozen, "model", None), rows.shape[1:]),
        frozen=frozen,
        log_weights=rule.log_weights(),
    )


class OnDemand(dict[str, Network]):
    """The network of the "classifier", made when it is asked for: a surrogate takes a while to distill."""

    def __init__(self, make: Callable[[], Network]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, name: str) -> Network:
        if name != "classifier":
            raise KeyError(name)
        self[name] = self._make()
        return self[name]


def _functions_of(
    classifier: Any, frozen: Classifier, rule: LabelRule, encode: Callable[[Any], np.ndarray] | None
) -> tuple[Callable[[Any], np.ndarray], Callable[[Any], np.ndarray]]:
    """`predict` and `predict_proba` of what the user has, which for Keras are those of its frozen model."""
    plain = unfrozen(classifier)
    if not (has_keras_model(unwrapped(plain)) or isinstance(unwrapped(plain), keras.Model | FrozenKerasModel)):
        return lambda X: np.ravel(plain.predict(X)), lambda X: np.asarray(plain.predict_proba(X), dtype=np.float64)
    rows = encode or np.asarray

    def predict(X: Any) -> np.ndarray:
        return np.asarray(frozen.classes_[positions_of_labels(frozen, rule, rows(X))])

    return predict, lambda X: frozen.predict_proba(rows(X))


def _network_of(frozen: FrozenKerasModel, rule: LabelRule) -> Network:
    weights = np.asarray(rule.log_weights())

    def logits(x: tf.Tensor) -> tf.Tensor:
        found = class_logits(call_frozen(frozen.model, tf.cast(x, tf.float32)), frozen.from_logits)
        return tf.cast(log_probabilities(found) - weights, tf.float32)

    return tf.function(logits, autograph=False, reduce_retracing=True)


def _surrogate_of(classifier: PredictProbaClassifier, X: np.ndarray, seed: int) -> FrozenKerasModel:
    """A network distilled from the probabilities for X, which is all that an attacker without a gradient has."""
    with temporary_seed(seed):
        surrogate = build_surrogate(None, X, classifier.classes_)
        arguments = surrogate, classifier, X, seed, find_domain(classifier, X, seed, ())
        run_deterministically(partial(distill, *arguments), surrogate.model)
    return surrogate
