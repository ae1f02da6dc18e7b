from dataclasses import replace

import numpy as np

from skaae.robustness._black_box_attacks import Answers, Grid, hop_skip_jump, square, uniform_noise
from skaae.robustness._efforts import EFFORTS

EFFORT = replace(EFFORTS["fast"], questions=40, jumps=1, evaluations=20)


def accuracy(arena, z):
    return (arena.judge(z).undefended == arena.target.classes[arena.labels]).mean()


def test_noise_fills_the_box(iris_arena):
    z = uniform_noise(iris_arena, "classifier", 0.5, 0, EFFORT)
    assert 0.45 < np.abs(z).max() <= 0.5


def test_square_stays_in_the_box_and_finds_something(iris_arena):
    z = square(iris_arena, "classifier", 0.8, 0, EFFORT)
    assert np.abs(z).max() <= 0.8 + 1e-6
    assert accuracy(iris_arena, z) < accuracy(iris_arena, iris_arena.start()) - 0.1


def test_grid_gives_rows_and_their_numbers_back(iris_arena):
    grid = Grid(iris_arena, 2.0)
    z = np.random.default_rng(0).uniform(-0.5, 0.5, iris_arena.start().shape).astype(np.float32)
    images = grid.images(z)
    assert (grid.rows(images) == z).all()
    shuffled = np.array([5, 2, 9])
    moved = images[shuffled] + np.random.default_rng(1).choice([-0.5, 0.5], images[shuffled].shape)
    assert (grid.numbers(moved) == shuffled).all(), "though the attack moves them by its size"


def test_answers_are_those_of_the_oracle(iris_arena):
    answers, generator = Answers(iris_arena, "classifier"), np.random.default_rng(0)
    for _ in range(5):
        rows = np.sort(generator.permutation(len(iris_arena))[:10])
        z = generator.choice([-0.5, 0.0, 0.5], (10, 4)).astype(np.float32)
        for _ in range(2):
            assert (answers(z, rows) == iris_arena.oracle("classifier", rows)(z)).all()


def test_hop_skip_jump_changes_labels(iris_arena):
    arena = iris_arena.take(np.arange(0, 30, 10))
    z = hop_skip_jump(arena, "classifier", 0.5, 0, EFFORT)
    assert z.shape == (3, 4)
    assert accuracy(arena, z) < 0.5


def test_hop_skip_jump_is_the_same_every_time(iris_arena):
    """ART draws its first points from a generator without a seed."""
    arena = iris_arena.take(np.arange(0, 30, 10))
    first, second, other = (hop_skip_jump(arena, "classifier", 0.5, seed, EFFORT) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, other)


def test_hop_skip_jump_where_no_label_changes(iris_arena, monkeypatch):
    arena = iris_arena.take(np.arange(2))
    monkeypatch.setattr(type(arena.moves), "bound", 1e-6)
    assert (hop_skip_jump(arena, "classifier", 0.5, 0, EFFORT) == 0).all()
