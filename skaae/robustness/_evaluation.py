"""One call that attacks an estimator and reports what is left."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.random import RandomState

from skaae._constraints import FeatureConstraints
from skaae._keras.processes import check_not_forked
from skaae._utils.extras import import_extra
from skaae.robustness._arguments import check_arguments, checked_seed, checked_sizes
from skaae.robustness._battery import not_tried
from skaae.robustness._campaign import Campaign
from skaae.robustness._checks import Findings, all_checks
from skaae.robustness._clock import Clock
from skaae.robustness._efforts import DEFAULT, EFFORTS
from skaae.robustness._evidence import share_of_planted_found, share_without_gradient
from skaae.robustness._gradient_attacks import art, foolbox, quiet_libraries
from skaae.robustness._judging import frame_of, with_worst_cases
from skaae.robustness._parallel import number_of_processes, run_in_processes
from skaae.robustness._plan import Beginning, Plan
from skaae.robustness._report import RobustnessReport
from skaae.robustness._target import Target, Verdict

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

# Of columns that the report lists.
MOST_NAMES = 30


def evaluate_robustness(
    estimator: Any,
    X: ArrayLike,
    y: ArrayLike,
    *,
    attacks: str | Sequence[str] = "fast",
    sizes: ArrayLike | None = None,
    unit: str = "auto",
    constraints: FeatureConstraints | None = None,
    n_samples: int | None = None,
    n_jobs: int | None = None,
    time_limit: float | None = None,
    random_state: int | RandomState | None = None,
    verbose: int = 0,
) -> RobustnessReport:
    """Attack an estimator on rows with known classes, and report how many answers stay right.

    Attackers differ in what they know: "none" only adds noise, "unaware" attacks the classifier alone, and "knowing"
    attacks through the defense too. A row is lost if any restart of an attack makes the final answer wrong, whether
    an alarm was raised or not; the share of wrong answers without an alarm is given beside it.

    Parameters
    ----------
    estimator : AdversarialAEDetector, CorrectedClassifier, Pipeline that holds one of them, or classifier
        Fitted. A classifier without a defense gets the attacks on itself: a ``keras.Model``, a scikit-learn
        classifier or Pipeline, an XGBClassifier, LGBMClassifier or CatBoostClassifier. A search is taken for the
        best estimator that it found.
    X : array-like or DataFrame of shape (n_samples, ...)
        Rows that neither the classifier nor the detector was trained on, as the estimator takes them.
    y : array-like of shape (n_samples,)
        Their classes.
    attacks : {"fast", "standard", "thorough"} or list of str, default="fast"
        A set of attacks, which also says how hard they try, or names of attacks. A list tries as hard as "standard".
    sizes : array-like of float or None, default=None
        How far each feature is moved at most. None: 0.1, 0.2 and 0.3 for tables, 0.05, 0.1 and 0.2 for images. Attacks
        in other norms get the ball that has the volume of this box.
    unit : {"auto", "std", "range"}, default="auto"
        What a size of 1 is: a standard deviation of the feature in X, or its range. "auto": the range for images, where
        all values share one, else standard deviations.
    constraints : FeatureConstraints or None, default=None
        What an attacker can alter, and how far. None: the `mutable_features` of the detector, else all columns of
        numbers, in the range that they have in X; columns of whole numbers stay whole.
    n_samples : int or None, default=None
        Rows that are attacked, drawn with the shares of the classes. None: at most 300, 500 or 1000 by `attacks`.
    n_jobs : int or None, default=None
        Number of processes, each of which makes some of the attacks; -1: as many as processors. Each loads TensorFlow
        and the estimator first, so this pays where attacks take minutes. The figures are the same.
    time_limit : float or None, default=None
        Seconds after which no further attack begins. The report names what was left out.
    random_state : int, RandomState instance or None, default=None
        Seeds the rows and the attacks. With an int, each call gives the same figures.
    verbose : int, default=0
        1: a progress bar.

    Returns
    -------
    report : RobustnessReport
        After a KeyboardInterrupt, what was finished until then.

    Raises
    ------
    ValueError, TypeError
        If X or y does not fit the estimator, a label is not one of its classes, an argument is invalid, or the
        estimator is of another kind, such as a regressor. Nothing is attacked then.
    NotFittedError
        If the estimator is not fitted.
    ImportError
        If foolbox or ART is not installed.

    See Also
    --------
    skaae.metrics.defense_report : A report on rows that you have attacked yourself.
    skaae.attack_target : The defense as a network, for attacks of your own.

    Notes
    -----
    The accuracy that is left is an upper bound: it holds against the attacks that are listed, and says nothing of
    others.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skaae.robustness import evaluate_robustness
    >>> X, y = load_iris(return_X_y=True)
    >>> model = LogisticRegression(max_iter=1000).fit(X[::2], y[::2])
    >>> report = evaluate_robustness(model, X[1::2], y[1::2], attacks=["noise", "FGSM"], random_state=0)
    >>> report.frame["attack"].unique().tolist()
    ['clean', 'noise', 'FGSM', 'worst case']
    >>> bool(report.accuracy("unaware", 0.3) < report.accuracy())
    True
    """
    check_not_forked()
    check_arguments(attacks, unit, constraints, n_samples, time_limit, verbose)
    n_processes, seed = number_of_processes(n_jobs), checked_seed(random_state)
    foolbox(), art("attacks.evasion"), import_extra("pandas", "pandas")
    plan = Plan(
        estimator,
        X,
        y,
        attacks=attacks,
        effort=EFFORTS[attacks if isinstance(attacks, str) else DEFAULT],
        sizes=checked_sizes(sizes),
        unit=unit,
        constraints=constraints,
        n_samples=n_samples,
        seed=seed,
    )
    clock = Clock(time_limit, verbose)
    with quiet_libraries(), clock:
        beginning = plan.begin()
        everything = beginning.target.judge(beginning.X)
        campaign = beginning.campaign(clock, everything)
        if n_processes == 1:
            campaign.run(campaign.parts())
        else:
            run_in_processes(campaign, plan, n_processes)
        findings = _findings(campaign, everything, beginning.n_fixed, seed)
    return _report(beginning, campaign, findings)


def _report(beginning: Beginning, campaign: Campaign, findings: Findings) -> RobustnessReport:
    plan, target, moves = beginning.plan, beginning.target, beginning.moves
    lines = with_worst_cases([campaign.clean, *campaign.outcomes], campaign.sizes) + campaign.growing
    return RobustnessReport(
        frame=frame_of(lines, campaign.arena.labels, target.classes, target.detector is not None),
        check_list=all_checks(findings),
        settings={
            "estimator": target.name,
            "attacks": plan.attacks if isinstance(plan.attacks, str) else "chosen",
            "rows": f"{len(beginning.rows)} of {len(beginning.positions)}",
            "classes": len(target.classes),
            "features that move": moves.n_moving,
            **({} if moves.columns is None else {"columns that move": ", ".join(map(str, moves.columns[:MOST_NAMES]))}),
            "unit of sizes": "standard deviations" if moves.unit_name == "std" else "range",
            "gradient": "of the classifier" if target.own_gradient else "of a surrogate",
            "random_state": plan.seed,
            "seconds": round(campaign.clock.seconds, 1),
        },
        rows=beginning.rows,
        not_tried=[*not_tried(campaign.battery, target), *_left_out(campaign)],
        stopped=campaign.stopped,
    )


def _findings(campaign: Campaign, everything: Verdict, n_fixed: int, seed: int) -> Findings:
    arena, target = campaign.arena, campaign.arena.target
    through = ["classifier"] if target.detector is None else ["classifier", "defense", "both"]
    without: dict[str, float] = {}
    planted: dict[str, float] = {}
    try:
        for name in through if campaign.stopped is None else ():
            without[name] = share_without_gradient(arena, name)
            planted[name] = share_of_planted_found(arena, name, campaign.sizes[-1], seed)
    except KeyboardInterrupt:
        campaign.stopped = "interrupted"
    return Findings(
        outcomes=[campaign.clean, *campaign.outcomes],
        growing=campaign.growing,
        labels=arena.labels,
        classes=target.classes,
        sizes=campaign.sizes,
        promised=_promised(target),
        alarms=_alarms(everything),
        has_defense=target.detector is not None,
        own_gradient=target.own_gradient,
        stuck=arena.moves.stuck(campaign.sizes[-1]),
        n_moving=arena.moves.n_moving,
        n_fixed=n_fixed,
        never_flagged=_never_flagged(target),
        without_gradient=without,
        planted=planted,
    )


def _promised(target: Target) -> float | None:
    """The rate of false alarms that the thresholds promise: none if they were given, or are above all scores."""
    detector = target.detector
    if detector is None or detector._calibration is None:
        return None
    percentile = detector._calibration.percentile or detector.threshold_percentile
    return None if percentile == 100 else 1 - float(percentile) / 100


def _never_flagged(target: Target) -> list[str]:
    """Classes for which the detector has no threshold, because it had too few rows."""
    if target.detector is None:
        return []
    return [str(label) for label in target.classes[np.isinf(target.detector.class_thresholds_)]]


def _alarms(verdict: Verdict) -> dict[str, tuple[int, int]]:
    """Flagged and all rows of each class that the classifier predicts."""
    found = {}
    for label in np.unique(verdict.undefended):
        own = verdict.undefended == label
        found[str(label)] = int(verdict.flagged[own].sum()), int(own.sum())
    return found


def _left_out(campaign: Campaign) -> list[str]:
    """Names of the chosen attacks that were not reached."""
    done = {outcome.attack for outcome in campaign.outcomes}
    return [attack.name for attack in campaign.battery if attack.name not in done]
