"""A display of the score distributions of clean and attacked rows, with the threshold."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

import numpy as np

from skaae._displays.axes import (
    BLUE,
    VERMILLION,
    checked_scores,
    detector_and_rows,
    foreground,
    legend_above,
    pyplot,
    score_text,
    single_axes,
)
from skaae._displays.score_scale import LABEL_CHANGE, ScoreScale
from skaae._utils.extras import import_extra

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike


@dataclass(eq=False, repr=False)
class ScoreDisplay:
    """Score distributions of clean and attacked rows.

    The x-axis is logarithmic from the smallest to the largest score, with 0 at its left end. If the
    detector ranks label changes first (`label_change_first`), scores above 1000 are 1000 plus
    log-odds. They are shown on a separate linear part of the axis, with a shaded background.

    Use :meth:`from_estimator` or :meth:`from_predictions` to create the display. All parameters are
    stored as attributes.

    Parameters
    ----------
    scores : ndarray of shape (n_samples,)
        Adversarial scores of clean rows. They are at least 0.
    scores_attacked : ndarray of shape (n_attacked,) or None, default=None
        Adversarial scores of attacked rows.
    threshold : float or None, default=None
        Rows with higher scores are flagged. None means that no threshold and no rates are shown.
    label_change_first : bool, default=True
        Whether scores above 1000 belong to rows with different labels for x and x'.
    names : tuple of two str, default=("clean", "attacked")
        Names of the two kinds of rows in the legend.
    class_thresholds : ndarray of shape (n_classes,) or None, default=None
        Thresholds of the classes, if they do not share one.
    flagged, flagged_attacked : ndarray of bool or None, default=None
        Whether each row is flagged. None means by `threshold`.

    Attributes
    ----------
    histograms_ : list of matplotlib StepPatch
        Histograms of the clean rows and of the attacked rows, as shares of the rows in each bin.
    threshold_line_ : matplotlib Line2D or None
        The line at the threshold that most classes share. Thin lines show the thresholds of other classes.
    legend_ : matplotlib Legend
        The legend, which contains the threshold and the rates.
    ax_ : matplotlib Axes
        The axes with the histograms.
    figure_ : matplotlib Figure
        The figure that contains the axes.

    See Also
    --------
    RobustnessDisplay : Accuracy by strength of an attack, or by threshold.
    skaae.metrics.defense_report : The rates as a table.

    Notes
    -----
    The detection rate is computed on all attacked rows. In contrast, `defense_report` only counts
    those whose label the attack has changed.

    Examples
    --------
    >>> from skaae import ScoreDisplay
    >>> display = ScoreDisplay.from_predictions([0.0, 1e-4, 0.01, 0.2], [0.05, 1002.5], threshold=0.1)
    >>> display.false_alarm_rate, display.detection_rate
    (0.25, 0.5)
    >>> display.histograms_[0].get_data().values.sum()
    np.float64(1.0)
    """

    scores: np.ndarray
    scores_attacked: np.ndarray | None = None
    threshold: float | None = None
    label_change_first: bool = True
    names: tuple[str, str] = ("clean", "attacked")
    class_thresholds: np.ndarray | None = None
    flagged: np.ndarray | None = None
    flagged_attacked: np.ndarray | None = None

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: ArrayLike,
        X_attacked: ArrayLike | None = None,
        *,
        names: tuple[str, str] = ("clean", "attacked"),
        bins: int = 40,
        ax: Axes | None = None,
    ) -> ScoreDisplay:
        """Draw the scores that a detector computes.

        Parameters
        ----------
        estimator : AdversarialAEDetector, Pipeline that ends in one, CorrectedClassifier, or a search over these
            The fitted estimator.
        X : array-like of shape (n_samples, ...)
            Clean rows on which neither the classifier nor the detector was trained.
        X_attacked : array-like of shape (n_attacked, ...) or None, default=None
            Attacked rows.
        names : tuple of two str, default=("clean", "attacked")
            Names of the two kinds of rows in the legend.
        bins : int, default=40
            Number of bins.
        ax : matplotlib Axes or None, default=None
            Axes to draw in. None means a new figure.

        Returns
        -------
        display : ScoreDisplay

        Raises
        ------
        NotFittedError, TypeError, ValueError
            If the estimator is not fitted or does not end in a detector, or if the rows are not valid.
        ImportError
            If matplotlib is not installed.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from sklearn.linear_model import LogisticRegression
        >>> from skaae import AdversarialAEDetector, ScoreDisplay
        >>> X, y = load_iris(return_X_y=True)
        >>> detector = AdversarialAEDetector(LogisticRegression(max_iter=1000).fit(X, y), epochs=0).fit(X)
        >>> display = ScoreDisplay.from_estimator(detector, X, X + 2)
        >>> display.threshold == detector.threshold_
        True
        """
        pyplot()
        detector, rows = detector_and_rows(estimator, X)
        attacked = None if X_attacked is None else detector_and_rows(estimator, X_attacked)[1]
        _check_names(names)
        return cls(
            checked_scores(detector.adversarial_score(rows), "scores"),
            None if attacked is None else checked_scores(detector.adversarial_score(attacked), "scores_attacked"),
            detector.threshold_,
            detector.label_change_first,
            (names[0], names[1]),
            detector.class_thresholds_,
            detector.predict(rows) == -1,
            None if attacked is None else detector.predict(attacked) == -1,
        ).plot(bins=bins, ax=ax)

    @classmethod
    def from_predictions(
        cls,
        scores: ArrayLike,
        scores_attacked: ArrayLike | None = None,
        *,
        threshold: float | None = None,
        label_change_first: bool = True,
        names: tuple[str, str] = ("clean", "attacked"),
        bins: int = 40,
        ax: Axes | None = None,
    ) -> ScoreDisplay:
        """Draw scores that have already been computed.

        Parameters
        ----------
        scores : array-like of shape (n_samples,)
            Adversarial scores of clean rows: the result of ``adversarial_score``, or
            ``correct(X).instance_score``.
        scores_attacked : array-like of shape (n_attacked,) or None, default=None
            Adversarial scores of attacked rows.
        threshold : float or None, default=None
            Rows with higher scores are flagged. None means that no threshold and no rates are shown.
        label_change_first : bool, default=True
            The parameter of the detector: whether scores above 1000 belong to label changes.
        names : tuple of two str, default=("clean", "attacked")
            Names of the two kinds of rows in the legend.
        bins : int, default=40
            Number of bins.
        ax : matplotlib Axes or None, default=None
            Axes to draw in. None means a new figure.

        Returns
        -------
        display : ScoreDisplay

        Raises
        ------
        ValueError
            If a score or the threshold is negative or not finite.
        ImportError
            If matplotlib is not installed.
        """
        scores = checked_scores(scores, "scores")
        attacked = None if scores_attacked is None else checked_scores(scores_attacked, "scores_attacked")
        if threshold is not None and not (isinstance(threshold, Real) and 0 <= threshold < np.inf):
            raise ValueError(f"threshold must be a finite number >= 0 or None, got {threshold!r}.")
        _check_names(names)
        return cls(scores, attacked, threshold, label_change_first, (names[0], names[1])).plot(bins=bins, ax=ax)

    @property
    def false_alarm_rate(self) -> float | None:
        """Share of the clean rows that are flagged. None without a threshold."""
        return self._flagged_share(self.scores, self.flagged)

    @property
    def detection_rate(self) -> float | None:
        """Share of the attacked rows that are flagged. None without attacked rows or a threshold."""
        return self._flagged_share(self.scores_attacked, self.flagged_attacked)

    def _flagged_share(self, scores: np.ndarray | None, flagged: np.ndarray | None) -> float | None:
        if scores is None or self.threshold is None:
            return None
        return float(np.mean(scores > self.threshold if flagged is None else flagged))

    def _other_thresholds(self) -> np.ndarray:
        """The thresholds of classes that do not share the common one, and flag some rows."""
        thresholds = np.array([]) if self.class_thresholds is None else np.unique(self.class_thresholds)
        return thresholds[np.isfinite(thresholds) & (thresholds != self.threshold)]

    def plot(self, ax: Axes | None = None, *, bins: int = 40) -> ScoreDisplay:
        """Draw the distributions.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            Axes to draw in. None means a new figure.
        bins : int, default=40
            Number of bins.

        Returns
        -------
        display : ScoreDisplay
        """
        if not isinstance(bins, Integral) or bins < 1:
            raise ValueError(f"bins must be an integer of at least 1, got {bins!r}.")
        self.ax_: Axes = single_axes(ax, (7.2, 4.4))
        self.figure_: Any = self.ax_.figure
        scale = ScoreScale.for_scores(self._shown_values(), self.label_change_first)
        self._draw_axis(scale)
        self._draw_histograms(scale.edges(bins))
        self._draw_threshold(0.92 if scale.label_changes else 1.0)
        self._draw_regions(scale)
        self.legend_: Any = legend_above(self.ax_)
        return self

    def _shown_values(self) -> np.ndarray:
        """Return all scores and the threshold in one array."""
        parts = self.scores, self.scores_attacked, self.threshold, self._other_thresholds()
        return np.concatenate([np.atleast_1d(part) for part in parts if part is not None])

    def _draw_axis(self, scale: ScoreScale) -> None:
        self.ax_.set_xscale("function", functions=(scale.forward, scale.inverse))
        ticks = scale.ticks()
        self.ax_.set_xticks(list(ticks), list(ticks.values()))
        self.ax_.set_xlim(0 if scale.shows_zero else scale.lowest, scale.highest)
        note = "; from 1000: 1000 + log-odds of the new label" if scale.label_changes else ""
        self.ax_.set(xlabel=f"adversarial score S(x) (nats{note})", ylabel="share of rows in each bin")
        self.ax_.yaxis.set_major_formatter(import_extra("matplotlib.ticker", "matplotlib").PercentFormatter(1))

    def _draw_histograms(self, edges: np.ndarray) -> None:
        name, rate = self.names[0], _rate_text(self.false_alarm_rate, "false-alarm rate")
        filled = {"fill": True, "facecolor": (BLUE, 0.45), "edgecolor": BLUE, "linewidth": 1.5}
        self.histograms_ = [self._stairs(self.scores, edges, f"{name}, {len(self.scores)} rows{rate}", filled)]
        if self.scores_attacked is not None:
            name, rate = self.names[1], _rate_text(self.detection_rate, "detection rate")
            hatched = {"fill": True, "facecolor": "none", "edgecolor": VERMILLION, "hatch": "////", "linewidth": 1.5}
            label = f"{name}, {len(self.scores_attacked)} rows{rate}"
            self.histograms_.append(self._stairs(self.scores_attacked, edges, label, hatched))

    def _stairs(self, scores: np.ndarray, edges: np.ndarray, label: str, style: dict[str, Any]) -> Any:
        counts, _ = np.histogram(scores, edges)
        return self.ax_.stairs(counts / len(scores), edges, label=label, **style)

    def _draw_threshold(self, height: float) -> None:
        self.threshold_line_ = None
        if self.threshold is not None:
            style = {"color": foreground(self.ax_), "linestyle": "--", "linewidth": 1.5}
            label = f"threshold {score_text(self.threshold)}: rows with higher scores are flagged"
            self.threshold_line_ = self.ax_.axvline(self.threshold, 0, height, label=label, **style)
            for place, threshold in enumerate(self._other_thresholds()):
                label = "_nolegend_" if place else "thresholds of other classes"
                self.ax_.axvline(threshold, 0, height, label=label, **{**style, "linewidth": 0.7})

    def _draw_regions(self, scale: ScoreScale) -> None:
        """Shade the scores of label changes, and name the two regions above the bars."""
        if not scale.label_changes:
            return
        self.ax_.set_ylim(0, 1.14 * self.ax_.get_ylim()[1])
        self.ax_.axvspan(LABEL_CHANGE, scale.highest, color=foreground(self.ax_), alpha=0.08, linewidth=0)
        middle = scale.inverse([scale.forward(LABEL_CHANGE) / 2, scale.forward([LABEL_CHANGE, scale.highest]).mean()])
        for score, text in zip(middle, ("same label for x and x'", "label changes"), strict=True):
            alignment: dict[str, Any] = {"transform": self.ax_.get_xaxis_transform(), "ha": "center", "va": "top"}
            self.ax_.text(score, 0.975, text, fontsize="small", **alignment)


def _check_names(names: Any) -> None:
    if isinstance(names, str) or len(names) != 2:
        raise ValueError(f"names must be a pair of names, for clean and for attacked rows, got {names!r}.")


def _rate_text(rate: float | None, name: str) -> str:
    return "" if rate is None else f": {rate:.1%} flagged ({name})"
