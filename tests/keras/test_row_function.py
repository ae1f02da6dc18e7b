from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
import pytest
import tensorflow as tf

from skaae._keras.row_function import MULTIPLES, RowFunction


@pytest.fixture(scope="module")
def wide_network():
    """Wide enough that float32 rounds differently from one batch size to another."""
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [keras.Input((20,)), keras.layers.Dense(600, "relu"), keras.layers.Dense(600), keras.layers.Dense(3)]
    )


@pytest.mark.parametrize("n_samples", [1, 2, 95, 96, 97, 1000])
def test_a_row_gives_the_same_alone_and_among_others(wide_network, n_samples):
    function = RowFunction(lambda x: {"y": wide_network(x)}, (20,))
    X = np.random.default_rng(0).normal(size=(n_samples, 20))
    together = function(X)["y"]
    assert together.shape == (n_samples, 3)
    for row in (0, n_samples // 2, n_samples - 1):
        np.testing.assert_array_equal(function(X[row : row + 1])["y"][0], together[row])
    np.testing.assert_array_equal(function(X[::-1])["y"], together[::-1])


def test_more_rows_than_one_call_takes():
    function = RowFunction(lambda x: {"first": x[:, 0], "all": x}, (2,))
    n_samples = function.batch_size * (2 * MULTIPLES[0] + 3 * MULTIPLES[1] + 2) + 5
    X = np.arange(2.0 * n_samples).reshape(-1, 2)
    found = function(X, ["first"])
    assert list(found) == ["first"]
    np.testing.assert_array_equal(found["first"], X[:, 0])


def test_batches_are_smaller_for_large_samples():
    sizes = [RowFunction(tf.identity, shape).batch_size for shape in ((1,), (30,), (28, 28, 1), (224, 224, 3))]
    assert sizes == [96, 96, 48, 1]


def test_traced_once_for_all_sizes():
    traces = []

    def function(x):
        traces.append(x.shape)
        return {"x": x}

    rows = RowFunction(function, (3,))
    for n_samples in (1, 500, 3, 20_000):
        rows(np.zeros((n_samples, 3)))
    assert len(traces) == 1


@pytest.mark.slow
def test_many_rows_give_the_bits_of_few():
    """Also where larger batches round differently, as these wide layers do: then they are not used."""
    for width in (64, 2048):
        keras.utils.set_random_seed(0)
        network = keras.Sequential([keras.Input((100,)), *[keras.layers.Dense(width, "relu") for _ in range(2)]])
        function = RowFunction(lambda x, network=network: {"y": network(x)}, (100,))
        X = np.random.default_rng(0).normal(size=(MULTIPLES[0] * function.batch_size + 100, 100)).astype("float32")
        together = function(X)["y"]
        for start in range(0, len(X), 500):
            np.testing.assert_array_equal(function(X[start : start + 50])["y"], together[start : start + 50])


def test_a_size_that_rounds_differently_is_not_used():
    """A function that tells the size of its batch is as different as can be."""
    function = RowFunction(lambda x: {"size": x[:, 0] * 0 + tf.cast(tf.shape(x)[0], tf.float32)}, (1,))
    X = np.zeros((function.batch_size * MULTIPLES[0] + 1, 1), np.float32)
    np.testing.assert_array_equal(function(X)["size"], function.batch_size)


@pytest.mark.parametrize("n_samples", [1, 500])
def test_weights_that_change_later_count(n_samples):
    network = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1, use_bias=False)])
    function, X = RowFunction(lambda x: {"y": network(x)}, (3,)), np.ones((n_samples, 3), np.float32)
    assert (function(X)["y"] != 6).any()
    network.layers[0].kernel.assign(np.full((3, 1), 2.0))
    np.testing.assert_array_equal(function(X)["y"], 6)


def test_results_are_the_callers_own():
    function = RowFunction(lambda x: {"x": x, "a": x[:, 0]}, (2,))
    for n_samples in (1, 500):
        X = np.ones((n_samples, 2), np.float32)
        found = function(X)
        found["x"][:] = 5
        np.testing.assert_array_equal(X, 1)
        np.testing.assert_array_equal(function(X)["x"], 1)


def test_eight_threads_score_as_one_does():
    keras.utils.set_random_seed(0)
    network = keras.Sequential([keras.Input((30,)), keras.layers.Dense(64, "relu"), keras.layers.Dense(5)])
    X = np.random.default_rng(0).normal(size=(9000, 30)).astype("float32")
    wanted = RowFunction(lambda x: {"y": network(x)}, (30,))(X)["y"]
    shared = RowFunction(lambda x: {"y": network(x)}, (30,))
    with ThreadPoolExecutor(8) as pool:
        for found in pool.map(lambda _: shared(X)["y"], range(24)):
            np.testing.assert_array_equal(found, wanted)
        for row, found in enumerate(pool.map(lambda row: shared(X[row : row + 1])["y"], range(200))):
            np.testing.assert_array_equal(found, wanted[row : row + 1])
