"""Attacks on the decision of `correct`: M(x) wrong and S(x) below the threshold, or above it and M(AE(x)) wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from benchmarks.common.data import Split
from skaae import AdversarialAEDetector
from skaae._divergence import LABEL_CHANGE, log_probabilities

STEPS = 100


@dataclass
class Seen:
    """What an attacker sees of some rows.

    Parameters
    ----------
    misleading : tf.Tensor of shape (n_samples,)
        Cross-entropy of M(x).
    score : tf.Tensor of shape (n_samples,)
        What the detector compares with the threshold, without a jump where the label changes.
    excess : tf.Tensor of shape (n_samples,)
        How far the row is from not being flagged; 0 if it is not flagged.
    misled, lost : tf.Tensor of shape (n_samples,), bool
        Whether M(x) is wrong, and whether the corrected label is.
    """

    misleading: tf.Tensor
    score: tf.Tensor
    excess: tf.Tensor
    misled: tf.Tensor
    lost: tf.Tensor


Direction = Callable[[Callable[[tf.Tensor], Seen], tf.Tensor], tuple[tf.Tensor, tf.Tensor]]


def see(detector: AdversarialAEDetector, x: tf.Tensor, y: tf.Tensor) -> Seen:
    """The decision on rows of these classes, differentiable in x."""
    defense = detector._defense
    before, after = defense.heads(x), defense.heads(defense.reconstruct(x))
    weights = defense.label_rule.log_weights()
    log_p, log_q = (log_probabilities(logits[0]) - weights for logits in (before, after))
    given, repaired = tf.argmax(log_p, axis=1), tf.argmax(log_q, axis=1)
    score, threshold = defense.score(before, after), tf.gather(tf.constant(detector.class_thresholds_), given)
    excess = tf.nn.relu(score - threshold)
    if defense.score.label_change_first:
        # Rows whose label changes score 1000 and these log-odds: with a threshold above 1000 no others are flagged.
        odds = tf.reduce_max(log_q, axis=1) - tf.gather(log_q, given, axis=1, batch_dims=1)
        only_changes = threshold >= LABEL_CHANGE
        excess = tf.where(only_changes, tf.nn.relu(odds - (threshold - LABEL_CHANGE)), excess + odds)
        score = tf.where(only_changes, odds, score + odds)
    ranked = defense.score.ranked(before, after, (given, repaired), weights)
    is_kept = (given != repaired) & (ranked <= tf.gather(tf.constant(detector.repair_thresholds_), repaired))
    misleading = tf.nn.sparse_softmax_cross_entropy_with_logits(y, log_p)
    lost = tf.where((excess > 0) & ~is_kept, repaired, given) != y
    return Seen(misleading, score, excess, given != y, lost)


def penalized(weight: float) -> Direction:
    """Up the cross-entropy of M(x), minus the weighted excess of S(x) over the threshold."""

    def direction(look: Callable[[tf.Tensor], Seen], x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        with tf.GradientTape() as tape:
            tape.watch(x)
            seen = look(x)
            total = tf.reduce_sum(seen.misleading - weight * seen.excess)
        return tape.gradient(total, x), seen.lost

    return direction


def alternating(orthogonal: bool) -> Direction:
    """Up the cross-entropy until M(x) is wrong, then down the score (Bryniarski et al. 2021, arXiv:2106.15023).

    If orthogonal, each of the two directions loses its part along the other, so that no step undoes the last one.
    """

    def direction(look: Callable[[tf.Tensor], Seen], x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(x)
            seen = look(x)
            totals = tf.reduce_sum(seen.misleading), tf.reduce_sum(seen.score)
        misleading, detected = (tape.gradient(total, x) for total in totals)
        up, down = misleading, -detected
        if orthogonal:
            up, down = without_part_along(misleading, detected), -without_part_along(detected, misleading)
        misled = tf.reshape(seen.misled, [-1] + [1] * (len(x.shape) - 1))
        return tf.where(misled, down, up), seen.lost

    return direction


def without_part_along(values: tf.Tensor, other: tf.Tensor) -> tf.Tensor:
    """Each row of values minus its projection on that row of the other tensor."""
    axes = list(range(1, len(values.shape)))
    product = tf.reduce_sum(values * other, axis=axes, keepdims=True)
    return values - tf.math.divide_no_nan(product, tf.reduce_sum(other**2, axis=axes, keepdims=True)) * other


def attack(detector: AdversarialAEDetector, split: Split, size: float, direction: Direction) -> Callable:
    """An attack on test rows by number: sign steps from a random start, of which the first that loses a row is kept."""
    step = 2.5 * size / STEPS
    shape = split.X_test.shape[1:]

    @tf.function(input_signature=[tf.TensorSpec([None, *shape]), tf.TensorSpec([None], tf.int64)])
    def run(start: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
        x = tf.clip_by_value(start + tf.random.uniform(tf.shape(start), -size, size), *split.bounds)
        kept, is_kept = x, tf.zeros_like(y, tf.bool)
        for _ in tf.range(STEPS):
            ascent, lost = direction(lambda x: see(detector, x, y), x)
            kept = tf.where(tf.reshape(is_kept, [-1] + [1] * len(shape)), kept, x)
            is_kept |= lost
            moved = tf.clip_by_value(x + step * tf.sign(ascent), start - size, start + size)
            x = tf.clip_by_value(moved, *split.bounds)
        return tf.where(tf.reshape(is_kept, [-1] + [1] * len(shape)), kept, x)

    return lambda rows: run(split.X_test[rows], split.y_test[rows].astype(np.int64)).numpy()
