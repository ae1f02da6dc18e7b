"""The defense as one differentiable network, for attacks that know the defense."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import keras
import numpy as np
import tensorflow as tf
from sklearn.utils.validation import check_is_fitted

from skaae._divergence import log_probabilities
from skaae._keras.models import zeros
from skaae._training.defense import Defense

if TYPE_CHECKING:
    from skaae._detector import AdversarialAEDetector

THROUGH = ("classifier", "defense", "both")


class AttackTarget(keras.Model):
    """Model from x to logits that uses the weights of a defense and has none of its own.

    Parameters
    ----------
    defense : Defense
        The networks of a fitted detector.
    through : {"classifier", "defense", "both"}
        The part of the detector that computes the logits. See `attack_target`.
    """

    def __init__(self, defense: Defense, through: str) -> None:
        super().__init__(name=f"through_{through}")
        heads, weights = defense.heads, defense.label_rule.log_weights()

        def logits(x: tf.Tensor) -> tf.Tensor:
            x = fixed(tf.cast(x, tf.float32), defense.kept)
            undefended = log_probabilities(heads(x)[0]) - weights if through != "defense" else 0.0
            if through == "classifier":
                return tf.cast(undefended, tf.float32)
            reconstructed = log_probabilities(heads(defense.reconstruct(x))[0]) - weights
            return tf.cast(undefended + reconstructed, tf.float32)

        # Logits in front of a softmax can only be found in a graph, hence tf.function. The closure holds the networks,
        # because Keras would track and train them if they were attributes.
        self._logits = tf.function(logits, autograph=False)

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Compute the logits of each row, in float32."""
        return self._logits(inputs)


def fixed(x: tf.Tensor, columns: Sequence[int]) -> tf.Tensor:
    """X with a gradient of 0 in some columns."""
    if not columns:
        return x
    return tf.where(np.isin(np.arange(x.shape[-1]), columns), tf.stop_gradient(x), x)


def attack_target(
    detector: AdversarialAEDetector, through: Literal["classifier", "defense", "both"] = "both"
) -> keras.Model:
    """Return the defense as one network that attack libraries accept.

    Use it to simulate an attacker who knows the defense.

    Parameters
    ----------
    detector : AdversarialAEDetector
        The fitted detector. If it has a surrogate in place of M, the network contains the surrogate.
    through : {"classifier", "defense", "both"}, default="both"
        The logits that the network returns.

        - "classifier": log M(x), which is what an attacker uses who does not know the defense.
        - "defense": log M(AE(x)).
        - "both": the sum of the two. An attack on the sum fools M and also prevents the correction
          from undoing the change of label.

    Returns
    -------
    target : keras.Model
        Differentiable model from x to logits of shape (n_samples, n_classes). Attack it with a loss
        that takes logits. Its gradient is 0 for features that are not among the `mutable_features` of
        the detector. Where the classifier encodes X, x is an encoded row. The largest logit is that of
        the label which M predicts, also if M has a decision threshold of its own.

    Raises
    ------
    ValueError
        If `through` is not one of the three values.
    NotFittedError
        If the detector has not been fitted.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skaae import AdversarialAEDetector, attack_target
    >>> X, y = load_iris(return_X_y=True)
    >>> detector = AdversarialAEDetector(LogisticRegression(max_iter=1000).fit(X, y), epochs=1, random_state=0)
    >>> attack_target(detector.fit(X), through="defense")(X[:2]).shape
    TensorShape([2, 3])
    """
    if through not in THROUGH:
        raise ValueError(f"through must be one of {THROUGH}, got {through!r}.")
    check_is_fitted(detector)
    target = AttackTarget(detector._defense, through)
    target(zeros(detector._defense.sample_shape))
    return target
