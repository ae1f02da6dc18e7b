"""Convert a fitted detector to one ONNX model, with everything needed for decisions in its metadata."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib.metadata import version
from typing import Any

import numpy as np
import tensorflow as tf
from sklearn.utils.validation import check_is_fitted

from skaae._classifiers.adapters import FLOOR_TIMES_CLASSES
from skaae._classifiers.encoding import Encoding
from skaae._classifiers.frames import FrameColumns
from skaae._classifiers.unwrapping import all_steps_of, is_same_classifier, steps_of
from skaae._corrected import CorrectedClassifier
from skaae._detector import AdversarialAEDetector
from skaae._frozen_keras_model import FrozenKerasModel
from skaae._scoring.scorer import compare_predictions, reconstruction_graph, score_graph
from skaae._training.defense import Defense
from skaae._utils.extras import import_extra
from skaae.onnx._assembly import OPSETS, Assembly
from skaae.onnx._classifiers import classifier_model, computes_in_float64
from skaae.onnx._columns import selected_by_name
from skaae.onnx._freezing import check_types, frozen
from skaae.onnx._inputs import Inputs
from skaae.onnx._missing_values import add_decoding
from skaae.onnx._thresholds import as_values
from skaae.onnx._ties import ScoreWithTies
from skaae.onnx._transformers import transformer_model
from skaae.onnx._unknown_categories import unknown_categories

PACKAGES = ("skaae", "numpy", "scikit-learn", "keras", "tensorflow", "tf2onnx", "onnx")
TENSOR_DOUBLE = 11  # onnx.TensorProto.DOUBLE
LABEL_KINDS = "biufU"
EXPORTABLE = "a fitted AdversarialAEDetector, a CorrectedClassifier, or a Pipeline with one of them"

Graph = Callable[..., dict[str, tf.Tensor]]


def export(estimator: Any, file_format: int) -> Any:
    """Convert a fitted detector to an ONNX model.

    Parameters
    ----------
    estimator : AdversarialAEDetector, CorrectedClassifier or Pipeline
        The fitted estimator.
    file_format : int
        Number of the file format, which is stored in the metadata.

    Returns
    -------
    model : onnx.ModelProto
        Its input is "x". Its outputs are those listed in `skaae._scoring.scorer`. With steps of a Pipeline,
        there is the additional output "sample", which contains the rows that the detector receives.

    Raises
    ------
    TypeError
        If the estimator is of another type, or if ONNX cannot express a part of it.
    NotFittedError
        If the estimator is not fitted.
    """
    steps, detector = _take_apart(estimator)
    defense, encoding = detector._defense, detector._encoding
    inputs = _inputs(steps, detector)
    metadata = _metadata(detector, steps, inputs, file_format)
    is_keras = isinstance(defense.classifier, FrozenKerasModel)
    check_types([defense.autoencoder, *defense.heads.hidden_models, *([defense.classifier.model] if is_keras else [])])
    # Keras models round x to float32 anyway. Transformers and other classifiers need it in float64.
    dtype = np.float32 if is_keras else np.float64
    assembly = Assembly("skaae", {"x": (dtype, defense.sample_shape)} if inputs is None else inputs.signature())
    outputs = {}
    sample = "x"
    if inputs is not None:
        before, columns = _before(steps, encoding)
        is_frame = not before and isinstance(columns, FrameColumns)
        unknown = unknown_categories(encoding.classifier, columns) if encoding is not None and is_frame else {}
        model = transformer_model(before, inputs, columns, encoding is not None, unknown)
        sample = assembly.add(model, {name: name for name in inputs.signature()})["rows"]
        outputs["sample"] = sample
    add = _add_keras if is_keras else _add_with_classifier
    thresholds = assembly.default_input("thresholds", detector.class_thresholds_)
    outputs |= add(defense, assembly, sample, assembly.cast(sample, np.float32), thresholds)
    if inputs is not None and _is_invertible(encoding):
        outputs |= _repaired(detector, assembly, sample, outputs["reconstruction"])
    kinds = _kinds(defense.sample_shape, len(detector.classes_))
    model = assembly.model({name: (tensor, *kinds[name]) for name, tensor in outputs.items()})
    import_extra("onnx", "onnx").helper.set_model_props(model, metadata)
    return model


def _inputs(steps: list[Any], detector: AdversarialAEDetector) -> Inputs | None:
    """What the file takes, if there are steps before the detector or inside it."""
    if not steps and detector._encoding is None:
        return None
    first = steps[0] if steps else detector
    before, columns = _before(steps, detector._encoding)
    inputs = Inputs.of(before, first.n_features_in_, getattr(first, "feature_names_in_", None))
    return inputs if before or not isinstance(columns, FrameColumns) else inputs.with_categories(columns)


def _before(steps: list[Any], encoding: Encoding | None) -> tuple[list[Any], Any]:
    """The transformers before the classifier, and how missing values and categories behind them are encoded."""
    if encoding is None:
        return steps, None
    inner = [] if encoding.transformers is None else all_steps_of(encoding.transformers)[:-1]
    return [*steps, *inner], encoding.columns


def _is_invertible(encoding: Encoding | None) -> bool:
    """Whether the file can return rows like those of X, which are numbers."""
    if encoding is None:
        return True
    has_text = isinstance(encoding.columns, FrameColumns) and bool(encoding.columns.categories)
    return encoding.is_invertible and not has_text


def _repaired(detector: AdversarialAEDetector, assembly: Assembly, sample: str, reconstruction: str) -> dict[str, str]:
    """Rows like those that the detector takes: x, and x' with the values of x where it has to keep them."""
    kept = np.isin(np.arange(detector._defense.sample_shape[0]), detector._defense.kept)[None]
    repaired = assembly.cast(reconstruction, np.float64)
    if kept.any():
        repaired = assembly.node("Where", assembly.constant(kept), sample, repaired)
    rows = {"original": sample, "repaired": repaired}
    if detector._encoding is None:
        return rows
    return {name: add_decoding(detector._encoding.columns, assembly, row).matrix() for name, row in rows.items()}


def _kinds(sample_shape: tuple[int, ...], n_classes: int) -> dict[str, tuple[type, tuple[int | None, ...]]]:
    """Return the type and shape of each output."""
    return {
        "sample": (np.float64, sample_shape),
        "original": (np.float64, (None,)),
        "repaired": (np.float64, (None,)),
        "reconstruction": (np.float32, sample_shape),
        "score": (np.float64, ()),
        "no_defense": (np.int64, ()),
        "defense": (np.int64, ()),
        "probabilities": (np.float64, (n_classes,)),
        "probabilities_reconstructed": (np.float64, (n_classes,)),
    }


def _take_apart(estimator: Any) -> tuple[list[Any], AdversarialAEDetector]:
    """Return the steps before the detector, without their FrozenEstimator wrappers, and the detector."""
    steps = steps_of(estimator)
    is_detector = [isinstance(step, AdversarialAEDetector | CorrectedClassifier) for step in steps]
    if sum(is_detector) != 1:
        raise TypeError(f"to_onnx expects {EXPORTABLE}, got {type(estimator).__name__}.")
    position = is_detector.index(True)
    check_is_fitted(steps[position])
    detector = getattr(steps[position], "detector_", steps[position])
    for step in steps[position + 1 :]:
        _check_is_classifier(step, detector)
    return [inner for step in steps[:position] for inner in all_steps_of(step)], detector


def _check_is_classifier(step: Any, detector: AdversarialAEDetector) -> None:
    """Raise an error unless a step after the detector is M, whose predictions the file already contains."""
    if not is_same_classifier(step, detector.classifier):
        raise TypeError(
            f"The step {type(step).__name__} after the detector is not the classifier that the detector defends, so "
            f"the file could not contain its results. Export the Pipeline up to the detector: pipeline[:-1]."
        )


def _add_keras(defense: Defense, assembly: Assembly, _: str, x: str, thresholds: str) -> dict[str, str]:
    """Add the whole detector, with a Keras model as M."""

    def function(x: tf.Tensor, thresholds: tf.Tensor) -> dict[str, tf.Tensor]:
        return score_graph(replace(defense, score=_score_with_ties(defense, thresholds)), x)

    signature = {"x": tf.TensorSpec((None, *defense.sample_shape), tf.float32), "thresholds": _of_classes(defense)}
    return assembly.add(_convert(function, signature), {"x": x, "thresholds": thresholds})


def _add_with_classifier(defense: Defense, assembly: Assembly, sample: str, x: str, thresholds: str) -> dict[str, str]:
    """Add the whole detector, with another classifier as M, which classifies x and x' in one call."""
    signature = {"x": tf.TensorSpec((None, *defense.sample_shape), tf.float32)}
    network = _convert(lambda x: reconstruction_graph(defense, x), signature)
    terms = assembly.add(network, {"x": x})
    reconstruction = terms.pop("reconstruction")
    both = assembly.node("Concat", sample, assembly.cast(reconstruction, np.float64), axis=0)
    classifier = classifier_model(defense.classifier, defense.sample_shape[0])
    probabilities = assembly.add(classifier, {"x": both})["probabilities"]
    of_both = {"probabilities_of_both": tf.TensorSpec((None, len(defense.classifier.classes_)), tf.float64)}
    function = _equation(defense, "float64" if computes_in_float64(classifier) else "float32")
    equation = _convert(function, {"thresholds": _of_classes(defense), **of_both, **_terms(defense)})
    inputs = {"thresholds": thresholds, "probabilities_of_both": probabilities, **terms}
    return {"reconstruction": reconstruction, **assembly.add(equation, inputs)}


def _score_with_ties(defense: Defense, thresholds: tf.Tensor, **options: Any) -> ScoreWithTies:
    return ScoreWithTies(**vars(defense.score), thresholds=thresholds, **options)


def _of_classes(defense: Defense) -> tf.TensorSpec:
    """The type and shape of the thresholds."""
    return tf.TensorSpec((len(defense.classifier.classes_),), tf.float64)


def _terms(defense: Defense) -> dict[str, tf.TensorSpec]:
    """Return the type and shape of the hidden terms of x, followed by those of x'."""
    x = tf.zeros((1, *defense.sample_shape), tf.float32)
    shapes = tf.function(lambda x: reconstruction_graph(defense, x)).get_concrete_function(x).structured_outputs
    names = [name for name in shapes if name.startswith("term_")]
    return {name: tf.TensorSpec((None, *shapes[name].shape[1:]), tf.float32) for name in names}


def _equation(defense: Defense, precision: str) -> Graph:
    """Make the function that computes the score.

    It takes the thresholds, the probabilities of x, with those of x' below them, and the hidden terms.
    """

    def function(thresholds: tf.Tensor, probabilities_of_both: tf.Tensor, *terms: tf.Tensor) -> dict[str, tf.Tensor]:
        original, reconstructed = tf.split(probabilities_of_both, 2)
        floor = FLOOR_TIMES_CLASSES / probabilities_of_both.shape[1]
        logits = [tf.math.log(tf.maximum(values, floor)) for values in (original, reconstructed)]
        n_terms = len(terms) // 2
        score = _score_with_ties(defense, thresholds, floor=floor, precision=precision)
        rule, of_both = defense.label_rule, (original, reconstructed)
        labels = rule.of_tensor(of_both[0]), rule.of_tensor(of_both[1])
        terms_of_both = [logits[0], *terms[:n_terms]], [logits[1], *terms[n_terms:]]
        compared = compare_predictions(score, *terms_of_both, labels, rule.log_weights())
        exact = {"probabilities": tf.identity(original), "probabilities_reconstructed": tf.identity(reconstructed)}
        return {**compared, **exact}

    return function


def _convert(function: Graph, inputs: Mapping[str, tf.TensorSpec]) -> Any:
    """Convert a TensorFlow function of named tensors to ONNX."""
    converter = import_extra("tf2onnx", "onnx").convert
    has_operator = import_extra("onnx", "onnx").defs.has
    signature = [tf.TensorSpec(spec.shape, spec.dtype, name=name) for name, spec in inputs.items()]
    try:
        graph = frozen(function, signature)
        model, _ = converter.from_function(graph, signature, opset=OPSETS[""], custom_op_handlers=HANDLERS)
    except (KeyError, NotImplementedError, RuntimeError, ValueError) as error:
        raise TypeError(f"The networks cannot be exported, because tf2onnx fails to convert them: {error}") from error
    unknown = {
        node.op_type
        for node in model.graph.node
        if not has_operator(node.op_type, OPSETS.get(node.domain, 1), node.domain)
    }
    if unknown:
        raise TypeError(f"The layers use the TensorFlow operations {sorted(unknown)}, which do not exist in ONNX.")
    return model


def _erfc(context: Any, node: Any, name: str, _: Any) -> None:
    """Write erfc(x) as 1 - erf(x). Keras uses erfc for GELU, and tf2onnx 1.17 cannot convert it."""
    dtype = np.float64 if context.get_dtype(node.input[0]) == TENSOR_DOUBLE else np.float32
    one = context.make_const(f"{name}/one", np.ones((), dtype)).output[0]
    erf = context.make_node("Erf", [node.input[0]]).output[0]
    context.remove_node(node.name)
    context.make_node("Sub", [one, erf], name=name, outputs=node.output)


def _is_finite(context: Any, node: Any, name: str, _: Any) -> None:
    """Write "is finite" as |x| < infinity: two operators, where tf2onnx has four, of which each takes its time."""
    dtype = np.float64 if context.get_dtype(node.input[0]) == TENSOR_DOUBLE else np.float32
    infinity = context.make_const(f"{name}/infinity", np.full((), np.inf, dtype)).output[0]
    size = context.make_node("Abs", [node.input[0]]).output[0]
    context.remove_node(node.name)
    context.make_node("Less", [size, infinity], name=name, outputs=node.output)


def _log(*_: Any) -> None:
    """Leave Log as it is. tf2onnx 1.17 would round its argument to float32."""


HANDLERS: dict[str, tuple[Callable[..., None], list[Any]]] = {
    "Erfc": (_erfc, []),
    "IsFinite": (_is_finite, []),
    "Log": (_log, []),
}


def _finite_or_none(thresholds: np.ndarray) -> list[float | None]:
    """Values that JSON can express."""
    return [value if np.isfinite(value) else None for value in thresholds.tolist()]


def _metadata(
    detector: AdversarialAEDetector, steps: list[Any], inputs: Inputs | None, file_format: int
) -> dict[str, str]:
    """Return what OnnxDetector needs in addition to the graph, with each value as JSON."""
    classes = np.asarray(detector.classes_)
    if classes.dtype == object and all(isinstance(label, str) for label in classes):
        classes = classes.astype(str)
    if classes.dtype.kind not in LABEL_KINDS:
        raise TypeError(f"Only class labels of type str, int, float or bool can be exported, got {classes.dtype}.")
    first = steps[0] if steps else detector
    names = getattr(first, "feature_names_in_", None)
    values = {
        "skaae_format": file_format,
        "thresholds": as_values(detector._thresholds),
        "class_thresholds": _finite_or_none(detector.class_thresholds_),
        "repair_thresholds": _finite_or_none(detector.repair_thresholds_),
        "classes": classes.tolist(),
        "classes_dtype": detector.classes_.dtype.str,
        "sample_shape": list(detector._defense.sample_shape) if inputs is None else [inputs.n_columns],
        "feature_names": None if names is None else list(names),
        "table": None if inputs is None else inputs.as_values(selected_by_name(first)),
        "encoding": _encoding_values(steps, detector),
        "kept": list(detector._defense.kept),
        "label_change_first": detector._defense.score.label_change_first,
        "temperature": detector._defense.score.temperature,
        "hidden_weights": list(detector._defense.score.hidden_weights),
        "versions": {package: version(package) for package in PACKAGES},
    }
    return {name: json.dumps(value) for name, value in values.items()}


def _encoding_values(steps: list[Any], detector: AdversarialAEDetector) -> dict[str, Any] | None:
    """Whether the file can return rows like those of X, and on which columns of X each encoded one depends."""
    encoding = detector._encoding
    if encoding is None:
        return None
    names = getattr(detector, "feature_names_in_", range(detector.n_features_in_))
    sources = [[str(names[source]) for source in sorted(column)] for column in encoding.sources]
    return {"is_invertible": _is_invertible(encoding), "sources": None if steps else sources}
