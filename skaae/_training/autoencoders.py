"""The autoencoder AE: a default for each kind of sample, or the user's own model."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import layers

from skaae._data.rows import Statistics
from skaae._keras.models import (
    check_input_shape,
    check_keras_version,
    check_one_input_one_output,
    check_output_shape,
    copy_model,
    only_tensor,
    zeros,
)

SampleShape = tuple[int, ...]
Layer = Callable[[keras.KerasTensor], keras.KerasTensor]
HIDDEN_UNITS = 512
HIDDEN_LAYERS = 2
MOST_CODE_UNITS = 1024
FILTERS = (32, 64)
DECODER_FILTERS = 16
CONVOLUTIONAL_HIDDEN_UNITS = 256
CONVOLUTIONAL_CODE_UNITS = 128
KERNEL_SIZE = 4
# The smallest divisor and the largest summand that float32 can hold safely.
SMALLEST_SPREAD, LARGEST_OFFSET = 1e-30, 1e30


def build_autoencoder(
    sample_shape: SampleShape,
    autoencoder: keras.Model | Callable[[SampleShape], keras.Model] | None = None,
    encoder: keras.Model | None = None,
    decoder: keras.Model | None = None,
    statistics: Statistics | None = None,
    images: bool | None = None,
) -> keras.Model:
    """Build the autoencoder that is going to be trained. Models that the user passed are not changed.

    Parameters
    ----------
    sample_shape : tuple of int
        Shape of one sample: (n_features,), (n_timesteps, n_channels) or (height, width, n_channels).
    autoencoder : keras.Model, callable or None, default=None
        A model, of which a copy is returned, or ``callable(sample_shape) -> keras.Model``.
    encoder, decoder : keras.Model or None, default=None
        Two models instead of one autoencoder. Copies of both are chained.
    statistics : Statistics or None, default=None
        Statistics of the training rows, which the default autoencoder needs. None: the rows are assumed to be
        standardized.
    images : bool or None, default=None
        Whether samples are images, also if they have the shape (height, width). None: if they have three dimensions.

    Returns
    -------
    autoencoder : keras.Model
        Built, from `sample_shape` to `sample_shape`.

    Raises
    ------
    ValueError
        If both `autoencoder` and `encoder` / `decoder`, or only one of the latter, are given. If a shape does not fit.
    TypeError
        If an argument, or the result of the callable, is not a Keras model or cannot be copied.

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
        if images and len(sample_shape) == 2:
            return _with_channel(sample_shape, statistics)
        return default_autoencoder(sample_shape, statistics)
    if not isinstance(autoencoder, keras.Model):
        autoencoder = _call_factory(autoencoder, sample_shape)
    return _checked(copy_model(autoencoder, "autoencoder"), sample_shape)


def check_autoencoder_arguments(
    sample_shape: SampleShape, autoencoder: object = None, encoder: object = None, decoder: object = None
) -> None:
    """Raise the errors of `build_autoencoder` that need no model to be built: of the arguments and the input shapes."""
    _check_one_way(autoencoder, encoder, decoder)
    for model, argument in ((autoencoder, "autoencoder"), (encoder, "encoder")):
        if isinstance(model, keras.Model):
            check_input_shape(model, sample_shape, argument)


def default_autoencoder(sample_shape: SampleShape, statistics: Statistics | None = None) -> keras.Model:
    """Build the default autoencoder for rows, sequences or images.

    If all values of X are in [0, 1], the last activation is a sigmoid. Other rows and sequences need not be
    standardized: the network scales each feature to mean 0 and standard deviation 1, and scales its output back.

    Parameters
    ----------
    sample_shape : tuple of int
        (n_features,): Dense. (n_timesteps, n_channels): Conv1D. (height, width, n_channels): Conv2D.
    statistics : Statistics or None, default=None
        Statistics of the training rows. None: the rows are assumed to be standardized.

    Returns
    -------
    autoencoder : keras.Model

    Raises
    ------
    ValueError
        If a sample has zero dimensions or more than three.
    """
    activation = "sigmoid" if statistics is not None and statistics.in_unit_interval else "linear"
    inputs = keras.Input(sample_shape, name="sample")
    scale, unscale = _scaling(sample_shape, statistics)
    match len(sample_shape):
        case 1:
            outputs = _dense(scale(inputs), activation)
        case 2:
            outputs = _convolutional(scale(inputs), activation, layers.Conv1D, layers.Cropping1D)
        case 3:
            outputs = _convolutional(inputs, activation, layers.Conv2D, layers.Cropping2D)
        case _:
            raise ValueError(
                f"The default autoencoder expects rows (n_features,), sequences (n_timesteps, n_channels) or images "
                f"(height, width, n_channels), but X has samples of shape {sample_shape}. Pass `autoencoder`."
            )
    return keras.Model(inputs, unscale(outputs), name="autoencoder")


def _with_channel(sample_shape: SampleShape, statistics: Statistics | None) -> keras.Model:
    """The default for images, for images without a dimension of channels."""
    inputs = keras.Input(sample_shape, name="sample")
    with_channel = layers.Reshape((*sample_shape, 1), name="with_channel")(inputs)
    outputs = default_autoencoder((*sample_shape, 1), statistics)(with_channel)
    return keras.Model(inputs, layers.Reshape(sample_shape, name="without_channel")(outputs), name="autoencoder")


def _scaling(sample_shape: SampleShape, statistics: Statistics | None) -> tuple[Layer, Layer]:
    """Layers that standardize each feature and undo it. They do nothing for images and for values in [0, 1]."""
    if statistics is None or len(sample_shape) > 2 or statistics.in_unit_interval:
        return (lambda x: x), (lambda x: x)
    mean, spread = statistics.mean, np.maximum(statistics.spread, SMALLEST_SPREAD)
    offset = np.clip(-mean / spread, -LARGEST_OFFSET, LARGEST_OFFSET)
    return (
        layers.Rescaling((1 / spread).tolist(), offset.tolist(), name="scale"),
        layers.Rescaling(spread.tolist(), mean.tolist(), name="unscale"),
    )


def _dense(inputs: keras.KerasTensor, activation: str) -> keras.KerasTensor:
    """A wide dense network without a bottleneck: the perturbations, not the code, keep AE from copying its input."""
    n_features = inputs.shape[-1]
    code = layers.Dense(min(2 * n_features, MOST_CODE_UNITS), name="code")(_hidden(inputs, "encoder"))
    return layers.Dense(n_features, activation=activation, name="reconstruction")(_hidden(code, "decoder"))


def _hidden(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    for level in range(HIDDEN_LAYERS):
        x = layers.Dense(HIDDEN_UNITS, activation="relu", name=f"{name}_{level}")(x)
    return x


def _convolutional(inputs: keras.KerasTensor, activation: str, convolution: Any, cropping: Any) -> keras.KerasTensor:
    """Two strided convolutions, a dense code, and two sub-pixel convolutions. The border that strides add is cropped.

    Sub-pixel convolutions work at half the size of their result, which takes a third of the time of transposed ones.
    """
    *size, n_channels = inputs.shape[1:]
    hidden = inputs
    for level, filters in enumerate(FILTERS):
        options = {"strides": 2, "padding": "same", "activation": "relu", "name": f"encoder_{level}"}
        hidden = convolution(filters, KERNEL_SIZE, **options)(hidden)
    smallest, n_parts = hidden.shape[1:], 2 ** len(size)
    hidden = _dense_code(layers.Flatten(name="flatten")(hidden), math.prod(smallest))
    hidden = layers.Reshape(smallest, name="unflatten")(hidden)
    for name, filters, kind in (("decoder_0", DECODER_FILTERS, "relu"), ("outputs", n_channels, activation)):
        hidden = convolution(n_parts * filters, 3, padding="same", activation=kind, name=name)(hidden)
        hidden = depth_to_space(hidden, f"{name}_doubled")
    surplus = tuple((0, length - needed) for length, needed in zip(hidden.shape[1:-1], size, strict=True))
    return cropping(surplus if len(surplus) > 1 else surplus[0], name="reconstruction")(hidden)


def depth_to_space(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    """Double the size: each channel becomes neighboring places of fewer channels.

    Source: Shi et al., *Real-Time Single Image and Video Super-Resolution Using an Efficient Sub-Pixel Convolutional
    Neural Network*, arXiv:1609.05158, section 3.2.
    """
    *size, n_channels = x.shape[1:]
    n_axes = len(size)
    x = layers.Reshape((*size, *[2] * n_axes, n_channels // 2**n_axes), name=f"{name}_split")(x)
    order = [axis + part * n_axes for axis in range(1, n_axes + 1) for part in range(2)]
    x = layers.Permute((*order, 2 * n_axes + 1), name=f"{name}_order")(x)
    return layers.Reshape((*(2 * length for length in size), -1), name=name)(x)


def _dense_code(x: keras.KerasTensor, n_units: int) -> keras.KerasTensor:
    x = layers.Dense(CONVOLUTIONAL_HIDDEN_UNITS, activation="relu", name="encoder")(x)
    code = layers.Dense(CONVOLUTIONAL_CODE_UNITS, name="code")(x)
    return layers.Dense(n_units, activation="relu", name="decoder")(code)


def _check_one_way(autoencoder: object, encoder: object, decoder: object) -> None:
    """Raise unless at most one of the two ways to pass an autoencoder is used."""
    if autoencoder is not None and (encoder is not None or decoder is not None):
        raise ValueError(
            "autoencoder and encoder / decoder were both passed. Pass either autoencoder, or encoder and decoder."
        )
    if (encoder is None) != (decoder is None):
        given, missing = ("encoder", "decoder") if decoder is None else ("decoder", "encoder")
        raise ValueError(f"{given} was passed without {missing}. Pass both, or `autoencoder`.")


def _call_factory(factory: Callable[[SampleShape], keras.Model], sample_shape: SampleShape) -> keras.Model:
    model = factory(sample_shape)
    check_keras_version(model, f"autoencoder({sample_shape})")
    if not isinstance(model, keras.Model):
        raise TypeError(f"autoencoder({sample_shape}) must return a keras.Model, got {type(model).__name__}.")
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
    reconstruction = only_tensor(model(zeros(sample_shape), training=False))
    check_output_shape(reconstruction.shape[1:], sample_shape, "autoencoder")
    return model
