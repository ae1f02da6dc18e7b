"""Which kinds of classifiers can be defended, with errors that say what to pass instead."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
from sklearn.base import is_regressor
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.exceptions import NotFittedError
from sklearn.preprocessing import KBinsDiscretizer, OneHotEncoder, OrdinalEncoder, TargetEncoder
from sklearn.utils.validation import check_is_fitted

from skaae._classifiers.unwrapping import inner_estimators, last_step_of, unwrapped
from skaae._keras.models import check_keras_version

ACCEPTED = (
    "a keras.Model, skaae.FrozenKerasModel, or a fitted classifier with predict_proba, on its own or inside "
    "sklearn.frozen.FrozenEstimator"
)
BOOSTERS = ("catboost", "lightgbm", "xgboost")
ENCODERS = (KBinsDiscretizer, OneHotEncoder, OrdinalEncoder, TargetEncoder)


def check_target_type(classifier: Any) -> None:
    """Raise if a scikeras classifier predicts several labels at once."""
    target = str(getattr(classifier, "target_type_", ""))
    if target.startswith("multilabel") or target.endswith("multioutput"):
        raise ValueError(f"classifier must predict one label per sample, got a classifier for {target} targets.")


def check_kind(classifier: Any, fitted: bool = True) -> None:
    """Raise unless this is an estimator that can be defended.

    Parameters
    ----------
    classifier : object
    fitted : bool, default=True
        Whether it is fitted. The ``predict_proba`` of some estimators appears only with `fit`.

    Raises
    ------
    ValueError, TypeError
        If it is None, a class or a regressor, if it has no ``predict_proba``, or if it encodes categorical columns.
    """
    check_keras_version(classifier, "classifier")
    if classifier is None:
        raise ValueError(f"classifier must be the classifier to defend, {ACCEPTED}, got None.")
    name = type(classifier).__name__
    if isinstance(classifier, type):
        raise TypeError(f"classifier must be a fitted instance, {ACCEPTED}, got the class {classifier.__name__}.")
    if not hasattr(classifier, "fit"):
        raise TypeError(f"classifier must be {ACCEPTED}, got an object of type {name}.")
    if _is_regressor(classifier):
        raise TypeError(f"classifier must be {ACCEPTED}, got the regressor {name}.")
    if not hasattr(classifier, "predict_proba") and getattr(classifier, "refit", True) is False:
        raise TypeError(f"classifier={name} has no best estimator, because it was made with refit=False.")
    if not hasattr(classifier, "predict_proba") and (fitted or not _may_get_probabilities(classifier)):
        raise TypeError(
            f"classifier={name} has no predict_proba. Wrap it in sklearn.calibration.CalibratedClassifierCV."
        )


def check_categories(classifier: Any, X: Any) -> None:
    """Raise a ValueError if a boosting classifier was fitted on categories of pandas, of which X has none.

    Parameters
    ----------
    classifier : object
        Fitted or not.
    X : object
        As the user passed it.
    """
    if reads_categories(classifier):
        raise ValueError(
            f"classifier={type(last_step_of(classifier)).__name__} was fitted on categories of pandas, but X has none. "
            f"Pass X as a DataFrame with the columns and types that the classifier was fitted on."
        )


def reads_categories(classifier: Any) -> bool:
    """Whether a boosting classifier was fitted on columns that are categories of pandas."""
    return any(_categories_of_fit(booster) for booster in _boosters(classifier))


def may_read_categories(classifier: Any) -> bool:
    """Whether there is a boosting classifier inside that reads categories, or one that a fitted ensemble has cloned."""
    return any(_categories_of_fit(booster) is not False for booster in _boosters(classifier))


def _boosters(classifier: Any) -> Iterator[Any]:
    """The estimators of XGBoost, LightGBM, CatBoost and histogram boosting in the classifier."""
    for estimator in inner_estimators(classifier):
        own = isinstance(estimator, HistGradientBoostingClassifier)
        if own or (type(estimator).__module__.split(".")[0] in BOOSTERS and hasattr(estimator, "fit")):
            yield estimator
        else:
            for inner in inner_parameters(estimator):
                yield from _boosters(inner)


def _categories_of_fit(booster: Any) -> bool | None:
    """Whether the booster was fitted on categories; None: it is not fitted, or does not tell."""
    if "c" in (getattr(booster, "feature_types", None) or ()):
        return True
    try:
        check_is_fitted(booster)
    except NotFittedError:
        return None
    if isinstance(booster, HistGradientBoostingClassifier):
        if booster.is_categorical_ is None or not hasattr(booster, "feature_names_in_"):
            return False
        by_dtype = isinstance(booster.categorical_features, str) and booster.categorical_features == "from_dtype"
        return True if by_dtype else None  # columns that are named or marked may be of any type
    if hasattr(booster, "get_booster"):  # XGBoost
        return "c" in (booster.get_booster().feature_types or ())
    if hasattr(booster, "booster_"):  # LightGBM
        return bool(booster.booster_.pandas_categorical)
    return bool(booster.get_cat_feature_indices()) if hasattr(booster, "get_cat_feature_indices") else None


def _may_get_probabilities(classifier: Any) -> bool:
    """Whether an estimator that is not fitted may have ``predict_proba``, or a Keras model, once it is fitted.

    That of a stack or of a search depends on the estimators inside.
    """
    if _is_keras_wrapper(unwrapped(classifier)):
        return True
    classifier = last_step_of(classifier)
    if hasattr(classifier, "predict_proba"):
        return True
    final, inner = getattr(classifier, "final_estimator", None), list(inner_parameters(classifier))
    if final is not None:
        return _may_get_probabilities(final)
    is_meta = bool(inner) and getattr(classifier, "voting", "soft") == "soft" and _has_method(classifier)
    return is_meta and any(_has_method(step) or _is_keras_wrapper(step) for step in map(last_step_of, inner))


def _has_method(classifier: Any) -> bool:
    """Whether the class defines ``predict_proba``, even if the instance does not have it yet."""
    return hasattr(type(classifier), "predict_proba")


def _is_keras_wrapper(classifier: Any) -> bool:
    return isinstance(classifier, keras.wrappers.SKLearnClassifier)


def inner_parameters(classifier: Any) -> Iterator[Any]:
    """The estimators among the parameters, or in lists of ``(name, estimator)``."""
    is_estimator = hasattr(classifier, "get_params") and not isinstance(classifier, type)
    for value in classifier.get_params(deep=False).values() if is_estimator else ():
        items = [item[-1] for item in value if isinstance(item, tuple)] if isinstance(value, list) else [value]
        yield from (item for item in items if hasattr(item, "fit") and not isinstance(item, type))


def _is_regressor(classifier: Any) -> bool:
    # is_regressor needs the tags, which scikeras does not have. Its classifiers are recognized by their `model_`.
    return hasattr(classifier, "__sklearn_tags__") and is_regressor(classifier)


def check_labels(classifier: Any, name: str) -> None:
    """Raise a ValueError unless a fitted estimator predicts one label of at least two for each sample."""
    classes = getattr(classifier, "classes_", None)
    several = isinstance(classes, list) and any(np.ndim(labels) for labels in classes)
    if classes is None or several or getattr(classifier, "multilabel_", False):
        raise ValueError(f"classifier must predict one label per sample, but {name} predicts several.")
    if len(classes) < 2:
        raise ValueError(f"classifier must have at least two classes, but {name} has a single class, {list(classes)}.")
    if getattr(classifier, "out_activation_", "") == "logistic" and classifier.n_outputs_ > 1:
        raise ValueError(f"classifier must predict one label per sample, but {name} was fitted with several.")


def encodes_categories(classifier: Any) -> bool:
    """Whether a ColumnTransformer of the classifier encodes categories: the values of x' = AE(x) would be none."""
    columns = [step for step in inner_estimators(classifier) if isinstance(step, ColumnTransformer)]
    return any(isinstance(inner, ENCODERS) for step in columns for inner in inner_estimators(step))
