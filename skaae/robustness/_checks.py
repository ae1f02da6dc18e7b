"""Coded checks of an evaluation: what it found about the model, and whether the attacks can be believed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.stats import binomtest

from skaae._utils.documentation import documentation
from skaae.robustness._campaign import GROWING
from skaae.robustness._judging import Outcome, worst_case

PASS, WARN, FAIL, SKIP = "PASS", "WARN", "FAIL", "SKIP"
LEAST_ROWS, FEW_ROWS = 30, 100
FEW_OF_CLASS = 10
# Differences of accuracy that count.
SMALL, LARGE = 0.02, 0.05
# Shares of the accuracy that attacks cost.
WON_BACK, LITTLE_WON_BACK = 0.25, 0.1
ARXIV = "https://arxiv.org/abs/"
TITLES = {
    "SKA001": "Accuracy on clean rows",
    "SKA002": "False alarms of each class",
    "SKA003": "Gradients exist",
    "SKA004": "Attacks without gradient find no more",
    "SKA005": "More steps find no more",
    "SKA006": "Planted adversarial rows are found",
    "SKA007": "The defense repairs",
    "SKA008": "Enough rows",
    "SKA009": "Recall under attack",
    "SKA010": "Large moves leave nothing",
    "SKA011": "Whole numbers can move",
}
SOURCES = {
    "SKA003": "1802.00420",
    "SKA004": "1802.00420",
    "SKA005": "2002.08347",
    "SKA006": "2206.13991",
    "SKA010": "1902.06705",
}


@dataclass(frozen=True)
class Check:
    """One check.

    Parameters
    ----------
    code : str
        "SKA001" and so on.
    status : {"PASS", "WARN", "FAIL", "SKIP"}
        "SKIP": does not apply, or was not reached.
    sentence : str
    """

    code: str
    status: str
    sentence: str

    @property
    def title(self) -> str:
        """What is checked."""
        return TITLES[self.code]

    @property
    def link(self) -> str:
        """Where more is said about it: the documentation, if it has an address, or the paper."""
        if documentation():
            return f"{documentation()}/robustness.html#{self.code.lower()}"
        return ARXIV + SOURCES.get(self.code, "2002.08347")


@dataclass(frozen=True, eq=False)
class Findings:
    """What the checks look at.

    Parameters
    ----------
    outcomes, growing : list of Outcome
        Of the attacks, without worst cases.
    labels : ndarray of shape (n_samples,), int
    classes : ndarray of shape (n_classes,)
    sizes : list of float
    promised : float or None
        Promised share of false alarms. None: there is no defense, or its threshold was given.
    alarms : dict of {label: tuple of two int}
        Flagged and all clean rows of each class that the classifier predicts.
    has_defense, own_gradient : bool
    stuck : dict of {str: float}
        Columns of whole numbers that no size moves by 1, with the size that does.
    n_moving, n_fixed : int
        Numbers of features that may move, and that no attack moves.
    never_flagged : list of str
        Classes whose rows are never flagged.
    without_gradient, planted : dict of {str: float}
        Shares by what the attack goes through.
    """

    outcomes: Sequence[Outcome]
    growing: Sequence[Outcome]
    labels: np.ndarray
    classes: np.ndarray
    sizes: Sequence[float]
    promised: float | None
    alarms: Mapping[str, tuple[int, int]]
    has_defense: bool
    own_gradient: bool
    stuck: Mapping[Any, float] = field(default_factory=dict)
    n_moving: int = 1
    n_fixed: int = 0
    never_flagged: Sequence[str] = ()
    without_gradient: Mapping[str, float] = field(default_factory=dict)
    planted: Mapping[str, float] = field(default_factory=dict)

    def of(self, **wanted: object) -> list[Outcome]:
        """Outcomes with these attributes."""
        return [item for item in self.outcomes if all(getattr(item, name) == is_ for name, is_ in wanted.items())]


def all_checks(findings: Findings) -> list[Check]:
    """Run every check."""
    return [Check(code, *check(findings)) for code, check in CHECKS.items()]


def _by(difference: float) -> str:
    return FAIL if difference > LARGE else WARN if difference > SMALL else PASS


def _clean_accuracy(findings: Findings) -> tuple[str, str]:
    if not findings.has_defense:
        return SKIP, "There is no defense that could cost accuracy."
    clean = findings.outcomes[0]
    with_defense, without = clean.right.mean(), clean.undefended.mean()
    said = f"On clean rows {with_defense:.3f} of the answers are right with the defense and {without:.3f} without."
    return _by(without - with_defense), said


def _false_alarms(findings: Findings) -> tuple[str, str]:
    if findings.promised is None:
        return SKIP, "No rate of false alarms is promised."
    promised = findings.promised
    rates = {label: flagged / n for label, (flagged, n) in findings.alarms.items() if n}
    significant = {
        label: rates[label]
        for label, (flagged, n) in findings.alarms.items()
        if n and binomtest(flagged, n, promised, "greater").pvalue < 0.01 / len(rates)
    }
    if significant:
        worst = max(significant, key=lambda label: significant[label])
        return FAIL, (
            f"Of the clean rows that are classified as {worst}, {rates[worst]:.1%} are flagged, significantly more "
            f"than the promised {promised:.1%}. If the classifier was trained on the rows that set the threshold, set "
            f"it anew with other rows: infer_threshold."
        )
    said = f"No class has significantly more false alarms than the promised {promised:.1%}"
    if findings.never_flagged:
        return WARN, (
            f"{said}, but rows that are classified as {findings.never_flagged[:5]} are never flagged, because too few "
            f"rows set their threshold: call infer_threshold with more."
        )
    return PASS, f"{said}."


def _gradients(findings: Findings) -> tuple[str, str]:
    if not findings.without_gradient:
        return SKIP, "Gradients were not looked at."
    share = max(findings.without_gradient.values())
    status = FAIL if share > 0.5 else WARN if share > LARGE else PASS
    of_what = "" if findings.own_gradient else " of the surrogate"
    if not share:
        return PASS, f"The loss{of_what} has a gradient on every row."
    return status, f"The loss{of_what} has no gradient on {share:.1%} of the rows, where attacks stand still."


def _gradient_free(findings: Findings) -> tuple[str, str]:
    gaps = []
    for attacker in ("unaware", "knowing"):
        following = {item.size: item for item in _strongest_followers(findings, attacker)}
        for item in findings.of(attacker=attacker, kind="gradient-free"):
            if item.size in following and not item.attack.startswith("HopSkip"):
                both = item.tried & following[item.size].tried
                gaps.append((following[item.size].right[both].mean() - item.right[both].mean(), item))
    if not gaps:
        return (
            SKIP,
            "No gradient-free attack was made beside one that follows the gradient: attacks='standard' has one.",
        )
    gap, item = max(gaps, key=lambda found: found[0])
    if gap <= SMALL:
        return PASS, "No gradient-free attack finds more than the attacks that follow the gradient."
    if not findings.own_gradient:
        return WARN, (
            f"{item.attack} leaves {gap:.3f} less than the attacks through the surrogate at size {item.size:g}: these "
            f"figures depend on how well the surrogate imitates the classifier."
        )
    return FAIL, (
        f"{item.attack} leaves {gap:.3f} less than attacks that follow the gradient at size {item.size:g}: the "
        f"gradient is probably masked, and the other figures are too good."
    )


def _strongest_followers(findings: Findings, attacker: str) -> Iterator[Outcome]:
    """For each size, each row under the worst of the attacks in the box that follow the gradient."""
    followers = [item for item in findings.of(attacker=attacker, norm="linf") if item.kind in ("gradient", "transfer")]
    for size in findings.sizes:
        worst = worst_case(followers, attacker, size)
        if worst is not None:
            yield worst


def _more_steps(findings: Findings) -> tuple[str, str]:
    gaps = []
    for item in findings.outcomes:
        name, marked, _ = item.attack.partition(", more steps")
        fewer = findings.of(attack=name, size=item.size) if marked else []
        gaps += [(one.accuracy - item.accuracy, item) for one in fewer]
    if not gaps:
        return SKIP, "No attack was repeated with more steps."
    gap, item = max(gaps, key=lambda found: found[0])
    if gap <= SMALL:
        return PASS, "Four times the steps find hardly more: the attacks have converged."
    return _by(gap), f"{item.attack} leaves {gap:.3f} less: the attacks have not converged. Use a larger preset."


def _planted(findings: Findings) -> tuple[str, str]:
    shares = {name: share for name, share in findings.planted.items() if not np.isnan(share)}
    if not shares:
        return SKIP, "No adversarial row was planted, or none could be."
    worst = min(shares, key=lambda name: shares[name])
    status = PASS if shares[worst] >= 0.95 else WARN if shares[worst] >= 0.8 else FAIL
    through = "both networks" if worst == "both" else f"the {worst}"
    return status, f"PGD through {through} finds {shares[worst]:.1%} of the adversarial rows that were planted."


def _repairs(findings: Findings) -> tuple[str, str]:
    if not findings.has_defense:
        return SKIP, "There is no defense that could repair."
    worst = worst_case(findings.outcomes, "unaware", max(findings.sizes))
    if worst is None:
        return SKIP, "No attack on the classifier alone was made."
    gain = worst.right[worst.tried].mean() - worst.undefended[worst.tried].mean()
    lost = findings.outcomes[0].undefended.mean() - worst.undefended[worst.tried].mean()
    if lost <= SMALL:
        return (
            SKIP,
            f"Unaware attackers cost the classifier alone {max(lost, 0):.3f} of its accuracy: nothing to repair.",
        )
    said = (
        f"Unaware attackers of the largest size cost the classifier alone {lost:.3f} of its accuracy, of which the "
        f"defense wins back {gain:.3f}."
    )
    share = gain / lost
    return PASS if share > WON_BACK else WARN if share > LITTLE_WON_BACK else FAIL, said


def _enough_rows(findings: Findings) -> tuple[str, str]:
    n_rows, counts = len(findings.labels), np.bincount(findings.labels, minlength=len(findings.classes))
    if n_rows < LEAST_ROWS:
        return FAIL, f"{n_rows} rows say nothing. Pass at least {FEW_ROWS}."
    few = [str(label) for label, count in zip(findings.classes, counts, strict=True) if count < FEW_OF_CLASS]
    if few:
        return WARN, f"The classes {few[:5]} have fewer than {FEW_OF_CLASS} rows, so their recalls are uncertain."
    if n_rows < FEW_ROWS:
        return WARN, f"{n_rows} rows leave wide confidence intervals."
    return PASS, f"{n_rows} rows, at least {counts.min()} of each class."


def _under_attack(findings: Findings) -> tuple[str, str]:
    present = np.unique(findings.labels)
    if len(present) < 2:
        return SKIP, "The rows are of one class, which a constant answer gets right."
    found = {name: worst_case(findings.outcomes, name, max(findings.sizes)) for name in ("unaware", "knowing")}
    left = {name: mean_recall(item, findings.labels) for name, item in found.items() if item is not None}
    if not left:
        return SKIP, "No attack was made."
    constant = 1 / len(present)
    said = " and ".join(f"{recall:.3f} under {name} attackers" for name, recall in left.items())
    said = f"At size {max(findings.sizes):g} the mean recall is {said}; a constant answer has {constant:.3f}."
    if left.get("unaware", 1.0) < constant:
        return FAIL, said
    return WARN if left.get("knowing", 1.0) < constant else PASS, said


def mean_recall(outcome: Outcome, labels: np.ndarray) -> float:
    """Mean over the classes of the share of their rows that are right, as far as they were tried."""
    found = [outcome.right[outcome.tried & (labels == place)] for place in np.unique(labels[outcome.tried])]
    return float(np.mean([right.mean() for right in found])) if found else float("nan")


def _nothing_left(findings: Findings) -> tuple[str, str]:
    if not findings.growing:
        return SKIP, "No attack of growing size was made."
    last = {item.attack: item for item in findings.growing}
    strongest = min(last.values(), key=lambda item: item.accuracy)
    name, left = strongest.attack.removesuffix(GROWING), strongest.accuracy
    if left <= SMALL:
        return PASS, f"{name} of size {strongest.size:g} leaves {left:.3f} of the answers right: attacks do work here."
    if findings.n_fixed:
        return SKIP, (
            f"{name} of size {strongest.size:g} leaves {left:.3f} of the answers right. {findings.n_fixed} columns "
            f"cannot move and may decide, so this says nothing about the attack."
        )
    return WARN, (
        f"{name} of size {strongest.size:g} still leaves {left:.3f} of the answers right: either features that cannot "
        f"move decide, or the attack does not work."
    )


def _whole_numbers(findings: Findings) -> tuple[str, str]:
    size, stuck = max(findings.sizes), findings.stuck
    if not stuck:
        return PASS, f"Every feature that may move can do so at size {size:g}."
    said = (
        f"At size {size:g}, the columns {[*stuck][:5]} cannot move ({len(stuck)} of {findings.n_moving}), because they "
        f"hold whole numbers and the size is less than 1 in their units. A size of {max(stuck.values()):.3g} moves all."
    )
    return FAIL if len(stuck) == findings.n_moving else WARN, said


CHECKS: dict[str, Callable[[Findings], tuple[str, str]]] = {
    "SKA001": _clean_accuracy,
    "SKA002": _false_alarms,
    "SKA003": _gradients,
    "SKA004": _gradient_free,
    "SKA005": _more_steps,
    "SKA006": _planted,
    "SKA007": _repairs,
    "SKA008": _enough_rows,
    "SKA009": _under_attack,
    "SKA010": _nothing_left,
    "SKA011": _whole_numbers,
}
