"""Gradient ascents on the divergence: of drawn sizes and kinds against M, to the full size against M(AE(x)).

M is fixed, and those who attack it do so in many ways: the size and the direction of each row are drawn, so that AE
learns to undo all of them. M(AE(x)) changes with every step of the training, and an attacker who knows it uses the
whole size: this ascent starts at a random place of the box around x, follows the sign of the gradient, and is projected
back into the box.

Sources: Miyato et al., *Virtual Adversarial Training*, arXiv:1704.03976, section 3; Madry et al., *Towards Deep
Learning Models Resistant to Adversarial Attacks*, arXiv:1706.06083, section 2.1; for a single step Wong et al., *Fast
is better than free*, arXiv:2001.03994, section 4.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

# Share of the coordinates of a sample that a sparse step changes.
SPARSE_SHARE = 0.05
# Drawn sizes are uniform up to this multiple of the size.
LARGEST = 1.5
# Length of all steps together, as a multiple of the size: a projected ascent has to cross the box. A single step that
# is longer than this collapses in training.
LENGTH, LENGTH_OF_ONE = 2.0, 1.25


@dataclass(frozen=True, eq=False)
class Ascent:
    """Moves rows to where the divergence is larger.

    Parameters
    ----------
    gradient : callable
        Rows -> gradient of the divergence of each row, for coordinates in units of `scale`.
    scale : ndarray that broadcasts to a sample
        Unit of the size.
    size : float
        Move of each coordinate, or a root mean square, which drawn sizes exceed by up to half.
    steps : int
        Number of gradient steps.
    bounds : tuple of float or None
        Smallest and largest value of a row.
    """

    gradient: Callable[[tf.Tensor], tf.Tensor]
    scale: np.ndarray
    size: float
    steps: int
    bounds: tuple[float, float] | None

    def in_drawn_directions(self, x: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Move each row by a drawn size, in the direction that is steepest under a drawn norm.

        Parameters
        ----------
        x : tf.Tensor of shape (n_samples, ...), float32
            Beside the clean rows, where the divergence has no gradient.
        seed : tf.Tensor of shape (2,), int32

        Returns
        -------
        moved : tf.Tensor of the shape of x
            Not clipped to the bounds.
        """
        seeds = tf.unstack(tf.random.split(seed, 2))
        per_row = tf.concat([tf.shape(x)[:1], tf.ones(len(x.shape) - 1, tf.int32)], axis=0)
        radius = LARGEST * self.size * tf.random.stateless_uniform(per_row, seeds[0])
        # On images, sparse attacks are the hardest to undo: half of the directions are sparse.
        n_kinds = len(DIRECTIONS) + (len(x.shape) > 2)
        kind = tf.random.stateless_uniform(per_row, seeds[1], maxval=n_kinds, dtype=tf.int32)
        kind = tf.minimum(kind, len(DIRECTIONS) - 1)

        def step(x: tf.Tensor) -> tf.Tensor:
            slope = self.gradient(x)
            return x + radius / self.steps * self.scale * select(kind, [direction(slope) for direction in DIRECTIONS])

        return self._repeated(step, x)

    def to_full_size(self, x: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Move each row within the box of the size, from a random start, in projected steps of the sign.

        Parameters
        ----------
        x : tf.Tensor of shape (n_samples, ...), float32
        seed : tf.Tensor of shape (2,), int32

        Returns
        -------
        moved : tf.Tensor of the shape of x
        """
        limit = self.size * self.scale
        lowest, highest = self._clipped(x - limit), self._clipped(x + limit)
        moved = self._clipped(x + limit * tf.random.stateless_uniform(tf.shape(x), seed, -1.0, 1.0))
        length = limit * (LENGTH_OF_ONE if self.steps == 1 else LENGTH / self.steps)

        def step(moved: tf.Tensor) -> tf.Tensor:
            return tf.clip_by_value(moved + length * tf.sign(self.gradient(moved)), lowest, highest)

        return self._repeated(step, moved)

    def _repeated(self, step: Callable[[tf.Tensor], tf.Tensor], x: tf.Tensor) -> tf.Tensor:
        """Take all steps. A loop in the graph is traced once, however many steps there are."""
        if self.steps == 1:
            return step(x)
        _, x = tf.while_loop(lambda n, x: n < self.steps, lambda n, x: (n + 1, step(x)), (tf.constant(0), x))
        return x

    def _clipped(self, x: tf.Tensor) -> tf.Tensor:
        return x if self.bounds is None else tf.clip_by_value(x, *self.bounds)


def select(kind: tf.Tensor, choices: Sequence[tf.Tensor]) -> tf.Tensor:
    """Select for each row the tensor at position `kind` of the list."""
    chosen = choices[0]
    for place, choice in enumerate(choices[1:], start=1):
        chosen = tf.where(kind == place, choice, chosen)
    return chosen


def sign_direction(gradient: tf.Tensor) -> tf.Tensor:
    """Change every coordinate by 1: the steepest ascent under the maximum norm."""
    return tf.sign(gradient)


def gradient_direction(gradient: tf.Tensor) -> tf.Tensor:
    """Follow the gradient, with a root mean square of 1: the steepest ascent under the Euclidean norm."""
    return unit_root_mean_square(gradient)


def sparse_direction(gradient: tf.Tensor) -> tf.Tensor:
    """Change only the few steepest coordinates, with a root mean square of 1, as under the L1 norm."""
    flat = tf.reshape(tf.abs(gradient), (tf.shape(gradient)[0], -1))
    n_moved = max(1, round(SPARSE_SHARE * int(np.prod(gradient.shape[1:]))))
    least = tf.math.top_k(flat, n_moved).values[:, -1]
    steepest = tf.abs(gradient) >= tf.reshape(least, (-1, *(1 for _ in gradient.shape[1:])))
    return unit_root_mean_square(tf.where(steepest, tf.sign(gradient), 0.0))


DIRECTIONS = (sign_direction, gradient_direction, sparse_direction)


def unit_root_mean_square(values: tf.Tensor) -> tf.Tensor:
    """Divide each sample by its root mean square. A sample of zeros stays as it is."""
    axes = list(range(1, len(values.shape)))
    # Divide by the maximum first: the squares of small gradients vanish in float32.
    values = tf.math.divide_no_nan(values, tf.reduce_max(tf.abs(values), axis=axes, keepdims=True))
    return tf.math.divide_no_nan(values, tf.sqrt(tf.reduce_mean(tf.square(values), axis=axes, keepdims=True)))
