import numpy as np
import pytest

from skaae.robustness import evaluate_robustness
from skaae.robustness._arguments import checked_seed, checked_sizes

WITHOUT_MEANING = ([], "0.1", ["0.1"], True, [True], [0.1, [0.2]], [[0.1, 0.2]], {"a": 1})


@pytest.mark.parametrize("sizes", [0, -0.1, [0.1, np.nan], np.inf, *WITHOUT_MEANING])
def test_invalid_sizes(sizes):
    with pytest.raises(ValueError, match="sizes must be positive numbers"):
        checked_sizes(sizes)


@pytest.mark.parametrize("random_state", ["0", 0.5, True, np.random.default_rng(0), [0], -1, 2**32])
def test_invalid_random_state(random_state):
    with pytest.raises(
        ValueError, match=r"random_state must be (an integer, a RandomState instance or None|in \[0, 2\*\*32\))"
    ):
        checked_seed(random_state)


@pytest.mark.parametrize(
    "argument",
    [
        {"n_samples": 0},
        {"n_samples": True},
        {"n_samples": 10.0},
        {"n_samples": "all"},
        {"time_limit": 0},
        {"time_limit": "60"},
        {"time_limit": True},
        {"unit": "meter"},
        {"constraints": {}},
        {"attacks": "quick"},
        {"attacks": [1]},
        {"n_jobs": 0},
        {"n_jobs": 1.5},
        {"n_jobs": True},
        {"sizes": "0.3"},
        {"random_state": "a"},
        {"random_state": -1},
        {"attacks": ["FSGM"]},
        {"attacks": []},
        {"verbose": "x"},
    ],
)
def test_invalid_arguments_are_refused_before_anything_is_read(argument):
    (name,) = argument
    with pytest.raises((ValueError, TypeError), match=f"{name} must"):
        evaluate_robustness(object(), object(), object(), **argument)
