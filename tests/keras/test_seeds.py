import random

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.framework import config

from skaae._keras.seeds import draw_seed, temporary_seed


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


@pytest.mark.parametrize("before", [False, True])
def test_op_determinism_is_restored(before):
    """Estimators that switch it, as those of scikeras, may be interrupted in between."""
    switch = {True: config.enable_op_determinism, False: config.disable_op_determinism}

    def interrupted():
        with temporary_seed(0):
            switch[not before]()
            raise KeyboardInterrupt

    switch[before]()
    try:
        with pytest.raises(KeyboardInterrupt):
            interrupted()
        assert config.is_op_determinism_enabled() == before
    finally:
        switch[False]()


def test_seeds_are_drawn_from_many():
    state = np.random.RandomState(0)
    assert len({draw_seed(state) for _ in range(100)}) == 100
