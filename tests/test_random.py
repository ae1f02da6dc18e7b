import random

import keras
import numpy as np
import pytest
import tensorflow as tf

from skaae._random import draw_seed, temporary_seed


def draws():
    return [random.random(), np.random.rand(), float(tf.random.normal(())), float(keras.random.normal(()))]


def test_global_states_continue_as_if_the_block_had_not_been():
    keras.utils.set_random_seed(1)
    draws()
    undisturbed = draws()
    keras.utils.set_random_seed(1)
    draws()
    with temporary_seed(99):
        draws()
    assert draws() == undisturbed


def test_states_are_restored_after_an_error():
    keras.utils.set_random_seed(1)
    undisturbed = draws()
    keras.utils.set_random_seed(1)
    with pytest.raises(RuntimeError), temporary_seed(99):
        raise RuntimeError
    assert draws() == undisturbed


def test_one_seed_gives_one_sequence():
    with temporary_seed(3):
        first = draws()
    with temporary_seed(3):
        assert draws() == first
    with temporary_seed(4):
        assert draws() != first


def test_seed_from_scikit_learns_random_state():
    assert draw_seed(np.int64(5)) == 5
    assert draw_seed(np.random.RandomState(0)) == draw_seed(np.random.RandomState(0))
    before = np.random.get_state()[1].copy()
    assert draw_seed(None) != draw_seed(None)
    np.testing.assert_array_equal(np.random.get_state()[1], before)
