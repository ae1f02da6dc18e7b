"""Seeding for the duration of a block, which leaves all global random states unchanged."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np

# TensorFlow and Keras offer no public way to read these states, only to set them.
from keras.src.backend.common import global_state
from tensorflow.python.eager import context

from skaae._keras.devices import is_op_determinism_enabled, set_op_determinism

KERAS_STATES = ("global_random_seed", "global_seed_generator")
# The states belong to the process: two fits in two threads would draw from each other's.
_lock = threading.RLock()


def draw_seed(random_state: int | np.random.RandomState | None) -> int:
    """Turn scikit-learn's ``random_state`` into one integer seed.

    Parameters
    ----------
    random_state : int, RandomState instance or None
        An int is the seed itself. A RandomState draws the seed. None takes entropy from the operating system, since
        drawing from the global state of NumPy would change it.

    Returns
    -------
    seed : int
        In [0, 2**31).

    Examples
    --------
    >>> from skaae._keras.seeds import draw_seed
    >>> draw_seed(7)
    7
    """
    if random_state is None:
        return int(np.random.SeedSequence().generate_state(1)[0] >> 1)
    if isinstance(random_state, np.random.RandomState):
        return int(random_state.randint(2**31 - 1))
    return int(random_state)


@contextmanager
def temporary_seed(seed: int) -> Iterator[None]:
    """Seed Python, NumPy, TensorFlow and Keras inside the block, and restore their states after it.

    The op determinism of TensorFlow, which scikeras switches on, is restored too. Other threads that enter such a block
    wait until this one ends.

    Parameters
    ----------
    seed : int
        In [0, 2**32).

    Examples
    --------
    >>> import numpy as np
    >>> from skaae._keras.seeds import temporary_seed
    >>> before = np.random.get_state()[1].copy()
    >>> with temporary_seed(0):
    ...     _ = np.random.rand()
    >>> bool((np.random.get_state()[1] == before).all())
    True
    """
    with _lock:
        states = _global_states()
        try:
            keras.utils.set_random_seed(seed)
            yield
        finally:
            _restore(states)


def _global_states() -> dict[str, Any]:
    tensorflow = context.context()
    return {
        "python": random.getstate(),
        "numpy": np.random.get_state(),
        "tensorflow": (tensorflow._seed, getattr(tensorflow, "_rng", None)),
        "keras": [global_state.get_global_attribute(name) for name in KERAS_STATES],
        "deterministic": is_op_determinism_enabled(),
    }


def _restore(states: dict[str, Any]) -> None:
    tensorflow = context.context()
    random.setstate(states["python"])
    np.random.set_state(states["numpy"])
    tensorflow._seed, tensorflow._rng = states["tensorflow"]
    for name, value in zip(KERAS_STATES, states["keras"], strict=True):
        global_state.set_global_attribute(name, value)
    set_op_determinism(states["deterministic"])
