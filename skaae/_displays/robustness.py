"""Accuracy with and without the defense, against the strength of an attack or against the threshold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils.validation import _num_samples, column_or_1d

from skaae._displays.axes import (
    BLUE,
    GREEN,
    VERMILLION,
    checked_scores,
    detector_and_rows,
    foreground,
    legend_above,
    pyplot,
    single_axes,
)
from skaae._scoring.threshold import conformal_threshold
from skaae._utils.extras import import_extra

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike

LOOKS: dict[str, dict[str, Any]] = {
    "without defense": {"color": VERMILLION, "linestyle": "--", "marker": "X", "linewidth": 1.8},
    # Broader and below the others, so that it is seen where they coincide.
    "corrected": {"color": BLUE, "linestyle": "-", "marker": "o", "linewidth": 3, "zorder": 1.9},
    "always reconstructed": {"color": GREEN, "linestyle": "-.", "marker": "^", "linewidth": 1.8},
}
# More points than this are a curve, on which markers would hide the line: so many carry one.
MARKERS = 12


@dataclass(eq=False, repr=False)
class RobustnessDisplay:
    """Accuracy without defense, corrected, and with every row reconstructed.

    Against the strength of an attack, or against the percentile of clean scores that sets the
    threshold; then the share of clean rows that is flagged is drawn too, beside the share that the
    percentile promises.

    It is recommended to use :meth:`from_estimator` or :meth:`from_predictions`. All parameters are
    stored as attributes.

    Parameters
    ----------
    x : ndarray of shape (n_points,)
        Strengths, ascending, or percentiles.
    accuracy_without_defense, accuracy_corrected, accuracy_reconstructed : ndarray of shape (n_points,)
        Accuracy of M(x), of the corrected predictions, and of M(x') for every row; in [0, 1].
    false_alarms : ndarray of shape (n_points,) or None, default=None
        Share of the clean rows that is flagged at each percentile. None: x are strengths.

    Attributes
    ----------
    lines_ : dict of str to matplotlib Line2D
        By the name in the legend.
    legend_ : matplotlib Legend
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    See Also
    --------
    ScoreDisplay : Distributions of the scores.
    skaae.metrics.defense_report : The same accuracies as a table, for attacks that have names.

    Examples
    --------
    >>> import numpy as np
    >>> from skaae import RobustnessDisplay
    >>> labels, fooled = np.array([0, 0, 1, 1]), np.array([1, 1, 0, 1])
    >>> clean = {"no_defense": labels, "corrected": labels, "defense": [0, 0, 1, 0]}
    >>> attacked = {"no_defense": fooled, "corrected": [0, 1, 1, 1], "defense": [0, 0, 1, 1]}
    >>> display = RobustnessDisplay.from_predictions({0.0: clean, 0.3: attacked}, labels)
    >>> display.accuracy_without_defense, display.accuracy_corrected
    (array([1.  , 0.25]), array([1.  , 0.75]))
    """

    x: np.ndarray
    accuracy_without_defense: np.ndarray
    accuracy_corrected: np.ndarray
    accuracy_reconstructed: np.ndarray
    false_alarms: np.ndarray | None = None

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        attacked: Mapping[float, ArrayLike] | tuple[Sequence[float], Sequence[ArrayLike]] | ArrayLike,
        y: ArrayLike,
        *,
        X: ArrayLike | None = None,
        X_calibration: ArrayLike | None = None,
        percentiles: ArrayLike | None = None,
        xlabel: str | None = None,
        ax: Axes | None = None,
    ) -> RobustnessDisplay:
        """Draw what a detector does for attacked rows.

        Parameters
        ----------
        estimator : AdversarialAEDetector, Pipeline that ends in one, CorrectedClassifier, or a search over these
            Fitted. It is not changed: no threshold is set in it.
        attacked : mapping of float to array-like, or pair of sequences, or array-like of shape (n_samples, ...)
            Against strength: strength -> rows attacked with it, or the strengths and their rows as two
            sequences. Against the percentile (with `X_calibration`): attacked rows.
        y : array-like of shape (n_samples,)
            True class labels of the rows, in the same order for each strength.
        X : array-like of shape (n_samples, ...) or None, default=None
            The clean rows that nothing has been trained on. Against strength: strength 0, if they are
            given. Against the percentile they are wanted: false alarms are counted on them.
        X_calibration : array-like of shape (n_calibration, ...) or None, default=None
            Other clean rows; quantiles of their scores are the thresholds. None: against strength.
        percentiles : array-like of float or None, default=None
            Percentages of clean rows below the threshold, in (0, 100]; None: from 80 to the highest
            that so many calibration rows can promise, 99.5 at most.
        xlabel : str or None, default=None
            Label of the x-axis, such as the norm and the unit of the strength.
        ax : matplotlib Axes or None, default=None
            Where to draw; None: a new figure.

        Returns
        -------
        display : RobustnessDisplay

        Raises
        ------
        NotFittedError, TypeError, ValueError
            If the estimator has not been fitted, has no detector at its end, or an argument does not fit.
        ImportError
            If matplotlib is not installed.
        """
        pyplot()
        labels: np.ndarray = column_or_1d(y)
        if X_calibration is None:
            _check_no_percentiles(percentiles)
            rows = _by_strength(attacked)
            _check_lengths(labels, {"X": X, **{f"attacked[{strength!r}]": found for strength, found in rows.items()}})
            rows = rows if X is None else {0.0: X, **rows}
            results = {strength: _corrected(estimator, found) for strength, found in rows.items()}
            return cls.from_predictions(results, labels, xlabel=xlabel, ax=ax)
        if X is None:
            raise ValueError("X must be given with X_calibration: false alarms are counted on these clean rows.")
        _check_lengths(labels, {"attacked": attacked})
        return cls.from_predictions(
            _corrected(estimator, attacked),
            labels,
            scores=_corrected(estimator, X)["instance_score"],
            scores_calibration=_corrected(estimator, X_calibration)["instance_score"],
            percentiles=percentiles,
            xlabel=xlabel,
            ax=ax,
        )

    @classmethod
    def from_predictions(
        cls,
        results: Mapping[Any, Any],
        y: ArrayLike,
        *,
        scores: ArrayLike | None = None,
        scores_calibration: ArrayLike | None = None,
        percentiles: ArrayLike | None = None,
        xlabel: str | None = None,
        ax: Axes | None = None,
    ) -> RobustnessDisplay:
        """Draw what ``correct`` has returned.

        Parameters
        ----------
        results : mapping
            Against strength: strength -> what ``correct`` returned for the rows attacked with it, of
            which "no_defense", "corrected" and "defense" are used, class labels of shape (n_samples,).
            Against the percentile (with `scores_calibration`): what it returned for attacked rows, of
            which "instance_score", "no_defense" and "defense" are used.
        y : array-like of shape (n_samples,)
            True class labels of the rows.
        scores : array-like of shape (n_clean,) or None, default=None
            Scores of clean rows, on which false alarms are counted.
        scores_calibration : array-like of shape (n_calibration,) or None, default=None
            Scores of other clean rows; their quantiles are the thresholds. None: against strength.
        percentiles, xlabel, ax : object
            As for :meth:`from_estimator`.

        Returns
        -------
        display : RobustnessDisplay

        Raises
        ------
        TypeError, ValueError
            If an argument does not fit.
        ImportError
            If matplotlib is not installed.
        """
        labels: np.ndarray = column_or_1d(y)
        if scores_calibration is None:
            _check_no_percentiles(percentiles)
            return cls._against_strength(_by_strength(results), labels).plot(ax, xlabel=xlabel)
        if scores is None:
            raise ValueError("scores must be given with scores_calibration: false alarms are counted on them.")
        found = checked_scores(scores, "scores"), checked_scores(scores_calibration, "scores_calibration")
        return cls._against_percentile(results, labels, *found, percentiles).plot(ax, xlabel=xlabel)

    @classmethod
    def _against_strength(cls, results: Mapping[float, Any], y: np.ndarray) -> RobustnessDisplay:
        strengths = sorted(results)
        accuracies = [
            [np.mean(_entry(results[strength], name, y, f"results[{strength!r}]") == y) for strength in strengths]
            for name in ("no_defense", "corrected", "defense")
        ]
        return cls(np.array(strengths, dtype=np.float64), *map(np.array, accuracies))

    @classmethod
    def _against_percentile(
        cls, results: Mapping[str, Any], y: np.ndarray, scores: np.ndarray, calibration: np.ndarray, percentiles: Any
    ) -> RobustnessDisplay:
        x = _checked_percentiles(percentiles, len(calibration))
        no_defense, defense = (_entry(results, name, y, "results") == y for name in ("no_defense", "defense"))
        attacked = checked_scores(_entry(results, "instance_score", y, "results"), "results['instance_score']")
        thresholds = np.array([conformal_threshold(calibration, percentile) for percentile in x])
        return cls(
            x,
            np.full(len(x), no_defense.mean()),
            np.where(attacked > thresholds[:, None], defense, no_defense).mean(axis=1),
            np.full(len(x), defense.mean()),
            np.mean(scores > thresholds[:, None], axis=1),
        )

    def plot(self, ax: Axes | None = None, *, xlabel: str | None = None) -> RobustnessDisplay:
        """Draw the curves.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            Where to draw; None: a new figure.
        xlabel : str or None, default=None
            Label of the x-axis; None: "strength of the attack" or "threshold percentile".

        Returns
        -------
        display : RobustnessDisplay
        """
        self.ax_: Axes = single_axes(ax, (6.4, 4.4))
        self.figure_: Any = self.ax_.figure
        values = self.accuracy_without_defense, self.accuracy_corrected, self.accuracy_reconstructed
        every: dict[str, Any] = {"markevery": -(-len(self.x) // MARKERS), "markersize": 6}
        prefix = "" if self.false_alarms is None else "accuracy "
        self.lines_ = {
            name: self.ax_.plot(self.x, accuracy, label=f"{prefix}{name}", **look, **every)[0]
            for (name, look), accuracy in zip(LOOKS.items(), values, strict=True)
        }
        if self.false_alarms is not None:
            self._draw_false_alarms(self.false_alarms, every)
        self.ax_.set_ylim(-0.03, 1.03)
        self.ax_.yaxis.set_major_formatter(import_extra("matplotlib.ticker", "matplotlib").PercentFormatter(1))
        named = "strength of the attack" if self.false_alarms is None else "threshold percentile of clean scores (%)"
        self.ax_.set(xlabel=named if xlabel is None else xlabel)
        self.ax_.set(ylabel="accuracy" if self.false_alarms is None else "share of rows")
        self.legend_: Any = legend_above(self.ax_, ncols=3 if self.false_alarms is None else 2)
        return self

    def _draw_false_alarms(self, false_alarms: np.ndarray, every: dict[str, Any]) -> None:
        look = {"linestyle": "-", "marker": "s", "markerfacecolor": "none", "linewidth": 1.8, **every}
        color = foreground(self.ax_)
        (seen,) = self.ax_.plot(self.x, false_alarms, label="false-alarm rate", color=color, **look)
        promised = 1 - self.x / 100
        (line,) = self.ax_.plot(self.x, promised, label="promised false-alarm rate", color=color, linestyle=":")
        self.lines_ |= {"false-alarm rate": seen, "promised false-alarm rate": line}


def _corrected(estimator: Any, X: Any) -> Any:
    detector, rows = detector_and_rows(estimator, X)
    return detector.correct(rows)


def _by_strength(values: Any) -> dict[float, Any]:
    """Strength -> rows or results, from a mapping or from two sequences."""
    if not isinstance(values, Mapping):
        if not isinstance(values, (tuple, list)) or len(values) != 2 or len(values[0]) != len(values[1]):
            raise TypeError(
                "A dict from strength to rows is wanted, or the strengths and their rows as two sequences of one "
                "length. With clean rows for the threshold, against its percentile, attacked rows are one array."
            )
        values = dict(zip(values[0], values[1], strict=True))
    strange = [strength for strength in values if not isinstance(strength, Real) or not np.isfinite(float(strength))]
    if strange or not values:
        raise ValueError(
            f"Strengths must be finite numbers, got {strange or 'none'}. For attacks that have names: "
            f"skaae.metrics.defense_report."
        )
    return {float(strength): found for strength, found in values.items()}


def _check_no_percentiles(percentiles: Any) -> None:
    if percentiles is not None:
        raise ValueError("percentiles has no use without clean rows that set the threshold.")


def _check_lengths(y: np.ndarray, rows: Mapping[str, Any]) -> None:
    for name, found in rows.items():
        if found is not None and _num_samples(found) != len(y):
            raise ValueError(f"{name} has {_num_samples(found)} rows, y has {len(y)} labels.")


def _entry(results: Any, name: str, y: np.ndarray, argument: str) -> np.ndarray:
    if not isinstance(results, Mapping) or name not in results:
        raise ValueError(f"{argument} must be what correct returns, with {name!r}.")
    found = np.asarray(results[name])
    if found.shape != y.shape:
        raise ValueError(f"{argument}[{name!r}] has shape {found.shape}, that of y is wanted: {y.shape}.")
    return found


def _checked_percentiles(percentiles: Any, n_calibration: int) -> np.ndarray:
    if percentiles is None:
        highest = min(99.5, 100 * n_calibration / (n_calibration + 1))
        return np.linspace(min(80, highest - 10), highest, 100)
    x = np.sort(column_or_1d(np.asarray(percentiles, dtype=np.float64)))
    if not len(x) or not (x[0] > 0 and x[-1] <= 100):
        raise ValueError(f"percentiles must be in (0, 100], got {percentiles!r}.")
    return x
