import keras
import pytest
from keras import layers

from skaae._keras.sample_kinds import are_images

FLAT_IMAGE = [layers.Flatten(), layers.Dense(2)]
KINDS = {
    "dense network behind a scale": ([layers.Rescaling(1 / 255), layers.Dropout(0.1), *FLAT_IMAGE], True),
    "reshaped to rows": ([layers.Reshape((-1,)), layers.Dense(2)], True),
    "convolution in two dimensions": ([layers.Reshape((8, 6, 1)), layers.Conv2D(2, 3), *FLAT_IMAGE], True),
    "inside another model": ([keras.Sequential([layers.Reshape((8, 6, 1)), layers.Conv2D(2, 3)]), *FLAT_IMAGE], True),
    "recurrent": ([layers.LSTM(2)], False),
    "recurrent in both directions": ([layers.Bidirectional(layers.GRU(2)), layers.Dense(2)], False),
    "convolution in one dimension": ([layers.Conv1D(2, 3), *FLAT_IMAGE], False),
    "reshaped to other sequences": ([layers.Reshape((4, 12)), layers.Conv1D(2, 3), *FLAT_IMAGE], False),
    "dense layer for each step": ([layers.Dense(2), *FLAT_IMAGE], False),
    "mean of the steps": ([layers.GlobalAveragePooling1D(), layers.Dense(2)], False),
    "nothing that tells": ([layers.Rescaling(2.0)], False),
}


@pytest.mark.parametrize(("stack", "expected"), KINDS.values(), ids=KINDS)
def test_the_first_typical_layer_decides(stack, expected):
    model = keras.Sequential([keras.Input((8, 6)), *[type(layer).from_config(layer.get_config()) for layer in stack]])
    assert are_images(model, (8, 6)) is expected


@pytest.mark.parametrize(("sample_shape", "expected"), [((8, 6, 1), True), ((8, 6), False), ((8,), False)])
def test_without_a_network_the_dimensions_decide(sample_shape, expected):
    assert are_images(None, sample_shape) is expected
