import keras
import numpy as np
import pytest
import tensorflow as tf
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.frozen import FrozenEstimator
from tensorflow.python.framework import config

from skaae import AdversarialAEDetector
from skaae._keras import devices
from skaae._training import defense
from skaae._training.defense import default_reconstruction_weight
from tests.support.models import QUICK, tiny_surrogate

pytestmark = pytest.mark.usefixtures("short_distillation")


@pytest.fixture
def trainings(monkeypatch):
    """Counts the trainings of a surrogate and of an autoencoder."""
    counts = {"distill": 0, "train": 0}

    def counted(name, function):
        def call(*arguments, **named):
            counts[name] += 1
            return function(*arguments, **named)

        return call

    for name in counts:
        monkeypatch.setattr(defense, name, counted(name, getattr(defense, name)))
    return counts


def test_cached_training_brings_the_surrogate_too(iris, iris_forest, trainings, tmp_path):
    X, _ = iris
    detector = AdversarialAEDetector(iris_forest, surrogate=tiny_surrogate, **QUICK, memory=str(tmp_path))
    first, second = clone(detector).fit(X), clone(detector).set_params(threshold_percentile=80).fit(X)
    assert trainings == {"distill": 1, "train": 1}
    for name in ("autoencoder_", "surrogate_"):
        models = [getattr(getattr(fitted, name), "model", getattr(fitted, name)) for fitted in (first, second)]
        for before, after in zip(*(model.get_weights() for model in models), strict=True):
            np.testing.assert_array_equal(before, after)
    assert first.surrogate_agreement_ == second.surrogate_agreement_
    np.testing.assert_array_equal(first.adversarial_score(X), second.adversarial_score(X))


@pytest.mark.slow
def test_another_classifier_is_another_training(iris, iris_forest, trainings, tmp_path):
    X, y = iris
    other = FrozenEstimator(RandomForestClassifier(5, random_state=1).fit(X, y))
    for classifier in (iris_forest, other):
        AdversarialAEDetector(classifier, surrogate=tiny_surrogate, **QUICK, memory=str(tmp_path)).fit(X)
    assert trainings == {"distill": 2, "train": 2}


def test_targets_are_the_real_predictions(iris, iris_forest, monkeypatch):
    """Not those of the surrogate, which only lends its gradient."""
    X = iris[0].astype("float32")
    seen = []
    monkeypatch.setattr(
        defense, "train", lambda autoencoder, heads, rows, logits, *rest, **named: seen.append(logits) or {}
    )
    AdversarialAEDetector(iris_forest, surrogate=tiny_surrogate, **QUICK, threshold=1.0).fit(X)
    floored = np.maximum(iris_forest.predict_proba(X), 0.02 / 3)
    np.testing.assert_allclose(seen[0][0], np.log(floored), atol=1e-6)


class TestCompiledByXla:
    """What a GPU does, on the CPU."""

    @pytest.fixture(autouse=True)
    def gpu(self, monkeypatch):
        monkeypatch.setattr(defense, "has_gpu", lambda: True)
        monkeypatch.setattr(defense, "LEAST_STEPS_TO_COMPILE", 2)

    @pytest.fixture
    def compiled(self, monkeypatch):
        """Notes for each training whether it is compiled."""
        notes, train = [], defense.train

        def noted(*arguments, compiled):
            notes.append(compiled)
            return train(*arguments, compiled=compiled)

        monkeypatch.setattr(defense, "train", noted)
        return notes

    @pytest.mark.slow
    def test_trains_as_well(self, iris, iris_model, compiled):
        detector = AdversarialAEDetector(iris_model, epochs=15, batch_size=40, random_state=0).fit(iris[0])
        assert compiled == [True]
        assert detector.history_["loss"][-1] < 0.7 * detector.history_["loss"][0]

    def test_short_trainings_and_own_code_are_not_compiled(self, iris, iris_model, compiled):
        few = {"epochs": 1, "batch_size": 150}
        own_loss = {"epochs": 3, "loss": lambda x, x_reconstructed: (x - x_reconstructed)[:, 0] ** 2}
        for parameters in (few, own_loss):
            AdversarialAEDetector(iris_model, **{**QUICK, **parameters}).fit(iris[0])
        assert compiled == [False, False]

    @pytest.mark.slow
    def test_where_xla_fails_training_goes_on_without_it(self, iris, iris_model, monkeypatch):
        detector = AdversarialAEDetector(iris_model, **{**QUICK, "epochs": 2})
        monkeypatch.setattr(defense, "has_gpu", lambda: False)
        expected = clone(detector).fit(iris[0]).autoencoder_.get_weights()
        monkeypatch.setattr(defense, "has_gpu", lambda: True)
        train = defense.train

        def fails(autoencoder, *arguments, compiled):
            if compiled:
                autoencoder.set_weights([0 * weights for weights in autoencoder.get_weights()])
                raise tf.errors.InternalError(None, None, "Failed to compute symbolic tile")
            return train(autoencoder, *arguments, compiled=False)

        monkeypatch.setattr(defense, "train", fails)
        with pytest.warns(UserWarning, match="XLA could not compile .* Failed to compute symbolic tile"):
            detector.fit(iris[0])
        for weights, wanted in zip(detector.autoencoder_.get_weights(), expected, strict=True):
            np.testing.assert_array_equal(weights, wanted)


class TestDeterministic:
    """What a GPU does, on the CPU."""

    @pytest.fixture(autouse=True)
    def gpu(self, monkeypatch):
        monkeypatch.setattr(devices, "has_gpu", lambda: True)

    def test_while_it_trains(self, iris, iris_model):
        seen = []
        callback = keras.callbacks.LambdaCallback(
            on_epoch_end=lambda *_: seen.append(config.is_op_determinism_enabled())
        )
        AdversarialAEDetector(iris_model, **QUICK, callbacks=[callback]).fit(iris[0])
        assert seen == [True]
        assert not config.is_op_determinism_enabled()

    def test_where_a_layer_has_no_deterministic_operation(self, iris, iris_model, monkeypatch):
        expected = AdversarialAEDetector(iris_model, **QUICK).fit(iris[0]).autoencoder_.get_weights()
        train = defense.train

        def refused(autoencoder, *arguments, **options):
            if config.is_op_determinism_enabled():
                autoencoder.set_weights([0 * weights for weights in autoencoder.get_weights()])
                raise tf.errors.UnimplementedError(None, None, "deterministic GPU implementation is not available")
            return train(autoencoder, *arguments, **options)

        monkeypatch.setattr(defense, "train", refused)
        with pytest.warns(UserWarning, match="A layer has no deterministic operation on this device"):
            detector = AdversarialAEDetector(iris_model, **QUICK).fit(iris[0])
        for weights, wanted in zip(detector.autoencoder_.get_weights(), expected, strict=True):
            np.testing.assert_array_equal(weights, wanted)
        assert not config.is_op_determinism_enabled()


def test_default_reconstruction_weight():
    rows, images = np.array([[0.0, 0.0], [2.0, 20.0]]), np.array([0.0, 2.0]).reshape(2, 1, 1, 1)
    np.testing.assert_allclose(default_reconstruction_weight(rows, images=False), [0.1, 0.001])
    assert default_reconstruction_weight(images, images=True) == 2.5
    assert default_reconstruction_weight(images, images=True, published=True) == 0


def test_preprocess_is_checked_before_the_surrogate_is_distilled(iris, iris_forest, trainings):
    detector = AdversarialAEDetector(iris_forest, surrogate=tiny_surrogate, **QUICK, preprocess=lambda batch: batch[:1])
    with pytest.raises(ValueError, match="preprocess must return an array of the shape of its batch"):
        detector.fit(iris[0])
    assert trainings == {"distill": 0, "train": 0}
