"""Tests of the attacks themselves: gradients that vanish, and planted adversarial rows that an attack has to find."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import tensorflow as tf

from skaae._keras.seeds import temporary_seed
from skaae.robustness._arena import Arena
from skaae.robustness._gradient_attacks import attack_with_foolbox, foolbox

# Corners of the box of which the best is planted, and points near the row that must stay on its side.
CORNERS, NEAR, NEARNESS = 20, 20, 0.5
STEPS, STARTS = 20, 2
ROWS = 200


def share_without_gradient(arena: Arena, through: str) -> float:
    """Share of the rows on which the loss has no gradient, so that no attack can follow it.

    Parameters
    ----------
    arena : Arena
    through : str
        See `Arena.logits`.

    Returns
    -------
    share : float
    """
    arena = arena.take(np.arange(min(len(arena), ROWS)))
    gradient = arena.gradient(through)(tf.constant(arena.start()))[1]
    found = np.asarray(gradient)
    return float(1 - (np.isfinite(found).all(axis=1) & (found != 0).any(axis=1)).mean())


def share_of_planted_found(arena: Arena, through: str, size: float, seed: int) -> float:
    """Share of the planted adversarial rows that PGD finds.

    For each row, a random corner of the box is made adversarial: the network gets two outputs, which say on which side
    of a threshold the margin of the row's class is. The threshold lies between the margins of points near the row and
    the lowest margin of some random corners. There is an adversarial row in the box, then, and an attack that does not
    find it does not work on this network.

    Parameters
    ----------
    arena : Arena
    through : str
    size : float
    seed : int

    Returns
    -------
    share : float
        NaN if nothing could be planted.

    References
    ----------
    R. S. Zimmermann, W. Brendel, F. Tramer and N. Carlini, "Increasing Confidence in Adversarial Robustness
    Evaluations", arXiv:2206.13991, 2022: the binarization test. Here the features are the logits.
    """
    arena = arena.take(np.arange(min(len(arena), ROWS)))
    margin, generator = margin_of(arena, through), np.random.default_rng(seed)
    shape = arena.start().shape
    corners = [margin(size * generator.choice([-1.0, 1.0], shape)) for _ in range(CORNERS)]
    near = [margin(NEARNESS * size * generator.uniform(-1, 1, shape)) for _ in range(NEAR)]
    inner, planted = np.min([margin(arena.start()), *near], axis=0), np.min(corners, axis=0)
    rows = np.flatnonzero(planted < inner - 1e-6)
    if not len(rows):
        return float("nan")
    threshold = ((inner + planted) / 2)[rows]
    part = arena.take(rows)
    found = np.zeros(len(rows), bool)
    with temporary_seed(seed):
        for _ in range(STARTS):
            found |= margin_of(part, through)(_searched(part, through, threshold, size)) < threshold
    return float(found.mean())


def _searched(arena: Arena, through: str, threshold: np.ndarray, size: float) -> np.ndarray:
    """Where PGD ends that looks for margins below thresholds."""
    margin = tensor_margin(arena, through)

    def binary(z: tf.Tensor) -> tf.Tensor:
        above = margin(z) - tf.constant(threshold, tf.float32)
        return tf.stack([above, -above], axis=1)

    above = replace(arena, labels=np.zeros(len(arena), int))
    attack = foolbox().attacks.LinfPGD(steps=STEPS, rel_stepsize=2.5 / STEPS)
    return attack_with_foolbox(attack, binary, above, size)


def tensor_margin(arena: Arena, through: str) -> Callable[[tf.Tensor], tf.Tensor]:
    """The logit of the class of each row above the largest of the others; of both networks the sum."""
    logits, truth = arena.logits(through), tf.one_hot(arena.labels, len(arena.target.classes), dtype=tf.float32)

    def margin(z: tf.Tensor) -> tf.Tensor:
        parts = tf.split(logits(z), 2, axis=1) if through == "both" else [logits(z)]
        own = [tf.reduce_sum(part * truth, axis=1) for part in parts]
        others = [tf.reduce_max(part - 1e9 * truth, axis=1) for part in parts]
        return tf.add_n([*own, *(-other for other in others)])

    return margin


def margin_of(arena: Arena, through: str) -> Callable[[np.ndarray], np.ndarray]:
    """The same for arrays."""
    margin = tensor_margin(arena, through)
    return lambda z: np.asarray(margin(tf.constant(z, tf.float32)))
