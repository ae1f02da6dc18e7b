"""How rows under attack are judged: row by row, in the worst case, by class, with confidence intervals."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import binomtest

from skaae._utils.extras import import_extra
from skaae.robustness._battery import ATTACKERS, CLEAN, WORST
from skaae.robustness._target import Verdict

CONFIDENCE = 0.95
# More classes than these have no column each, only that of the worst class.
MOST_CLASSES = 20


@dataclass(eq=False)
class Outcome:
    """What one attack of one size has done to the rows.

    Parameters
    ----------
    attacker, attack, kind, norm : str
        See `skaae.robustness._battery.Attack`.
    size : float
    tried : ndarray of shape (n_samples,), bool
        Rows that were attacked, or did not need to be because they are wrong without.
    right : ndarray of shape (n_samples,), bool
        Rows whose final answer no restart made wrong.
    undefended : ndarray of shape (n_samples,), bool
        Rows that the classifier alone gets right under the same attack.
    flagged : ndarray of shape (n_samples,), bool
        Rows flagged by the defense: at the first restart that made them wrong, else at the last.
    undetected : ndarray of shape (n_samples,), bool
        Rows that some restart made wrong without an alarm.
    seconds : float, default=0.0
    """

    attacker: str
    attack: str
    kind: str
    norm: str
    size: float
    tried: np.ndarray
    right: np.ndarray
    undefended: np.ndarray
    flagged: np.ndarray
    undetected: np.ndarray
    seconds: float = 0.0

    @classmethod
    def of_clean_rows(cls, verdict: Verdict, labels: np.ndarray) -> Outcome:
        """The outcome without an attack."""
        right, undefended = verdict.predicted == labels, verdict.undefended == labels
        undetected = ~right & ~verdict.flagged
        everything = np.ones(len(labels), bool)
        return cls("none", CLEAN, "clean", "linf", 0.0, everything, right, undefended, verdict.flagged, undetected)

    def begin(self, attacker: str, attack: str, kind: str, norm: str, size: float) -> Outcome:
        """The outcome of an attack that has not begun. Rows that were wrong before stay wrong."""
        right, undefended = self.right.copy(), self.undefended.copy()
        flagged, undetected = self.flagged.copy(), self.undetected.copy()
        tried = ~(right | undefended)
        return Outcome(attacker, attack, kind, norm, size, tried, right, undefended, flagged, undetected)

    def add(self, rows: np.ndarray, verdict: Verdict, labels: np.ndarray) -> None:
        """Judge some of the rows; what one restart has lost stays lost."""
        right = verdict.predicted == labels
        still = self.right[rows]
        self.flagged[rows] = np.where(still, verdict.flagged, self.flagged[rows])
        self.undetected[rows] |= ~right & ~verdict.flagged
        self.right[rows] = still & right
        self.undefended[rows] &= verdict.undefended == labels
        self.tried[rows] = True

    @property
    def accuracy(self) -> float:
        """Share of the rows tried that are right."""
        return float(self.right[self.tried].mean()) if self.tried.any() else float("nan")


def worst_case(outcomes: Sequence[Outcome], attacker: str, size: float) -> Outcome | None:
    """Every row under the worst attack on it, of at most a size, by attackers who know at most so much."""
    known = ATTACKERS[: ATTACKERS.index(attacker) + 1]
    found = [item for item in outcomes if item.attacker in known and item.size <= size]
    own = [item for item in found if item.attacker == attacker]
    if not own:
        return None
    tried = np.any([item.tried for item in own], axis=0)
    right, undefended = (
        np.all([getattr(item, name) | ~item.tried for item in found], axis=0) for name in ("right", "undefended")
    )
    undetected = np.any([item.undetected & item.tried for item in found], axis=0)
    # With an alarm at every loss, or, of a row that nothing takes, with one under any attack.
    alarm = np.any([item.flagged & item.tried for item in own], axis=0)
    flagged = np.where(right, alarm, ~undetected)
    return Outcome(attacker, WORST, "worst case", "any", size, tried, right, undefended, flagged, undetected)


def with_worst_cases(outcomes: Sequence[Outcome], sizes: Iterable[float]) -> list[Outcome]:
    """The outcomes, and the worst case of each attacker at each size."""
    found = [worst_case(outcomes, attacker, size) for attacker in ATTACKERS[1:] for size in sizes]
    return [*outcomes, *(item for item in found if item is not None)]


def frame_of(outcomes: Sequence[Outcome], labels: np.ndarray, classes: np.ndarray, has_defense: bool) -> Any:
    """A DataFrame with a line for each outcome.

    Parameters
    ----------
    outcomes : sequence of Outcome
    labels : ndarray of shape (n_samples,), int
        Positions of the true classes.
    classes : ndarray of shape (n_classes,)
    has_defense : bool

    Returns
    -------
    frame : DataFrame
    """
    lines = [dict(_line(outcome, labels, classes, has_defense)) for outcome in outcomes]
    return import_extra("pandas", "pandas").DataFrame(lines)


def _line(outcome: Outcome, labels: np.ndarray, classes: np.ndarray, has_defense: bool) -> Iterator[tuple[str, Any]]:
    tried = outcome.tried
    n_rows, n_right = int(tried.sum()), int(outcome.right[tried].sum())
    yield from ((name, getattr(outcome, name)) for name in ("attacker", "attack", "kind", "norm", "size"))
    yield "accuracy", outcome.accuracy
    yield from zip(("accuracy_low", "accuracy_high"), interval(n_right, n_rows), strict=True)
    if has_defense:
        yield "accuracy_without_defense", _share(outcome.undefended, tried)
        yield "flagged", _share(outcome.flagged, tried)
        yield "undetected", _share(outcome.undetected, tried)
    recalls = [_share(outcome.right, tried & (labels == place)) for place in range(len(classes))]
    known = [recall for recall in recalls if not np.isnan(recall)]
    yield "recall_worst_class", min(known, default=float("nan"))
    if len(classes) <= MOST_CLASSES:
        yield from ((f"recall_{label}", recall) for label, recall in zip(classes, recalls, strict=True))
    yield "rows", n_rows
    yield "seconds", round(outcome.seconds, 2)


def _share(values: np.ndarray, rows: np.ndarray) -> float:
    return float(values[rows].mean()) if rows.any() else float("nan")


def interval(n_right: int, n_rows: int) -> tuple[float, float]:
    """Wilson's interval of a share.

    Examples
    --------
    >>> from skaae.robustness._judging import interval
    >>> [round(bound, 3) for bound in interval(90, 100)]
    [0.826, 0.945]
    """
    if not n_rows:
        return float("nan"), float("nan")
    found = binomtest(n_right, n_rows).proportion_ci(CONFIDENCE, method="wilson")
    return float(found.low), float(found.high)
