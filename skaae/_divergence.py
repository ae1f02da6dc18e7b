"""The equation: how far the prediction on x' is from the prediction on x.

Everything that trains, scores or flags goes through the functions of this module, so that
the loss that is minimized and the score that is compared with the threshold are the same
number. The predictions come as logits and the logarithms are taken by log-softmax: on
probabilities clipped at 1e-7 the gradient vanishes below the clip and the score is capped.

Source: Vacanti and Van Looveren, *Adversarial Detection and Correction by Matching
Prediction Distributions*, arXiv:2002.09364, equations 1 and 2.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import tensorflow as tf


def log_probabilities(logits: tf.Tensor, temperature: float = 1.0) -> tf.Tensor:
    """Logarithm of the predicted probabilities, sharpened or softened by a temperature.

    ``softmax(logits / T)`` is ``softmax(logits) ** (1 / T)``, renormalized.

    Parameters
    ----------
    logits : tf.Tensor of shape (n_samples, n_classes), any float dtype
        Predictions before the softmax, up to a constant per row.
    temperature : float, default=1.0
        T > 0; below 1 the distribution is sharpened, above 1 it is softened.

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
    """KL(p || q) of each row, in nats.

    Parameters
    ----------
    log_p, log_q : tf.Tensor of shape (n_samples, n_classes), float64
        Logarithms of the probabilities.

    Returns
    -------
    divergence : tf.Tensor of shape (n_samples,), float64
        Not below 0.

    Examples
    --------
    >>> from skaae._divergence import kullback_leibler
    >>> import numpy as np, tensorflow as tf
    >>> p, q = np.array([[0.5, 0.5]]), np.array([[0.9, 0.1]])
    >>> kullback_leibler(tf.math.log(p), tf.math.log(q)).numpy().round(4)
    array([0.5108])
    """
    # Rounding can leave -1e-17; the gradient there is that of 0 - 0, so nothing is lost.
    return tf.nn.relu(tf.reduce_sum(tf.exp(log_p) * (log_p - log_q), axis=-1))


# Above any divergence that M's logits give in practice, and small enough to keep 13 digits behind the point.
LABEL_CHANGE = 1000.0


@dataclass(frozen=True)
class AdversarialScore:
    """S(x) = KL(M(x) || M(x')) + sum over hidden terms of weight * KL(h(x) || h(x')).

    Parameters
    ----------
    temperature : float, default=1.0
        Applied to M(x) only, never to M(x') or to the hidden terms.
    hidden_weights : sequence of float, default=()
        One weight for each hidden term.
    label_change_first : bool, default=False
        In `ranked`: whether the rows whose label is another for x' come before all others.

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
        """Score each row from the logits of x and of x'.

        Parameters
        ----------
        logits, logits_reconstructed : sequence of tf.Tensor of shape (n_samples, n_classes)
            First M's, then those of the hidden terms in the order of ``hidden_weights``.

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

    def ranked(self, logits: Sequence[tf.Tensor], logits_reconstructed: Sequence[tf.Tensor]) -> tf.Tensor:
        """S(x) as it is compared with the threshold: with `label_change_first` label changes rank first.

        A flagged row whose label stays the same costs a false alarm and corrects nothing. So the
        rows whose label is another for x' score above 1000, by how sure M is of x': the logarithm
        of the odds, given by M(x'), of the new label against that of x. (KL(M(x) || M(x')) is small
        after an attack that only just crosses the boundary, since M is unsure of x then.) All other
        rows have S(x). For training, where S(x) has to be smooth, it is left as it is.

        Parameters
        ----------
        logits, logits_reconstructed : sequence of tf.Tensor of shape (n_samples, n_classes)
            As for `__call__`.

        Returns
        -------
        score : tf.Tensor of shape (n_samples,), float64
            Infinite where a logit is NaN or infinite.

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
            odds = log_odds_of_change(logits[0], logits_reconstructed[0])
            changed = tf.argmax(logits[0], axis=1) != tf.argmax(logits_reconstructed[0], axis=1)
            score = tf.where(changed, LABEL_CHANGE + odds, tf.minimum(score, LABEL_CHANGE))
        # A row so large that M overflows would pass for normal: NaN is above no threshold.
        is_finite = _is_finite([*logits, *logits_reconstructed])
        return tf.where(is_finite, score, tf.constant(math.inf, score.dtype))


def _is_finite(logits: Sequence[tf.Tensor]) -> tf.Tensor:
    """Of each row, whether no logit is NaN or infinite."""
    return tf.reduce_all(tf.concat([tf.math.is_finite(values) for values in logits], axis=1), axis=1)


def log_odds_of_change(logits: tf.Tensor, logits_reconstructed: tf.Tensor) -> tf.Tensor:
    """Logarithm of the odds, given by M(x'), of its own label against the label of x.

    Parameters
    ----------
    logits, logits_reconstructed : tf.Tensor of shape (n_samples, n_classes), any float dtype

    Returns
    -------
    log_odds : tf.Tensor of shape (n_samples,), float64
        0 where the labels are the same, else above.
    """
    given = tf.cast(logits_reconstructed, tf.float64)
    label = tf.argmax(logits, axis=1)
    return tf.reduce_max(given, axis=1) - tf.gather(given, label, axis=1, batch_dims=1)
