"""Accuracy under attack as a scorer for model selection."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import joblib
import numpy as np
from sklearn.utils.validation import check_memory

from skaae._keras.seeds import temporary_seed
from skaae._training.defense import _fingerprint_of_classifier
from skaae.robustness._arena import Arena
from skaae.robustness._battery import Attack, battery_for
from skaae.robustness._budgets import DEFAULT_SIZES, inside, moves_of, radius
from skaae.robustness._campaign import Campaign
from skaae.robustness._clock import Clock
from skaae.robustness._efforts import EFFORTS
from skaae.robustness._evaluation import _chosen_rows, _mutable_features, _positions
from skaae.robustness._gradient_attacks import art, foolbox, quiet_tensorflow
from skaae.robustness._judging import Outcome
from skaae.robustness._target import Target, read_rows, target_of


def robust_accuracy_scorer(
    attacks: str | Sequence[str] = "fast",
    size: float | None = None,
    *,
    n_samples: int | None = None,
    memory: str | os.PathLike[str] | Any | None = None,
    random_state: int = 0,
) -> RobustAccuracy:
    """Make a scorer for scikit-learn's model selection: accuracy in the worst case, after correction.

    Parameters
    ----------
    attacks : {"fast", "standard", "thorough"} or list of str, default="fast"
        As in `evaluate_robustness`, but a list of names tries as hard as "fast".
    size : float or None, default=None
        How far each feature is moved at most, in standard deviations, or in the range of images. None: the largest
        default of `evaluate_robustness`.
    n_samples : int or None, default=None
        Rows that are attacked. None: as in `evaluate_robustness`.
    memory : str, path, joblib.Memory or None, default=None
        Caches the attacks on the classifier alone: where several candidates defend the same classifier, it is attacked
        once for each part of a cross-validation.
    random_state : int, default=0
        Seeds rows and attacks, so that all candidates meet the same.

    Returns
    -------
    scorer : RobustAccuracy
        ``scorer(estimator, X, y)`` returns the accuracy, for the parameter ``scoring`` of GridSearchCV.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.model_selection import GridSearchCV
    >>> from skaae.robustness import robust_accuracy_scorer
    >>> X, y = load_iris(return_X_y=True)
    >>> scorer = robust_accuracy_scorer(["FGSM"], size=0.2)
    >>> search = GridSearchCV(LogisticRegression(max_iter=1000), {"C": [0.01, 1.0]}, scoring=scorer, cv=2)
    >>> bool(search.fit(X, y).best_score_ > 0.5)
    True
    """
    if size is not None and not size > 0:
        raise ValueError(f"size must be positive, got {size!r}.")
    return RobustAccuracy(
        attacks if isinstance(attacks, str) else tuple(attacks), size, n_samples, memory, random_state
    )


@dataclass(frozen=True)
class RobustAccuracy:
    """The scorer that `robust_accuracy_scorer` makes. Its parameters are the same."""

    attacks: str | tuple[str, ...]
    size: float | None
    n_samples: int | None
    memory: Any
    random_state: int

    def __call__(self, estimator: Any, X: Any, y: Any) -> float:
        """Compute the accuracy in the worst case."""
        foolbox(), art("attacks.evasion")
        X = read_rows(X, estimator)
        target = target_of(estimator, X, self.random_state)
        battery = battery_for(self.attacks, target)
        arena, X, clean = self._arena(target, X, y)
        unaware = [attack for attack in battery if attack.attacker != "knowing"]
        knowing = [attack for attack in battery if attack.attacker == "knowing"]
        with quiet_tensorflow():
            right = clean.right & self._right_under_unaware(arena, X, unaware)
            return float((right & self._right_under_knowing(arena, clean, knowing)).mean())

    def _arena(self, target: Target, X: Any, y: Any) -> tuple[Arena, Any, Outcome]:
        positions = _positions(y, X, target)
        size = self.size or DEFAULT_SIZES["image" if target.images else "table"][-1]
        n_samples = self._effort.n_samples if self.n_samples is None else self.n_samples
        rows = _chosen_rows(positions, n_samples, self.random_state)
        moves = moves_of(X, None, _mutable_features(target), target.images).take(rows)
        arena = Arena.of(target, moves, positions[rows], size)
        X = moves.moved(arena.start())
        clean = Outcome.of_clean_rows(target.judge(X), target.classes[arena.labels])
        return arena, X, clean

    @property
    def _effort(self) -> Any:
        return EFFORTS[self.attacks if isinstance(self.attacks, str) else "fast"]

    def _right_under_unaware(self, arena: Arena, X: Any, attacks: Sequence[Attack]) -> np.ndarray:
        right = np.ones(len(arena), bool)
        if not attacks:
            return right
        names, memory = tuple(attack.name for attack in attacks), self.memory
        memory = os.fspath(memory) if isinstance(memory, os.PathLike) else memory
        cached = check_memory(memory).cache(displacements, ignore=["arena", "X", "attacks"])
        for z in cached(self._key(arena, X, names), arena, X, attacks, self._effort, self.random_state):
            right &= arena.is_right(arena.judge(z).predicted)
        return right

    def _key(self, arena: Arena, X: Any, names: tuple[str, ...]) -> str:
        """Whatever determines the attacks on the classifier alone, and nothing of the defense."""
        encode, frozen = arena.target.encode, arena.target.frozen
        assert frozen is not None
        encoded = None if encode is None else encode(X)
        moves = [getattr(arena.moves, name) for name in ("base", "unit", "lowest", "highest", "whole")]
        found = [_fingerprint_of_classifier(frozen), encoded, moves, arena.labels, names, arena.size]
        return str(joblib.hash(found))

    def _right_under_knowing(self, arena: Arena, clean: Outcome, attacks: Sequence[Attack]) -> np.ndarray:
        clock = Clock(None, 0, 0)
        campaign = Campaign(arena, clean, attacks, [arena.size], self._effort, self.random_state, clock)
        campaign.run_attacks()
        return np.all([outcome.right | ~outcome.tried for outcome in campaign.outcomes], axis=0)


def displacements(
    key: str, arena: Arena, X: Any, attacks: Sequence[Attack], effort: Any, seed: int
) -> list[np.ndarray]:
    """Attack the classifier alone. joblib caches this function under its name and `key`.

    Parameters
    ----------
    key : str
    arena : Arena
    X : DataFrame or ndarray
    attacks : list of Attack
    effort : Effort
    seed : int

    Returns
    -------
    displacements : list of ndarray
    """
    alone = Arena.of(arena.target.with_surrogate_of(X, seed), arena.moves, arena.labels, arena.size)
    found = []
    for attack in attacks:
        for restart in range(effort.restarts):
            own = replace(effort, steps=effort.steps * attack.more)
            with temporary_seed(seed + restart):
                z = attack.run(alone, attack.through, arena.size, seed + restart, own)
            limit = radius(arena.size, attack.norm, arena.moves.n_moving)
            found.append(inside(z, limit, attack.norm) if attack.is_minimal else z)
    return found
