import keras
import numpy as np
import pytest
import tensorflow as tf

from skaae import AdversarialAEDetector
from skaae._training import optimizers
from skaae._training.optimizers import can_fuse, fuse_update, make_optimizer
from tests.support.models import QUICK


class TestOptimizer:
    def test_name_and_class_get_the_learning_rate(self):
        for optimizer in ("rmsprop", keras.optimizers.RMSprop):
            made = make_optimizer(optimizer, 0.25)
            assert type(made) is keras.optimizers.RMSprop
            assert float(made.learning_rate) == 0.25

    def test_instance_gives_its_configuration_and_is_never_used(self, iris, iris_model):
        given = keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(0.1, 100), beta_1=0.8)
        detector = AdversarialAEDetector(iris_model, **{**QUICK, "optimizer": given, "epochs": 2})
        first = detector.fit(iris[0]).score_samples(iris[0])
        assert int(given.iterations.numpy()) == 0
        assert not given.built
        np.testing.assert_array_equal(detector.fit(iris[0]).score_samples(iris[0]), first)
        assert make_optimizer(given, 1.0).get_config() == given.get_config()

    @pytest.mark.slow
    def test_learning_rate_schedule(self, iris, iris_model):
        def moved(rate):
            schedule = keras.optimizers.schedules.ExponentialDecay(rate, 10, 0.9)
            detector = AdversarialAEDetector(iris_model, **adam, learning_rate=schedule).fit(iris[0])
            return np.abs(detector.autoencoder_.get_weights()[0] - start).max()

        start = AdversarialAEDetector(iris_model, **{**QUICK, "epochs": 0}).fit(iris[0]).autoencoder_.get_weights()[0]
        adam = {**QUICK, "optimizer": "adam"}
        assert moved(1e-30) == 0
        assert moved(0.01) > 0.001

    def test_what_is_no_optimizer(self, iris, iris_model):
        for optimizer, error in (("adamm", ValueError), (keras.layers.Dense, TypeError)):
            with pytest.raises(error, match="optimizer"):
                AdversarialAEDetector(iris_model, optimizer=optimizer).fit(iris[0])


OPTIMIZERS = [
    lambda: keras.optimizers.SGD(0.1, momentum=0.9, nesterov=True),
    lambda: keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(0.1, 10)),
    lambda: keras.optimizers.AdamW(0.1, weight_decay=0.1, clipnorm=0.5),
    lambda: keras.optimizers.Lion(0.1, use_ema=True, ema_overwrite_frequency=2),
    lambda: keras.optimizers.RMSprop(0.1, gradient_accumulation_steps=2),
]


class TestFusedUpdate:
    @pytest.mark.parametrize("make", OPTIMIZERS)
    def test_weights_are_those_of_keras(self, make):
        def trained(fused):
            keras.utils.set_random_seed(0)
            model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4, "relu"), keras.layers.Dense(1)])
            model.compile(make(), "mse")
            model.optimizer.build(model.trainable_variables)
            if fused:
                fuse_update(model.optimizer, model.trainable_variables)
            model.fit(X, X[:, 0], batch_size=16, epochs=2, shuffle=False, verbose=0)
            return model

        X = np.random.default_rng(0).normal(size=(64, 3)).astype("float32")
        ours, its = trained(True), trained(False)
        assert int(ours.optimizer.iterations) == int(its.optimizer.iterations) > 0
        for fused, plain in zip(ours.get_weights(), its.get_weights(), strict=True):
            np.testing.assert_allclose(fused, plain, rtol=1e-4, atol=1e-6)

    def test_sparse_gradients(self):
        """Those of an embedding, which Keras updates row by row."""
        model = keras.Sequential([keras.Input((1,)), keras.layers.Embedding(5, 2), keras.layers.Flatten()])
        model.compile(keras.optimizers.SGD(1.0), "mse")
        model.optimizer.build(model.trainable_variables)
        before = model.get_weights()[0]
        fuse_update(model.optimizer, model.trainable_variables)
        model.fit(np.array([[3]]), np.ones((1, 2)), verbose=0)
        assert np.any(model.get_weights()[0] != before, axis=1).tolist() == [False, False, False, True, False]

    def test_a_fit_of_many_steps_uses_it(self, iris, iris_model, monkeypatch):
        settings = {**QUICK, "optimizer": "adam", "epochs": 3, "batch_size": 20, "noise": 0.1, "threshold": 1.0}
        plain = AdversarialAEDetector(iris_model, **settings).fit(iris[0]).adversarial_score(iris[0])
        fused = []
        monkeypatch.setattr(optimizers, "LEAST_STEPS_TO_FUSE", 24)  # which are 8 steps in 3 epochs
        monkeypatch.setattr(
            "skaae._training.loop.fuse_update", lambda *arguments: fused.append(1) or fuse_update(*arguments)
        )
        detector = AdversarialAEDetector(iris_model, **settings).fit(iris[0])
        assert fused == ([] if tf.config.list_logical_devices("GPU") else [1])
        np.testing.assert_allclose(detector.adversarial_score(iris[0]), plain, rtol=1e-3)

    def test_where_it_does_not_work(self, monkeypatch):
        class Own(keras.optimizers.SGD):
            pass

        class Falling(keras.optimizers.schedules.LearningRateSchedule):
            def __call__(self, step):
                return tf.py_function(lambda n: 1 / (1 + n), [step], tf.float32)

        def fuses(optimizer, constraint=None, n_steps=1000):
            return can_fuse(optimizer, [keras.Variable([1.0]), constrained(constraint)], n_steps)

        def constrained(constraint):
            variable = keras.Variable([1.0])
            variable.constraint = constraint
            return variable

        adam = keras.optimizers.Adam()
        monkeypatch.setattr(optimizers, "has_gpu", lambda: False)
        assert fuses(adam)
        assert fuses(keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(0.1, 9)), keras.constraints.NonNeg())
        assert not fuses(adam, n_steps=999)
        assert not fuses(adam, constraint=tf.abs)
        assert not fuses(Own())
        assert not fuses(keras.optimizers.SGD(Falling()))
        assert not fuses(keras.optimizers.LossScaleOptimizer(adam))
        with tf.distribute.MirroredStrategy(["CPU:0"]).scope():
            assert not fuses(adam)
        monkeypatch.setattr(optimizers, "has_compiler", lambda: False)
        assert not fuses(adam)
        monkeypatch.setattr(optimizers, "has_gpu", lambda: True)
        assert not fuses(adam)
