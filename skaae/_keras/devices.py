"""What a GPU asks of TensorFlow: memory as it is needed, full float32 for scores, errors that say what to do."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import keras
import tensorflow as tf

# TensorFlow offers no public way to read whether operations are deterministic, only to set it.
from tensorflow.python.framework import config

from skaae._utils.warnings import warn

Result = TypeVar("Result")
_lock = threading.Lock()
_n_inside = 0
_was_enabled = False


def allocate_memory_as_needed() -> None:
    """Let TensorFlow take a GPU's memory as it needs it, where nobody has decided otherwise.

    By default TensorFlow takes the whole card when it is first used, and leaves none to XGBoost, PyTorch or
    another process. Nothing is changed if TensorFlow runs already or if the memory of a device is limited.
    The environment variable TF_FORCE_GPU_ALLOW_GROWTH goes before this setting.
    """
    for device in tf.config.list_physical_devices("GPU"):
        if tf.config.get_logical_device_configuration(device):
            continue
        try:
            tf.config.experimental.set_memory_growth(device, True)
        except RuntimeError:  # TensorFlow runs already: the memory is taken
            return


def has_gpu() -> bool:
    """Whether operations run on a GPU unless they are placed elsewhere.

    Examples
    --------
    >>> from skaae._keras.devices import has_gpu
    >>> isinstance(has_gpu(), bool)
    True
    """
    return bool(tf.config.list_logical_devices("GPU"))


def can_compile(models: Iterable[keras.Model]) -> bool:
    """Whether XLA can be expected to compile these models: Keras' own layers say so, others may not know.

    Parameters
    ----------
    models : iterable of keras.Model

    Returns
    -------
    can_compile : bool
        False too where TensorFlow's operations are to be deterministic, which XLA does not offer for all.

    Examples
    --------
    >>> import keras
    >>> from skaae._keras.devices import can_compile
    >>> can_compile([keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])])
    True
    """
    layers = [layer for model in models for layer in model._flatten_layers()]
    known = all(layer.supports_jit and type(layer).__module__.startswith(("keras.", "skaae.")) for layer in layers)
    return known and not is_op_determinism_enabled()


def is_op_determinism_enabled() -> bool:
    """Whether TensorFlow's operations are deterministic, as `tf.config.experimental.enable_op_determinism` makes them.

    scikeras does so for good when it fits with a seed.

    Examples
    --------
    >>> from skaae._keras.devices import is_op_determinism_enabled
    >>> isinstance(is_op_determinism_enabled(), bool)
    True
    """
    return bool(config.is_op_determinism_enabled())


@contextmanager
def op_determinism(enabled: bool) -> Iterator[None]:
    """Make TensorFlow's operations deterministic, or not, inside the block. The setting belongs to the process.

    Some operations round differently then.

    Examples
    --------
    >>> from skaae._keras.devices import is_op_determinism_enabled, op_determinism
    >>> with op_determinism(True):
    ...     is_op_determinism_enabled()
    True
    """
    before = is_op_determinism_enabled()
    set_op_determinism(enabled)
    try:
        yield
    finally:
        set_op_determinism(before)


def set_op_determinism(enabled: bool) -> None:
    """Make TensorFlow's operations deterministic from now on, or not."""
    (config.enable_op_determinism if enabled else config.disable_op_determinism)()


def run_deterministically(training: Callable[[], Result], model: keras.Model) -> Result:
    """Run a training with operations that give the same bits every time, which those of a GPU otherwise do not.

    Without this two fits of 471 steps with one seed differed by 0.05 in a weight on an H100; with it by 0, in about the
    same time. The setting belongs to the process. XLA compiles to deterministic code anyway.

    Parameters
    ----------
    training : callable
        Without arguments.
    model : keras.Model
        The model that is trained.

    Returns
    -------
    result : object
        What `training` returns.

    Warns
    -----
    UserWarning
        If a layer has no such operation. The training is repeated without.
    """
    if not has_gpu() or is_op_determinism_enabled():
        return training()
    start = model.get_weights()
    try:
        with op_determinism(True):
            return training()
    except tf.errors.UnimplementedError as error:
        warn(f"A layer has no deterministic operation on this device, so that fits differ: {str(error)[:200]}")
        model.set_weights(start)
    return training()


@contextmanager
def full_float32() -> Iterator[None]:
    """Multiply matrices in float32 inside the block, not in TensorFloat-32.

    TensorFloat-32, the default of TensorFlow on recent GPUs, keeps 10 bits of each factor: scores would
    differ from those of a CPU by a thousandth. The setting belongs to the process, so the last of several
    threads to leave a block restores it.

    Examples
    --------
    >>> import tensorflow as tf
    >>> from skaae._keras.devices import full_float32
    >>> with full_float32():
    ...     tf.config.experimental.tensor_float_32_execution_enabled()
    False
    """
    global _n_inside, _was_enabled
    with _lock:
        if _n_inside == 0:
            _was_enabled = tf.config.experimental.tensor_float_32_execution_enabled()
            tf.config.experimental.enable_tensor_float_32_execution(False)
        _n_inside += 1
    try:
        yield
    finally:
        with _lock:
            _n_inside -= 1
            if _n_inside == 0:
                tf.config.experimental.enable_tensor_float_32_execution(_was_enabled)


@contextmanager
def memory_errors(remedy: str) -> Iterator[None]:
    """Raise a MemoryError that names a remedy where the device has no memory left.

    Parameters
    ----------
    remedy : str
        What to change, the end of the message.

    Raises
    ------
    MemoryError
        If an operation of the block finds no memory.

    Examples
    --------
    >>> import tensorflow as tf
    >>> from skaae._keras.devices import memory_errors
    >>> with memory_errors("Use fewer rows."):
    ...     raise tf.errors.ResourceExhaustedError(None, None, "OOM")
    Traceback (most recent call last):
    MemoryError: The device has no memory left. Use fewer rows.
    """
    try:
        yield
    except tf.errors.ResourceExhaustedError as error:
        raise MemoryError(f"The device has no memory left. {remedy}") from error
