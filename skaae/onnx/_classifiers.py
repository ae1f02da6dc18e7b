"""Convert classifiers other than Keras models to ONNX."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.multiclass import OneVsRestClassifier

from skaae._classifiers.adapters import PredictProbaClassifier
from skaae._classifiers.encoding import DecodingClassifier
from skaae._classifiers.frames import FrameColumns
from skaae._classifiers.unwrapping import all_steps_of, last_step_of, unfrozen
from skaae._utils.extras import import_extra
from skaae.onnx._assembly import OPSETS, Assembly
from skaae.onnx._boosting import encode_categories
from skaae.onnx._columns import by_position
from skaae.onnx._comparison import N_PROBES, TOLERANCE, largest_difference
from skaae.onnx._inputs import Inputs
from skaae.onnx._members import add_members
from skaae.onnx._missing_values import add_decoding
from skaae.onnx._tensors import Matrix, Rows
from skaae.onnx._transformers import add_transformers, first_line, short_name
from skaae.onnx._trees import add_trees

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
    name = short_name(estimator.estimator if isinstance(estimator, DecodingClassifier) else estimator)
    assembly = Assembly("classifier", {"x": (np.float64, (n_features,))})
    try:
        probabilities = _add_classifier(estimator, assembly, Matrix(assembly, "x", n_features))
        if isinstance(last_step_of(estimator), OneVsRestClassifier):
            probabilities = _with_rows_of_zeros(assembly, probabilities, len(classifier.classes_))
        model = assembly.model({"probabilities": (probabilities, np.float64, (len(classifier.classes_),))})
        X = Inputs(n_features).random_rows(N_PROBES, may_miss=False)
        if isinstance(estimator, DecodingClassifier):  # few rows with missing values: many classifiers refuse them
            X[: N_PROBES * 3 // 4, estimator.columns.rules()["kept"]] = 0
        difference = largest_difference(model, {"x": X}, X, classifier.predict_proba)
    except ImportError:
        raise
    except Exception as reason:  # the converters and ONNX Runtime raise many types of errors
        raise TypeError(f"classifier={name} cannot be exported to ONNX: {first_line(reason)}") from reason
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


def _with_rows_of_zeros(assembly: Assembly, probabilities: str, n_classes: int) -> str:
    """Replace rows of zeros by equal probabilities, as `PredictProbaClassifier` does: one-vs-rest of trees has some."""
    largest = assembly.node("ReduceMax", probabilities, assembly.constant(np.array([1])), keepdims=1)
    is_zero = assembly.node("Equal", largest, assembly.constant(np.float64(0)))
    return assembly.node("Where", is_zero, assembly.constant(np.float64(1 / n_classes)), probabilities)


def _add_classifier(estimator: Any, assembly: Assembly, rows: Rows) -> str:
    *transformers, estimator = all_steps_of(estimator)
    rows = add_transformers(transformers, assembly, rows)
    if isinstance(estimator, DecodingClassifier):
        return _add_decoding_classifier(estimator, assembly, rows.matrix())
    if (probabilities := add_members(estimator, assembly, rows, _add_classifier)) is not None:
        return probabilities
    rows = encode_categories(estimator, assembly, rows)
    if rows.has_text:
        raise TypeError(f"{short_name(estimator)}: it takes text. Encode this with a OneHotEncoder in a Pipeline.")
    x = rows.matrix()
    if (probabilities := add_trees(estimator, assembly, x)) is not None:
        return probabilities
    if type(estimator).__module__.startswith("xgboost"):
        return _add_xgboost(estimator, assembly, x)
    return _add_scikit_learn(estimator, assembly, x)


def _add_decoding_classifier(classifier: DecodingClassifier, assembly: Assembly, x: str) -> str:
    inner, columns = unfrozen(classifier.estimator), classifier.columns
    rows = add_decoding(columns, assembly, x)
    if isinstance(columns, FrameColumns) and type(inner).__name__ == "LGBMClassifier":
        rows = encode_categories(inner, assembly, rows, columns)
    return _add_classifier(inner, assembly, rows)


def _add_xgboost(estimator: Any, assembly: Assembly, x: str) -> str:
    onnxmltools = import_extra("onnxmltools", "onnx")
    types = import_extra("onnxmltools.convert.common.data_types", "onnx")
    initial = [("x", types.FloatTensorType([None, estimator.n_features_in_]))]
    estimator = _without_names(estimator)
    model = onnxmltools.convert_xgboost(estimator, initial_types=initial, target_opset=XGBOOST_OPSET)
    outputs = assembly.add(model, {"x": assembly.cast(x, np.float32)})
    return assembly.cast(outputs["probabilities"], np.float64)


def _without_names(estimator: Any) -> Any:
    """A shallow copy of a classifier of XGBoost that has numbers instead of the names of columns, for onnxmltools."""
    booster = estimator.get_booster().copy()
    booster.feature_names = None
    changed = copy.copy(estimator)
    changed._Booster = booster
    return changed


def _add_scikit_learn(estimator: Any, assembly: Assembly, x: str) -> str:
    skl2onnx = import_extra("skl2onnx", "onnx")
    types = import_extra("skl2onnx.common.data_types", "onnx")
    # Trees round x to float32 before they compare, and skl2onnx rounds their thresholds accordingly.
    has_trees = any(type(part).__module__.startswith(TREE_MODULES) for part in _parts(estimator))
    dtype, tensor = (np.float32, types.FloatTensorType) if has_trees else (np.float64, types.DoubleTensorType)
    initial = [("x", tensor([None, estimator.n_features_in_]))]
    model = skl2onnx.to_onnx(
        by_position(estimator), initial_types=initial, options={"zipmap": False}, target_opset=OPSETS
    )
    outputs = assembly.add(model, {"x": assembly.cast(x, dtype)})
    return assembly.cast(outputs["probabilities"], np.float64)


def _parts(estimator: Any) -> Iterator[Any]:
    """Yield the estimator and all estimators inside it."""
    yield estimator
    for part in vars(estimator).values():
        for inner in part if isinstance(part, list | tuple) else [part]:
            if isinstance(inner, BaseEstimator):
                yield from _parts(inner)
