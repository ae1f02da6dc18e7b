import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.special import softmax
from scipy.stats import entropy
from sklearn.base import clone

from skaae import AdversarialAEDetector, FrozenKerasModel, attack_target
from skaae._classifiers.heads import FrozenHeads, draw_projections
from tests.support.models import PUBLISHED, QUICK, weights_of


def projected(model, layer, projection, X):
    values = keras.Model(model.inputs, model.get_layer(layer).output).predict(X, verbose=0)
    return softmax(values.reshape(len(X), -1) @ projection, axis=1)


@pytest.mark.slow
def test_heads_are_projections_of_the_hidden_layers(digits_model, digit_images):
    X = digit_images[0][:20].astype("float32")
    layers = {"convolution": 5, -1: 4}
    projections = draw_projections(digits_model, layers, seed=0)
    assert [projection.shape for projection in projections] == [(6 * 6 * 8, 5), (10, 4)]
    heads = FrozenHeads(FrozenKerasModel(digits_model), layers, None, projections)
    logits = heads.evaluate(X)
    assert [values.shape for values in logits] == [(20, 10), (20, 5), (20, 4)]
    wanted = projected(digits_model, "convolution", projections[0], X)
    np.testing.assert_allclose(softmax(logits[1], axis=1), wanted, rtol=1e-4)


def test_projections_depend_on_the_seed_alone(digits_model):
    first, again, other = (draw_projections(digits_model, {0: 3}, seed)[0] for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_score_adds_the_weighted_terms(iris, iris_model):
    X = iris[0]
    layers, weights = {"hidden": 4, 0: 3}, [0.5, 2.0]
    detector = AdversarialAEDetector(
        iris_model, hidden_layers=layers, hidden_weights=weights, **{**QUICK, **PUBLISHED}
    ).fit(X)
    X_reconstructed = detector.reconstruct(X)
    wanted = entropy(iris_model.predict(X, verbose=0), iris_model.predict(X_reconstructed, verbose=0), axis=1)
    for weight, projection in zip(weights, detector._defense.heads.projections, strict=True):
        p, q = (projected(iris_model, "hidden", projection, rows) for rows in (X, X_reconstructed))
        wanted = wanted + weight * entropy(p, q, axis=1)
    np.testing.assert_allclose(detector.adversarial_score(X), wanted, rtol=1e-3, atol=1e-5)


def test_hidden_models_are_terms_too_and_are_not_changed(iris, iris_model):
    X = iris[0]
    keras.utils.set_random_seed(0)
    hidden_model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(6, activation="softmax")])
    before = weights_of(hidden_model)
    detector = AdversarialAEDetector(
        iris_model, hidden_models=[hidden_model], hidden_weights=[3.0], **{**QUICK, **PUBLISHED}
    ).fit(X)
    X_reconstructed = detector.reconstruct(X)
    wanted = sum(
        weight * entropy(model.predict(X, verbose=0), model.predict(X_reconstructed, verbose=0), axis=1)
        for weight, model in ((1, iris_model), (3, hidden_model))
    )
    np.testing.assert_allclose(detector.adversarial_score(X), wanted, rtol=1e-3, atol=1e-5)
    for found, weight in zip(weights_of(hidden_model), before, strict=True):
        np.testing.assert_array_equal(found, weight)


def linear_model(n_outputs):
    return keras.Sequential([keras.Input((4,)), keras.layers.Dense(n_outputs, kernel_initializer="ones")])


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"hidden_layers": {"other": 3}}, ValueError, "no layer 'other'. Its layers are {0: 'hidden'"),
        ({"hidden_layers": {2: 3}}, ValueError, "no layer 2"),
        ({"hidden_layers": {0: 1}}, ValueError, r"hidden_layers\[0\] must be an output dimension.*got 1"),
        ({"hidden_layers": {0: "3"}}, ValueError, r"hidden_layers\[0\] must be an output dimension.*got '3'"),
        ({"hidden_layers": {0: 3}, "hidden_weights": [1, 2]}, ValueError, "hidden_weights must be 1 numbers"),
        (
            {"hidden_layers": {0: 3}, "hidden_weights": [-1]},
            ValueError,
            "hidden_weights must be 1 numbers of at least 0",
        ),
        ({"hidden_weights": [1]}, ValueError, "hidden_weights must be 0 numbers"),
        ({"hidden_models": ["model"]}, TypeError, r"hidden_models\[0\] must be a keras.Model, got str"),
        ({"hidden_models": [linear_model(3)]}, ValueError, r"hidden_models\[0\] must return probabilities"),
    ],
)
def test_bad_hidden_terms(iris, iris_model, parameters, error, message):
    with pytest.raises(error, match=message):
        AdversarialAEDetector(iris_model, **parameters).fit(iris[0])


def test_subclassed_classifier_has_no_hidden_layers_to_show(iris):
    class Subclassed(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = keras.layers.Dense(2, activation="softmax")

        def call(self, x):
            return self.dense(x)

    model = Subclassed()
    model(iris[0][:1])
    with pytest.raises(ValueError, match="hidden_layers needs a Functional or Sequential classifier"):
        AdversarialAEDetector(model, hidden_layers={0: 3}).fit(iris[0])


@pytest.mark.slow
def test_functions_run_eagerly(iris, iris_model):
    """TensorFlow's switch for debugging: the same detector, if slower."""
    expected = AdversarialAEDetector(iris_model, epochs=1, random_state=0, hidden_layers={0: 3}).fit(iris[0])
    tf.config.run_functions_eagerly(True)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Even though", UserWarning)  # TensorFlow: tf.data is not eager
            detector = clone(expected).fit(iris[0])
        target = attack_target(detector)
        with tf.GradientTape() as tape:
            x = tf.Variable(iris[0][:5], dtype=tf.float32)
            logits = target(x)
        assert np.abs(tape.gradient(logits, x)).max() > 0
    finally:
        tf.config.run_functions_eagerly(False)
    np.testing.assert_allclose(detector.adversarial_score(iris[0]), expected.adversarial_score(iris[0]), rtol=1e-2)
    np.testing.assert_allclose(logits, attack_target(detector)(iris[0][:5]), rtol=1e-4)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"hidden_layers": {0: 3}}, "hidden_layers needs a Keras classifier. Pass `hidden_models` instead"),
        (
            {"hidden_models": [keras.Sequential([keras.Input((4,)), keras.layers.Reshape((2, 2))])]},
            r"hidden_models\[0\] must return \(n_samples, n_classes\) probabilities, got the shape",
        ),
    ],
)
def test_hidden_terms_that_do_not_fit_a_forest(iris, iris_forest, parameters, message):
    with pytest.raises(ValueError, match=message):
        AdversarialAEDetector(iris_forest, **QUICK, **parameters).fit(iris[0])


def test_hidden_layer_of_any_length():
    layers = keras.layers.LSTM(2, return_sequences=True, name="steps"), keras.layers.GlobalAveragePooling1D()
    model = keras.Sequential([keras.Input((None, 3)), *layers, keras.layers.Dense(2, activation="softmax")])
    detector = AdversarialAEDetector(model, **{**QUICK, "autoencoder": None}, hidden_layers={"steps": 3})
    with pytest.raises(ValueError, match="hidden_layers: layer 'steps' must have outputs of fixed shape"):
        detector.fit(np.zeros((30, 5, 3)))


def test_projections_fill_the_range_of_glorot(digits_model):
    (projection,) = draw_projections(digits_model, {"convolution": 5}, seed=0)
    limit = np.sqrt(6 / (6 * 6 * 8 + 5))
    assert 0.98 * limit < np.abs(projection).max() <= limit
