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


@pytest.mark.parametrize("dtype", ["mixed_bfloat16", "mixed_float16"])
@pytest.mark.parametrize(("activation", "n_outputs"), [("softmax", 2), ("softmax", 1000), ("sigmoid", 1)])
def test_short_floats(dtype, activation, n_outputs):
    """The rows of a softmax in bfloat16 miss 1 by a hundredth."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((4,)), dense(n_outputs, activation, dtype=dtype)])
    X = np.random.default_rng(0).normal(size=(100, 4))
    probabilities = FrozenKerasModel(model).predict_proba(X)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    np.testing.assert_allclose(
        probabilities[:, 1:],
        np.float64(model.predict(X, verbose=0))[:, -n_outputs:][:, 1 if n_outputs > 1 else 0 :],
        atol=0.02,
    )


def test_short_floats_whose_activation_is_hidden():
    inputs = keras.Input((4,))
    outputs = keras.layers.Softmax(dtype="bfloat16")(inputs)
    model = keras.Model(inputs, keras.layers.Rescaling(1.0, dtype="bfloat16")(outputs))
    X = np.random.default_rng(0).normal(size=(100, 4))
    assert FrozenKerasModel(model).predict_proba(X).shape == (100, 4)
    with pytest.raises(ValueError, match=r"sums to 1\.5"):
        FrozenKerasModel(keras.Model(inputs, keras.layers.Rescaling(1.5, dtype="bfloat16")(outputs))).predict_proba(X)


def test_logits_in_bfloat16():
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((4,)), dense(3, dtype="mixed_bfloat16")])
    assert FrozenKerasModel(model, from_logits=True).predict_proba(np.ones((2, 4))).dtype == np.float64
    with pytest.raises(ValueError, match="from_logits=True"):
        FrozenKerasModel(model).predict_proba(np.ones((2, 4)))


def test_one_probability_made_otherwise_becomes_its_log_odds():
    probabilities = tf.constant([[0.2], [0.5], [0.9]])
    logits = tf.function(lambda values: class_logits(values, from_logits=False))(probabilities)
    np.testing.assert_allclose(tf.nn.softmax(logits)[:, 1], [0.2, 0.5, 0.9], rtol=1e-6)
