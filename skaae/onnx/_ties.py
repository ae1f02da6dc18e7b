"""The score of the file, in which rows that have the score of the threshold except for rounding have exactly that.

The conformal threshold is the score of a calibration row. Where the classifier has few different
probabilities (nearest neighbors, small forests), or rows occur several times, many rows have this
very score. The estimator flags none of them. ONNX Runtime rounds differently, which would flag many
of them. The graph therefore computes how far rounding can move the score of a row, and sets the
score to the threshold if this is within reach.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import tensorflow as tf

from skaae._divergence import AdversarialScore, kullback_leibler, log_probabilities, most_probable

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

# Of float32 logits, relative to the largest of the row. Usual networks stay below a tenth of it.
ERROR_OF_LOGITS = 2.0**-20
# Of the logits of other classifiers because x' is rounded to float32.
ERROR_OF_RECONSTRUCTION = 2.0**-18
ERROR_OF_FLOAT64 = 2.0**-52
# Of probabilities, relative, from graphs that contain float32, and of those without.
ERRORS_OF_PROBABILITIES = {"float32": 2.0**-20, "float64": 2.0**-50}


@dataclass(frozen=True)
class ScoreWithTies(AdversarialScore):
    """An AdversarialScore that sets scores to the threshold of their class if rounding alone separates the two.

    Parameters
    ----------
    temperature, hidden_weights, label_change_first
        Parameters of `AdversarialScore`.
    thresholds : tf.Tensor of shape (n_classes,), float64
        The threshold of each class that M predicts.
    floor : float or None, default=None
        Least probability of M, if its logits are logarithms of probabilities. None if M is a Keras
        model.
    precision : {"float32", "float64"}, default="float64"
        The type in which the probabilities of M are computed, if M is not a Keras model.

    Examples
    --------
    >>> import tensorflow as tf
    >>> from skaae.onnx._ties import ScoreWithTies
    >>> x, x_reconstructed = [tf.constant([[2.0, 0.0]])], [tf.constant([[0.0, 3.0]])]
    >>> thresholds = tf.constant([1002.9999999, 2.0], tf.float64)
    >>> score = ScoreWithTies(label_change_first=True, thresholds=thresholds)
    >>> bool(score.ranked(x, x_reconstructed) == thresholds[0])
    True
    """

    thresholds: tf.Tensor = (0.0,)
    floor: float | None = None
    precision: str = "float64"

    def ranked(
        self,
        logits: Sequence[tf.Tensor],
        logits_reconstructed: Sequence[tf.Tensor],
        labels: tuple[tf.Tensor, tf.Tensor] | None = None,
        log_weights: ArrayLike = 0.0,
    ) -> tf.Tensor:
        """Compute the score that is compared with the threshold.

        Parameters
        ----------
        logits, logits_reconstructed, labels, log_weights : object
            See `AdversarialScore.ranked`.

        Returns
        -------
        score : tf.Tensor of shape (n_samples,), float64
        """
        labels = labels or most_probable(logits, logits_reconstructed)
        scores = super().ranked(logits, logits_reconstructed, labels, log_weights)
        errors = self.errors(logits, logits_reconstructed, labels) + ERROR_OF_FLOAT64 * scores
        thresholds = tf.gather(self.thresholds, labels[0])
        is_tied = tf.abs(scores - thresholds) <= errors
        return tf.where(is_tied & tf.math.is_finite(scores), thresholds, scores)

    def errors(
        self,
        logits: Sequence[tf.Tensor],
        logits_reconstructed: Sequence[tf.Tensor],
        labels: tuple[tf.Tensor, tf.Tensor] | None = None,
    ) -> tf.Tensor:
        """Compute how much the score of each row changes at most, to first order, if the logits change by rounding.

        Parameters
        ----------
        logits, logits_reconstructed, labels : object
            See `AdversarialScore.ranked`.

        Returns
        -------
        errors : tf.Tensor of shape (n_samples,), float64
        """
        terms = [logits, logits_reconstructed]
        of_logits, of_reconstructed = (
            [self._errors_of_logits(*term) for term in enumerate(terms_)] for terms_ in terms
        )
        temperatures = (self.temperature, *(1.0 for _ in self.hidden_weights))
        weights = (1.0, *self.hidden_weights)
        parts = zip(weights, temperatures, logits, logits_reconstructed, of_logits, of_reconstructed, strict=True)
        errors = tf.add_n([weight * _error_of_divergence(*part) for weight, *part in parts])
        if not self.label_change_first:
            return errors
        labels = labels or most_probable(logits, logits_reconstructed)
        of_odds = tf.add_n([tf.gather(of_reconstructed[0], label, axis=1, batch_dims=1) for label in labels])
        return tf.where(labels[0] != labels[1], of_odds, errors)

    def _errors_of_logits(self, term: int, logits: tf.Tensor) -> tf.Tensor:
        logits = tf.cast(logits, tf.float64)
        if term > 0 or self.floor is None:
            largest = tf.reduce_max(tf.abs(logits), axis=1, keepdims=True)
            return ERROR_OF_LOGITS * tf.maximum(largest, 1.0) + tf.zeros_like(logits)
        # x' is rounded to float32, which changes the probabilities near 0 and 1 least.
        probabilities = tf.exp(logits)
        errors = ERROR_OF_RECONSTRUCTION * (1.0 - probabilities) + ERRORS_OF_PROBABILITIES[self.precision]
        return tf.where(probabilities > self.floor * (1 + ERROR_OF_LOGITS), errors, 0.0)


def _error_of_divergence(
    temperature: float,
    logits: tf.Tensor,
    logits_reconstructed: tf.Tensor,
    errors: tf.Tensor,
    errors_reconstructed: tf.Tensor,
) -> tf.Tensor:
    """Multiply the derivatives of KL(p || q) by the errors of the logits, and add those of second order."""
    log_p, log_q = log_probabilities(logits, temperature), log_probabilities(logits_reconstructed)
    p, q, errors = tf.exp(log_p), tf.exp(log_q), errors / temperature
    divergence = kullback_leibler(log_p, log_q)[:, None]
    first_order = p * tf.abs(log_p - log_q - divergence) * errors + tf.abs(q - p) * errors_reconstructed
    second_order = p * (1.0 - p) * (errors + errors_reconstructed) ** 2
    return tf.reduce_sum(first_order + second_order, axis=1)
