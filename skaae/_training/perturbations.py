"""The perturbations that the autoencoder learns to undo: noise and virtual adversarial perturbations.

The autoencoder is trained on perturbed rows x + r to restore the prediction on x: the loss is
KL(M(x) || M(AE(x + r))). With r = 0 this is the published method. r is Gaussian noise. Some of the rows also get a
virtual adversarial perturbation: a gradient ascent on the divergence between the predictions on x and on x + r. It
needs no labels and no attack. The ascent is against M, or against M(AE(x)) with the current AE.

Source: Miyato et al., *Virtual Adversarial Training*, arXiv:1704.03976, section 3.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import tensorflow as tf

from skaae._data.rows import Rows, Statistics
from skaae._training.ascents import Ascent

# Rows, targets -> divergence of each row.
Divergence = Callable[[tf.Tensor, Sequence[tf.Tensor]], tf.Tensor]
# The divergence has no gradient at x itself, so an ascent starts at a noisy copy of x.
LEAST_NOISE = 0.01
# In units of the standard deviation of a feature, or of the range of an image.
DEFAULT_SIZE = {"row": 0.3, "image": 0.2}
# Shares of the rows. Against M(AE(x)) with a larger one, images lose more to attackers who do not know AE.
DEFAULT_SHARES = {"row": (0.4, 0.3), "image": (0.7, 0.2)}
# Against M(AE(x)).
DEFAULT_ASCENT_STEPS = {"row": 5, "image": 3}
# A fixed network needs few. That of images costs as much as AE.
MOST_STEPS_AGAINST_M = {"row": 2, "image": 1}
# Against M and against M(AE(x)).
ASCENTS = Ascent.in_drawn_directions, Ascent.to_full_size


@dataclass(frozen=True, eq=False)
class Perturbation:
    """Perturbs the rows of a training batch.

    Parameters
    ----------
    scale : ndarray that broadcasts to a sample, float32
        Unit of `noise` and `virtual_adversarial`, see `unit_of_perturbation`.
    bounds : tuple of float or None
        Smallest and largest value of a perturbed row. None: no bounds.
    noise : float, default=0.0
        Standard deviation of the Gaussian noise on every row. An ascent uses at least 0.01.
    virtual_adversarial : float, default=0.0
        Size of the ascents against M(AE(x)). Those against M have up to one and a half times this size.
    shares : tuple of two float, default=(0.4, 0.3)
        Shares of the rows that are perturbed against M, and against M(AE(x)).
    steps : int, default=5
        Number of gradient steps against M(AE(x)). Against M there are at most 2, and 1 on images.
    """

    scale: np.ndarray
    bounds: tuple[float, float] | None
    noise: float = 0.0
    virtual_adversarial: float = 0.0
    shares: tuple[float, float] = DEFAULT_SHARES["row"]
    steps: int = DEFAULT_ASCENT_STEPS["row"]

    @classmethod
    def of_rows(
        cls,
        X: Rows,
        noise: float,
        virtual_adversarial: float | None,
        shares: Sequence[float] | None,
        steps: int | None,
        kept: Sequence[int] = (),
        images: bool | None = None,
    ) -> Perturbation:
        """Perturbation with the scale and the bounds of the training rows X, but for the columns that are kept.

        With None, `virtual_adversarial` is `DEFAULT_SIZE`, `shares` are `DEFAULT_SHARES`, and `steps` are
        `DEFAULT_ASCENT_STEPS`.
        """
        kind = "image" if (len(X.shape) > 3 if images is None else images) else "row"
        first, second = map(float, DEFAULT_SHARES[kind] if shares is None else shares)
        scale = unit_of_perturbation(X, images)
        if len(kept):
            scale[list(kept)] = 0.0
        return cls(
            scale,
            bounds_of_perturbation(X, images),
            noise=float(noise),
            virtual_adversarial=float(DEFAULT_SIZE[kind] if virtual_adversarial is None else virtual_adversarial),
            shares=(first, second),
            steps=DEFAULT_ASCENT_STEPS[kind] if steps is None else steps,
        )

    def __bool__(self) -> bool:
        """Whether rows are perturbed at all."""
        return self.noise > 0 or self.virtual_adversarial > 0

    def __call__(
        self,
        x: tf.Tensor,
        targets: Sequence[tf.Tensor],
        against_classifier: Divergence,
        against_defense: Divergence,
        seed: tf.Tensor,
    ) -> tf.Tensor:
        """Perturb a batch.

        Parameters
        ----------
        x : tf.Tensor of shape (n_samples, ...), float32
        targets : sequence of tf.Tensor of shape (n_samples, n_classes)
            Logits of x.
        against_classifier, against_defense : callable
            ``divergence(rows, targets)`` of M and of M(AE(x)), one value per row.
        seed : tf.Tensor of shape (2,), int32
            Different for each batch.

        Returns
        -------
        perturbed : tf.Tensor of the shape of x
        """
        seeds = tf.unstack(tf.random.split(seed, 3))
        noise = max(self.noise, LEAST_NOISE) if self.virtual_adversarial else self.noise
        moved = x + noise * self.scale * tf.random.stateless_normal(tf.shape(x), seeds[0])
        if self.virtual_adversarial and any(self.shares):
            moved = self._ascend_in_shares(moved, targets, (against_classifier, against_defense), seeds[1:])
        return moved if self.bounds is None else tf.clip_by_value(moved, *self.bounds)

    def _ascend_in_shares(
        self,
        x: tf.Tensor,
        targets: Sequence[tf.Tensor],
        divergences: Sequence[Divergence],
        seeds: Sequence[tf.Tensor],
    ) -> tf.Tensor:
        """Perturb the first rows against M, and the next against M(AE(x)). Batches are shuffled already."""
        n_rows = tf.shape(x)[0]
        first, second = (tf.cast(tf.round(share * tf.cast(n_rows, tf.float32)), tf.int32) for share in self.shares)
        sizes = [first, tf.minimum(second, n_rows - first), -1]
        parts = tf.split(x, sizes)
        chosen = zip(*(tf.split(target, sizes) for target in targets), strict=True)
        most = MOST_STEPS_AGAINST_M["row" if len(x.shape) == 2 else "image"]
        steps = min(self.steps, most), self.steps
        ascents = zip(ASCENTS, steps, self.shares, divergences, chosen, seeds, strict=False)
        for place, (ascend, n_steps, share, divergence, logits, seed) in enumerate(ascents):
            if share > 0:
                gradient = partial(_gradient, divergence, logits, self.scale)
                ascent = Ascent(gradient, self.scale, self.virtual_adversarial, n_steps, self.bounds)
                parts[place] = _unless_empty(partial(ascend, ascent, seed=seed), parts[place])
        return tf.concat(parts, axis=0)


def _unless_empty(ascend: Callable[[tf.Tensor], tf.Tensor], x: tf.Tensor) -> tf.Tensor:
    """Leave out the ascent of no rows, as in a last batch of two: the convolutions of a CPU fail there."""
    return tf.cond(tf.shape(x)[0] > 0, lambda: ascend(x), lambda: x)


def _gradient(divergence: Divergence, targets: Sequence[tf.Tensor], scale: np.ndarray, x: tf.Tensor) -> tf.Tensor:
    """Gradient of the divergence at x, for coordinates in units of `scale`."""
    with tf.GradientTape() as tape:
        tape.watch(x)
        value = tf.reduce_sum(divergence(x, targets))
    gradient = tape.gradient(value, x)
    if gradient is None:
        raise ValueError(
            "M or the autoencoder has no gradient with respect to its input, for example because it rounds or looks up "
            "values. Perturbed training needs one: pass virtual_adversarial=0, or another model."
        )
    return gradient * scale


def unit_of_perturbation(X: Rows, images: bool | None = None) -> np.ndarray:
    """The size of a perturbation that counts as 1, for each coordinate of a sample.

    Parameters
    ----------
    X : ndarray or RowSubset of shape (n_samples, ...)
        Training rows.
    images : bool or None, default=None
        Whether they are images. None: if a sample has three dimensions.

    Returns
    -------
    unit : ndarray, float32
        Rows: the standard deviation of each feature, of shape (n_features,). Sequences: that of each channel, of
        shape (n_channels,). A constant feature gets the mean of the others. Images: the range of the values, a scalar.

    Examples
    --------
    >>> import numpy as np
    >>> from skaae._training.perturbations import unit_of_perturbation
    >>> unit_of_perturbation(np.array([[0.0, 5.0], [2.0, 5.0]]))
    array([1., 1.], dtype=float32)
    """
    statistics = Statistics.of(X)
    if len(X.shape) > 3 if images is None else images:
        # The difference of two float32 numbers may exceed the largest one.
        spread = float(statistics.highest.max()) - float(statistics.lowest.min())
        return np.float32(min(spread, float(np.finfo(np.float32).max)) or 1.0)  # type: ignore[return-value]
    return statistics.spread.astype(np.float32)


def bounds_of_perturbation(X: Rows, images: bool | None = None) -> tuple[float, float] | None:
    """Bounds of perturbed rows: the range of images, [0, 1] for other X within it, or None."""
    statistics = Statistics.of(X)
    if len(X.shape) > 3 if images is None else images:
        return float(statistics.lowest.min()), float(statistics.highest.max())
    return (0.0, 1.0) if statistics.in_unit_interval else None
