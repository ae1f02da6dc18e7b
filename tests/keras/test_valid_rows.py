import keras
import numpy as np
import pytest
import tensorflow as tf

from skaae._keras.valid_rows import ValidRows, with_valid_rows

RULES = {"kept": [0], "groups": [[1, 4], [2, 3]], "may_be_zero": [False, True], "codes": [(5, -1, 3)]}


def outputs(reconstruction, **rules):
    x = np.arange(6.0, dtype="float32")[None]
    return np.asarray(ValidRows(**(rules or RULES))([x, np.array([reconstruction], "float32")]))[0].tolist()


def test_rows_are_valid():
    assert outputs([9, 0.4, 0.1, 0.2, 0.3, 1.6]) == [0, 1, 0, 0, 0, 2]
    assert outputs([9, 0.4, 0.1, 0.8, 0.5, -7]) == [0, 0, 0, 1, 1, -1]
    assert outputs([9, 0.4, 0.1, 0.2, 0.3, 9], kept=[1, 2]) == pytest.approx([9, 1, 2, 0.2, 0.3, 9])


def test_gradients_pass():
    x, reconstruction = tf.zeros((1, 6)), tf.constant([[9, 0.4, 0.1, 0.2, 0.3, 1.6]])
    with tf.GradientTape() as tape:
        tape.watch(reconstruction)
        value = tf.reduce_sum(ValidRows(**RULES)([x, reconstruction]) * tf.range(1.0, 7.0))
    gradient = tape.gradient(value, reconstruction).numpy()[0]
    assert gradient[0] == 0
    assert gradient[5] == 6
    assert (gradient[1:5] != 0).all()


def test_is_saved_with_the_model(tmp_path):
    model = with_valid_rows(keras.Sequential([keras.Input((6,)), keras.layers.Dense(6)]), RULES)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    x = np.random.default_rng(0).normal(size=(5, 6)).astype("float32")
    np.testing.assert_array_equal(loaded(x), model(x))


def test_without_rules_nothing_is_added():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)])
    assert with_valid_rows(model, {}) is model
    assert with_valid_rows(model, {"kept": [], "groups": [], "may_be_zero": [], "codes": []}) is model
