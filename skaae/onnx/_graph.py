"""A fitted detector as one ONNX model, from x to S(x), with all that it takes to decide in its metadata."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from importlib.metadata import version
from typing import Any

import numpy as np
import tensorflow as tf
from sklearn.utils.validation import check_is_fitted

from skaae._classifiers.adapters import FLOOR_TIMES_CLASSES
from skaae._classifiers.unwrapping import all_steps_of, is_same_classifier, steps_of
from skaae._corrected import CorrectedClassifier
from skaae._detector import AdversarialAEDetector
from skaae._frozen_keras_model import FrozenKerasModel
from skaae._scoring.scorer import compare, reconstruction_graph, score_graph
from skaae._training.defense import Defense
from skaae._utils.extras import import_extra
from skaae.onnx._assembly import OPSETS, Assembly
from skaae.onnx._classifiers import classifier_model, transformer_model

PACKAGES = ("skaae", "numpy", "scikit-learn", "keras", "tensorflow", "tf2onnx", "onnx")
TENSOR_DOUBLE = 11  # onnx.TensorProto.DOUBLE
LABEL_KINDS = "biufU"
WANTED = "a fitted AdversarialAEDetector, a CorrectedClassifier, or a Pipeline with one of them"

Graph = Callable[..., dict[str, tf.Tensor]]


def export(estimator: Any, file_format: int) -> Any:
    """Make the ONNX model of a fitted detector.

    Parameters
    ----------
    estimator : AdversarialAEDetector, CorrectedClassifier or Pipeline
        Fitted.
    file_format : int
        Goes into the metadata.

    Returns
    -------
    model : onnx.ModelProto
        Its input is "x"; its outputs are those that `skaae._scoring.scorer` lists and, after steps of a
        Pipeline, "sample", the rows that the detector itself is given.

    Raises
    ------
    TypeError
        If it is something else, or has a part that ONNX cannot express.
    NotFittedError
        If it has not been fitted.
    """
    steps, detector = _take_apart(estimator)
    metadata = _metadata(detector, steps, file_format)
    defense = detector._defense
    is_keras = isinstance(defense.classifier, FrozenKerasModel)
    n_features = steps[0].n_features_in_ if steps else detector.n_features_in_
    shape = (n_features,) if steps else defense.sample_shape
    # Where all is Keras, x is rounded to float32 in any case; a transformer or another classifier gets it as it is.
    assembly = Assembly("skaae", {"x": (np.float32 if is_keras and not steps else np.float64, shape)})
    outputs = {}
    sample = "x"
    if steps:
        sample = assembly.add(transformer_model(steps, n_features), {"x": "x"})["sample"]
        outputs["sample"] = sample
    add = _add_keras if is_keras else _add_with_classifier
    outputs |= add(defense, assembly, sample, assembly.cast(sample, np.float32))
    kinds = _kinds(defense.sample_shape, len(detector.classes_))
    model = assembly.model({name: (tensor, *kinds[name]) for name, tensor in outputs.items()})
    import_extra("onnx", "onnx").helper.set_model_props(model, metadata)
    return model


def _kinds(sample_shape: tuple[int, ...], n_classes: int) -> dict[str, tuple[type, tuple[int, ...]]]:
    """Type and shape of each output."""
    return {
        "sample": (np.float64, sample_shape),
        "reconstruction": (np.float32, sample_shape),
        "score": (np.float64, ()),
        "no_defense": (np.int64, ()),
        "defense": (np.int64, ()),
        "probabilities": (np.float64, (n_classes,)),
        "probabilities_reconstructed": (np.float64, (n_classes,)),
    }


def _take_apart(estimator: Any) -> tuple[list[Any], AdversarialAEDetector]:
    """The steps before the detector, and the detector."""
    steps = steps_of(estimator)
    found = [place for place, step in enumerate(steps) if isinstance(step, AdversarialAEDetector | CorrectedClassifier)]
    if len(found) != 1:
        raise TypeError(f"to_onnx got {type(estimator).__name__}: {WANTED} is wanted.")
    (place,) = found
    check_is_fitted(steps[place])
    detector = getattr(steps[place], "detector_", steps[place])
    for step in steps[place + 1 :]:
        _check_is_classifier(step, detector)
    return [inner for step in steps[:place] for inner in all_steps_of(step)], detector


def _check_is_classifier(step: Any, detector: AdversarialAEDetector) -> None:
    """Raise unless a step after the detector is M: its predictions are in the file already."""
    if not is_same_classifier(step, detector.classifier):
        raise TypeError(
            f"to_onnx: the step {type(step).__name__} after the detector is not the classifier that it defends, so the "
            f"file would not have its results. Export the Pipeline up to the detector, pipeline[:-1]."
        )


def _add_keras(defense: Defense, assembly: Assembly, _: str, x: str) -> dict[str, str]:
    """Everything, where M is a Keras model."""
    model = _convert(lambda x: score_graph(defense, x), {"x": (tf.float32, defense.sample_shape)})
    return assembly.add(model, {"x": x})


def _add_with_classifier(defense: Defense, assembly: Assembly, sample: str, x: str) -> dict[str, str]:
    """Everything, where M is another classifier: it is asked for x and x' at once."""
    network = _convert(lambda x: reconstruction_graph(defense, x), {"x": (tf.float32, defense.sample_shape)})
    found = assembly.add(network, {"x": x})
    reconstruction = found.pop("reconstruction")
    both = assembly.node("Concat", sample, assembly.cast(reconstruction, np.float64), axis=0)
    classifier = classifier_model(defense.classifier, defense.sample_shape[0])
    inputs = {"of_both": assembly.add(classifier, {"x": both})["probabilities"], **found}
    n_classes = len(defense.classifier.classes_)
    equation = _convert(_equation(defense), {"of_both": (tf.float64, (n_classes,)), **_terms(defense)})
    return {"reconstruction": reconstruction, **assembly.add(equation, inputs)}


def _terms(defense: Defense) -> dict[str, tuple[tf.DType, tuple[int, ...]]]:
    """Type and shape of the hidden terms of x, then of x'."""
    x = tf.zeros((1, *defense.sample_shape), tf.float32)
    shapes = tf.function(lambda x: reconstruction_graph(defense, x)).get_concrete_function(x).structured_outputs
    return {name: (tf.float32, tuple(shapes[name].shape[1:])) for name in shapes if name.startswith("term_")}


def _equation(defense: Defense) -> Graph:
    """From the probabilities of x and, below them, of x' and the hidden terms to S(x)."""

    def function(of_both: tf.Tensor, *terms: tf.Tensor) -> dict[str, tf.Tensor]:
        given, reconstructed = tf.split(of_both, 2)
        floor = FLOOR_TIMES_CLASSES / of_both.shape[1]
        logits = [tf.math.log(tf.maximum(values, floor)) for values in (given, reconstructed)]
        n_terms = len(terms) // 2
        compared = compare(defense.score, [logits[0], *terms[:n_terms]], [logits[1], *terms[n_terms:]])
        exact = {"probabilities": tf.identity(given), "probabilities_reconstructed": tf.identity(reconstructed)}
        return {**compared, **exact}

    return function


def _convert(function: Graph, inputs: Mapping[str, tuple[tf.DType, tuple[int, ...]]]) -> Any:
    """A TensorFlow function of rows as ONNX."""
    converter = import_extra("tf2onnx", "onnx").convert
    defined = import_extra("onnx", "onnx").defs.has
    signature = [tf.TensorSpec((None, *shape), dtype, name=name) for name, (dtype, shape) in inputs.items()]
    graph = tf.function(function, autograph=False)
    try:
        model, _ = converter.from_function(graph, signature, opset=OPSETS[""], custom_op_handlers={"Erfc": (_erfc, [])})
    except (KeyError, NotImplementedError, RuntimeError, ValueError) as error:
        raise TypeError(f"to_onnx: tf2onnx cannot convert the networks: {error}") from error
    unknown = {
        node.op_type for node in model.graph.node if not defined(node.op_type, OPSETS.get(node.domain, 1), node.domain)
    }
    if unknown:
        raise TypeError(f"to_onnx: layers use the TensorFlow operations {sorted(unknown)}, which ONNX does not have.")
    return model


def _erfc(context: Any, node: Any, name: str, _: Any) -> None:
    """1 - erf(x), in which Keras writes GELU; tf2onnx 1.17 does not know it."""
    dtype = np.float64 if context.get_dtype(node.input[0]) == TENSOR_DOUBLE else np.float32
    one = context.make_const(f"{name}/one", np.ones((), dtype)).output[0]
    erf = context.make_node("Erf", [node.input[0]]).output[0]
    context.remove_node(node.name)
    context.make_node("Sub", [one, erf], name=name, outputs=node.output)


def _metadata(detector: AdversarialAEDetector, steps: list[Any], file_format: int) -> dict[str, str]:
    """All that is needed beside the graph, each value as JSON."""
    classes = np.asarray(detector.classes_)
    if classes.dtype == object and all(isinstance(label, str) for label in classes):
        classes = classes.astype(str)
    if classes.dtype.kind not in LABEL_KINDS:
        raise TypeError(f"to_onnx: labels of type {classes.dtype} are not exported; str, int, float or bool are.")
    first = steps[0] if steps else detector
    names = getattr(first, "feature_names_in_", None)
    values = {
        "skaae_format": file_format,
        "threshold": detector.threshold_,
        "classes": classes.tolist(),
        "classes_dtype": detector.classes_.dtype.str,
        "sample_shape": [first.n_features_in_] if steps else list(detector._defense.sample_shape),
        "feature_names": None if names is None else list(names),
        "label_change_first": detector._defense.score.label_change_first,
        "temperature": detector._defense.score.temperature,
        "hidden_weights": list(detector._defense.score.hidden_weights),
        "versions": {package: version(package) for package in PACKAGES},
    }
    return {name: json.dumps(value) for name, value in values.items()}
