"""AutoPGD of ART (Croce and Hein 2020, arXiv:2003.01690) on networks of Keras 3, which ART's losses do not support."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from benchmarks.common.data import Split

with warnings.catch_warnings():
    warnings.filterwarnings("ignore", "PyTorch not found")
    from art.attacks.evasion import AutoProjectedGradientDescent
    from art.estimators.classification import TensorFlowV2Classifier

STEPS = 100
# AutoAttack's number of wrong classes that the targeted attack tries.
TARGETS = 9
Loss = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
Predict = Callable[[np.ndarray], np.ndarray]


def cross_entropy(one_hot: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """The cross-entropy of each row."""
    return tf.nn.softmax_cross_entropy_with_logits(one_hot, logits)


def logits_ratio(one_hot: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """The difference of logits ratio (DLR) of each row; of two classes, which have no third logit, the difference."""
    true = tf.reduce_sum(one_hot * logits, axis=1)
    wrong = tf.reduce_max(logits - 1e9 * one_hot, axis=1)
    if logits.shape[1] < 3:
        return wrong - true
    largest = tf.math.top_k(logits, 3).values
    return (wrong - true) / (largest[:, 0] - largest[:, 2] + 1e-12)


class Victim(TensorFlowV2Classifier):
    """A network for ART, with a loss for each row, compiled with its gradient.

    ART attacks the rows whose prediction is right, and returns the moved row where it is wrong then. So `predict` is
    what is judged, which need not be the network that has the gradient.
    """

    def __init__(self, network: Callable, loss: Loss, split: Split, predict: Predict) -> None:
        shape, n_classes = split.X_test.shape[1:], int(split.y_train.max()) + 1
        super().__init__(network, n_classes, shape, loss_object=loss, clip_values=split.bounds)
        signature = [tf.TensorSpec([None, n_classes]), tf.TensorSpec([None, *shape])]

        @tf.function(input_signature=signature)
        def losses(y: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
            return loss(y, network(x))

        @tf.function(input_signature=signature)
        def gradients(y: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
            with tf.GradientTape() as tape:
                tape.watch(x)
                total = tf.reduce_sum(losses(y, x))
            return tape.gradient(total, x)

        self._losses, self._gradients, self._judged = losses, gradients, predict

    def predict(self, x: np.ndarray, **_) -> np.ndarray:
        # ART refuses probabilities, because its own losses need logits.
        return np.log(self._judged(x.astype(np.float32)) + 1e-30)

    def compute_loss(self, x: np.ndarray, y: np.ndarray, reduction: str = "none", **_) -> np.ndarray:
        return self._losses(y.astype(np.float32), x.astype(np.float32)).numpy()

    def loss_gradient(self, x: np.ndarray, y: np.ndarray, **_) -> np.ndarray:
        return self._gradients(y.astype(np.float32), x.astype(np.float32)).numpy()


@dataclass
class AutoPGD:
    """Attacks test rows by their numbers. Call it again to restart it.

    Parameters
    ----------
    network : callable
        Rows -> logits.
    loss : callable
        One-hot classes and logits -> loss of each row.
    split : Split
    size : float
        Largest change of a feature.
    predict : callable
        Rows -> probabilities of what is judged.
    targeted : bool, default=False
        Whether each call attacks toward another wrong class, from the most probable one on.
    """

    network: Callable
    loss: Loss
    split: Split
    size: float
    predict: Predict
    targeted: bool = False

    def __post_init__(self) -> None:
        self._calls = 0
        self._attack = AutoProjectedGradientDescent(
            Victim(self.network, self.loss, self.split, self.predict),
            eps=self.size,
            # The first step of AutoAttack
            eps_step=2 * self.size,
            max_iter=STEPS,
            targeted=self.targeted,
            nb_random_init=1,
            batch_size=len(self.split.X_test),
            verbose=False,
        )

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        X, goal = self.split.X_test[rows], self.split.y_test[rows]
        if self.targeted:
            goal = wrong_classes(self.network(X), goal)[:, self._calls]
        self._calls += 1
        return self._attack.generate(X, goal)


def wrong_classes(logits: tf.Tensor, y: np.ndarray) -> np.ndarray:
    """The wrong classes of each row, the most probable one first."""
    order = np.argsort(-np.asarray(logits), axis=1)
    return order[order != y[:, None]].reshape(len(y), -1)


def n_targets(split: Split) -> int:
    """The number of wrong classes that the targeted attack tries."""
    return min(TARGETS, int(split.y_train.max()))
