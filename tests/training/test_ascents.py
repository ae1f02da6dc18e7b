import numpy as np
import pytest
import tensorflow as tf

from skaae._training.ascents import (
    DIRECTIONS,
    LARGEST,
    Ascent,
    gradient_direction,
    sign_direction,
    sparse_direction,
    unit_root_mean_square,
)

SEED = tf.constant([0, 0])
SLOPE = tf.constant([[1.0, -2.0, 0.0, 3.0]])
ROWS = tf.constant(np.random.default_rng(0).normal(size=(50, 4)), tf.float32)


def root_mean_square(values):
    return np.sqrt(np.mean(np.square(values.reshape(len(values), -1)), axis=1))


def linear(steps, bounds=None, **options):
    """The same gradient everywhere."""
    return Ascent(
        **{"gradient": lambda x: SLOPE + 0 * x, "scale": np.float32(1), "size": 0.3, **options},
        steps=steps,
        bounds=bounds,
    )


class TestFullSize:
    @pytest.mark.parametrize("steps", [1, 2, 5])
    def test_ends_at_the_far_side_of_the_box(self, steps):
        """From any start: the steps cross most of it, and a coordinate without slope stays at its start."""
        moved = linear(steps).to_full_size(ROWS, SEED).numpy() - ROWS.numpy()
        assert np.abs(moved).max() <= 0.3 + 1e-6
        reached = np.isclose(moved[:, [0, 1, 3]], 0.3 * np.sign(SLOPE.numpy()[:, [0, 1, 3]]), atol=1e-6)
        assert reached.mean() > (0.99 if steps > 1 else 0.6)
        assert moved[:, 2].std() == pytest.approx(0.3 / 3**0.5, rel=0.2)

    def test_stays_within_the_bounds(self):
        moved = linear(2, (0.0, 1.0)).to_full_size(tf.clip_by_value(ROWS, 0, 1), SEED).numpy()
        assert moved.min() >= 0
        assert moved.max() <= 1

    def test_follows_a_gradient_that_turns(self):
        """Up to a maximum within the box, where steps of half the size cannot stay but end near."""
        ascent = Ascent(lambda x: 0.1 - x, np.float32(1), 0.3, 20, None)
        assert np.abs(ascent.to_full_size(tf.zeros((30, 2)), SEED) - 0.1).max() < 0.05

    def test_kept_coordinates(self):
        moved = linear(2, scale=np.float32([1, 0, 1, 2])).to_full_size(ROWS, SEED).numpy() - ROWS.numpy()
        assert np.all(moved[:, 1] == 0)
        assert np.abs(moved[:, 3]).max() == pytest.approx(0.6, abs=1e-6)


class TestDrawnDirections:
    def test_sizes_and_kinds_are_drawn(self):
        sizes = root_mean_square(linear(2).in_drawn_directions(ROWS, SEED).numpy() - ROWS.numpy())
        assert 0.3 < sizes.max() <= LARGEST * 0.3 + 1e-6
        assert sizes.std() > 0.05
        moved = linear(1).in_drawn_directions(ROWS, SEED).numpy() - ROWS.numpy()
        assert {tuple(np.sign(row)) for row in np.round(moved, 5)} == {(1, -1, 0, 1), (0, 0, 0, 1)}

    def test_the_seed_decides(self):
        first, again, other = (linear(1).in_drawn_directions(ROWS, tf.constant([0, i])) for i in (0, 0, 1))
        np.testing.assert_array_equal(first, again)
        assert np.abs(first - other).max() > 0.01


class TestDirections:
    gradient = tf.constant(np.random.default_rng(0).normal(size=(5, 10, 10, 1)), tf.float32)

    @pytest.mark.parametrize("direction", DIRECTIONS)
    def test_root_mean_square_is_1_also_of_tiny_gradients(self, direction):
        for scale in (1.0, 1e-30):
            np.testing.assert_allclose(root_mean_square(direction(self.gradient * scale).numpy()), 1, rtol=1e-5)

    @pytest.mark.parametrize("direction", DIRECTIONS)
    def test_no_gradient_no_move(self, direction):
        np.testing.assert_array_equal(direction(tf.zeros((2, 4))), 0)

    def test_which_coordinates_move(self):
        assert np.all(np.abs(sign_direction(self.gradient)) == 1)
        np.testing.assert_allclose(gradient_direction(self.gradient), unit_root_mean_square(self.gradient))
        moved = sparse_direction(self.gradient).numpy().reshape(5, -1)
        steepest = np.argsort(-np.abs(self.gradient.numpy().reshape(5, -1)), axis=1)[:, :5]
        assert (np.count_nonzero(moved, axis=1) == 5).all()
        assert (np.take_along_axis(moved, steepest, axis=1) != 0).all()
