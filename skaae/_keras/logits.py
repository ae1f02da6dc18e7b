"""The logits of a classifier: the values before the activation that turns them into probabilities."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf

from skaae._keras.models import call_frozen, zeros

SMALLEST_PROBABILITY = float(np.finfo(np.float32).tiny)
SUM_TOLERANCE = 1e-3
# Four times the distance between 1 and the next larger number of short floats.
TOLERANCES = {"float16": 2**-8, "bfloat16": 2**-5}
PASS_THROUGH = ("Identity", "Cast", "StopGradient")


def class_logits(outputs: tf.Tensor, from_logits: bool) -> tf.Tensor:
    """Logits of all classes for the outputs of a classifier, inside a graph.

    If the outputs come from a softmax or a sigmoid, the logits are its inputs. Otherwise they are the logarithms of
    the probabilities, floored at the smallest normal float32.

    Parameters
    ----------
    outputs : tf.Tensor of shape (n_samples, n_classes) or (n_samples, 1)
        A single column stands for the second of two classes.
    from_logits : bool
        Whether the outputs are logits.

    Returns
    -------
    logits : tf.Tensor of shape (n_samples, n_classes), float32
        Up to a constant for each row.
    """
    if outputs.shape[-1] == 1:
        logit = outputs if from_logits else _before(outputs, "Sigmoid")
        if logit is None:
            logit = _floored_log(outputs) - _floored_log(1.0 - outputs)
        return tf.pad(tf.cast(logit, tf.float32), [[0, 0], [1, 0]])
    logits = outputs if from_logits else _before(outputs, "Softmax")
    return tf.cast(_floored_log(outputs) if logits is None else logits, tf.float32)


def end_in_activation(outputs: tf.Tensor) -> bool:
    """Whether outputs come from a softmax or a sigmoid, inside a graph. False also if the graph does not show it.

    Parameters
    ----------
    outputs : tf.Tensor

    Returns
    -------
    known : bool
    """
    return any(_before(outputs, activation) is not None for activation in ("Softmax", "Sigmoid"))


def _before(outputs: tf.Tensor, activation: str) -> tf.Tensor | None:
    """The inputs of the activation that made the outputs, or None if another operation made them."""
    operation = outputs.op
    while operation.type in PASS_THROUGH:
        operation = operation.inputs[0].op
    return operation.inputs[0] if operation.type == activation else None


def _floored_log(probabilities: tf.Tensor) -> tf.Tensor:
    return tf.math.log(tf.maximum(tf.cast(probabilities, tf.float32), SMALLEST_PROBABILITY))


def check_outputs(outputs: np.ndarray, from_logits: bool, argument: str = "classifier") -> None:
    """Raise a ValueError that names `argument` unless the outputs are finite, and probabilities or logits as stated."""
    if not np.isfinite(outputs).all():
        raise ValueError(f"{argument} must return finite predictions, but returned NaN or infinity for rows of X.")
    if from_logits:
        return
    if not are_probabilities(outputs):
        sums = _sums(outputs)
        worst = sums[np.abs(sums - 1).argmax()]
        raise ValueError(
            f"{argument} must return probabilities, but returned values from {outputs.min():.4g} to "
            f"{outputs.max():.4g} with a row that sums to {worst:.4g}. If these are logits, pass "
            f"FrozenKerasModel(model, from_logits=True)."
        )


def are_probabilities(outputs: np.ndarray) -> bool:
    """Whether all values are in [0, 1] and all rows sum to 1. A single column needs no sum."""
    tolerance = probability_tolerance(outputs.dtype.name, SUM_TOLERANCE)
    in_range = outputs.min() >= 0 and outputs.max() <= 1 + tolerance
    return bool(in_range and (np.abs(_sums(outputs) - 1) <= tolerance).all())


def probability_tolerance(dtype: str, least: float) -> float:
    """How far probabilities computed in this type may be from what they should be.

    Parameters
    ----------
    dtype : str
        Name of a floating-point type.
    least : float
        Tolerance for float32, and for all longer types.

    Returns
    -------
    tolerance : float

    Examples
    --------
    >>> from skaae._keras.logits import probability_tolerance
    >>> probability_tolerance("float32", 1e-3), probability_tolerance("bfloat16", 1e-3)
    (0.001, 0.03125)
    """
    return max(least, TOLERANCES.get(dtype, 0.0))


def _sums(outputs: np.ndarray) -> np.ndarray:
    return outputs.sum(axis=1, dtype=np.float64) if outputs.shape[1] > 1 else np.ones(1)


def count_classes(model: keras.Model, argument: str = "classifier") -> int:
    """Count the classes of the model: its outputs, or 2 for a single output."""
    shape = _output_shape(model, argument)
    if len(shape) != 2 or shape[1] is None:
        raise ValueError(f"{argument} must return outputs of shape (n_samples, n_classes), got the shape {shape}.")
    return max(2, shape[1])


def _output_shape(model: keras.Model, argument: str) -> tuple[int | None, ...]:
    if getattr(model, "outputs", None):
        return tuple(model.outputs[0].shape)
    # After its first call a subclassed model knows the shape of its input, but not that of its output.
    outputs = call_frozen(model, zeros(model.get_build_config()["input_shape"][1:]))
    if not tf.is_tensor(outputs):
        raise ValueError(f"{argument} must return one output, got {type(outputs).__name__}.")
    return (None, *outputs.shape[1:])
