"""AE: the default autoencoders, one for each kind of sample, and the user's own."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import layers

from skaae._data.rows import Statistics
from skaae._keras.models import check_input_shape, check_one_input_one_output, check_output_shape, copy_model, zeros

SampleShape = tuple[int, ...]
Layer = Callable[[keras.KerasTensor], keras.KerasTensor]
HIDDEN_UNITS = 512
HIDDEN_LAYERS = 2
MOST_CODE_UNITS = 1024
FILTERS = (32, 64)
CONVOLUTIONAL_HIDDEN_UNITS = 256
CONVOLUTIONAL_CODE_UNITS = 128
KERNEL_SIZE = 4
# What float32 still divides by, and adds.
SMALLEST_SPREAD, LARGEST_OFFSET = 1e-30, 1e30


def build_autoencoder(
    sample_shape: SampleShape,
    autoencoder: keras.Model | Callable[[SampleShape], keras.Model] | None = None,
    encoder: keras.Model | None = None,
    decoder: keras.Model | None = None,
    statistics: Statistics | None = None,
) -> keras.Model:
    """Make the autoencoder that is going to be trained; nothing that is given is changed.

    Parameters
    ----------
    sample_shape : tuple of int
        Shape of one sample: (n_features,), (n_timesteps, n_channels) or (height, width, n_channels).
    autoencoder : keras.Model, callable or None, default=None
        A model, of which a copy is returned, or ``callable(sample_shape) -> keras.Model``.
    encoder, decoder : keras.Model or None, default=None
        Two models instead of one; copies of both are chained.
    statistics : Statistics or None, default=None
        Of the training rows, for the default autoencoder; None: they are taken for standardized.

    Returns
    -------
    autoencoder : keras.Model
        Built, from `sample_shape` to `sample_shape`.

    Raises
    ------
    ValueError
        If both or only half of an autoencoder are given, or if the shapes do not fit.
    TypeError
        If what is given, or what the callable returns, is no Keras model or cannot be copied.

    Examples
    --------
    >>> from skaae._training.autoencoders import build_autoencoder
    >>> build_autoencoder((8, 8, 1)).output_shape
    (None, 8, 8, 1)
    """
    _check_one_way(autoencoder, encoder, decoder)
    if encoder is not None:
        return _chain(sample_shape, encoder, decoder)
    if autoencoder is None:
        return default_autoencoder(sample_shape, statistics)
    if not isinstance(autoencoder, keras.Model):
        autoencoder = _call_factory(autoencoder, sample_shape)
    return _checked(copy_model(autoencoder, "autoencoder"), sample_shape)


def check_autoencoder_arguments(
    sample_shape: SampleShape, autoencoder: object = None, encoder: object = None, decoder: object = None
) -> None:
    """Raise what `build_autoencoder` would raise of the arguments and of what goes in, without making anything."""
    _check_one_way(autoencoder, encoder, decoder)
    for model, argument in ((autoencoder, "autoencoder"), (encoder, "encoder")):
        if isinstance(model, keras.Model):
            check_input_shape(model, sample_shape, argument)


def default_autoencoder(sample_shape: SampleShape, statistics: Statistics | None = None) -> keras.Model:
    """Build the default autoencoder for rows, sequences or images.

    Where X lies in [0, 1] it ends in a sigmoid. Other rows and sequences need not be standardized: it brings
    each feature to a mean of 0 and a standard deviation of 1 on the way in, and back on the way out.

    Parameters
    ----------
    sample_shape : tuple of int
        (n_features,): Dense. (n_timesteps, n_channels): Conv1D. (height, width, n_channels): Conv2D.
    statistics : Statistics or None, default=None
        Of the training rows; None: they are taken for standardized.

    Returns
    -------
    autoencoder : keras.Model

    Raises
    ------
    ValueError
        If a sample has no or more than three dimensions.
    """
    activation = "sigmoid" if statistics is not None and statistics.in_unit_interval else "linear"
    inputs = keras.Input(sample_shape, name="sample")
    scale, unscale = _scaling(sample_shape, statistics)
    match len(sample_shape):
        case 1:
            outputs = _dense(scale(inputs), activation)
        case 2:
            parts = layers.Conv1D, layers.Conv1DTranspose, layers.Cropping1D
            outputs = _convolutional(scale(inputs), activation, *parts)
        case 3:
            parts = layers.Conv2D, layers.Conv2DTranspose, layers.Cropping2D
            outputs = _convolutional(inputs, activation, *parts)
        case _:
            raise ValueError(
                f"X has samples of shape {sample_shape}. Rows (n_features,), sequences (n_timesteps, n_channels) or "
                f"images (height, width, n_channels) are wanted; for anything else give `autoencoder`."
            )
    return keras.Model(inputs, unscale(outputs), name="autoencoder")


def _scaling(sample_shape: SampleShape, statistics: Statistics | None) -> tuple[Layer, Layer]:
    """From each feature's own units to standard deviations, and back; nothing to do for images and in [0, 1]."""
    if statistics is None or len(sample_shape) > 2 or statistics.in_unit_interval:
        return (lambda x: x), (lambda x: x)
    mean, spread = statistics.mean, np.maximum(statistics.spread, SMALLEST_SPREAD)
    offset = np.clip(-mean / spread, -LARGEST_OFFSET, LARGEST_OFFSET)
    return (
        layers.Rescaling((1 / spread).tolist(), offset.tolist(), name="scale"),
        layers.Rescaling(spread.tolist(), mean.tolist(), name="unscale"),
    )


def _dense(inputs: keras.KerasTensor, activation: str) -> keras.KerasTensor:
    """Wide, and with a code wider than the sample: the perturbations keep AE from copying, not a bottleneck."""
    n_features = inputs.shape[-1]
    code = layers.Dense(min(2 * n_features, MOST_CODE_UNITS), name="code")(_hidden(inputs, "encoder"))
    return layers.Dense(n_features, activation=activation, name="reconstruction")(_hidden(code, "decoder"))


def _hidden(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    for level in range(HIDDEN_LAYERS):
        x = layers.Dense(HIDDEN_UNITS, activation="relu", name=f"{name}_{level}")(x)
    return x


def _convolutional(
    inputs: keras.KerasTensor, activation: str, convolution: Any, transposed: Any, cropping: Any
) -> keras.KerasTensor:
    """Two strided convolutions, a dense code, and the same way back; what the strides round up is cropped."""
    *size, n_channels = inputs.shape[1:]
    options = {"strides": 2, "padding": "same", "activation": "relu"}
    hidden = inputs
    for level, filters in enumerate(FILTERS):
        hidden = convolution(filters, KERNEL_SIZE, name=f"encoder_{level}", **options)(hidden)
    smallest = hidden.shape[1:]
    hidden = _dense_code(layers.Flatten(name="flatten")(hidden), math.prod(smallest))
    hidden = layers.Reshape(smallest, name="unflatten")(hidden)
    for level, filters in enumerate(reversed(FILTERS)):
        hidden = transposed(filters, KERNEL_SIZE, name=f"decoder_{level}", **options)(hidden)
    hidden = convolution(n_channels, 3, padding="same", activation=activation, name="outputs")(hidden)
    surplus = tuple((0, length - needed) for length, needed in zip(hidden.shape[1:-1], size, strict=True))
    return cropping(surplus if len(surplus) > 1 else surplus[0], name="reconstruction")(hidden)


def _dense_code(x: keras.KerasTensor, n_units: int) -> keras.KerasTensor:
    x = layers.Dense(CONVOLUTIONAL_HIDDEN_UNITS, activation="relu", name="encoder")(x)
    code = layers.Dense(CONVOLUTIONAL_CODE_UNITS, name="code")(x)
    return layers.Dense(n_units, activation="relu", name="decoder")(code)


def _check_one_way(autoencoder: object, encoder: object, decoder: object) -> None:
    """Raise unless the autoencoder is given in one way only."""
    if autoencoder is not None and (encoder is not None or decoder is not None):
        raise ValueError("autoencoder and encoder / decoder were both given: give one or the other.")
    if (encoder is None) != (decoder is None):
        given, missing = ("encoder", "decoder") if decoder is None else ("decoder", "encoder")
        raise ValueError(f"{given} was given without {missing}: give both, or `autoencoder`.")


def _call_factory(factory: Callable[[SampleShape], keras.Model], sample_shape: SampleShape) -> keras.Model:
    model = factory(sample_shape)
    if not isinstance(model, keras.Model):
        raise TypeError(f"autoencoder({sample_shape}) returned {type(model).__name__}, a keras.Model is wanted.")
    return model


def _chain(sample_shape: SampleShape, encoder: keras.Model, decoder: keras.Model) -> keras.Model:
    encoder, decoder = copy_model(encoder, "encoder"), copy_model(decoder, "decoder")
    check_input_shape(encoder, sample_shape, "encoder")
    for model, argument in ((encoder, "encoder"), (decoder, "decoder")):
        check_one_input_one_output(model, argument)
    inputs = keras.Input(sample_shape, name="sample")
    code = encoder(inputs)
    check_input_shape(decoder, code.shape[1:], "decoder")
    chained = keras.Model(inputs, decoder(code), name="autoencoder")
    check_output_shape(chained.output_shape[1:], sample_shape, "decoder")
    return chained


def _checked(model: keras.Model, sample_shape: SampleShape) -> keras.Model:
    check_one_input_one_output(model, "autoencoder")
    check_input_shape(model, sample_shape, "autoencoder")
    reconstruction = model(zeros(sample_shape), training=False)
    check_output_shape(reconstruction.shape[1:], sample_shape, "autoencoder")
    return model
