from functools import partial

import keras
import numpy as np
import pytest
import tensorflow as tf

from skaae import AdversarialAEDetector
from skaae._training.optimizers import fuse_adam, make_optimizer
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


ADAM = [
    lambda: keras.optimizers.Adam(0.1, epsilon=1e-3),
    lambda: keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(0.1, 10), beta_1=0.5, beta_2=0.9),
    lambda: keras.optimizers.Adam(0.1, global_clipnorm=0.5, use_ema=True, ema_overwrite_frequency=2),
    lambda: keras.optimizers.Adam(0.1, gradient_accumulation_steps=2),
    lambda: keras.optimizers.AdamW(0.1, weight_decay=0.1, clipnorm=0.5),
]
OTHERS = [
    lambda: keras.optimizers.Adam(0.1, amsgrad=True),
    lambda: keras.optimizers.Nadam(0.1),
    lambda: keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(0.1)),
]


class Halving(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        self.model.optimizer.learning_rate = 0.1 / 2**epoch


class Freezing(keras.callbacks.Callback):
    def on_train_begin(self, logs=None):
        self.model.layers[0].trainable = False


class TestFusedAdam:
    @staticmethod
    def trained(make, fused, X, layers, callbacks=()):
        keras.utils.set_random_seed(0)  # before a layer draws the seed of its weights
        model = keras.Sequential([keras.Input(X.shape[1:]), *layers()])
        model.compile(make(), "mse")
        model.optimizer.build(model.trainable_variables)
        if fused:
            fuse_adam(model.optimizer)
        model.fit(X, X[:, :1], batch_size=16, epochs=3, shuffle=False, verbose=0, callbacks=list(callbacks))
        return model

    def check(self, make, *callbacks, dtype="float32"):
        X = np.random.default_rng(0).normal(size=(64, 3)).astype("float32")
        dense = partial(keras.layers.Dense, dtype=dtype)
        its, ours = (
            self.trained(make, fused, X, lambda: [dense(4, "relu"), dense(1)], callbacks) for fused in (False, True)
        )
        assert int(ours.optimizer.iterations) == int(its.optimizer.iterations) > 0
        for fused, plain in zip(ours.get_weights(), its.get_weights(), strict=True):
            np.testing.assert_allclose(fused, plain, rtol=1e-4, atol=1e-5)

    @pytest.mark.parametrize("make", [*ADAM, *OTHERS])
    def test_weights_are_those_of_keras(self, make):
        self.check(make)

    @pytest.mark.parametrize("callback", [Halving(), Freezing()])
    def test_callbacks_that_change_the_training(self, callback):
        self.check(ADAM[0], callback)

    @pytest.mark.parametrize("dtype", ["mixed_bfloat16", "float64"])
    def test_other_precisions(self, dtype):
        self.check(ADAM[0], dtype=dtype)

    @pytest.mark.parametrize(("make", "fused"), [(ADAM[0], True), (ADAM[4], True), *((make, False) for make in OTHERS)])
    def test_only_adam_is_fused(self, make, fused):
        optimizer = make()
        before = optimizer.update_step
        fuse_adam(optimizer)
        assert (optimizer.update_step != before) == fused

    def test_sparse_gradients(self):
        """Those of an embedding, which Keras updates as a whole."""
        X = np.array([[3.0], [1.0]])
        its, ours = (
            self.trained(
                ADAM[0], fused, X, lambda: [keras.layers.Embedding(5, 1), keras.layers.Flatten()]
            ).get_weights()[0]
            for fused in (False, True)
        )
        np.testing.assert_allclose(ours, its, rtol=1e-5)

    def test_a_fit_uses_it(self, iris, iris_model, monkeypatch):
        def scores():
            return AdversarialAEDetector(iris_model, **settings).fit(iris[0]).adversarial_score(iris[0])

        settings = {**QUICK, "optimizer": "adam", "epochs": 3, "batch_size": 20, "noise": 0.1, "threshold": 1.0}
        used, apply = [], tf.raw_ops.ResourceApplyAdam
        monkeypatch.setattr(tf.raw_ops, "ResourceApplyAdam", lambda **inputs: used.append(1) or apply(**inputs))
        fused = scores()
        assert used
        monkeypatch.setattr("skaae._training.loop.fuse_adam", lambda optimizer: None)
        np.testing.assert_allclose(scores(), fused, rtol=1e-3)
