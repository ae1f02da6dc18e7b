"""The attacks: what each knows, how it works, and in which sets it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from skaae.robustness._arena import Arena
from skaae.robustness._black_box_attacks import hop_skip_jump, square, uniform_noise
from skaae.robustness._efforts import Effort
from skaae.robustness._gradient_attacks import (
    auto_gradient,
    carlini_wagner,
    deep_fool,
    fast_gradient,
    projected_gradient,
    projected_gradient_l2,
    sparse_descent,
)
from skaae.robustness._target import Target

Run = Callable[[Arena, str, float, int, Effort], np.ndarray]
ATTACKERS = ("none", "unaware", "knowing")
PRESETS = ("fast", "standard", "thorough")
CLEAN, WORST = "clean", "worst case"


@dataclass(frozen=True)
class Attack:
    """One attack.

    Parameters
    ----------
    name : str
    attacker : {"none", "unaware", "knowing"}
        What the attacker knows: nothing, the classifier, or the defense too.
    kind : {"noise", "gradient", "gradient-free"}
    through : str
        What is attacked: see `Arena.logits` and `Arena.oracle`.
    run : callable
    presets : tuple of str
        Sets in which it is where the classifier has a gradient.
    presets_without_gradient : tuple of str or None
        The same where it has none; None: `presets`.
    norm : {"linf", "l2", "l1"}
    is_minimal : bool
        Whether it looks for the smallest displacement, once for all sizes.
    images_only : bool
    more : int
        Times the steps.
    is_slow : bool
        Whether it attacks some of the rows only, one after the other.
    """

    name: str
    attacker: str
    kind: str
    through: str
    run: Run
    presets: tuple[str, ...] = PRESETS
    presets_without_gradient: tuple[str, ...] | None = None
    norm: str = "linf"
    is_minimal: bool = False
    images_only: bool = False
    more: int = 1
    is_slow: bool = False


LATER, LAST = ("standard", "thorough"), ("thorough",)
L2, SMALLEST = {"norm": "l2"}, {"norm": "l2", "is_minimal": True}
MORE_STEPS = 4
BATTERY = [
    Attack("noise", "none", "noise", "classifier", uniform_noise),
    Attack("FGSM", "unaware", "gradient", "classifier", fast_gradient),
    Attack("PGD Linf", "unaware", "gradient", "classifier", projected_gradient),
    Attack("PGD L2", "unaware", "gradient", "classifier", projected_gradient_l2, norm="l2"),
    Attack("PGD Linf, more steps", "unaware", "gradient", "classifier", projected_gradient, more=MORE_STEPS),
    Attack("AutoPGD Linf", "unaware", "gradient", "classifier", auto_gradient, LATER),
    Attack("Carlini-Wagner L2", "unaware", "gradient", "classifier", carlini_wagner, LATER, norm="l2", is_minimal=True),
    Attack("DeepFool L2", "unaware", "gradient", "classifier", deep_fool, LATER, norm="l2", is_minimal=True),
    Attack("SLIDE L1", "unaware", "gradient", "classifier", sparse_descent, LATER, norm="l1", images_only=True),
    Attack("Square", "unaware", "gradient-free", "classifier", square, LATER, PRESETS),
    Attack(
        "HopSkipJump L2", "unaware", "gradient-free", "classifier", hop_skip_jump, LAST, LATER, "l2", True, is_slow=True
    ),
    Attack("composite PGD", "knowing", "gradient", "defense", projected_gradient),
    Attack("joint PGD", "knowing", "gradient", "both", projected_gradient),
    Attack("decision PGD", "knowing", "gradient", "corrected", projected_gradient, LATER, PRESETS),
    Attack("joint PGD, more steps", "knowing", "gradient", "both", projected_gradient, more=MORE_STEPS),
    Attack("joint PGD L2", "knowing", "gradient", "both", projected_gradient_l2, LATER, norm="l2"),
    Attack("Square on the decision", "knowing", "gradient-free", "corrected", square, LATER, PRESETS),
    Attack(
        "HopSkipJump on the decision",
        "knowing",
        "gradient-free",
        "corrected",
        hop_skip_jump,
        LAST,
        LAST,
        "l2",
        True,
        is_slow=True,
    ),
]
NAMES = [attack.name for attack in BATTERY]


def battery_for(attacks: str | Sequence[str], target: Target) -> list[Attack]:
    """Choose attacks for a target.

    Parameters
    ----------
    attacks : {"fast", "standard", "thorough"} or sequence of str
    target : Target

    Returns
    -------
    battery : list of Attack
        Those that the target allows: nobody knows a defense that there is not.

    Raises
    ------
    ValueError, TypeError
        If a name is unknown.
    """
    check_names(attacks)
    possible = [attack for attack in BATTERY if is_possible(attack, target)]
    if isinstance(attacks, str):
        return [attack for attack in possible if attacks in _presets(attack, target)]
    chosen = [attack for attack in possible if attack.name in attacks]
    if not chosen:
        reason = (
            "which has no defense that an attacker could know" if target.detector is None else "which has no images"
        )
        raise ValueError(f"attacks={list(attacks)} cannot be made on {target.name}, {reason}.")
    return chosen


def check_names(attacks: str | Sequence[str]) -> None:
    """Raise a ValueError unless this is the name of a set of attacks, or a list of names of attacks."""
    unknown = attacks not in PRESETS if isinstance(attacks, str) else [name for name in attacks if name not in NAMES]
    if unknown or not len(attacks):
        got = repr(attacks) if isinstance(attacks, str) else unknown or "none"
        raise ValueError(f"attacks must be one of {PRESETS}, or a list of names among {NAMES}, got {got}.")


def not_tried(battery: Sequence[Attack], target: Target) -> list[str]:
    """Names of the attacks that the target allows and that were not chosen."""
    chosen = {attack.name for attack in battery}
    return [attack.name for attack in BATTERY if attack.name not in chosen and is_possible(attack, target)]


def is_possible(attack: Attack, target: Target) -> bool:
    """Whether an attack can be made on a target."""
    if attack.attacker == "knowing" and target.detector is None:
        return False
    return target.images or not attack.images_only


def _presets(attack: Attack, target: Target) -> tuple[str, ...]:
    if target.own_gradient or attack.presets_without_gradient is None:
        return attack.presets
    return attack.presets_without_gradient
