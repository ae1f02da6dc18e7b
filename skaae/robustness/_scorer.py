"""Accuracy under attack as a scorer for model selection."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from numbers import Integral
from typing import Any

import cloudpickle
import joblib
import numpy as np
from sklearn.utils.validation import check_memory

from skaae._constraints import FeatureConstraints
from skaae._keras.processes import check_not_forked
from skaae._keras.seeds import temporary_seed
from skaae._training.defense import fingerprint_of_classifier
from skaae.robustness._arena import Arena
from skaae.robustness._arguments import check_arguments, checked_seed, is_number
from skaae.robustness._battery import Attack
from skaae.robustness._budgets import inside, radius
from skaae.robustness._campaign import Campaign, restarts_of, rows_of
from skaae.robustness._clock import Clock
from skaae.robustness._efforts import EFFORTS, Effort
from skaae.robustness._gradient_attacks import art, foolbox, quiet_libraries
from skaae.robustness._plan import Plan

METRICS = ("accuracy", "balanced_accuracy")


def robust_accuracy_scorer(
    attacks: str | Sequence[str] = "fast",
    size: float | None = None,
    *,
    metric: str = "accuracy",
    unit: str = "auto",
    constraints: FeatureConstraints | None = None,
    n_samples: int | None = None,
    memory: str | os.PathLike[str] | Any | None = None,
    random_state: int = 0,
) -> RobustAccuracy:
    """Make a scorer for scikit-learn's model selection: accuracy or recall in the worst case, after correction.

    Parameters
    ----------
    attacks : {"fast", "standard", "thorough"} or list of str, default="fast"
        As in `evaluate_robustness`, but a list of names tries as hard as "fast".
    size : float or None, default=None
        How far each feature is moved at most. None: the largest default of `evaluate_robustness`.
    metric : {"accuracy", "balanced_accuracy"}, default="accuracy"
        The latter is the mean of the recalls of the classes, for tables with a rare class.
    unit : {"auto", "std", "range"}, default="auto"
        What a size of 1 is: see `evaluate_robustness`.
    constraints : FeatureConstraints or None, default=None
        What an attacker can alter: see `evaluate_robustness`.
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
        ``scorer(estimator, X, y)`` returns the metric, for the parameter ``scoring`` of GridSearchCV.

    Raises
    ------
    ValueError, TypeError
        If an argument is invalid.

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
    check_arguments(attacks, unit, constraints, n_samples)
    if size is not None and not (is_number(size) and 0 < size < float("inf")):
        raise ValueError(f"size must be a positive number, or None, got {size!r}.")
    if not is_number(random_state, Integral):
        raise ValueError(
            f"random_state must be an integer, so that all candidates meet the same, got {random_state!r}."
        )
    seed = checked_seed(random_state)
    if metric not in METRICS:
        raise ValueError(f"metric must be one of {METRICS}, got {metric!r}.")
    memory_of(memory)
    names = attacks if isinstance(attacks, str) else tuple(attacks)
    return RobustAccuracy(names, size, metric, unit, constraints, n_samples, memory, seed)


@dataclass(frozen=True)
class RobustAccuracy:
    """The scorer that `robust_accuracy_scorer` makes. Its parameters are the same."""

    attacks: str | tuple[str, ...]
    size: float | None
    metric: str
    unit: str
    constraints: FeatureConstraints | None
    n_samples: int | None
    memory: Any
    random_state: int

    def __call__(self, estimator: Any, X: Any, y: Any) -> float:
        """Compute the metric in the worst case."""
        check_not_forked()
        foolbox(), art("attacks.evasion")
        plan = Plan(
            estimator,
            X,
            y,
            attacks=self.attacks,
            effort=self._effort,
            sizes=None if self.size is None else [self.size],
            unit=self.unit,
            constraints=self.constraints,
            n_samples=self.n_samples,
            seed=self.random_state,
        )
        beginning = plan.begin()
        beginning = replace(beginning, sizes=beginning.sizes[-1:])
        campaign = beginning.campaign(Clock())
        unaware = [attack for attack in beginning.battery if attack.attacker != "knowing"]
        with quiet_libraries():
            right = campaign.clean.right & self._right_under_unaware(campaign.arena, unaware)
            right &= self._right_under_knowing(campaign)
        if self.metric == "accuracy":
            return float(right.mean())
        labels = campaign.arena.labels
        return float(np.mean([right[labels == label].mean() for label in np.unique(labels)]))

    @property
    def _effort(self) -> Effort:
        return EFFORTS[self.attacks if isinstance(self.attacks, str) else "fast"]

    def _right_under_unaware(self, arena: Arena, attacks: Sequence[Attack]) -> np.ndarray:
        right, X = np.ones(len(arena), bool), arena.moves.moved(arena.start())
        if not attacks:
            return right
        names = tuple(attack.name for attack in attacks)
        cached = memory_of(self.memory).cache(displacements, ignore=["arena", "X", "attacks"])
        for z in cached(self._key(arena, X, names), arena, X, attacks, self._effort, self.random_state):
            right &= arena.is_right(arena.judge(z).predicted)
        return right

    def _key(self, arena: Arena, X: Any, names: tuple[str, ...]) -> str:
        """Whatever determines the attacks on the classifier alone, and nothing of the defense."""
        frozen, relations = arena.target.frozen, arena.moves.relations
        assert frozen is not None
        # Relations are functions, which joblib cannot hash.
        rules = None if relations is None else cloudpickle.dumps(relations.relations)
        classifier = [fingerprint_of_classifier(frozen), np.asarray(arena.target.log_weights)]
        attacked = [X, arena.front.parts, rules, arena.labels, names, arena.size]
        return str(joblib.hash([version("skaae"), *classifier, *attacked]))

    def _right_under_knowing(self, campaign: Campaign) -> np.ndarray:
        campaign.battery = [attack for attack in campaign.battery if attack.attacker == "knowing"]
        for attack in campaign.battery:
            campaign.run_part((attack.name, False))
        found = [outcome.right | ~outcome.tried for outcome in campaign.outcomes]
        return np.all([np.ones(len(campaign.arena), bool), *found], axis=0)


def memory_of(memory: Any) -> Any:
    """The joblib.Memory that scikit-learn's parameter `memory` means.

    Raises
    ------
    ValueError
        If it is of another kind.
    """
    try:
        return check_memory(os.fspath(memory) if isinstance(memory, os.PathLike) else memory)
    except ValueError as error:
        raise ValueError(f"memory must be a path, a joblib.Memory or None, got {memory!r}.") from error


def displacements(
    key: str, arena: Arena, X: Any, attacks: Sequence[Attack], effort: Effort, seed: int
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
        rows = rows_of(attack, len(arena), effort, seed)
        own = replace(effort, steps=effort.steps * attack.more)
        limit = radius(arena.size, attack.norm, arena.moves.n_moving)
        for restart in range(restarts_of(attack, effort)):
            z, restart_seed = arena.start(), (seed + restart) % 2**32
            with temporary_seed(restart_seed):
                z[rows] = attack.run(alone.take(rows), attack.through, arena.size, restart_seed, own)
            found.append(inside(z, limit, attack.norm) if attack.is_minimal else z)
    return found
