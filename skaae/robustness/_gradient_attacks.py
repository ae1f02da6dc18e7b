"""Attacks that follow a gradient, from foolbox and ART, on displacements of rows."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import tensorflow as tf

from skaae._utils.extras import import_extra
from skaae.robustness._arena import Arena, Gradient, Logits, row_loss
from skaae.robustness._budgets import radius
from skaae.robustness._efforts import Effort

EXTRA = "attacks"


def foolbox() -> Any:
    """Import foolbox, which uses deprecated names of SciPy."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return import_extra("foolbox", EXTRA)


def art(module: str) -> Any:
    """Import a module of ART, which warns that there is no PyTorch."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import_extra("art", EXTRA)
        return import_extra(f"art.{module}", EXTRA)


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Without the messages of TensorFlow about graphs for batches of other lengths.

    foolbox logs through the root logger, which gives it a handler if it has none: that is taken away again.
    """
    logger, root = logging.getLogger("tensorflow"), logging.getLogger()
    level, handlers = logger.level, root.handlers[:]
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
        root.handlers[:] = handlers


def attack_with_foolbox(
    attack: Any, logits: Logits, arena: Arena, epsilon: float | None, gradient: Gradient | None = None
) -> np.ndarray:
    """Run an attack of foolbox, which gets the gradient of its loss from a compiled function if there is one."""
    bound = max(arena.moves.bound, epsilon or 0.0)
    # Left to itself, foolbox asks for a GPU in a way that TensorFlow warns about.
    device = tf.device("/GPU:0" if tf.config.list_logical_devices("GPU") else "/CPU:0")
    victim = foolbox().TensorFlowModel(logits, bounds=(-bound, bound), device=device)
    if gradient is not None:
        attack.value_and_grad = lambda _loss, x: tuple(type(x)(found) for found in gradient(x.raw))
    labels = tf.constant(arena.labels.astype(np.int64))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of rows that M gets wrong already, and of old names of NumPy
        found = attack(victim, tf.constant(arena.start()), labels, epsilons=epsilon)[0 if epsilon is None else 1]
    return np.asarray(found.numpy(), dtype=np.float32)


def _descend(attack: Any, arena: Arena, through: str, epsilon: float) -> np.ndarray:
    stay_in_range(attack, arena)
    return attack_with_foolbox(attack, arena.logits(through), arena, epsilon, arena.gradient(through))


def stay_in_range(attack: Any, arena: Arena) -> None:
    """Let each step of an attack of foolbox end in the range of each value, for which foolbox has one range only.

    Beyond it a displacement has no effect and would need several steps to come back, and a step in a norm that limits
    the sum would be wasted on values that are at their end.
    """
    lowest, highest = (tf.constant(limit, tf.float32) for limit in arena.moves.reach)
    project, normalize = attack.project, attack.normalize

    def project_into_range(z: Any, start: Any, epsilon: float) -> Any:
        z = project(z, start, epsilon)
        return type(z)(tf.clip_by_value(z.raw, lowest, highest))

    def normalize_what_can_move(gradients: Any, *, x: Any, bounds: Any) -> Any:
        slope = gradients.raw
        is_blocked = ((x.raw <= lowest) & (slope < 0)) | ((x.raw >= highest) & (slope > 0))
        return normalize(type(gradients)(tf.where(is_blocked, 0.0, slope)), x=x, bounds=bounds)

    attack.project, attack.normalize = project_into_range, normalize_what_can_move


def fast_gradient(arena: Arena, through: str, size: float, seed: int, effort: Effort) -> np.ndarray:
    """One step."""
    return _descend(foolbox().attacks.FGSM(), arena, through, size)


def projected_gradient(arena: Arena, through: str, size: float, seed: int, effort: Effort) -> np.ndarray:
    """PGD in the box."""
    attack = foolbox().attacks.LinfPGD(steps=effort.steps, rel_stepsize=2.5 / effort.steps)
    return _descend(attack, arena, through, size)


def projected_gradient_l2(arena: Arena, through: str, size: float, seed: int, effort: Effort) -> np.ndarray:
    """PGD in the ball."""
    attack = foolbox().attacks.L2PGD(steps=effort.steps, rel_stepsize=2.5 / effort.steps)
    return _descend(attack, arena, through, radius(size, "l2", arena.moves.n_moving))


def sparse_descent(arena: Arena, through: str, size: float, seed: int, effort: Effort) -> np.ndarray:
    """SLIDE, which moves few values far."""
    attack = foolbox().attacks.SparseL1DescentAttack(steps=effort.steps)
    return _descend(attack, arena, through, radius(size, "l1", arena.moves.n_moving))


def carlini_wagner(arena: Arena, through: str, size: float, seed: int, effort: Effort) -> np.ndarray:
    """The smallest displacement that Carlini and Wagner's attack finds."""
    rounds, steps = effort.search
    attack = foolbox().attacks.L2CarliniWagnerAttack(
        binary_search_steps=rounds, steps=steps, stepsize=0.05, initial_const=0.1
    )
    return attack_with_foolbox(attack, arena.logits(through), arena, None)


def deep_fool(arena: Arena, through: str, size: float, seed: int, effort: Effort) -> np.ndarray:
    """The smallest displacement that DeepFool finds."""
    return attack_with_foolbox(foolbox().attacks.L2DeepFoolAttack(), arena.logits(through), arena, None)


class BatchLoss:
    """The cross-entropy as ART's AutoPGD asks for it: of each row, or their mean."""

    reduction = "mean"

    def __call__(self, y_true: tf.Tensor, y_pred: tf.Tensor, *args: Any, **options: Any) -> tf.Tensor:
        """Compare one-hot labels with logits."""
        losses = row_loss(tf.argmax(y_true, axis=1), y_pred)
        return losses if self.reduction == "none" else tf.reduce_mean(losses)


def auto_gradient(arena: Arena, through: str, size: float, seed: int, effort: Effort) -> np.ndarray:
    """AutoPGD of ART, which chooses its own steps."""
    logits, spacing = arena.logits(through), 4 * size
    every = np.arange(len(arena), dtype=np.float32)[:, None]

    def numbered(rows: Any, training: bool = False) -> tf.Tensor:
        # ART asks about some of the rows only. Their numbers ride along in the last column.
        rows = tf.convert_to_tensor(rows, tf.float32)
        numbers = tf.clip_by_value(tf.cast(tf.round(rows[:, -1] / spacing), tf.int32), 0, len(arena) - 1)
        z = tf.tensor_scatter_nd_update(tf.zeros((len(arena), rows.shape[1] - 1)), numbers[:, None], rows[:, :-1])
        return tf.gather(logits(z), numbers)

    victim = art("estimators.classification").TensorFlowV2Classifier(
        numbered,
        nb_classes=len(arena.target.classes),
        input_shape=(arena.moves.n_moving + 1,),
        loss_object=BatchLoss(),
        clip_values=(-1e9, 1e9),
    )
    attack = art("attacks.evasion").AutoProjectedGradientDescent(
        victim,
        eps=size,
        eps_step=size / 4,
        max_iter=effort.steps,
        nb_random_init=effort.restarts,
        batch_size=len(arena),
        verbose=False,
    )
    start = np.hstack([arena.start(), every * spacing]).astype(np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = attack.generate(start, arena.labels)
    return np.clip(found[:, :-1], -size, size).astype(np.float32)
