"""Convert classifiers other than Keras models, and the steps before the detector in a Pipeline, to ONNX."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.ensemble import BaggingClassifier, VotingClassifier
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import Pipeline

from skaae._classifiers.adapters import PredictProbaClassifier
from skaae._classifiers.unwrapping import all_steps_of, last_step_of, steps_of
from skaae._utils.extras import import_extra
from skaae.onnx._assembly import OPSETS, Assembly
from skaae.onnx._columns import by_position
from skaae.onnx._trees import add_trees

TOLERANCE = 1e-5
N_PROBES = 256
# The newest version that onnxmltools writes.
XGBOOST_OPSET = 15
FLOAT32 = 1  # onnx.TensorProto.FLOAT
# All others of ai.onnx.ml return float32.
FLOAT64_OPERATORS = ("ArrayFeatureExtractor",)
TREE_MODULES = ("sklearn.ensemble", "sklearn.tree")


def classifier_model(classifier: PredictProbaClassifier, n_features: int) -> Any:
    """Convert a classifier that is not a Keras model to ONNX.

    Parameters
    ----------
    classifier : PredictProbaClassifier
        The fitted classifier.
    n_features : int
        Number of features of its rows.

    Returns
    -------
    model : onnx.ModelProto
        Its input is "x", with shape (n_samples, n_features), float64. Its output is "probabilities", with
        shape (n_samples, n_classes), float64.

    Raises
    ------
    TypeError
        If there is no conversion, or if the converted model gives different probabilities.

    Notes
    -----
    skaae itself converts trees, forests and boosting of scikit-learn, and LightGBM, such that all
    comparisons are those of the classifier and equal votes stay equal, and the mean in Bagging and soft
    voting. onnxmltools converts XGBoost, which computes in float32. skl2onnx converts everything else,
    some of it in float32 (SVC) and the rest in float64. The result is compared with the classifier on
    rows of random numbers.
    """
    estimator = classifier.estimator
    name = type(estimator).__name__
    assembly = Assembly("classifier", {"x": (np.float64, (n_features,))})
    try:
        probabilities = _add_classifier(by_position(estimator), assembly, "x")
        if isinstance(last_step_of(estimator), OneVsRestClassifier):
            probabilities = _with_rows_of_zeros(assembly, probabilities, len(classifier.classes_))
        model = assembly.model({"probabilities": (probabilities, np.float64, (len(classifier.classes_),))})
        difference = _largest_difference(model, n_features, classifier.predict_proba)
    except ImportError:
        raise
    except Exception as reason:  # the converters and ONNX Runtime raise many types of errors
        raise TypeError(f"classifier={name} cannot be exported to ONNX: {_first_line(reason)}") from reason
    if not difference <= TOLERANCE:
        raise TypeError(
            f"classifier={name} cannot be exported to ONNX: the probabilities of the converted model differ by "
            f"{difference:.2g} from those of the classifier."
        )
    return model


def computes_in_float64(model: Any) -> bool:
    """Tell whether a graph from `classifier_model` rounds nothing to float32.

    Parameters
    ----------
    model : onnx.ModelProto
        The graph.

    Returns
    -------
    is_float64 : bool
    """
    return not any(
        (node.domain == "ai.onnx.ml" and node.op_type not in FLOAT64_OPERATORS)
        or (node.op_type == "Cast" and node.attribute[0].i == FLOAT32)
        for node in model.graph.node
    )


def transformer_model(steps: list[Any], n_features: int) -> Any:
    """Convert the steps before the detector in a Pipeline to ONNX.

    Parameters
    ----------
    steps : list of transformer
        Fitted transformers from numeric rows to numeric rows.
    n_features : int
        Number of features of the rows that the first step takes.

    Returns
    -------
    model : onnx.ModelProto
        Its input is "x", with shape (n_samples, n_features), float64. Its output is "sample", float64.

    Raises
    ------
    TypeError
        If there is no conversion of a step, or if the converted steps give different results.
    """
    names = [type(step).__name__ for step in steps]
    assembly = Assembly("transformers", {"x": (np.float64, (n_features,))})

    def transform(X: Any) -> Any:
        names = getattr(steps[0], "feature_names_in_", None)
        if names is not None:
            X = import_extra("pandas", "pandas").DataFrame(X, columns=names)
        for step in steps:
            X = step.transform(X)
        return X

    try:
        sample = _add_transformers(by_position(steps), assembly, "x")
        model = assembly.model({"sample": (sample, np.float64, (None,))})
        difference = _largest_difference(model, n_features, transform)
    except ImportError:
        raise
    except Exception as reason:  # see classifier_model
        raise TypeError(
            f"The steps before the detector, {names}, cannot be exported to ONNX: {_first_line(reason)}"
        ) from reason
    if not difference <= TOLERANCE:
        raise TypeError(
            f"The steps before the detector, {names}, cannot be exported to ONNX: the results of the converted steps "
            f"differ by {difference:.2g}."
        )
    return model


def _with_rows_of_zeros(assembly: Assembly, probabilities: str, n_classes: int) -> str:
    """Replace rows of zeros by equal probabilities, as `PredictProbaClassifier` does: one-vs-rest of trees has some."""
    largest = assembly.node("ReduceMax", probabilities, assembly.constant(np.array([1])), keepdims=1)
    is_zero = assembly.node("Equal", largest, assembly.constant(np.float64(0)))
    return assembly.node("Where", is_zero, assembly.constant(np.float64(1 / n_classes)), probabilities)


def _add_classifier(estimator: Any, assembly: Assembly, x: str) -> str:
    *transformers, estimator = all_steps_of(estimator)
    x = _add_transformers(transformers, assembly, x)
    probabilities = add_trees(estimator, assembly, x) or _add_mean(estimator, assembly, x)
    if probabilities is not None:
        return probabilities
    if type(estimator).__module__.startswith("xgboost"):
        return _add_xgboost(estimator, assembly, x)
    return _add_scikit_learn(estimator, assembly, x)


def _add_mean(estimator: Any, assembly: Assembly, x: str) -> str | None:
    """Add the mean of the probabilities of the members of Bagging or soft voting, which skl2onnx rounds to float32.

    None is returned for all other classifiers, and for members with other classes or without probabilities.
    """
    if type(estimator) not in (BaggingClassifier, VotingClassifier):
        return None
    members, n_classes = estimator.estimators_, len(estimator.classes_)
    if not all(hasattr(member, "predict_proba") and len(member.classes_) == n_classes for member in members):
        return None
    weights = np.ones(len(members)) if isinstance(estimator, BaggingClassifier) else estimator._weights_not_none
    weights = np.ones(len(members)) if weights is None else np.asarray(weights, np.float64)
    features = getattr(estimator, "estimators_features_", [range(estimator.n_features_in_)] * len(members))
    parts = [
        assembly.node(
            "Mul",
            _add_classifier(member, assembly, assembly.node("Gather", x, assembly.constant(np.array(places)), axis=1)),
            assembly.constant(weight),
        )
        for member, places, weight in zip(members, features, weights, strict=True)
    ]
    return assembly.node("Div", assembly.node("Sum", *parts), assembly.constant(weights.sum()))


def _add_transformers(steps: list[Any], assembly: Assembly, x: str) -> str:
    """Add one step after the other. In a Pipeline, skl2onnx does not know how many features later steps receive."""
    for step in steps:
        x = (
            _add_transformers(steps_of(step), assembly, x)
            if isinstance(step, Pipeline)
            else _add_step(step, assembly, x)
        )
    return x


def _add_step(step: Any, assembly: Assembly, x: str) -> str:
    skl2onnx = import_extra("skl2onnx", "onnx")
    types = import_extra("skl2onnx.common.data_types", "onnx")
    initial = [("x", types.DoubleTensorType([None, getattr(step, "n_features_in_", None)]))]
    model = skl2onnx.to_onnx(step, initial_types=initial, target_opset=OPSETS)
    (output,) = assembly.add(model, {"x": x}).values()
    return assembly.cast(output, np.float64)


def _add_xgboost(estimator: Any, assembly: Assembly, x: str) -> str:
    onnxmltools = import_extra("onnxmltools", "onnx")
    types = import_extra("onnxmltools.convert.common.data_types", "onnx")
    initial = [("x", types.FloatTensorType([None, estimator.n_features_in_]))]
    model = onnxmltools.convert_xgboost(estimator, initial_types=initial, target_opset=XGBOOST_OPSET)
    outputs = assembly.add(model, {"x": assembly.cast(x, np.float32)})
    return assembly.cast(outputs["probabilities"], np.float64)


def _add_scikit_learn(estimator: Any, assembly: Assembly, x: str) -> str:
    skl2onnx = import_extra("skl2onnx", "onnx")
    types = import_extra("skl2onnx.common.data_types", "onnx")
    # Trees round x to float32 before they compare, and skl2onnx rounds their thresholds accordingly.
    has_trees = any(type(part).__module__.startswith(TREE_MODULES) for part in _parts(estimator))
    dtype, tensor = (np.float32, types.FloatTensorType) if has_trees else (np.float64, types.DoubleTensorType)
    initial = [("x", tensor([None, estimator.n_features_in_]))]
    model = skl2onnx.to_onnx(estimator, initial_types=initial, options={"zipmap": False}, target_opset=OPSETS)
    outputs = assembly.add(model, {"x": assembly.cast(x, dtype)})
    return assembly.cast(outputs["probabilities"], np.float64)


def _parts(estimator: Any) -> Iterator[Any]:
    """Yield the estimator and all estimators inside it."""
    yield estimator
    for part in vars(estimator).values():
        for inner in part if isinstance(part, list | tuple) else [part]:
            if isinstance(inner, BaseEstimator):
                yield from _parts(inner)


def _largest_difference(model: Any, n_features: int, function: Any) -> float:
    """Compare model and function on rows of random numbers of several orders of magnitude."""
    runtime = import_extra("onnxruntime", "onnx")
    generator = np.random.default_rng(0)
    scale = 10.0 ** generator.integers(-1, 4, (N_PROBES, 1))
    X = scale * generator.standard_normal((N_PROBES, n_features))
    session = runtime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (actual,), expected = session.run(None, {"x": X}), np.asarray(function(X), np.float64)
    return float(np.max(np.abs(actual - expected) / np.maximum(1, np.abs(expected))))


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0][:300]
