"""The adversarial score: the divergence between the prediction on x and the prediction on x'.

Training, scoring and flagging all use the functions of this module. The loss that training
minimizes is therefore the same quantity as the score that is compared with the threshold. The
functions take logits and compute log-probabilities with log-softmax. Probabilities clipped at
1e-7 would cap the score and would have no gradient below the clip.

Source: Vacanti and Van Looveren, *Adversarial Detection and Correction by Matching
Prediction Distributions*, arXiv:2002.09364, equations 1 and 2.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import tensorflow as tf

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


def log_probabilities(logits: tf.Tensor, temperature: float = 1.0) -> tf.Tensor:
    """Compute log-probabilities from logits, sharpened or softened by a temperature.

    ``softmax(logits / T)`` equals ``softmax(logits) ** (1 / T)`` after renormalization.

    Parameters
    ----------
    logits : tf.Tensor of shape (n_samples, n_classes), any float dtype
        Predictions before the softmax. A constant added to a row makes no difference.
    temperature : float, default=1.0
        T > 0. Values below 1 sharpen the distribution; values above 1 soften it.

    Returns
    -------
    log_p : tf.Tensor of shape (n_samples, n_classes), float64

    Examples
    --------
    >>> from skaae._divergence import log_probabilities
    >>> import numpy as np, tensorflow as tf
    >>> logits = tf.math.log([[0.8, 0.2]])
    >>> np.exp(log_probabilities(logits, temperature=0.5)).round(3)
    array([[0.941, 0.059]])
    """
    return tf.nn.log_softmax(tf.cast(logits, tf.float64) / temperature)


def kullback_leibler(log_p: tf.Tensor, log_q: tf.Tensor) -> tf.Tensor:
    """Compute the Kullback-Leibler divergence KL(p || q) of each row, in nats.

    Parameters
    ----------
    log_p, log_q : tf.Tensor of shape (n_samples, n_classes), float64
        Log-probabilities.

    Returns
    -------
    divergence : tf.Tensor of shape (n_samples,), float64
        Never negative.

    Examples
    --------
    >>> from skaae._divergence import kullback_leibler
    >>> import numpy as np, tensorflow as tf
    >>> p, q = np.array([[0.5, 0.5]]), np.array([[0.9, 0.1]])
    >>> kullback_leibler(tf.math.log(p), tf.math.log(q)).numpy().round(4)
    array([0.5108])
    """
    # Rounding can give values such as -1e-17. There p equals q and the gradient is 0, so relu loses nothing.
    return tf.nn.relu(tf.reduce_sum(tf.exp(log_p) * (log_p - log_q), axis=-1))


# Larger than any divergence seen in practice, and small enough that float64 keeps 13 decimal places.
LABEL_CHANGE = 1000.0


@dataclass(frozen=True)
class AdversarialScore:
    """The score S(x) = KL(M(x) || M(x')) + sum over hidden terms of weight * KL(h(x) || h(x')).

    Parameters
    ----------
    temperature : float, default=1.0
        Temperature of M(x). It is not applied to M(x') or to the hidden terms.
    hidden_weights : sequence of float, default=()
        The weight of each hidden term.
    label_change_first : bool, default=False
        Whether `ranked` scores rows with different labels for x and x' above all other rows.

    Examples
    --------
    >>> from skaae._divergence import AdversarialScore
    >>> import tensorflow as tf
    >>> x, x_reconstructed = [tf.constant([[2.0, 0.0]])], [tf.constant([[0.0, 2.0]])]
    >>> AdversarialScore()(x, x_reconstructed).numpy().round(4)
    array([1.5232])
    """

    temperature: float = 1.0
    hidden_weights: tuple[float, ...] = ()
    label_change_first: bool = False

    def __call__(self, logits: Sequence[tf.Tensor], logits_reconstructed: Sequence[tf.Tensor]) -> tf.Tensor:
        """Compute the score of each row from the logits of x and x'.

        Parameters
        ----------
        logits, logits_reconstructed : sequence of tf.Tensor of shape (n_samples, n_classes)
            The logits of M, followed by those of the hidden terms in the order of ``hidden_weights``.

        Returns
        -------
        score : tf.Tensor of shape (n_samples,), float64
        """
        temperatures = (self.temperature, *(1.0 for _ in self.hidden_weights))
        weights = (1.0, *self.hidden_weights)
        terms = zip(weights, temperatures, logits, logits_reconstructed, strict=True)
        return tf.add_n(
            [
                weight * kullback_leibler(log_probabilities(z, temperature), log_probabilities(z_reconstructed))
                for weight, temperature, z, z_reconstructed in terms
            ]
        )

    def ranked(
        self,
        logits: Sequence[tf.Tensor],
        logits_reconstructed: Sequence[tf.Tensor],
        labels: tuple[tf.Tensor, tf.Tensor] | None = None,
        log_weights: ArrayLike = 0.0,
    ) -> tf.Tensor:
        """Compute the score that is compared with the threshold.

        With `label_change_first=False` this is S(x). With `label_change_first=True`, rows with
        different labels for x and x' rank above all others: flagging a row whose label stays the
        same can only raise a false alarm, because it corrects nothing. Such a row scores 1000 plus
        the log-odds, under M(x'), of the label of x' against the label of x. (S(x) itself would
        rank some of these rows low: after an attack that barely crosses the decision boundary, M
        is unsure about x, and KL(M(x) || M(x')) is small.) Training uses S(x), which is smooth.

        Parameters
        ----------
        logits, logits_reconstructed : sequence of tf.Tensor of shape (n_samples, n_classes)
            See `__call__`.
        labels : tuple of two tf.Tensor of shape (n_samples,), int64, or None, default=None
            Labels that M predicts for x and x'. None means the most probable classes.
        log_weights : array-like of shape (n_classes,) or float, default=0.0
            What to subtract from the logits, so that the label is that of the largest: the logarithms of
            1 - t and t for a classifier with the decision threshold t. Changes the log-odds only.

        Returns
        -------
        score : tf.Tensor of shape (n_samples,), float64
            Infinite for rows with a NaN or infinite logit.

        Examples
        --------
        >>> from skaae._divergence import AdversarialScore
        >>> import tensorflow as tf
        >>> x, x_reconstructed = [tf.constant([[2.0, 0.0]])], [tf.constant([[0.0, 3.0]])]
        >>> AdversarialScore(label_change_first=True).ranked(x, x_reconstructed).numpy()
        array([1003.])
        """
        score = self(logits, logits_reconstructed)
        if self.label_change_first:
            label, new_label = labels or most_probable(logits, logits_reconstructed)
            log_odds = log_odds_of_change(logits_reconstructed[0] - log_weights, label, new_label)
            score = tf.where(label != new_label, LABEL_CHANGE + log_odds, tf.minimum(score, LABEL_CHANGE))
        # NaN exceeds no threshold, so a row large enough to overflow M would otherwise pass as normal.
        is_finite = _is_finite([*logits, *logits_reconstructed])
        return tf.where(is_finite, score, tf.constant(math.inf, score.dtype))


def _is_finite(logits: Sequence[tf.Tensor]) -> tf.Tensor:
    """Tell for each row whether all logits are finite."""
    return tf.reduce_all(tf.concat([tf.math.is_finite(values) for values in logits], axis=1), axis=1)


def most_probable(
    logits: Sequence[tf.Tensor], logits_reconstructed: Sequence[tf.Tensor]
) -> tuple[tf.Tensor, tf.Tensor]:
    """The most probable classes of x and of x'."""
    return tf.argmax(logits[0], axis=1), tf.argmax(logits_reconstructed[0], axis=1)


def log_odds_of_change(logits_reconstructed: tf.Tensor, label: tf.Tensor, new_label: tf.Tensor) -> tf.Tensor:
    """Compute the log-odds, under M(x'), of the label of x' against the label of x.

    Parameters
    ----------
    logits_reconstructed : tf.Tensor of shape (n_samples, n_classes), any float dtype
    label, new_label : tf.Tensor of shape (n_samples,), int
        Labels of x and of x'.

    Returns
    -------
    log_odds : tf.Tensor of shape (n_samples,), float64
        0 where the two labels are the same, and at least 0 everywhere: `predict` of a classifier may choose a label
        that is less probable.
    """
    values = tf.cast(logits_reconstructed, tf.float64)
    odds = tf.gather(values, new_label, axis=1, batch_dims=1) - tf.gather(values, label, axis=1, batch_dims=1)
    return tf.nn.relu(odds)
