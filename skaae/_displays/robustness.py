"""A display of the accuracy with and without the defense, by strength of attack or by threshold."""

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

LINE_STYLES: dict[str, dict[str, Any]] = {
    "without defense": {"color": VERMILLION, "linestyle": "--", "marker": "X", "linewidth": 1.8},
    # Wider than the other lines and drawn below them, so that it is visible where they coincide.
    "corrected": {"color": BLUE, "linestyle": "-", "marker": "o", "linewidth": 3, "zorder": 1.9},
    "always reconstructed": {"color": GREEN, "linestyle": "-.", "marker": "^", "linewidth": 1.8},
}
# Longer curves show a marker at about this many of their points, so that markers do not hide the line.
MAX_MARKERS = 12


@dataclass(eq=False, repr=False)
class RobustnessDisplay:
    """Accuracy without defense, with correction, and with every row reconstructed.

    The x-axis is either the strength of an attack, or the percentile of clean scores that sets the
    threshold. In the second case the display also shows the false-alarm rate, which is the share of
    clean rows that are flagged, beside the rate that the percentile promises.

    Use :meth:`from_estimator`, :meth:`from_predictions` or :meth:`from_report` to create the display. All
    parameters are stored as attributes.

    Parameters
    ----------
    x : ndarray of shape (n_points,)
        Strengths in ascending order, or percentiles.
    accuracy_without_defense : ndarray of shape (n_points,)
        Accuracy of M(x), in [0, 1].
    accuracy : ndarray of shape (n_points,)
        Accuracy of the corrected predictions.
    accuracy_reconstructed : ndarray of shape (n_points,) or None, default=None
        Accuracy of M(x') on all rows. None: it is not known.
    false_alarms : ndarray of shape (n_points,) or None, default=None
        Share of the clean rows that are flagged at each percentile. None if `x` contains strengths.

    Attributes
    ----------
    lines_ : dict of str to matplotlib Line2D
        The curves, by their name in the legend.
    legend_ : matplotlib Legend
        The legend.
    ax_ : matplotlib Axes
        The axes with the curves.
    figure_ : matplotlib Figure
        The figure that contains the axes.

    See Also
    --------
    ScoreDisplay : Distributions of the scores.
    skaae.metrics.defense_report : The same accuracies as a table, for attacks with names.

    Examples
    --------
    >>> import numpy as np
    >>> from skaae import RobustnessDisplay
    >>> labels, fooled = np.array([0, 0, 1, 1]), np.array([1, 1, 0, 1])
    >>> clean = {"no_defense": labels, "corrected": labels, "defense": [0, 0, 1, 0]}
    >>> attacked = {"no_defense": fooled, "corrected": [0, 1, 1, 1], "defense": [0, 0, 1, 1]}
    >>> display = RobustnessDisplay.from_predictions({0.0: clean, 0.3: attacked}, labels)
    >>> display.accuracy_without_defense, display.accuracy
    (array([1.  , 0.25]), array([1.  , 0.75]))
    """

    x: np.ndarray
    accuracy_without_defense: np.ndarray
    accuracy: np.ndarray
    accuracy_reconstructed: np.ndarray | None = None
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
        """Draw the accuracies of a detector on attacked rows.

        Without `X_calibration`, the x-axis is the strength of the attack. With it, the x-axis is the
        percentile that sets the threshold.

        Parameters
        ----------
        estimator : AdversarialAEDetector, Pipeline that ends in one, CorrectedClassifier, or a search over these
            The fitted estimator. Its threshold is not changed.
        attacked : mapping of float to array-like, or pair of sequences, or array-like of shape (n_samples, ...)
            Without `X_calibration`, a mapping from strengths to the rows attacked with them, or the
            strengths and their attacked rows as two sequences. With `X_calibration`, attacked rows.
        y : array-like of shape (n_samples,)
            True class labels of the rows. The order of the rows must be the same for all strengths.
        X : array-like of shape (n_samples, ...) or None, default=None
            Clean rows on which neither the classifier nor the detector was trained. Without
            `X_calibration`, they are optional and are drawn at strength 0. With `X_calibration`, they are
            required, because false alarms are counted on them.
        X_calibration : array-like of shape (n_calibration, ...) or None, default=None
            Other clean rows. The percentiles of their scores are the thresholds.
        percentiles : array-like of float or None, default=None
            Percentages of clean rows below the threshold, in (0, 100]. None means 100 values from 80 to
            the highest percentile that the number of calibration rows can promise, at most 99.5. With
            few calibration rows they start below 80.
        xlabel : str or None, default=None
            Label of the x-axis, for example the norm and the unit of the strength.
        ax : matplotlib Axes or None, default=None
            Axes to draw in. None means a new figure.

        Returns
        -------
        display : RobustnessDisplay

        Raises
        ------
        NotFittedError, TypeError, ValueError
            If the estimator is not fitted or does not end in a detector, or if an argument is not valid.
        ImportError
            If matplotlib is not installed.
        """
        pyplot()
        labels: np.ndarray = column_or_1d(y)
        if X_calibration is None:
            _check_no_percentiles(percentiles)
            rows = _items_by_strength(attacked)
            named_rows = {f"attacked[{strength!r}]": X_attacked for strength, X_attacked in rows.items()}
            _check_lengths(labels, {"X": X, **named_rows})
            rows = rows if X is None else {0.0: X, **rows}
            results = {strength: _correct(estimator, X_attacked) for strength, X_attacked in rows.items()}
            return cls.from_predictions(results, labels, xlabel=xlabel, ax=ax)
        if X is None:
            raise ValueError("X_calibration requires X too: pass other clean rows, on which false alarms are counted.")
        _check_lengths(labels, {"attacked": attacked})
        return cls.from_predictions(
            _correct(estimator, attacked),
            labels,
            scores=_correct(estimator, X)["instance_score"],
            scores_calibration=_correct(estimator, X_calibration)["instance_score"],
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
        """Draw the accuracies from results of ``correct``.

        Without `scores_calibration`, the x-axis is the strength of the attack. With it, the x-axis is
        the percentile that sets the threshold.

        Parameters
        ----------
        results : mapping
            Without `scores_calibration`, a mapping from strengths to what ``correct`` returned for the
            rows attacked with them. The class labels "no_defense", "corrected" and "defense", of shape
            (n_samples,), are used. With `scores_calibration`, what ``correct`` returned for attacked
            rows. Its entries "instance_score", "no_defense" and "defense" are used.
        y : array-like of shape (n_samples,)
            True class labels of the rows.
        scores : array-like of shape (n_clean,) or None, default=None
            Scores of the clean rows on which false alarms are counted.
        scores_calibration : array-like of shape (n_calibration,) or None, default=None
            Scores of other clean rows. Their percentiles are the thresholds.
        percentiles, xlabel, ax : object
            See :meth:`from_estimator`.

        Returns
        -------
        display : RobustnessDisplay

        Raises
        ------
        TypeError, ValueError
            If an argument is not valid.
        ImportError
            If matplotlib is not installed.
        """
        labels: np.ndarray = column_or_1d(y)
        if scores_calibration is None:
            _check_no_percentiles(percentiles)
            return cls._by_strength(_items_by_strength(results), labels).plot(ax, xlabel=xlabel)
        if scores is None:
            raise ValueError(
                "scores_calibration requires scores too: pass scores of other clean rows, to count false alarms."
            )
        clean, calibration = checked_scores(scores, "scores"), checked_scores(scores_calibration, "scores_calibration")
        return cls._by_percentile(results, labels, clean, calibration, percentiles).plot(ax, xlabel=xlabel)

    @classmethod
    def from_report(
        cls, report: Any, attacker: str = "unaware", *, xlabel: str | None = None, ax: Axes | None = None
    ) -> RobustnessDisplay:
        """Draw the accuracies in the worst case by size, out of a report with a defense.

        Parameters
        ----------
        report : RobustnessReport
            From :func:`skaae.robustness.evaluate_robustness`.
        attacker : {"unaware", "knowing"}, default="unaware"
            What the attacker knows.
        xlabel, ax : object
            See :meth:`from_estimator`.

        Returns
        -------
        display : RobustnessDisplay
            Its accuracies are the columns of the same names in ``report.frame``.

        Raises
        ------
        TypeError
            If it is no report.
        ValueError
            If the report has no defense, or no attack of this attacker.
        """
        if not hasattr(report, "worst_cases"):
            raise TypeError(f"report must be a RobustnessReport, got {type(report).__name__}.")
        lines = report.worst_cases(attacker)
        if not report.has_defense:
            raise ValueError("report must be of an estimator with a defense. Use report.plot() for one without.")
        columns = ("size", "accuracy_without_defense", "accuracy")
        default = f"size of the attacks ({report.settings['unit of sizes']}), {attacker} attacker"
        found = cls(*(lines[column].to_numpy() for column in columns))
        return found.plot(ax, xlabel=default if xlabel is None else xlabel)

    @classmethod
    def _by_strength(cls, results: Mapping[float, Any], y: np.ndarray) -> RobustnessDisplay:
        strengths = sorted(results)
        accuracies = [
            [np.mean(_entry(results[strength], name, y, f"results[{strength!r}]") == y) for strength in strengths]
            for name in ("no_defense", "corrected", "defense")
        ]
        return cls(np.array(strengths, dtype=np.float64), *map(np.array, accuracies))

    @classmethod
    def _by_percentile(
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
            Axes to draw in. None means a new figure.
        xlabel : str or None, default=None
            Label of the x-axis. None means a label that names the strength or the percentile.

        Returns
        -------
        display : RobustnessDisplay
        """
        self.ax_: Axes = single_axes(ax, (6.4, 4.4))
        self.figure_: Any = self.ax_.figure
        values = self.accuracy_without_defense, self.accuracy, self.accuracy_reconstructed
        marker_style: dict[str, Any] = {"markevery": -(-len(self.x) // MAX_MARKERS), "markersize": 6}
        prefix = "" if self.false_alarms is None else "accuracy: "
        self.lines_ = {
            name: self.ax_.plot(self.x, accuracy, label=f"{prefix}{name}", **style, **marker_style)[0]
            for (name, style), accuracy in zip(LINE_STYLES.items(), values, strict=True)
            if accuracy is not None
        }
        if self.false_alarms is not None:
            self._draw_false_alarms(self.false_alarms, marker_style)
        self.ax_.set_ylim(-0.03, 1.03)
        self.ax_.yaxis.set_major_formatter(import_extra("matplotlib.ticker", "matplotlib").PercentFormatter(1))
        default = "strength of the attack" if self.false_alarms is None else "threshold (percentile of clean scores)"
        self.ax_.set(xlabel=default if xlabel is None else xlabel)
        self.ax_.set(ylabel="accuracy" if self.false_alarms is None else "share of rows")
        self.legend_: Any = legend_above(self.ax_, ncols=3 if self.false_alarms is None else 2)
        return self

    def _draw_false_alarms(self, false_alarms: np.ndarray, marker_style: dict[str, Any]) -> None:
        style = {"linestyle": "-", "marker": "s", "markerfacecolor": "none", "linewidth": 1.8, **marker_style}
        color = foreground(self.ax_)
        (observed,) = self.ax_.plot(self.x, false_alarms, label="false-alarm rate", color=color, **style)
        rates = 1 - self.x / 100
        (promised,) = self.ax_.plot(self.x, rates, label="promised false-alarm rate", color=color, linestyle=":")
        self.lines_ |= {"false-alarm rate": observed, "promised false-alarm rate": promised}


def _correct(estimator: Any, X: Any) -> Any:
    detector, rows = detector_and_rows(estimator, X)
    return detector.correct(rows)


def _items_by_strength(items: Any) -> dict[float, Any]:
    """Map strengths to rows or results, given as a mapping or as two sequences."""
    if not isinstance(items, Mapping):
        if not isinstance(items, (tuple, list)) or len(items) != 2 or len(items[0]) != len(items[1]):
            raise TypeError(
                "Expected a dict from strengths to attacked rows, or the strengths and their attacked rows as two "
                "sequences of the same length. To draw accuracies by percentile, pass clean rows for the threshold too."
            )
        items = dict(zip(items[0], items[1], strict=True))
    invalid = [strength for strength in items if not isinstance(strength, Real) or not np.isfinite(float(strength))]
    if invalid or not items:
        raise ValueError(
            f"Strengths must be finite numbers, got {invalid or 'none'}. For attacks with names, use "
            f"skaae.metrics.defense_report."
        )
    return {float(strength): item for strength, item in items.items()}


def _check_no_percentiles(percentiles: Any) -> None:
    if percentiles is not None:
        raise ValueError("percentiles requires clean rows for the threshold: pass X_calibration or scores_calibration.")


def _check_lengths(y: np.ndarray, rows: Mapping[str, Any]) -> None:
    for name, values in rows.items():
        if values is not None and _num_samples(values) != len(y):
            raise ValueError(f"{name} has {_num_samples(values)} rows, but y has {len(y)} labels.")


def _entry(results: Any, name: str, y: np.ndarray, argument: str) -> np.ndarray:
    if not isinstance(results, Mapping) or name not in results:
        raise ValueError(f"{argument} must be a result of correct, but it has no entry {name!r}.")
    entry = np.asarray(results[name])
    if entry.shape != y.shape:
        raise ValueError(f"{argument}[{name!r}] has shape {entry.shape}, but y has shape {y.shape}.")
    return entry


def _checked_percentiles(percentiles: Any, n_calibration: int) -> np.ndarray:
    if percentiles is None:
        highest = min(99.5, 100 * n_calibration / (n_calibration + 1))
        return np.linspace(min(80, highest - 10), highest, 100)
    x = np.sort(column_or_1d(np.asarray(percentiles, dtype=np.float64)))
    if not len(x) or not (x[0] > 0 and x[-1] <= 100):
        raise ValueError(f"percentiles must be in (0, 100], got {percentiles!r}.")
    return x
