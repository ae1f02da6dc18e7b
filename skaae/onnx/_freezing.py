"""Freeze a TensorFlow function before tf2onnx converts it: constants in place, and nothing that no output needs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import keras
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2


def frozen(function: Callable[..., dict[str, tf.Tensor]], signature: Sequence[tf.TensorSpec]) -> Any:
    """Trace a function, and return an equal one in which all weights and captured tensors are constants.

    tf2onnx makes inputs of the graph from tensors that layers hold, such as the mean of
    Normalization. It fails for tensors that no output depends on, such as the losses of
    regularizers.

    Parameters
    ----------
    function : callable
        Takes one tensor for each entry of the signature, and returns a dict of tensors.
    signature : sequence of tf.TensorSpec
        Shape, type and name of each argument.

    Returns
    -------
    frozen : tf.function

    Raises
    ------
    TypeError
        If the function computes in bfloat16.

    Examples
    --------
    >>> import tensorflow as tf
    >>> from skaae.onnx._freezing import frozen
    >>> mean = tf.constant([1.0, 2.0])
    >>> signature = [tf.TensorSpec((None, 2), tf.float32, name="x")]
    >>> graph = frozen(lambda x: {"centered": x - mean}, signature)
    >>> len(graph.get_concrete_function(*signature).inputs)
    1
    """
    concrete = tf.function(function, autograph=False).get_concrete_function(*signature)
    constant = convert_variables_to_constants_v2(concrete, lower_control_flow=False, aggressive_inlining=True)
    outputs = [tensor.name for tensor in constant.outputs]
    definition = tf.compat.v1.graph_util.extract_sub_graph(
        constant.graph.as_graph_def(), [name.split(":")[0] for name in outputs]
    )
    _check_operations(definition)
    needed = {f"{node.name}:0" for node in definition.node if node.op == "Placeholder"}
    captured = {inner.name: outer for outer, inner in constant.graph.captures}
    inputs = [tensor.name for tensor in constant.inputs if tensor.name not in captured]

    def rebuilt(*tensors: tf.Tensor) -> dict[str, tf.Tensor]:
        values = dict(zip(inputs, tensors, strict=True))
        values |= {name: tf.constant(captured[name].numpy()) for name in captured.keys() & needed}
        given = {name: value for name, value in values.items() if name in needed}
        found = tf.graph_util.import_graph_def(definition, given, outputs, name="")
        return dict(zip(sorted(concrete.structured_outputs), found, strict=True))

    return tf.function(rebuilt, autograph=False)


def check_types(models: Iterable[keras.Model]) -> None:
    """Raise a TypeError that names the layers if some compute in bfloat16, for which ONNX Runtime lacks operators.

    Parameters
    ----------
    models : iterable of keras.Model
        The networks to export.
    """
    layers = [layer for model in models for layer in model._flatten_layers() if layer.compute_dtype == "bfloat16"]
    names = {layer.name for layer in layers if not isinstance(layer, keras.Model | keras.layers.InputLayer)}
    if names:
        raise TypeError(f"The layers {sorted(names)} {CANNOT_BE_EXPORTED}")


CANNOT_BE_EXPORTED = (
    "compute in bfloat16, for which ONNX Runtime lacks the operators. Build the classifier and the autoencoder with "
    "the dtype policy 'float32' (keras.config.set_dtype_policy), and fit the detector again."
)


def _check_operations(definition: Any) -> None:
    """Do the same for layers that cast to bfloat16 by themselves."""
    names = [node.name for node in definition.node if _is_bfloat16(node)]
    if names:
        raise TypeError(f"The operations {names} {CANNOT_BE_EXPORTED}")


def _is_bfloat16(node: Any) -> bool:
    return any(value.type == tf.bfloat16.as_datatype_enum for value in node.attr.values())
