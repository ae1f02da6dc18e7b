"""What layers hold is a constant of the file, and what no output needs is left out."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from skaae import AdversarialAEDetector
from skaae.onnx import OnnxDetector, to_onnx
from skaae.onnx._freezing import frozen
from tests.support.models import QUICK

layers = keras.layers
CENTER, SPREAD = np.linspace(50, 150, 200), np.linspace(10, 60, 200)


@keras.saving.register_keras_serializable("tests.onnx")
class OwnConstants(layers.Layer):
    """Tensors small and large, a loss of its own, and places that ONNX needs to know before it runs."""

    def build(self, _):
        self.matrix = tf.constant(np.random.default_rng(0).normal(size=(200, 8)) / 200, tf.float32)
        self.places, self.shape = tf.constant([0, 2, 4]), tf.constant([-1, 8])

    def call(self, x):
        self.add_loss(tf.reduce_sum(x))
        return tf.concat([tf.gather(x, self.places, axis=1) / 200, tf.reshape(x @ self.matrix, self.shape)], axis=1)


def adapted():
    layer = layers.Normalization()
    layer.adapt(np.random.default_rng(0).normal(CENTER, SPREAD, (100, 200)))
    return layer


WITH_CONSTANTS = {
    "Normalization, adapted": lambda: [adapted()],
    "Normalization with arrays": lambda: [layers.Normalization(mean=CENTER, variance=SPREAD**2)],
    "Normalization with numbers": lambda: [layers.Normalization(mean=100.0, variance=2500.0)],
    "Normalization, inverted": lambda: [adapted(), layers.Normalization(mean=CENTER, variance=SPREAD, invert=True)],
    "Rescaling": lambda: [layers.Rescaling(1 / 255)],
    "Rescaling with arrays": lambda: [layers.Rescaling(1 / SPREAD, offset=-CENTER / SPREAD)],
    "own layer": lambda: [OwnConstants()],
}
WITH_LOSSES = {
    "activity, by name": lambda: [layers.Dense(8, "relu", activity_regularizer="l1")],
    "activity, by object": lambda: [layers.Dense(8, activity_regularizer=keras.regularizers.L1L2(0.1, 0.1))],
    "activity, as a layer": lambda: [layers.ActivityRegularization(l1=0.1, l2=0.1)],
    "kernel and bias": lambda: [layers.Dense(8, kernel_regularizer="orthogonal_regularizer", bias_regularizer="l2")],
    "batch normalization": lambda: [layers.BatchNormalization(gamma_regularizer="l2", beta_regularizer="l1")],
}


def rows(n=150):
    return np.random.default_rng(1).normal(CENTER, SPREAD, (n, 200)).astype(np.float32)


def network(first, last=None):
    """Of which the logits are small, so that rounding is too."""
    spread = keras.initializers.RandomNormal(stddev=0.01, seed=0)
    last = layers.Dense(2, kernel_initializer=spread) if last is None else last
    return keras.Sequential([keras.Input((200,)), *first, last])


def assert_same(detector, path, X):
    to_onnx(detector, path)
    loaded = OnnxDetector(path)
    np.testing.assert_allclose(loaded.adversarial_score(X), detector.adversarial_score(X), rtol=0, atol=1e-5)
    np.testing.assert_allclose(loaded.reconstruct(X), detector.reconstruct(X), rtol=1e-5, atol=1e-3)
    np.testing.assert_array_equal(loaded.predict(X), detector.predict(X))


@pytest.mark.parametrize("kind", WITH_CONSTANTS | WITH_LOSSES)
def test_layers_of_the_classifier(kind, tmp_path):
    model = network((WITH_CONSTANTS | WITH_LOSSES)[kind]())
    model = keras.Sequential([model, layers.Softmax()])
    detector = AdversarialAEDetector(model, autoencoder=lambda _: network([], layers.Dense(200)), epochs=0)
    assert_same(detector.set_params(random_state=0).fit(rows()), tmp_path / "file.onnx", rows())


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["Normalization, adapted", "own layer", "activity, by name"])
def test_layers_of_the_autoencoder_and_of_hidden_models(kind, tmp_path):
    def build(last):
        return network((WITH_CONSTANTS | WITH_LOSSES)[kind](), last)

    classifier = network([layers.Rescaling(1 / 255)], layers.Dense(2, "softmax"))
    settings = {"hidden_models": [build(layers.Dense(3, "softmax"))], "autoencoder": build(layers.Dense(200))}
    detector = AdversarialAEDetector(classifier, **{**QUICK, **settings})
    assert_same(detector.fit(rows()), tmp_path / "file.onnx", rows())


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "bfloat16"])
@pytest.mark.parametrize("of_autoencoder", [True, False])
def test_bfloat16_is_refused_by_name(policy, of_autoencoder, tmp_path):
    def build(dtype, last):
        return network([layers.Rescaling(1 / 255), layers.Dense(8, dtype=dtype, name="short")], last)

    types = (policy, "float32") if of_autoencoder else ("float32", policy)
    autoencoder = build(types[0], layers.Dense(200))
    model = build(types[1], layers.Dense(2, "softmax"))
    detector = AdversarialAEDetector(model, autoencoder=autoencoder, epochs=0, random_state=0).fit(rows())
    with pytest.raises(TypeError, match=r"The layers \['short'\] compute in bfloat16, .* the dtype policy 'float32'"):
        to_onnx(detector, tmp_path / "file.onnx")
    assert list(tmp_path.iterdir()) == []


def test_operations_in_bfloat16_are_refused_by_name():
    signature = [tf.TensorSpec((None, 2), tf.float32, name="x")]
    with pytest.raises(TypeError, match=r"The operations \['short', .* compute in bfloat16"):
        frozen(lambda x: {"y": tf.cast(tf.cast(x, tf.bfloat16, name="short"), tf.float32)}, signature)


def test_inputs_are_those_of_the_signature():
    """Also for a tensor that no output needs, and for several outputs."""
    small, large, variable = tf.constant([1.0, 2.0]), tf.ones((200, 2)), tf.Variable([3.0, 4.0])

    def function(x, y):
        return {"b": x @ large + variable, "a": x[:, :2] - small}

    signature = [tf.TensorSpec((None, 200), tf.float32, name="x"), tf.TensorSpec((None,), tf.float32, name="y")]
    concrete = frozen(function, signature).get_concrete_function(*signature)
    assert [tensor.name for tensor in concrete.inputs] == ["x:0", "y:0"]
    found, wanted = concrete(tf.ones((1, 200)), tf.ones(1)), function(tf.ones((1, 200)), None)
    assert list(found) == ["a", "b"]
    for name, values in wanted.items():
        np.testing.assert_array_equal(found[name], values)
