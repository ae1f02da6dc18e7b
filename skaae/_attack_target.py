"""The defense as its attacker sees it: one differentiable network, for attacks that know of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import keras
import tensorflow as tf
from sklearn.utils.validation import check_is_fitted

from skaae._divergence import log_probabilities
from skaae._keras.models import call_frozen, zeros
from skaae._training.defense import Defense

if TYPE_CHECKING:
    from skaae._detector import AdversarialAEDetector

THROUGH = ("classifier", "defense", "both")


class AttackTarget(keras.Model):
    """Logits as a function of x, with the weights of a defense and none of its own.

    Parameters
    ----------
    defense : Defense
    through : {"classifier", "defense", "both"}
        What the logits come from.
    """

    def __init__(self, defense: Defense, through: str) -> None:
        super().__init__(name=f"through_{through}")
        heads, autoencoder = defense.heads, defense.autoencoder

        def logits(x: tf.Tensor) -> tf.Tensor:
            x = tf.cast(x, tf.float32)
            given = log_probabilities(heads(x)[0]) if through != "defense" else 0.0
            if through == "classifier":
                return tf.cast(given, tf.float32)
            reconstructed = log_probabilities(heads(tf.cast(call_frozen(autoencoder, x), tf.float32))[0])
            return tf.cast(given + reconstructed, tf.float32)

        # As a graph, where the values before a softmax can be found; no attribute, so nothing is trained.
        self._logits = tf.function(logits, autograph=False)

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Logits of the rows, float32."""
        return self._logits(inputs)


def attack_target(
    detector: AdversarialAEDetector, through: Literal["classifier", "defense", "both"] = "both"
) -> keras.Model:
    """The network to give to an attack library, to attack a defense that the attacker knows.

    Parameters
    ----------
    detector : AdversarialAEDetector
        Fitted. Of a classifier that is no Keras model the surrogate is attacked.
    through : {"classifier", "defense", "both"}, default="both"
        "classifier": log M(x), as an attacker sees it who knows nothing of the defense. "defense":
        log M(AE(x)). "both": their sum, which is low for a label only if both find it unlikely,
        so that an attack on it fools M and keeps the correction from undoing that.

    Returns
    -------
    target : keras.Model
        From x to logits (n_samples, n_classes), with gradients. Use a loss from logits.

    Raises
    ------
    ValueError
        If `through` is none of the three.
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
