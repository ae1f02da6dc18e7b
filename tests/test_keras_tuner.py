"""The best model that KerasTuner finds, as the classifier of a detector."""

import keras
import keras_tuner
import numpy as np
import pytest
import skops.io
from sklearn.base import clone

from skaae import TRUSTED_TYPES, AdversarialAEDetector, FrozenKerasModel
from tests.support.models import QUICK, tiny_autoencoder


def build_classifier(choices):
    units = choices.Int("units", 8, 16, step=8)
    dense = keras.layers.Dense
    model = keras.Sequential([keras.Input((4,)), dense(units, "relu"), dense(3, "softmax")])
    rate = choices.Float("learning_rate", 1e-3, 1e-1, sampling="log")
    model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*is deprecated:DeprecationWarning")  # threads of KerasTuner
@pytest.mark.filterwarnings("ignore:Skipping variable loading:UserWarning")  # it builds no optimizer
def test_best_model(iris, tmp_path):
    X, y = iris
    tuner = keras_tuner.RandomSearch(build_classifier, "val_accuracy", max_trials=2, seed=0, directory=tmp_path)
    tuner.search(X[::2], y[::2], validation_data=(X[1::2], y[1::2]), epochs=2, verbose=0)
    (best,) = tuner.get_best_models()
    weights = best.get_weights()
    names = np.array(["setosa", "versicolor", "virginica"])
    detector = AdversarialAEDetector(
        FrozenKerasModel(best, classes=names), **{**QUICK, "autoencoder": tiny_autoencoder((4,))}
    ).fit(X)
    np.testing.assert_array_equal(detector.correct(X).no_defense, names[best.predict(X, verbose=0).argmax(axis=1)])
    for now, before in zip(best.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(now, before)
    again = clone(detector).fit(X)
    np.testing.assert_array_equal(again.score_samples(X), detector.score_samples(X))
    loaded = skops.io.loads(skops.io.dumps(detector), trusted=TRUSTED_TYPES)
    np.testing.assert_array_equal(loaded.score_samples(X), detector.score_samples(X))
