"""Attacks of ART that ask for probabilities or labels only."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from skaae.robustness._arena import Arena
from skaae.robustness._efforts import Effort
from skaae.robustness._gradient_attacks import art

# Share of the features that the first step moves. ART's default of 0.8 leaves small tables no place for its square.
FIRST_SHARE = 0.5
# Displacements among which HopSkipJump looks for one with another label.
FIRST_DRAWS = 50


def uniform_noise(arena: Arena, through: str, size: float, seed: int, effort: Effort) -> np.ndarray:
    """Noise of the size, which is no attack."""
    return np.random.default_rng(seed).uniform(-size, size, arena.start().shape).astype(np.float32)


def square(arena: Arena, through: str, size: float, seed: int, effort: Effort) -> np.ndarray:
    """The Square attack, which searches at random with probabilities."""
    grid, answers = Grid(arena, 4 * size), Answers(arena, through)

    def predict(images: np.ndarray) -> np.ndarray:
        return answers(grid.rows(images), grid.numbers(images))

    victim = art("estimators.classification.blackbox").BlackBoxClassifierNeuralNetwork(
        predict,
        input_shape=grid.shape,
        nb_classes=len(arena.target.classes),
        channels_first=False,
        clip_values=(-1e9, 1e9),
    )
    options: dict[str, Any] = {"eps": size, "max_iter": effort.questions, "p_init": FIRST_SHARE, "verbose": False}
    search = art("attacks.evasion").SquareAttack(victim, batch_size=len(arena), **options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        np.random.seed(seed)
        found = search.generate(grid.images(arena.start()), arena.labels)
    return np.clip(grid.rows(found), -size, size)


class Answers:
    """An oracle that remembers the last two answers for each row: Square asks for the same ones again and again.

    Parameters
    ----------
    arena : Arena
    through : str
    """

    def __init__(self, arena: Arena, through: str) -> None:
        self.arena, self.through = arena, through
        self.asked = np.full((2, len(arena), arena.moves.n_moving), np.nan, np.float32)
        self.found = np.zeros((2, len(arena), len(arena.target.classes)))
        self.latest = np.zeros(len(arena), int)

    def __call__(self, z: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Probabilities for displacements of some rows."""
        known = np.stack([(asked[rows] == z).all(axis=1) for asked in self.asked])
        self.latest[rows] = np.where(known.any(axis=0), known.argmax(axis=0), 1 - self.latest[rows])
        new = np.flatnonzero(~known.any(axis=0))
        if len(new):
            places = self.latest[rows[new]], rows[new]
            self.asked[places] = z[new]
            self.found[places] = self.arena.oracle(self.through, rows[new])(z[new])
        return np.asarray(self.found[self.latest[rows], rows])


class Grid:
    """Rows as images, which Square takes, each with its number in a corner that no square reaches.

    Parameters
    ----------
    arena : Arena
    spacing : float
        Between the numbers: more than twice what the attack moves them.
    """

    def __init__(self, arena: Arena, spacing: float) -> None:
        self.spacing, self.n_rows, self.n_moving = spacing, len(arena), arena.moves.n_moving
        shape = np.shape(arena.moves.X)[1:] if arena.target.images and arena.moves.columns is None else ()
        side = math.ceil(math.sqrt(self.n_moving))
        self.sides = (*shape, 1)[:3] if len(shape) > 1 else (side, side, 1)
        self.shape = (self.sides[0] + 1, self.sides[1] + 1, self.sides[2])

    def images(self, z: np.ndarray) -> np.ndarray:
        """Displacements as images."""
        filled = np.pad(z, [(0, 0), (0, math.prod(self.sides) - self.n_moving)]).reshape(-1, *self.sides)
        images = np.pad(filled, [(0, 0), (0, 1), (0, 1), (0, 0)])
        images[:, -1, -1, 0] = self.spacing * np.arange(len(z))
        return np.asarray(images, dtype=np.float32)

    def rows(self, images: np.ndarray) -> np.ndarray:
        """The displacements back."""
        return np.asarray(images[:, :-1, :-1].reshape(len(images), -1)[:, : self.n_moving], dtype=np.float32)

    def numbers(self, images: np.ndarray) -> np.ndarray:
        """The numbers of the rows."""
        return np.clip(np.round(images[:, -1, -1, 0] / self.spacing).astype(int), 0, self.n_rows - 1)


def hop_skip_jump(arena: Arena, through: str, size: float, seed: int, effort: Effort) -> np.ndarray:
    """The smallest displacement that HopSkipJump finds with labels only, one row after the other."""
    with threadpool_limits(1):
        return np.vstack([_jumped(arena.take(np.array([row])), through, seed, effort) for row in range(len(arena))])


def _jumped(arena: Arena, through: str, seed: int, effort: Effort) -> np.ndarray:
    def predict(z: np.ndarray) -> np.ndarray:
        return arena.oracle(through, np.zeros(len(z), int))(z.astype(np.float32))

    bound = arena.moves.bound
    victim = art("estimators.classification").BlackBoxClassifier(
        predict, (arena.moves.n_moving,), len(arena.target.classes), clip_values=(-bound, bound)
    )
    attack = art("attacks.evasion").HopSkipJump(
        victim,
        norm=2,
        max_iter=effort.jumps,
        max_eval=effort.evaluations,
        init_eval=min(50, effort.evaluations),
        init_size=FIRST_DRAWS,
        batch_size=500,
        verbose=False,
    )
    attack._interpolate = _rounded_once(attack._interpolate)
    start = _adversarial_start(predict, bound, arena.moves.n_moving, seed)
    if start is None:
        return arena.start()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        np.random.seed(seed)
        return np.asarray(attack.generate(arena.start(), x_adv_init=start), dtype=np.float32)


def _adversarial_start(predict: Callable[[np.ndarray], np.ndarray], bound: float, n_moving: int, seed: int) -> Any:
    """A displacement with another label, or None if none was drawn. ART draws it from a generator without a seed."""
    drawn = np.random.default_rng(seed).uniform(-bound, bound, (FIRST_DRAWS, n_moving))
    labels = predict(np.vstack([np.zeros((1, n_moving)), drawn])).argmax(axis=1)
    wrong = np.flatnonzero(labels[1:] != labels[0])
    return drawn[wrong[:1]].astype(np.float32) if len(wrong) else None


def _rounded_once(interpolate: Any) -> Any:
    """One rounding for the point that the attack asks about and the one that it goes on with.

    ART 1.20 computes the former in float64 and the latter in float32. Where the two lie on either side of the
    boundary, it looks for a step for ever.
    """
    return lambda current_sample, original_sample, alpha, norm: interpolate(
        current_sample, original_sample, float(alpha), norm
    )
