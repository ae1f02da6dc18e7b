"""The classifiers and steps inside FrozenEstimators and Pipelines. Only this module takes these apart."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sklearn.base import BaseEstimator
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import FixedThresholdClassifier, TunedThresholdClassifierCV
from sklearn.pipeline import Pipeline
from sklearn.utils import get_tags

from skaae._frozen_keras_model import FrozenKerasModel

THRESHOLD_CLASSIFIERS = (FixedThresholdClassifier, TunedThresholdClassifierCV)


def unfrozen(estimator: Any) -> Any:
    """Take an estimator out of its FrozenEstimator, or of several around each other.

    Examples
    --------
    >>> from sklearn.frozen import FrozenEstimator
    >>> from sklearn.naive_bayes import GaussianNB
    >>> from skaae._classifiers.unwrapping import unfrozen
    >>> unfrozen(FrozenEstimator(FrozenEstimator(GaussianNB())))
    GaussianNB()
    """
    while isinstance(estimator, FrozenEstimator):
        estimator = estimator.estimator
    return estimator


def steps_of(estimator: Any) -> list[Any]:
    """The steps of a Pipeline without FrozenEstimators and steps that do nothing; of any other estimator, itself.

    Parameters
    ----------
    estimator : estimator
        A Pipeline inside the Pipeline is one step. Steps of imbalanced-learn that resample rows are left
        out, because a Pipeline skips them after fit.

    Returns
    -------
    steps : list of estimator
    """
    estimator = unfrozen(estimator)
    if not isinstance(estimator, Pipeline):
        return [estimator]
    steps = [unfrozen(step) for _, step in estimator.steps if step is not None and step != "passthrough"]
    return [step for step in steps if not hasattr(step, "fit_resample")]


def transformed(pipeline: Pipeline, X: Any) -> Any:
    """What the last step of a fitted Pipeline receives for X.

    A slice of an imbalanced-learn Pipeline that ends in a step which resamples rows has no ``transform``.

    Examples
    --------
    >>> from sklearn.naive_bayes import GaussianNB
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import MinMaxScaler
    >>> from skaae._classifiers.unwrapping import transformed
    >>> pipeline = make_pipeline(MinMaxScaler(), GaussianNB()).fit([[0], [2]], [0, 1])
    >>> transformed(pipeline, [[1]])
    array([[0.5]])
    """
    for step in steps_of(pipeline[:-1]):
        X = step.transform(X)
    return X


def all_steps_of(estimator: Any) -> list[Any]:
    """The same steps, with those of inner Pipelines instead of the inner Pipelines.

    Parameters
    ----------
    estimator : estimator

    Returns
    -------
    steps : list of estimator
        None is a Pipeline or a FrozenEstimator.

    Examples
    --------
    >>> from sklearn.frozen import FrozenEstimator
    >>> from sklearn.naive_bayes import GaussianNB
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import MinMaxScaler, StandardScaler
    >>> from skaae._classifiers.unwrapping import all_steps_of
    >>> scalers = FrozenEstimator(make_pipeline(StandardScaler(), "passthrough", MinMaxScaler()))
    >>> all_steps_of(make_pipeline(scalers, FrozenEstimator(GaussianNB())))
    [StandardScaler(), MinMaxScaler(), GaussianNB()]
    """
    steps = steps_of(estimator)
    if not isinstance(unfrozen(estimator), Pipeline):
        return steps
    return [inner for step in steps for inner in all_steps_of(step)]


def last_step_of(estimator: Any) -> Any:
    """The last of `all_steps_of`: the classifier at the end of a Pipeline, or the estimator itself."""
    return all_steps_of(estimator)[-1]


def unwrapped(classifier: Any) -> Any:
    """Take a classifier out of its FrozenEstimators, and out of a Pipeline in which it is the only step.

    Parameters
    ----------
    classifier : object
        Anything that a user may pass as a classifier.

    Returns
    -------
    classifier : object
        Not a FrozenEstimator. A Pipeline only if it has several steps that do something.
    """
    classifier = unfrozen(classifier)
    if not isinstance(classifier, Pipeline):
        return classifier
    steps = all_steps_of(classifier)
    return steps[0] if len(steps) == 1 else classifier


def decision_threshold_classifier(classifier: Any) -> Any:
    """The classifier of scikit-learn with a decision threshold that is this one, or its last step; None without."""
    last = last_step_of(classifier)
    return last if type(last) in THRESHOLD_CLASSIFIERS else None


def without_decision_threshold(classifier: Any) -> Any:
    """The classifier whose probabilities a FixedThresholdClassifier or TunedThresholdClassifierCV compares.

    Parameters
    ----------
    classifier : object
        Anything that a user may pass as a classifier.

    Returns
    -------
    classifier : object
        A Pipeline that ends in such a classifier is returned as one that ends in the classifier inside.

    Examples
    --------
    >>> from sklearn.model_selection import FixedThresholdClassifier
    >>> from sklearn.naive_bayes import GaussianNB
    >>> from skaae._classifiers.unwrapping import without_decision_threshold
    >>> without_decision_threshold(FixedThresholdClassifier(GaussianNB(), threshold=0.1))
    GaussianNB()
    """
    if decision_threshold_classifier(classifier) is None:
        return classifier
    classifier = unfrozen(classifier)
    if isinstance(classifier, Pipeline):
        *steps, (name, last) = classifier.steps
        return Pipeline([*steps, (name, without_decision_threshold(last))])
    return without_decision_threshold(getattr(classifier, "estimator_", classifier.estimator))


def without_search(classifier: Any) -> Any:
    """The Pipeline that a search such as GridSearchCV found, if it is one; else the classifier itself."""
    best = getattr(unfrozen(classifier), "best_estimator_", None)
    return best if isinstance(unfrozen(best), (Pipeline, *THRESHOLD_CLASSIFIERS)) else classifier


def allows_missing(classifier: Any) -> bool:
    """Whether a classifier, or the first step of a Pipeline, says that it takes missing values.

    Examples
    --------
    >>> from sklearn.ensemble import HistGradientBoostingClassifier
    >>> from skaae._classifiers.unwrapping import allows_missing
    >>> allows_missing(HistGradientBoostingClassifier()), allows_missing(None)
    (True, False)
    """
    first = all_steps_of(without_search(without_decision_threshold(classifier)))[0]
    if type(first).__module__.split(".")[0] == "catboost":  # it has no tags
        return True
    if not isinstance(first, BaseEstimator):
        return False
    try:
        return bool(get_tags(first).input_tags.allow_nan)
    except (AttributeError, TypeError):  # scikeras has no tags
        return False


def is_same_classifier(first: Any, second: Any) -> bool:
    """Whether two wrappers hold the same object: a Keras model or a classifier of scikit-learn."""
    return _innermost(first) is _innermost(second)


def _innermost(classifier: Any) -> Any:
    classifier = unwrapped(classifier)
    if isinstance(classifier, FrozenKerasModel):
        return classifier.model
    return getattr(classifier, "model_", classifier)


def inner_estimators(estimator: Any) -> Iterator[Any]:
    """The estimator and, recursively, the estimators inside a Pipeline or a ColumnTransformer, all unfrozen."""
    estimator = unfrozen(estimator)
    yield estimator
    inner = [step for _, step in getattr(estimator, "steps", ())]
    inner += [transformer for _, transformer, _ in getattr(estimator, "transformers", ())]
    for step in inner:
        if not isinstance(step, str) and step is not None:
            yield from inner_estimators(step)
