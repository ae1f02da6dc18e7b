import keras
import numpy as np
import pytest
import tensorflow as tf

from skaae import FrozenKerasModel
from skaae._keras.logits import class_logits

dense = keras.layers.Dense


def ends_in(activation, n_outputs):
    keras.utils.set_random_seed(1)
    return keras.Sequential([keras.Input((4,)), dense(n_outputs, activation=activation)])


def gradient_of_certain(model, x):
    x = tf.constant(x, tf.float32)

    @tf.function
    def gradient(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            logits = class_logits(model(x), from_logits=False)
            value = tf.nn.log_softmax(logits)[:, 0]
        return logits, tape.gradient(value, x)

    return gradient(x)


@pytest.mark.parametrize(("activation", "n_outputs"), [("softmax", 3), ("sigmoid", 1)])
def test_a_certain_prediction_has_a_gradient(activation, n_outputs):
    """On probabilities clipped at 1e-7 it would be exactly 0 here."""
    model = ends_in(activation, n_outputs)
    _, gradient = gradient_of_certain(model, 200 * np.ones((1, 4)) * np.sign(model.get_weights()[0][:, -1]))
    assert np.abs(gradient).min() > 0


def test_softmax_layer_and_subclassed_model_are_looked_through():
    class Subclassed(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = dense(3)

        def call(self, x):
            return keras.ops.softmax(self.dense(x))

    x = 50 * np.ones((2, 4), dtype="float32")
    subclassed = Subclassed()
    subclassed(x)
    layer = keras.Sequential([keras.Input((4,)), dense(3), keras.layers.Softmax()])
    for model, wanted in ((layer, layer.layers[0]), (subclassed, subclassed.dense)):
        np.testing.assert_allclose(FrozenKerasModel(model).predict_logits(x), wanted(x), rtol=1e-5)


def test_probabilities_made_otherwise_are_floored():
    inputs = keras.Input((2,))
    model = keras.Model(inputs, inputs / keras.ops.sum(inputs, axis=1, keepdims=True))
    logits = FrozenKerasModel(model).predict_logits(np.array([[1.0, 0.0], [3.0, 1.0]]))
    np.testing.assert_allclose(logits, [[0, np.log(np.finfo(np.float32).tiny)], np.log([0.75, 0.25])], rtol=1e-6)
