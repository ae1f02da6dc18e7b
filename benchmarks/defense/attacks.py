"""Attacks on M, unaware of the defense, on M and M(AE(x)), knowing it, and without gradients."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import foolbox
import keras
import numpy as np
import tensorflow as tf
from foolbox import attacks
from sklearn.base import ClassifierMixin

from benchmarks.common.data import CACHE, Split
from benchmarks.defense.arenas import arena_of, effort_of
from skaae.robustness._black_box_attacks import hop_skip_jump as jump
from skaae.robustness._black_box_attacks import square as square_attack
from skaae.robustness._efforts import EFFORTS
from skaae.robustness._gradient_attacks import projected_gradient

# Attacked rows of the test set by their numbers; and whether attacked rows, given their classes, are classified right.
RowAttack = Callable[[np.ndarray], np.ndarray]
Judge = Callable[[np.ndarray, np.ndarray], np.ndarray]
# Largest perturbation, in standard deviations of the features of a table or of the range of an image.
SIZE = {"table": 0.3, "image": 0.2}
# Questions of Square to each row, unless something else is said, and the effort of HopSkipJump.
QUESTIONS, JUMPS = 1000, EFFORTS["thorough"]
KNOWING_SIZES = {"table": (0.15, 0.3), "image": (0.1, 0.2)}
UNAWARE = {
    "table": {
        "FGSM 0.3": (attacks.FGSM(), 0.3),
        "PGD Linf 0.3": (attacks.LinfPGD(steps=20), 0.3),
        "PGD L2 1": (attacks.L2PGD(steps=20), 1.0),
        "Carlini-Wagner L2": (attacks.L2CarliniWagnerAttack(binary_search_steps=4, steps=100, stepsize=0.05), None),
        "DeepFool L2": (attacks.L2DeepFoolAttack(), None),
    },
    "image": {
        "FGSM 0.2": (attacks.FGSM(), 0.2),
        "PGD Linf 0.2": (attacks.LinfPGD(steps=40), 0.2),
        "PGD L2 2": (attacks.L2PGD(steps=40), 2.0),
        "Carlini-Wagner L2": (attacks.L2CarliniWagnerAttack(binary_search_steps=5, steps=200, stepsize=0.05), None),
        "SLIDE 30": (attacks.SparseL1DescentAttack(steps=40), 30.0),
        "DeepFool L2": (attacks.L2DeepFoolAttack(), None),
    },
}


def kind(split: Split) -> str:
    return "image" if split.is_image else "table"


def unaware(name: str, model: keras.Model, split: Split, n_rows: int, seed: int) -> dict[str, np.ndarray]:
    """The first rows of the test set under every attack on M alone, kept in the cache."""
    folder = CACHE / "attacked" / f"{name}-{seed}-{n_rows}"
    folder.mkdir(parents=True, exist_ok=True)
    found = {}
    for attack_name, (attack, size) in UNAWARE[kind(split)].items():
        path = folder / f"{attack_name}.npy"
        if not path.exists():
            tf.random.set_seed(seed)
            np.save(path, run(attack, model, split, slice(n_rows), size))
        found[attack_name] = np.load(path)
    return found


def run(
    attack: attacks.Attack, model: keras.Model, split: Split, rows: slice | np.ndarray, size: float | None
) -> np.ndarray:
    """Attack these rows of the test set."""
    labels = tf.constant(split.y_test[rows].astype(np.int64))
    # Called layer by layer, a network makes a GPU wait. On a CPU the figures of earlier runs stay comparable.
    network = tf.function(model, reduce_retracing=True) if tf.config.list_logical_devices("GPU") else model
    victim = foolbox.TensorFlowModel(network, bounds=split.bounds)
    return attack(victim, tf.constant(split.X_test[rows]), labels, epsilons=size)[1].numpy()


def defended(model: keras.Model, autoencoder: keras.Model) -> keras.Model:
    """M(AE(x)) as one network, for attacks that know the defense."""
    inputs = keras.Input(model.input_shape[1:])
    return keras.Model(inputs, model(autoencoder(inputs)))


def knowing(*arguments: Any, **named: Any) -> dict[str, float]:
    """Accuracy under the composite and under the joint attack, from the arguments of `right_under_knowing`."""
    return {name: right.mean() for name, right in right_under_knowing(*arguments, **named).items()}


def right_under_knowing(
    model: keras.Model,
    autoencoder: keras.Model,
    split: Split,
    n_rows: int,
    size: float,
    steps: int,
    restarts: int,
    is_right: Judge,
) -> dict[str, np.ndarray]:
    """Whether each row stays right under the composite and under the joint attack, in every restart."""
    networks, effort = {"classifier": model, "defense": defended(model, autoencoder)}, effort_of(steps=steps)
    arena = arena_of(split, np.arange(n_rows), size, networks)

    def attack(rows: np.ndarray, through: str) -> np.ndarray:
        part = arena.take(rows)
        return part.moves.moved(projected_gradient(part, through, size, 0, effort))

    return {
        name: surviving(partial(attack, through=through), split, n_rows, restarts, is_right)
        for name, through in {"composite": "defense", "joint": "both"}.items()
    }


def surviving(attack: RowAttack, split: Split, n_rows: int, restarts: int, is_right: Judge) -> np.ndarray:
    """Whether no restart loses each of the first test rows; what is lost is not attacked again."""
    rows = np.arange(n_rows)
    for _ in range(restarts):
        if len(rows):
            rows = rows[is_right(attack(rows), split.y_test[rows])]
    return np.isin(np.arange(n_rows), rows)


def square(
    predict: Callable[[np.ndarray], np.ndarray],
    split: Split,
    n_rows: int,
    size: float,
    seed: int,
    questions: int = QUESTIONS,
) -> np.ndarray:
    """The first rows of the test set under the Square attack, which asks `predict` for probabilities."""
    arena = arena_of(split, np.arange(n_rows), size, probabilities={"asked": predict})
    return arena.moves.moved(square_attack(arena, "asked", size, seed, effort_of(questions=questions)))


def hop_skip_jump(model: ClassifierMixin, split: Split, rows: np.ndarray, seed: int) -> np.ndarray:
    """Test rows under HopSkipJump, which asks for labels only and moves them as little as it can."""
    arena = arena_of(split, rows, max(SIZE.values()), probabilities={"asked": model.predict_proba})
    return arena.moves.moved(jump(arena, "asked", arena.size, seed, JUMPS))
