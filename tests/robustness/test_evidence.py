from dataclasses import replace

import numpy as np
import tensorflow as tf

from skaae.robustness._evidence import share_of_planted_found, share_without_gradient


def with_network(arena, network):
    """The arena with another network in place of the classifier's."""
    front = replace(arena.front, compiled={"places": arena.front.compiled["places"]})
    return replace(arena, target=replace(arena.target, networks={"classifier": network}), front=front)


def test_healthy_network(iris_arena):
    for through in ("classifier", "defense", "both"):
        assert share_without_gradient(iris_arena, through) == 0
        assert share_of_planted_found(iris_arena, through, 0.5, 0) > 0.95


def test_masked_gradient(iris_arena):
    original = iris_arena.target.networks["classifier"]
    masked = with_network(iris_arena, lambda x: tf.stop_gradient(tf.round(50 * original(x)) / 50) + 0 * original(x))
    assert share_without_gradient(masked, "classifier") == 1
    assert share_of_planted_found(masked, "classifier", 0.5, 0) < 0.8


def test_nothing_can_be_planted_in_a_constant(iris_arena):
    constant = with_network(iris_arena, lambda x: tf.zeros((tf.shape(x)[0], 3)) + 0 * tf.reduce_sum(x))
    assert np.isnan(share_of_planted_found(constant, "classifier", 0.5, 0))
