"""What every attack sees: networks and oracles that take displacements, and the judgment of displaced rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import tensorflow as tf

from skaae.robustness._budgets import Moves
from skaae.robustness._target import Network, Target, Verdict

Logits = Callable[[tf.Tensor], tf.Tensor]
Gradient = Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]
Oracle = Callable[[np.ndarray], np.ndarray]
# Parts of a `Front` that all rows share.
SHARED = ("unit", "whole")
# The slope of the cross-entropy is about exp(-lead): 1e-13 here, and 0 in float32 from 104 on.
LARGEST_LEAD = 30.0
# Numbers in the slopes of the encoded rows.
MOST_NUMBERS = 2**27


@dataclass(frozen=True, eq=False)
class Arena:
    """Rows, their classes, and what is attacked on them.

    Parameters
    ----------
    target : Target
    moves : Moves
    labels : ndarray of shape (n_samples,), int
        Positions of the true classes.
    front : Front
        From displacements to the rows of the networks.
    size : float
        The largest size.
    """

    target: Target
    moves: Moves
    labels: np.ndarray
    front: Front
    size: float

    @classmethod
    def of(cls, target: Target, moves: Moves, labels: np.ndarray, size: float) -> Arena:
        """Make the arena for attacks up to a size."""
        return cls(target, moves, labels, Front.of(target, moves, size), size)

    def take(self, rows: np.ndarray) -> Arena:
        """The arena of some of the rows."""
        return replace(self, moves=self.moves.take(rows), labels=self.labels[rows], front=self.front.take(rows))

    def __len__(self) -> int:
        return len(self.labels)

    def start(self) -> np.ndarray:
        """No displacement."""
        return np.zeros((len(self), self.moves.n_moving), np.float32)

    def prepare(self, through: str) -> None:
        """Make the networks that an attack goes through, so that its seconds are its own."""
        networks_of(self.target, through)

    def logits(self, through: str) -> Logits:
        """A function from displacements of all rows to logits.

        `through` is "classifier", "defense", "corrected", or "both", which has the logits of the first two side by
        side.
        """
        return self.front.logits(self.target, through)

    def gradient(self, through: str) -> Gradient:
        """A function from displacements of all rows to the loss and its gradient, in one call.

        The loss is the sum of the cross-entropies of all rows, and of both networks where it goes through both.
        """
        return self.front.gradient(self.target, through, self.labels)

    def oracle(self, which: str, rows: np.ndarray | None = None) -> Oracle:
        """A function from displacements to probabilities, of the "classifier" or "corrected"."""
        moves = self.moves if rows is None else self.moves.take(rows)
        return lambda z: self.target.probabilities[which](moves.moved(z))

    def judge(self, z: np.ndarray) -> Verdict:
        """The answers for displaced rows."""
        return self.target.judge(self.moves.moved(z))

    def is_right(self, predicted: np.ndarray) -> np.ndarray:
        """Whether each answer is the class of the row."""
        return np.asarray(predicted == self.target.classes[self.labels])


@dataclass(frozen=True, eq=False)
class Front:
    """From displacements to the rows that the networks take, with a gradient.

    Ranges and whole numbers are kept in the forward direction; the gradient passes them as if they were not there.
    Behind transformers the encoded rows are extended linearly, with slopes from differences over the largest size.

    Parameters
    ----------
    parts : dict of {str: ndarray}
        Values for each row, and the unit and the mask of whole numbers, which all rows share.
    shape : tuple of int
        Shape of one row, where the networks take the rows themselves.
    compiled : dict
        Compiled functions by what they go through.
    """

    parts: dict[str, np.ndarray]
    shape: tuple[int, ...]
    compiled: dict[str, Any]

    @classmethod
    def of(cls, target: Target, moves: Moves, size: float) -> Front:
        """Encode the rows, and find the slopes where they are encoded."""
        parts = {
            "base": moves.base.astype(np.float32),
            "lowest": moves.lowest.astype(np.float32),
            "highest": moves.highest.astype(np.float32),
        }
        if target.encode is not None:
            parts["encoded"] = np.asarray(target.encode(moves.moved(np.zeros_like(moves.base))), dtype=np.float32)
            parts["slopes"] = slopes(target.encode, moves, size)
        elif moves.columns is not None:
            parts["encoded"] = np.asarray(moves.X, dtype=np.float32)
            parts["slopes"] = np.empty((len(moves), 0), np.float32)
        shared = {"unit": moves.unit.astype(np.float32), "whole": moves.whole}
        shape = np.shape(moves.X)[1:]
        return cls({**parts, **shared}, shape, {"places": moves.columns})

    def take(self, rows: np.ndarray) -> Front:
        """The same for some of the rows."""
        parts = {name: part if name in SHARED else part[rows] for name, part in self.parts.items()}
        return Front(parts, self.shape, self.compiled)

    def logits(self, target: Target, through: str) -> Logits:
        """The function from displacements of the rows to logits."""
        function, parts = self._compiled(target, through), self._tensors()
        return lambda z: function(tf.cast(z, tf.float32), parts)

    def gradient(self, target: Target, through: str, labels: np.ndarray) -> Gradient:
        """The function from displacements of the rows to the loss and its gradient."""
        name = f"gradient {through}"
        if name not in self.compiled:
            self.compiled[name] = self._compile_gradient(self._compiled(target, through), through)
        function, parts, classes = self.compiled[name], self._tensors(), tf.constant(labels.astype(np.int64))
        return lambda z: function(tf.cast(z, tf.float32), parts, classes)

    def _tensors(self) -> dict[str, tf.Tensor]:
        return {name: tf.constant(part) for name, part in self.parts.items()}

    def _compiled(self, target: Target, through: str) -> Any:
        if through not in self.compiled:
            self.compiled[through] = self._compile(target, through)
        return self.compiled[through]

    def _compile_gradient(self, function: Any, through: str) -> Any:
        def loss_and_gradient(
            z: tf.Tensor, parts: dict[str, tf.Tensor], labels: tf.Tensor
        ) -> tuple[tf.Tensor, tf.Tensor]:
            with tf.GradientTape() as tape:
                tape.watch(z)
                loss = tf.reduce_sum(cross_entropy(labels, function(z, parts), through))
            gradient = tape.gradient(loss, z)
            return loss, tf.zeros_like(z) if gradient is None else gradient

        signature = [*self._signature(), tf.TensorSpec((None,), tf.int64)]
        return tf.function(loss_and_gradient, input_signature=signature, autograph=False)

    def _signature(self) -> list[Any]:
        """Of any number of rows: else TensorFlow would make a graph for each."""
        rows = tf.TensorSpec((None, self.parts["base"].shape[1]), tf.float32)
        parts = {
            name: tf.TensorSpec(part.shape if name in SHARED else (None, *part.shape[1:]), part.dtype)
            for name, part in self.parts.items()
        }
        return [rows, parts]

    def _compile(self, target: Target, through: str) -> Any:
        networks, places, shape = networks_of(target, through), self.compiled["places"], self.shape
        columns = None if places is None or target.encode is not None else one_hot(places, shape[0])

        def logits(z: tf.Tensor, parts: dict[str, tf.Tensor]) -> tf.Tensor:
            delta = displaced(z, parts)
            if target.encode is not None:
                x = parts["encoded"] + tf.einsum("nd,nde->ne", delta, parts["slopes"])
            elif columns is not None:
                x = parts["encoded"] + delta @ columns
            else:
                x = tf.reshape(parts["base"] + delta, (-1, *shape))
            return tf.concat([tf.cast(network(x), tf.float32) for network in networks], axis=1)

        return tf.function(logits, input_signature=self._signature(), autograph=False)


def networks_of(target: Target, through: str) -> list[Network]:
    """The networks that an attack goes through: one, or through "both" that of M(x) and that of M(AE(x))."""
    names = ["classifier", "defense"] if through == "both" else [through]
    return [target.networks[name] for name in names]


def cross_entropy(labels: tf.Tensor, logits: tf.Tensor, through: str) -> tf.Tensor:
    """Cross-entropy of each row; through "both", the sum of those of M(x) and of M(AE(x)), which stand side by side."""
    parts = tf.split(logits, 2, axis=1) if through == "both" else [logits]
    return tf.add_n([row_loss(labels, part) for part in parts])


def row_loss(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Cross-entropy of each row, which goes on linearly where the right class leads too far for it to have a slope."""
    truth = tf.one_hot(labels, logits.shape[1], dtype=logits.dtype)
    lead = tf.reduce_sum(logits * truth, axis=1) - tf.reduce_max(logits - 1e9 * truth, axis=1)
    # TensorFlow's own cross-entropy rounds differently once its operations are to be deterministic.
    loss = -tf.reduce_sum(tf.where(truth > 0, tf.nn.log_softmax(logits), 0.0), axis=1)
    return loss - tf.nn.relu(lead - LARGEST_LEAD)


def one_hot(places: list[int], n_columns: int) -> tf.Tensor:
    """A matrix that writes displacements into the columns of a row."""
    return tf.one_hot(places, n_columns, dtype=tf.float32)


def displaced(z: tf.Tensor, parts: dict[str, tf.Tensor]) -> tf.Tensor:
    """Displacements in the user's units, in range and whole, with the gradient of those that are neither."""
    delta = z * parts["unit"]
    steps = tf.sign(delta) * tf.floor(tf.abs(delta) + 1e-4)
    valid = tf.where(parts["whole"], steps, delta)
    valid = tf.clip_by_value(valid, parts["lowest"] - parts["base"], parts["highest"] - parts["base"])
    return delta + tf.stop_gradient(valid - delta)


def slopes(encode: Callable[[Any], np.ndarray], moves: Moves, size: float) -> np.ndarray:
    """How the encoded rows change with each moving feature, per unit of the user, over moves of a size.

    Parameters
    ----------
    encode : callable
    moves : Moves
    size : float

    Returns
    -------
    slopes : ndarray of shape (n_samples, n_moving, n_encoded), float32
    """
    found = []
    for place in range(moves.n_moving):
        z = np.zeros((len(moves), moves.n_moving))
        # A step of at least one whole number, which else would be no step.
        z[:, place] = max(size, 1 / moves.unit[place]) if moves.whole[place] else size
        ends = [(np.asarray(encode(moves.moved(end)), dtype=np.float64), moves.values(end)) for end in (z, -z)]
        change = (ends[0][1] - ends[1][1])[:, [place]]
        rise = ends[0][0] - ends[1][0]
        found.append(np.divide(rise, change, out=np.zeros_like(rise), where=change != 0).astype(np.float32))
        if found[0].size * moves.n_moving > MOST_NUMBERS:
            raise ValueError(
                f"X has too many rows to attack at once: {len(moves)} rows, {moves.n_moving} features and "
                f"{found[0].shape[1]} encoded columns. Pass n_samples."
            )
    return np.stack(found, axis=1)
