"""The equation: how far the prediction on x' is from the prediction on x.

Everything that trains, scores or flags goes through the functions of this module, so that
the loss that is minimised and the score that is compared with the threshold are the same
number. The predictions come as logits and the logarithms are taken by log-softmax: on
probabilities clipped at 1e-7 the gradient vanishes below the clip and the score is capped.

Source: Vacanti and Van Looveren, *Adversarial Detection and Correction by Matching
Prediction Distributions*, arXiv:2002.09364, equations 1 and 2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import tensorflow as tf


def log_probabilities(logits: tf.Tensor, temperature: float = 1.0) -> tf.Tensor:
    """Logarithm of the predicted probabilities, sharpened or softened by a temperature.

    ``softmax(logits / T)`` is ``softmax(logits) ** (1 / T)``, renormalised.

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


@dataclass(frozen=True)
class AdversarialScore:
    """S(x) = KL(M(x) || M(x')) + sum over hidden terms of weight * KL(h(x) || h(x')).

    Parameters
    ----------
    temperature : float, default=1.0
        Applied to M(x) only, never to M(x') or to the hidden terms.
    hidden_weights : sequence of float, default=()
        One weight for each hidden term.

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
