"""What an evaluation does, as values that another process can be given, and how it begins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.utils import _safe_indexing, resample
from sklearn.utils.validation import check_consistent_length, column_or_1d

from skaae._constraints import FeatureConstraints
from skaae._data.input import check_labels
from skaae.robustness._arena import Arena
from skaae.robustness._battery import Attack, battery_for
from skaae.robustness._budgets import DEFAULT_SIZES, Moves, moves_of
from skaae.robustness._campaign import Campaign
from skaae.robustness._clock import Clock
from skaae.robustness._efforts import Effort
from skaae.robustness._judging import Outcome
from skaae.robustness._target import Target, Verdict, read_rows, target_of


@dataclass(frozen=True, eq=False)
class Plan:
    """What an evaluation does: the arguments of `evaluate_robustness` that decide over its figures.

    Parameters
    ----------
    estimator, X, y : object
        As the user passed them.
    attacks : str or sequence of str
    effort : Effort
    sizes : list of float or None
        Ascending. None: the default of what is attacked.
    unit : str
    constraints : FeatureConstraints or None
    n_samples : int or None
    seed : int
    """

    estimator: Any
    X: Any
    y: Any
    attacks: str | Sequence[str]
    effort: Effort
    sizes: Sequence[float] | None
    unit: str
    constraints: FeatureConstraints | None
    n_samples: int | None
    seed: int

    def begin(self) -> Beginning:
        """Read the rows, find what is attacked, and choose the rows that are.

        Raises
        ------
        ValueError, TypeError, NotFittedError
            See `evaluate_robustness`.
        """
        X = read_rows(self.X, self.estimator)
        target = target_of(self.estimator, X, self.seed)
        positions = positions_of(self.y, X, target)
        battery = battery_for(self.attacks, target)
        sizes = self.sizes or DEFAULT_SIZES["image" if target.images else "table"]
        mutable_features = mutable_features_of(target) if self.constraints is None else None
        moves = moves_of(X, self.constraints, mutable_features, target.images, self.unit)
        n_samples = self.effort.n_samples if self.n_samples is None else self.n_samples
        rows = chosen_rows(positions, n_samples, self.seed)
        return Beginning(self, target, X, moves.take(rows), positions, rows, battery, list(sizes))


@dataclass(frozen=True, eq=False)
class Beginning:
    """An evaluation whose arguments are valid, before the first attack.

    Parameters
    ----------
    plan : Plan
    target : Target
    X : DataFrame or ndarray of shape (n_samples, ...)
    moves : Moves
        Of the rows that are attacked.
    positions : ndarray of shape (n_samples,), int
        Positions of the true classes of all rows.
    rows : ndarray of int
        Numbers of the rows that are attacked.
    battery : list of Attack
    sizes : list of float
        Ascending.
    """

    plan: Plan
    target: Target
    X: Any
    moves: Moves
    positions: np.ndarray
    rows: np.ndarray
    battery: Sequence[Attack]
    sizes: list[float]

    @property
    def n_fixed(self) -> int:
        """Number of columns that no attack moves."""
        return 0 if self.moves.columns is None else self.X.shape[1] - self.moves.n_moving

    def campaign(self, clock: Clock, everything: Verdict | None = None) -> Campaign:
        """Make the attacks.

        Parameters
        ----------
        clock : Clock
        everything : Verdict or None, default=None
            The answers for all rows. None: those for the rows that are attacked are computed.

        Returns
        -------
        campaign : Campaign
        """
        if everything is None:
            verdict = self.target.judge(_safe_indexing(self.X, self.rows))
        else:
            parts = everything.predicted, everything.flagged, everything.undefended
            verdict = Verdict(*(part[self.rows] for part in parts))
        labels = self.positions[self.rows]
        clean = Outcome.of_clean_rows(verdict, self.target.classes[labels])
        arena = Arena.of(self.target, self.moves, labels, self.sizes[-1])
        return Campaign(arena, clean, self.battery, self.sizes, self.plan.effort, self.plan.seed, clock)


def positions_of(y: Any, X: Any, target: Target) -> np.ndarray:
    """The positions of the labels among the classes.

    Raises
    ------
    ValueError, TypeError
        If a label is missing or unknown, or there are more or fewer than rows.
    """
    check_labels(y)
    labels = column_or_1d(y)
    check_consistent_length(X, labels)
    places = {label: place for place, label in enumerate(target.classes.tolist())}
    unknown = sorted(set(labels.tolist()) - set(places), key=str)
    if unknown:
        raise ValueError(
            f"y must contain classes of the classifier only, which are {target.classes.tolist()[:10]}, but contains "
            f"{unknown[:10]}."
        )
    return np.array([places[label] for label in labels.tolist()], dtype=int)


def mutable_features_of(target: Target) -> Any:
    """Those of the detector, which are columns of X unless there are transformers before it.

    Raises
    ------
    ValueError
        If there are.
    """
    chosen = None if target.detector is None else target.detector.mutable_features
    if chosen is not None and target.has_prefix:
        raise ValueError(
            f"The detector has mutable_features={list(chosen)[:10]}, which are columns of what the transformers before "
            f"it return. Pass constraints=FeatureConstraints.from_data(X, mutable_features) with columns of X."
        )
    return chosen


def chosen_rows(positions: np.ndarray, n_samples: int, seed: int) -> np.ndarray:
    """Numbers of rows, ascending, drawn with the shares of the classes."""
    rows = np.arange(len(positions))
    if n_samples >= len(rows):
        return rows
    chosen = resample(rows, replace=False, n_samples=n_samples, stratify=positions, random_state=seed)
    return np.sort(np.asarray(chosen))
