import gc
import weakref

import keras
import numpy as np
import pytest
import tensorflow as tf

from skaae import AdversarialAEDetector
from skaae._training import batches, defense
from skaae._training.batches import shuffled_batches, shuffled_orders
from skaae._training.whole_epochs import whole_epochs
from tests.support.models import PUBLISHED, QUICK


class Summing(keras.Model):
    """Its weight is a running sum of the batches, which depends on their order."""

    def __init__(self):
        super().__init__()
        self.state = self.add_weight(shape=(), initializer="ones")
        self.compile(optimizer="sgd")

    def train_step(self, data):
        x, y = data
        self.state.assign(0.9 * self.state + tf.reduce_sum(x * y))
        self._loss_tracker.update_state(self.state)
        return self.get_metrics_result()


@pytest.fixture
def rows():
    return np.random.default_rng(0).normal(size=(22, 3)).astype(np.float32)


def test_orders_are_those_of_the_full_batches(rows):
    orders = list(shuffled_orders(22, batch_size=4, epochs=3, seed=7))
    assert [order.shape for order in orders] == [(5, 4)] * 3
    made = [x.numpy() for (x,) in shuffled_batches([rows], batch_size=4, epochs=3, seed=7, full_only=True)]
    np.testing.assert_array_equal(np.concatenate([rows[order.numpy()] for order in orders]), made)


def fit_whole_epochs(model, rows):
    with whole_epochs(model, [rows, rows]):
        orders = shuffled_orders(len(rows), batch_size=4, epochs=3, seed=0)
        return model.fit(orders, epochs=3, steps_per_epoch=1, shuffle=False, verbose=0).history["loss"]


def test_steps_follow_each_other(rows):
    """As with batches one at a time."""
    model, other = Summing(), Summing()
    losses = fit_whole_epochs(model, rows)
    made = shuffled_batches([rows, rows], batch_size=4, epochs=3, seed=0, full_only=True)
    one_by_one = other.fit(made, epochs=3, steps_per_epoch=5, shuffle=False, verbose=0).history["loss"]
    np.testing.assert_allclose(losses, one_by_one, rtol=1e-6)
    assert float(model.state) == pytest.approx(float(other.state), rel=1e-6)


def test_the_copy_of_the_rows_goes_at_once(rows, monkeypatch):
    """Not when Python next looks for cycles of references."""
    copies = []

    def noted(values):
        copy = tf.constant(values)
        copies.append(weakref.ref(copy))
        return copy

    monkeypatch.setattr("skaae._training.whole_epochs.as_float32", noted)
    gc.disable()
    try:
        fit_whole_epochs(Summing(), rows)
        assert [copy() for copy in copies] == [None, None]
    finally:
        gc.enable()


@pytest.mark.slow
def test_a_fit_is_the_same_as_with_batches(iris, iris_model, monkeypatch):
    """XLA compiles the same step; a callback asks for each batch, and larger rows are streamed."""
    monkeypatch.setattr(defense, "has_gpu", lambda: True)
    monkeypatch.setattr(defense, "LEAST_STEPS_TO_COMPILE", 2)
    taken = []
    monkeypatch.setattr(
        "skaae._training.loop.whole_epochs", lambda *arguments: taken.append(1) or whole_epochs(*arguments)
    )

    def fit(**parameters):
        settings = {**QUICK, **PUBLISHED, "epochs": 3, "batch_size": 40, **parameters}
        return AdversarialAEDetector(iris_model, **settings).fit(iris[0]).autoencoder_.get_weights()

    whole = fit()
    by_batch = fit(callbacks=[keras.callbacks.Callback()])
    monkeypatch.setattr(batches, "MOST_RESIDENT_BYTES", 0)
    streamed = fit()
    assert taken == [1]
    for weights, *others in zip(whole, by_batch, streamed, strict=True):
        for other in others:
            np.testing.assert_array_equal(weights, other)
