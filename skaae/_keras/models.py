"""Keras models of the user: checks of their shapes, copies, variables and fingerprints."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import joblib
import keras
import numpy as np
import tensorflow as tf

if keras.backend.backend() != "tensorflow":
    raise ImportError(
        f"skaae needs Keras with the TensorFlow backend, but Keras uses {keras.backend.backend()!r}. "
        "Set the environment variable KERAS_BACKEND=tensorflow before Keras is imported."
    )


def check_keras_version(model: Any, argument: str) -> None:
    """Raise a TypeError that names `argument` if this is a model of Keras 2, which is recognized without its import."""
    modules = {base.__module__.split(".")[0] for base in type(model).__mro__}
    legacy = any(base.__module__.startswith("tensorflow.python.keras") for base in type(model).__mro__)
    if "tf_keras" in modules or legacy:
        raise TypeError(
            f"{argument} must be a model of Keras 3, got the {type(model).__name__} of Keras 2 (tf_keras). Save it, "
            f"model.save('model.h5'), and load the file with keras.models.load_model of Keras 3."
        )


def check_one_input_one_output(model: keras.Model, argument: str) -> None:
    """Raise a ValueError that names `argument` unless the model has one input and one output."""
    for kind in ("inputs", "outputs"):
        tensors = getattr(model, kind, None)
        if tensors is not None and len(tensors) != 1:
            raise ValueError(
                f"{argument} must have one input and one output, but has {len(tensors)} {kind}: "
                f"{[tensor.name for tensor in tensors]}."
            )


def check_input_shape(model: keras.Model, sample_shape: Sequence[int], argument: str) -> None:
    """Raise a ValueError that names `argument` unless the model accepts rows of `sample_shape`.

    A model that is not built yet accepts any shape.
    """
    if getattr(model, "inputs", None):
        expected = tuple(model.inputs[0].shape[1:])
    elif model.built:
        expected = tuple(model.get_build_config()["input_shape"][1:])
    else:
        return
    if not _shapes_fit(expected, sample_shape):
        raise ValueError(
            f"{argument} expects samples of shape {expected}, but gets samples of shape {tuple(sample_shape)}."
        )


def check_output_shape(output_shape: Sequence[int | None], sample_shape: Sequence[int], argument: str) -> None:
    """Raise a ValueError that names `argument` unless its output has the shape of a sample of X."""
    if not _shapes_fit(output_shape, sample_shape):
        raise ValueError(
            f"{argument} must return samples of the shape of X, {tuple(sample_shape)}, but returns samples of shape "
            f"{tuple(output_shape)}."
        )


def _shapes_fit(shape: Sequence[int | None], sample_shape: Sequence[int]) -> bool:
    """Whether a shape, in which None stands for any length, is that of the samples."""
    return len(shape) == len(sample_shape) and all(
        length in (None, size) for length, size in zip(shape, sample_shape, strict=True)
    )


def is_layer_graph(model: keras.Model) -> bool:
    """Whether the model is built, and Functional or Sequential, so that each layer has an output."""
    return bool(getattr(model, "inputs", None)) and (
        isinstance(model, keras.Sequential) or hasattr(model, "operations")
    )


def copy_model(model: keras.Model, argument: str) -> keras.Model:
    """Copy architecture and weights into a model that shares nothing with the given one.

    Parameters
    ----------
    model : keras.Model
    argument : str
        Name of the parameter, for the error message.

    Returns
    -------
    copy : keras.Model

    Raises
    ------
    TypeError
        If it is not a Keras model, or if its class or the class of a layer cannot be created from its configuration.
    """
    check_keras_version(model, argument)
    if not isinstance(model, keras.Model):
        raise TypeError(f"{argument} must be a keras.Model, got {type(model).__name__}.")
    try:
        copy = keras.models.clone_model(
            model, recursive=isinstance(model, keras.Sequential) or hasattr(model, "operations")
        )
    except (NotImplementedError, TypeError, ValueError) as error:
        raise TypeError(
            f"{argument} cannot be copied: {type(model).__name__} must implement get_config, which returns all "
            f"arguments of its constructor (see keras.saving.register_keras_serializable)."
        ) from error
    if model.built and model.weights:
        if not copy.built:
            copy.build(model.input_shape)
        load_variables(copy, variables_of(model))
    return with_plain_output(copy)


def variables_of(model: keras.Layer) -> list[dict[str, np.ndarray]]:
    """Arrays of each layer that has variables, under the names that Keras uses in its files.

    Parameters
    ----------
    model : keras.Layer

    Returns
    -------
    variables : list of dict of ndarray

    Raises
    ------
    TypeError
        If a layer has a vocabulary, which is not an array.
    """
    layers = _layers_with_variables(model)
    with_assets = [layer.name for layer in model._flatten_layers() if hasattr(layer, "save_assets")]
    if with_assets:
        raise TypeError(
            f"The layers {with_assets} have vocabularies, which are not saved. Put them before the detector."
        )
    return [{name: np.array(tf.convert_to_tensor(value)) for name, value in own.items()} for _, own in layers]


def load_variables(model: keras.Layer, variables: Sequence[Mapping[str, np.ndarray]]) -> None:
    """Set the variables that `variables_of` returned for a model of the same architecture.

    ``set_weights`` is not enough: layers such as Normalization derive values from their arrays when loaded.
    """
    for (layer, _), own in zip(_layers_with_variables(model), variables, strict=True):
        layer.load_own_variables(own)


def _layers_with_variables(model: keras.Layer) -> list[tuple[keras.Layer, dict[str, Any]]]:
    layers: list[tuple[keras.Layer, dict[str, Any]]] = [(layer, {}) for layer in model._flatten_layers()]
    for layer, own in layers:
        layer.save_own_variables(own)
    return [(layer, own) for layer, own in layers if own]


def call_frozen(model: keras.Model, x: tf.Tensor) -> Any:
    """Call a model without changing it: its statistics, seeds and regularization losses are not updated.

    Parameters
    ----------
    model : keras.Model
    x : tf.Tensor of shape (n_samples, ...)

    Returns
    -------
    outputs : tf.Tensor, or a list, tuple or dict of several
        The tensor itself if the model returns a dict or list of one.
    """
    with keras.StatelessScope():
        return only_tensor(model(x, training=False))


def only_tensor(outputs: Any) -> Any:
    """Take the tensor out of a dict, list or tuple of one. Anything else is returned as it is.

    Examples
    --------
    >>> from skaae._keras.models import only_tensor
    >>> only_tensor({"label": 7}), only_tensor([7, 8])
    (7, [7, 8])
    """
    while isinstance(outputs, Mapping | list | tuple) and len(outputs) == 1:
        (outputs,) = outputs.values() if isinstance(outputs, Mapping) else outputs
    return outputs


def with_plain_output(model: keras.Model) -> keras.Model:
    """The model itself or, if it is Functional and returns a dict or list of one tensor, a model of its layers.

    Keras trains a model with named outputs only on named targets.
    """
    if not is_layer_graph(model) or len(model.outputs) != 1:
        return model
    outputs = model.compute_output_spec(model.inputs[0])
    return model if only_tensor(outputs) is outputs else keras.Model(model.inputs[0], model.outputs[0])


def fingerprint(model: keras.Model) -> str:
    """Hash of architecture and weights. Models that differ only in automatic layer names have equal hashes.

    Keras numbers the layers of a process ("dense_12"), so names differ between two builds. joblib cannot hash a Keras
    object, whose state changes with the clock.

    Examples
    --------
    >>> import keras
    >>> from skaae._keras.models import fingerprint
    >>> def build():
    ...     ones = keras.initializers.Ones()
    ...     return keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, kernel_initializer=ones)])
    >>> fingerprint(build()) == fingerprint(build())
    True
    """
    return str(joblib.hash((type(model).__qualname__, _architecture(model), model.get_weights())))


def _architecture(model: keras.Model) -> str:
    try:
        text = json.dumps(model.get_config(), sort_keys=True, default=str)
    except NotImplementedError:  # a subclassed model without a configuration is identified by its weights
        return ""
    layers = list(model._flatten_layers())
    # Operations of keras.ops in a functional model are no layers, but are numbered too.
    operations = [operation for layer in layers for operation in getattr(layer, "operations", ())]
    names = dict.fromkeys(part.name for part in [*layers, *operations])
    for index, name in enumerate(names):
        text = text.replace(f'"{name}"', f'"layer {index}"')
    return text


def zeros(sample_shape: Sequence[int]) -> np.ndarray:
    """One row of zeros, with which to call a model for the first time."""
    return np.zeros((1, *sample_shape), dtype=np.float32)
