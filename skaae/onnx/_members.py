"""Classifiers that combine others: Bagging, soft voting, stacking and calibration, each member with its own conversion.

skl2onnx rounds some of them to float32, and does not take rows with text.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import BaggingClassifier, StackingClassifier, VotingClassifier
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model._base import LinearClassifierMixin

from skaae._classifiers.unwrapping import all_steps_of, last_step_of
from skaae.onnx._assembly import Assembly
from skaae.onnx._tensors import Matrix, Rows, side_by_side
from skaae.onnx._transformers import add_transformers
from skaae.onnx._trees import RAW_SCORES, add_raw_scores

# Adds the probabilities of a classifier.
Add = Callable[[Any, Assembly, Rows], str]


def add_members(estimator: Any, assembly: Assembly, rows: Rows, add: Add) -> str | None:
    """Add a classifier that combines others.

    Parameters
    ----------
    estimator : classifier
        Fitted.
    assembly : Assembly
        The graph.
    rows : Columns or Matrix
        The rows that it takes.
    add : callable
        Adds the probabilities of a member: ``add(member, assembly, rows)``.

    Returns
    -------
    probabilities : str or None
        Name of the tensor, float64. None for all other classifiers, and where members vote or have decision functions
        that this module cannot convert.
    """
    if type(estimator) in (BaggingClassifier, VotingClassifier):
        return _add_mean(estimator, assembly, rows, add)
    if type(estimator) is CalibratedClassifierCV:
        return _add_calibrated(estimator, assembly, rows, add)
    return _add_stack(estimator, assembly, rows, add) if type(estimator) is StackingClassifier else None


def _add_mean(estimator: Any, assembly: Assembly, rows: Rows, add: Add) -> str | None:
    """Add the mean of the probabilities of the members; None if these have other classes or no probabilities."""
    members, n_classes = estimator.estimators_, len(estimator.classes_)
    if not all(hasattr(member, "predict_proba") and len(member.classes_) == n_classes for member in members):
        return None
    weights = None if isinstance(estimator, BaggingClassifier) else estimator._weights_not_none
    weights = np.ones(len(members)) if weights is None else np.asarray(weights, np.float64)
    features = getattr(estimator, "estimators_features_", [range(estimator.n_features_in_)] * len(members))
    parts = [
        assembly.node("Mul", add(member, assembly, rows.take(places)), assembly.constant(weight))
        for member, places, weight in zip(members, features, weights, strict=True)
    ]
    return assembly.node("Div", assembly.node("Sum", *parts), assembly.constant(weights.sum()))


def _add_stack(estimator: StackingClassifier, assembly: Assembly, rows: Rows, add: Add) -> str | None:
    members, methods = estimator.estimators_, estimator.stack_method_
    if not all(_has_response(member, method) for member, method in zip(members, methods, strict=True)):
        return None
    is_binary = len(estimator.classes_) == 2
    parts = [
        _add_response(member, method, assembly, rows, add, is_binary)
        for member, method in zip(members, methods, strict=True)
    ]
    if estimator.passthrough:
        parts.append(rows.matrix())
    return add(estimator.final_estimator_, assembly, Matrix(assembly, side_by_side(assembly, parts)))


def _add_calibrated(estimator: CalibratedClassifierCV, assembly: Assembly, rows: Rows, add: Add) -> str | None:
    members = estimator.calibrated_classifiers_
    is_known = all(
        member.method in ("sigmoid", "isotonic") and len(member.estimator.classes_) == len(member.classes)
        for member in members
    )
    if not is_known or not all(_has_response(member.estimator, _method(member.estimator)) for member in members):
        return None
    parts = [_add_calibrated_member(member, assembly, rows, add) for member in members]
    return assembly.node("Div", assembly.node("Sum", *parts), assembly.constant(np.float64(len(parts))))


def _method(estimator: Any) -> str:
    return "decision_function" if hasattr(estimator, "decision_function") else "predict_proba"


def _has_response(estimator: Any, method: str) -> bool:
    last = last_step_of(estimator)
    is_linear = isinstance(last, LinearClassifierMixin) or type(last) in RAW_SCORES
    return method == "predict_proba" or (method == "decision_function" and is_linear)


def _add_response(estimator: Any, method: str, assembly: Assembly, rows: Rows, add: Add, is_binary: bool) -> str:
    """Add a column for each class, or for the second one of two."""
    if method == "predict_proba":
        probabilities = add(estimator, assembly, rows)
        return _column(assembly, probabilities, 1) if is_binary else probabilities
    *transformers, last = all_steps_of(estimator)
    x = add_transformers(transformers, assembly, rows).matrix()
    if type(last) in RAW_SCORES:
        return add_raw_scores(last, assembly, x)
    product = assembly.node("MatMul", x, assembly.constant(np.asarray(last.coef_, dtype=np.float64).T))
    return assembly.node("Add", product, assembly.constant(np.asarray(last.intercept_, dtype=np.float64)[None]))


def _column(assembly: Assembly, x: str, place: int) -> str:
    return assembly.node("Gather", x, assembly.constant(np.array([place])), axis=1)


def _add_calibrated_member(member: Any, assembly: Assembly, rows: Rows, add: Add) -> str:
    is_binary = len(member.classes) == 2
    responses = _add_response(member.estimator, _method(member.estimator), assembly, rows, add, is_binary)
    parts = [
        _calibrate(calibrator, assembly, responses if is_binary else _column(assembly, responses, place))
        for place, calibrator in enumerate(member.calibrators)
    ]
    one = assembly.constant(np.float64(1))
    if is_binary:
        return _at_most_one(assembly, side_by_side(assembly, [assembly.node("Sub", one, parts[0]), parts[0]]))
    calibrated = side_by_side(assembly, parts)
    total = assembly.node("ReduceSum", calibrated, assembly.constant(np.array([1])), keepdims=1)
    is_zero = assembly.node("Equal", total, assembly.constant(np.float64(0)))
    shares = assembly.node("Div", calibrated, assembly.node("Where", is_zero, one, total))
    uniform = assembly.constant(np.float64(1 / len(parts)))
    return _at_most_one(assembly, assembly.node("Where", is_zero, uniform, shares))


def _at_most_one(assembly: Assembly, probabilities: str) -> str:
    return assembly.node("Min", probabilities, assembly.constant(np.float64(1)))


def _calibrate(calibrator: Any, assembly: Assembly, x: str) -> str:
    if isinstance(calibrator, IsotonicRegression):
        return _interpolate(calibrator.X_thresholds_, calibrator.y_thresholds_, assembly, x)
    scaled = assembly.node("Mul", x, assembly.constant(np.float64(-calibrator.a_)))
    return assembly.node("Sigmoid", assembly.node("Sub", scaled, assembly.constant(np.float64(calibrator.b_))))


def _interpolate(places: Sequence[float], values: Sequence[float], assembly: Assembly, x: str) -> str:
    """Add piecewise linear interpolation between given places, and constants beyond them."""
    X, y = np.asarray(places, dtype=np.float64), np.asarray(values, dtype=np.float64)
    if len(X) == 1:
        return assembly.node("Add", assembly.node("Mul", x, assembly.constant(np.float64(0))), assembly.constant(y))
    x = assembly.node("Max", assembly.node("Min", x, assembly.constant(X[-1])), assembly.constant(X[0]))
    is_above = assembly.cast(assembly.node("Less", assembly.constant(X[1:-1][None]), x), np.float64)
    counted = assembly.node("ReduceSum", is_above, assembly.constant(np.array([1])), keepdims=1)
    interval = assembly.cast(counted, np.int64)
    left, start, slope = (
        assembly.node("Gather", assembly.constant(table), interval, axis=0)
        for table in (X[:-1], y[:-1], np.diff(y) / np.diff(X))
    )
    return assembly.node("Add", assembly.node("Mul", slope, assembly.node("Sub", x, left)), start)
