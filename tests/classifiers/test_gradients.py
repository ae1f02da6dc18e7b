"""Keras classifiers that look their input up in a table or round it get a surrogate, as trees do."""

import warnings

import keras
import numpy as np
import pytest
from keras import layers, ops

from skaae import AdversarialAEDetector, CorrectedClassifier, FrozenKerasModel
from skaae._classifiers.adapters import PredictProbaClassifier, as_frozen_classifier
from skaae._classifiers.gradients import has_gradient
from tests.support.models import QUICK, tiny_surrogate

pytestmark = pytest.mark.usefixtures("short_distillation")
X = np.random.default_rng(0).integers(0, 20, (200, 6)).astype("float32")


class Rounded(layers.Layer):
    def call(self, x):
        return ops.round(x)


class Step(layers.Layer):
    """Its gradient is 0 everywhere."""

    def call(self, x):
        return ops.where(x > 10, 1.0, 0.0) * ops.ones_like(x)


class MostCommon(layers.Layer):
    def call(self, x):
        return ops.one_hot(ops.argmax(x, axis=1), 6)


def network(*first, dtype=None):
    keras.utils.set_random_seed(0)
    model = [
        keras.Input((6,), dtype=dtype),
        *first,
        layers.Flatten(),
        layers.Dense(8, "relu"),
        layers.Dense(2, "softmax"),
    ]
    return keras.Sequential(model)


def mixed():
    """Two columns are categories, the others numbers."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((6,))
    categories = layers.Flatten()(layers.Embedding(20, 3)(inputs[:, :2]))
    return keras.Model(inputs, layers.Dense(2, "softmax")(layers.Concatenate()([categories, inputs[:, 2:]])))


MODELS = {
    "embedding": lambda: network(layers.Embedding(20, 3)),
    "whole numbers": lambda: network(layers.Embedding(20, 3), dtype="int32"),
    "bins": lambda: network(layers.Discretization(bin_boundaries=[5.0, 10.0]), layers.Rescaling(1.0)),
    "lookup": lambda: network(layers.IntegerLookup(vocabulary=list(range(20))), layers.Rescaling(0.1)),
    "rounded": lambda: network(Rounded()),
    "step": lambda: network(Step()),
    "argmax": lambda: network(MostCommon()),
    "mixed": mixed,
    "recurrent": lambda: network(layers.Embedding(20, 3), layers.GRU(4)),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", MODELS)
def test_without_gradient(kind):
    model = MODELS[kind]()
    detector = AdversarialAEDetector(model, surrogate=tiny_surrogate, **QUICK)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The surrogate", UserWarning)
        detector.fit(X)
    assert isinstance(detector.classifier_, PredictProbaClassifier)
    found = detector.correct(X)
    np.testing.assert_array_equal(found.no_defense, model.predict(X, verbose=0).argmax(axis=1))
    far = np.concatenate([X[:3], X[3:5] + 3])
    assert len(detector.correct(np.clip(far, 0, 19)).corrected) == 5


def test_with_gradient(iris, iris_model):
    for model, rows in ((iris_model, iris[0]), (iris_model, 1000 * iris[0]), (network(), X)):
        assert has_gradient(FrozenKerasModel(model), rows)
    position = keras.Sequential(
        [keras.Input((6,)), layers.Reshape((6, 1)), Position(), layers.Flatten(), layers.Dense(2, "softmax")]
    )
    assert has_gradient(FrozenKerasModel(position), X)
    assert as_frozen_classifier(position, X).model is position


class Position(layers.Layer):
    """Learned positions, as of a transformer: the table is not looked up with the input."""

    def build(self, shape):
        self.table = layers.Embedding(shape[1], 3)
        self.table.build()

    def call(self, x):
        return x + self.table(ops.arange(x.shape[1]))


def test_images_are_refused_with_the_name_of_the_layer():
    inputs = [keras.Input((4, 4, 1)), layers.Discretization(bin_boundaries=[0.5], name="bins"), layers.Rescaling(1.0)]
    model = keras.Sequential([*inputs, layers.Flatten(), layers.Dense(2, "softmax")])
    rounded = keras.Sequential(
        [keras.Input((4, 4, 1)), Rounded(name="whole"), layers.Flatten(), layers.Dense(2, "softmax")]
    )
    images = np.random.default_rng(0).random((20, 4, 4, 1))
    for classifier, name in ((model, r"'bins' \(Discretization\)"), (rounded, r"'whole' \(Rounded\)")):
        with pytest.raises(ValueError, match=rf"its layers .*{name}.* have none. Put these layers before the detector"):
            AdversarialAEDetector(classifier, **QUICK).fit(images)


@pytest.mark.slow
def test_in_a_corrected_classifier():
    model = MODELS["embedding"]()
    labels = model.predict(X, verbose=0).argmax(axis=1)
    detector = AdversarialAEDetector(FrozenKerasModel(model), surrogate=tiny_surrogate, **QUICK)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The surrogate", UserWarning)
        corrected = CorrectedClassifier(detector).fit(X, labels)
    assert corrected.score(X, labels) > 0.8
