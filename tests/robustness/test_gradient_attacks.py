from dataclasses import replace

import numpy as np
import pytest

from skaae.robustness import _gradient_attacks as attacks
from skaae.robustness._budgets import radius
from skaae.robustness._efforts import EFFORTS

SIZE = 0.5
EFFORT = EFFORTS["fast"]


def is_right(arena, z):
    return np.argmax(arena.logits("classifier")(z), axis=1) == arena.labels


@pytest.mark.parametrize("name", ["fast_gradient", "projected_gradient", "auto_gradient"])
def test_in_the_box(iris_arena, name):
    z = getattr(attacks, name)(iris_arena, "classifier", SIZE, 0, EFFORT)
    assert np.abs(z).max() <= SIZE + 1e-6
    assert is_right(iris_arena, z).mean() < is_right(iris_arena, iris_arena.start()).mean() - 0.1


@pytest.mark.parametrize(("name", "norm", "order"), [("projected_gradient_l2", "l2", 2), ("sparse_descent", "l1", 1)])
def test_in_the_ball(iris_arena, name, norm, order):
    z = getattr(attacks, name)(iris_arena, "classifier", SIZE, 0, EFFORT)
    assert np.linalg.norm(z, order, axis=1).max() <= radius(SIZE, norm, 4) + 1e-5
    assert is_right(iris_arena, z).mean() < is_right(iris_arena, iris_arena.start()).mean()


@pytest.mark.parametrize("name", ["carlini_wagner", "deep_fool"])
def test_smallest(iris_arena, name):
    z = getattr(attacks, name)(iris_arena, "classifier", SIZE, 0, EFFORT)
    assert is_right(iris_arena, z).mean() < 0.5
    assert np.median(np.linalg.norm(z, axis=1)) < 2


def test_joint_attack_lowers_both_networks(iris_arena):
    z = attacks.projected_gradient(iris_arena, "both", SIZE, 0, EFFORT)
    for part in ("classifier", "defense"):
        right = [(np.argmax(iris_arena.logits(part)(at), axis=1) == iris_arena.labels).mean() for at in (z * 0, z)]
        assert right[1] < right[0]


@pytest.mark.parametrize("name", ["fast_gradient", "projected_gradient", "projected_gradient_l2", "sparse_descent"])
def test_no_step_leads_out_of_the_range(iris_arena, name):
    """The norm would be spent on values that are at the end of their range."""
    moves = iris_arena.moves
    above = replace(iris_arena, moves=replace(moves, lowest=moves.base))
    z = getattr(attacks, name)(above, "classifier", SIZE, 0, EFFORT)
    assert z.min() >= 0
    np.testing.assert_allclose(z, above.moves.distance(z), atol=1e-6)
    assert (np.abs(z).max(axis=1) > 0).any()
