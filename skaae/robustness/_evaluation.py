"""One call that attacks an estimator and reports what is left."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils import _safe_indexing, resample
from sklearn.utils.validation import check_consistent_length, column_or_1d

from skaae._constraints import FeatureConstraints
from skaae._data.input import check_labels
from skaae._keras.processes import check_not_forked
from skaae._keras.seeds import draw_seed
from skaae._utils.extras import import_extra
from skaae.robustness._arena import Arena
from skaae.robustness._battery import battery_for, check_preset, not_tried
from skaae.robustness._budgets import DEFAULT_SIZES, UNITS, moves_of
from skaae.robustness._campaign import Campaign
from skaae.robustness._checks import Findings, all_checks
from skaae.robustness._clock import Clock
from skaae.robustness._efforts import DEFAULT, EFFORTS
from skaae.robustness._evidence import share_of_planted_found, share_without_gradient
from skaae.robustness._gradient_attacks import art, foolbox, quiet_tensorflow
from skaae.robustness._judging import Outcome, frame_of, with_worst_cases
from skaae.robustness._report import RobustnessReport
from skaae.robustness._target import Target, Verdict, read_rows, target_of

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


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
    time_limit: float | None = None,
    random_state: int | np.random.RandomState | None = None,
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
    _check_arguments(attacks, unit, constraints, n_samples, time_limit)
    foolbox(), art("attacks.evasion"), import_extra("pandas", "pandas")
    effort, seed = EFFORTS[attacks if isinstance(attacks, str) else DEFAULT], draw_seed(random_state)
    X = read_rows(X, estimator)
    target = target_of(estimator, X, seed)
    positions = _positions(y, X, target)
    checked_sizes = _checked_sizes(sizes, target.images)
    battery = battery_for(attacks, target)
    mutable_features = _mutable_features(target) if constraints is None else None
    moves = moves_of(X, constraints, mutable_features, target.images, unit)
    everything = target.judge(X)
    rows = _chosen_rows(positions, effort.n_samples if n_samples is None else n_samples, seed)
    arena = Arena.of(target, moves.take(rows), positions[rows], checked_sizes[-1])
    labels = target.classes[positions[rows]]
    clean = Outcome.of_clean_rows(_part(everything, rows), labels)
    clock = Clock(
        time_limit, sum(1 if a.is_minimal or a.more > 1 else len(checked_sizes) for a in battery) + 3, verbose
    )
    campaign = Campaign(arena, clean, battery, checked_sizes, effort, seed, clock)
    with quiet_tensorflow():
        campaign.run()
        findings = _findings(campaign, everything, seed)
    clock.close()
    lines = with_worst_cases(campaign.outcomes, checked_sizes) + campaign.growing
    return RobustnessReport(
        frame=frame_of(lines, arena.labels, target.classes, target.detector is not None),
        check_list=all_checks(findings),
        settings={
            "estimator": target.name,
            "attacks": attacks if isinstance(attacks, str) else "chosen",
            "rows": f"{len(rows)} of {len(positions)}",
            "classes": len(target.classes),
            "features that move": moves.n_moving,
            "unit of sizes": "standard deviations" if moves.unit_name == "std" else "range",
            "gradient": "of the classifier" if target.own_gradient else "of a surrogate",
            "random_state": seed,
            "seconds": round(clock.seconds, 1),
        },
        rows=rows,
        not_tried=[*not_tried(battery, target), *_left_out(campaign)],
        stopped=campaign.stopped,
    )


def _check_arguments(attacks: Any, unit: Any, constraints: Any, n_samples: Any, time_limit: Any) -> None:
    if isinstance(attacks, str):
        check_preset(attacks)
    elif not isinstance(attacks, Sequence) or not all(isinstance(name, str) for name in attacks):
        raise TypeError(f"attacks must be the name of a set or a list of names, got {attacks!r}.")
    if unit not in UNITS:
        raise ValueError(f"unit must be one of {UNITS}, got {unit!r}.")
    if constraints is not None and not isinstance(constraints, FeatureConstraints):
        raise TypeError(f"constraints must be FeatureConstraints or None, got {type(constraints).__name__}.")
    if n_samples is not None and (not isinstance(n_samples, Integral) or n_samples < 1):
        raise ValueError(f"n_samples must be an integer of at least 1, or None, got {n_samples!r}.")
    if time_limit is not None and (not isinstance(time_limit, Real) or not float(time_limit) > 0):
        raise ValueError(f"time_limit must be a positive number of seconds, or None, got {time_limit!r}.")


def _checked_sizes(sizes: Any, images: bool) -> list[float]:
    if sizes is None:
        return list(DEFAULT_SIZES["image" if images else "table"])
    try:
        found = np.unique(np.asarray(sizes, dtype=np.float64).ravel())
    except (TypeError, ValueError):
        found = np.array([np.nan])
    if not len(found) or not (np.isfinite(found) & (found > 0)).all():
        raise ValueError(f"sizes must be positive numbers, got {sizes!r}.")
    return [float(size) for size in found]


def _positions(y: Any, X: Any, target: Target) -> np.ndarray:
    """The positions of the labels among the classes."""
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


def _mutable_features(target: Target) -> Any:
    """Those of the detector, which are columns of X unless there are transformers before it."""
    chosen = None if target.detector is None else target.detector.mutable_features
    if chosen is not None and target.has_prefix:
        raise ValueError(
            f"The detector has mutable_features={list(chosen)[:10]}, which are columns of what the transformers before "
            f"it return. Pass constraints=FeatureConstraints.from_data(X, mutable_features) with columns of X."
        )
    return chosen


def _chosen_rows(positions: np.ndarray, n_samples: int, seed: int) -> np.ndarray:
    rows = np.arange(len(positions))
    if n_samples >= len(rows):
        return rows
    chosen = resample(rows, replace=False, n_samples=n_samples, stratify=positions, random_state=seed)
    return np.sort(np.asarray(chosen))


def _part(verdict: Verdict, rows: np.ndarray) -> Verdict:
    return Verdict(*(_safe_indexing(part, rows) for part in (verdict.predicted, verdict.flagged, verdict.undefended)))


def _findings(campaign: Campaign, everything: Verdict, seed: int) -> Findings:
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
        campaign.outcomes,
        campaign.growing,
        arena.labels,
        target.classes,
        campaign.sizes,
        _promised(target),
        _alarms(everything),
        target.detector is not None,
        target.own_gradient,
        without,
        planted,
    )


def _promised(target: Target) -> float | None:
    detector = target.detector
    if detector is None or detector.threshold is not None:
        return None
    return 1 - float(detector.threshold_percentile) / 100


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
