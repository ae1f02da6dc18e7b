"""Whether samples of two dimensions are images or sequences, which the layers of the classifier tell."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import keras
from keras import layers

# Whatever is not among the layers below, such as Dropout, Normalization or Rescaling, says nothing.
OF_IMAGES = (
    layers.Conv2D,
    layers.DepthwiseConv2D,
    layers.SeparableConv2D,
    layers.MaxPooling2D,
    layers.AveragePooling2D,
    layers.Flatten,
)
OF_SEQUENCES = (
    layers.Conv1D,
    layers.SeparableConv1D,
    layers.DepthwiseConv1D,
    layers.MaxPooling1D,
    layers.AveragePooling1D,
    layers.GlobalAveragePooling1D,
    layers.GlobalMaxPooling1D,
    layers.RNN,
    layers.Bidirectional,
    layers.TimeDistributed,
    layers.MultiHeadAttention,
    layers.Dense,
)


def are_images(model: keras.Model | None, sample_shape: Sequence[int]) -> bool:
    """Whether samples are images: (height, width, n_channels), or (height, width) if the classifier says so.

    Parameters
    ----------
    model : keras.Model or None
        The classifier. The first of its layers that is typical of images or of sequences decides: a Flatten,
        a convolution in two dimensions, or a Reshape to rows or to images are typical of images; a
        convolution in one dimension, a recurrent layer, or a Dense layer for each step of sequences.
    sample_shape : sequence of int
        Shape of one sample.

    Returns
    -------
    are_images : bool

    Examples
    --------
    >>> import keras
    >>> from skaae._keras.sample_kinds import are_images
    >>> inputs, softmax = keras.Input((28, 28)), keras.layers.Dense(10, activation="softmax")
    >>> are_images(keras.Sequential([inputs, keras.layers.Flatten(), softmax]), (28, 28))
    True
    >>> inputs, softmax = keras.Input((28, 28)), keras.layers.Dense(10, activation="softmax")
    >>> are_images(keras.Sequential([inputs, keras.layers.LSTM(8), softmax]), (28, 28))
    False
    """
    if len(sample_shape) != 2 or model is None:
        return len(sample_shape) == 3
    for layer in _all_layers(model):
        is_image = isinstance(layer, OF_IMAGES)
        if isinstance(layer, layers.Reshape):
            is_image = len(layer.target_shape) != 2
        if is_image or isinstance(layer, OF_SEQUENCES):
            return is_image
    return False


def _all_layers(model: keras.Model) -> Iterator[keras.Layer]:
    """The layers of a model, and of the models in it, in their order."""
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from _all_layers(layer)
        else:
            yield layer
