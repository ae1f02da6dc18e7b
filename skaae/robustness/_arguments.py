"""Checks of the arguments, before anything is read."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.random import RandomState

from skaae._constraints import FeatureConstraints
from skaae._keras.seeds import draw_seed
from skaae.robustness._battery import check_names
from skaae.robustness._budgets import UNITS


def check_arguments(
    attacks: Any, unit: Any, constraints: Any, n_samples: Any, time_limit: Any = None, verbose: Any = 0
) -> None:
    """Check arguments of `evaluate_robustness`.

    Raises
    ------
    ValueError, TypeError
        If one is invalid.
    """
    if not isinstance(attacks, str) and not (
        isinstance(attacks, Sequence) and all(isinstance(name, str) for name in attacks)
    ):
        raise TypeError(f"attacks must be the name of a set or a list of names, got {attacks!r}.")
    check_names(attacks)
    if unit not in UNITS:
        raise ValueError(f"unit must be one of {UNITS}, got {unit!r}.")
    if constraints is not None and not isinstance(constraints, FeatureConstraints):
        raise TypeError(f"constraints must be FeatureConstraints or None, got {type(constraints).__name__}.")
    if n_samples is not None and not (is_number(n_samples, Integral) and n_samples >= 1):
        raise ValueError(f"n_samples must be an integer of at least 1, or None, got {n_samples!r}.")
    if time_limit is not None and not (is_number(time_limit) and float(time_limit) > 0):
        raise ValueError(f"time_limit must be a positive number of seconds, or None, got {time_limit!r}.")
    if not isinstance(verbose, Integral):
        raise TypeError(f"verbose must be an integer, got {verbose!r}.")


def is_number(value: Any, kind: type = Real) -> bool:
    """Whether this is a number, which True is not.

    Examples
    --------
    >>> from skaae.robustness._arguments import is_number
    >>> is_number(0.5), is_number(True), is_number("0.5")
    (True, False, False)
    """
    return isinstance(value, kind) and not isinstance(value, bool | np.bool_)


def checked_sizes(sizes: Any) -> list[float] | None:
    """Sizes in ascending order, each once.

    Raises
    ------
    ValueError
        If they are not positive numbers.

    Examples
    --------
    >>> from skaae.robustness._arguments import checked_sizes
    >>> checked_sizes([0.3, 0.1, 0.3])
    [0.1, 0.3]
    """
    if sizes is None:
        return None
    try:
        values = np.atleast_1d(sizes)
    except ValueError:  # lists of different lengths
        values = np.array([])
    # Text and truth values could be turned into numbers, but nobody means that.
    is_numeric = values.dtype.kind in "iuf" and values.ndim == 1 and values.size > 0
    if not is_numeric or not (np.isfinite(values) & (values > 0)).all():
        raise ValueError(f"sizes must be positive numbers, got {sizes!r}.")
    return [float(size) for size in np.unique(values)]


def checked_seed(random_state: Any) -> int:
    """The seed that scikit-learn's `random_state` means.

    Raises
    ------
    ValueError
        If it is of another kind, or an integer that NumPy takes for no seed.
    """
    if is_number(random_state, Integral) and not 0 <= random_state < 2**32:
        raise ValueError(f"random_state must be in [0, 2**32), got {random_state!r}.")
    if not (random_state is None or is_number(random_state, Integral) or isinstance(random_state, RandomState)):
        raise ValueError(f"random_state must be an integer, a RandomState instance or None, got {random_state!r}.")
    return draw_seed(random_state)
