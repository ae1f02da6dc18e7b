"""The distributions of the scores of clean and of attacked rows, and the threshold between them."""

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
    """Distributions of the scores of clean and of attacked rows.

    The axis is logarithmic from the smallest score to the largest, with 0 at its left end. Where the
    detector ranks label changes first (`label_change_first`), the scores above 1000 are 1000 plus
    the logarithm of odds: they are shown on a linear part of their own, with the background shaded.

    It is recommended to use :meth:`from_estimator` or :meth:`from_predictions`. All parameters are
    stored as attributes.

    Parameters
    ----------
    scores : ndarray of shape (n_samples,)
        Adversarial scores of clean rows, not below 0.
    scores_attacked : ndarray of shape (n_attacked,) or None, default=None
        Adversarial scores of attacked rows.
    threshold : float or None, default=None
        Rows that score higher are flagged. None: no line, no rates.
    label_change_first : bool, default=True
        Whether scores above 1000 are those of rows whose label is another for x'.
    names : tuple of two str, default=("clean", "attacked")
        What the legend calls the two kinds of rows.

    Attributes
    ----------
    histograms_ : list of matplotlib StepPatch
        Share of the rows in each bin, for clean and for attacked rows.
    threshold_line_ : matplotlib Line2D or None
    legend_ : matplotlib Legend
        The threshold and the rates are written in it.
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    See Also
    --------
    RobustnessDisplay : Accuracy against the strength of an attack, or against the threshold.
    skaae.metrics.defense_report : The rates as a table.

    Notes
    -----
    The detection rate is that of all attacked rows given; `defense_report` leaves out those whose
    label the attack has not changed.

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
        """Draw the scores that a detector gives.

        Parameters
        ----------
        estimator : AdversarialAEDetector, Pipeline that ends in one, CorrectedClassifier, or a search over these
            Fitted.
        X : array-like of shape (n_samples, ...)
            Clean rows that nothing has been trained on.
        X_attacked : array-like of shape (n_attacked, ...) or None, default=None
            Attacked rows.
        names : tuple of two str, default=("clean", "attacked")
            What the legend calls the two kinds of rows.
        bins : int, default=40
            Number of bins.
        ax : matplotlib Axes or None, default=None
            Where to draw; None: a new figure.

        Returns
        -------
        display : ScoreDisplay

        Raises
        ------
        NotFittedError, TypeError, ValueError
            If the estimator has not been fitted, has no detector at its end, or the rows do not fit.
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
        return cls.from_predictions(
            detector.adversarial_score(rows),
            None if attacked is None else detector.adversarial_score(attacked),
            threshold=detector.threshold_,
            label_change_first=detector.label_change_first,
            names=names,
            bins=bins,
            ax=ax,
        )

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
        """Draw scores that have been computed.

        Parameters
        ----------
        scores : array-like of shape (n_samples,)
            Adversarial scores of clean rows, as ``adversarial_score`` or ``correct(X).instance_score``
            gives them.
        scores_attacked : array-like of shape (n_attacked,) or None, default=None
            Adversarial scores of attacked rows.
        threshold : float or None, default=None
            Rows that score higher are flagged. None: no line, no rates.
        label_change_first : bool, default=True
            The detector's parameter: whether scores above 1000 are those of label changes.
        names : tuple of two str, default=("clean", "attacked")
            What the legend calls the two kinds of rows.
        bins : int, default=40
            Number of bins.
        ax : matplotlib Axes or None, default=None
            Where to draw; None: a new figure.

        Returns
        -------
        display : ScoreDisplay

        Raises
        ------
        ValueError
            If scores are not finite or below 0, or the threshold is.
        ImportError
            If matplotlib is not installed.
        """
        scores = checked_scores(scores, "scores")
        attacked = None if scores_attacked is None else checked_scores(scores_attacked, "scores_attacked")
        if threshold is not None and not (isinstance(threshold, Real) and 0 <= threshold < np.inf):
            raise ValueError(f"threshold must be a finite number >= 0 or None, got {threshold!r}.")
        if isinstance(names, str) or len(names) != 2:
            raise ValueError(f"names must be two, for clean and for attacked rows, got {names!r}.")
        return cls(scores, attacked, threshold, label_change_first, (names[0], names[1])).plot(bins=bins, ax=ax)

    @property
    def false_alarm_rate(self) -> float | None:
        """Share of the clean rows that is flagged; None without a threshold."""
        return self._flagged(self.scores)

    @property
    def detection_rate(self) -> float | None:
        """Share of the attacked rows that is flagged; None without these or a threshold."""
        return self._flagged(self.scores_attacked)

    def _flagged(self, scores: np.ndarray | None) -> float | None:
        return None if scores is None or self.threshold is None else float(np.mean(scores > self.threshold))

    def plot(self, ax: Axes | None = None, *, bins: int = 40) -> ScoreDisplay:
        """Draw the distributions.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            Where to draw; None: a new figure.
        bins : int, default=40
            Number of bins.

        Returns
        -------
        display : ScoreDisplay
        """
        if not isinstance(bins, Integral) or bins < 1:
            raise ValueError(f"bins must be an integer above 0, got {bins!r}.")
        self.ax_: Axes = single_axes(ax, (7.2, 4.4))
        self.figure_: Any = self.ax_.figure
        scale = ScoreScale.for_scores(self._shown(), self.label_change_first)
        self._draw_axis(scale)
        self._draw_histograms(scale.edges(bins))
        self._draw_threshold(0.92 if scale.label_changes else 1.0)
        self._draw_regions(scale)
        self.legend_: Any = legend_above(self.ax_)
        return self

    def _shown(self) -> np.ndarray:
        """All scores, and the threshold."""
        parts = self.scores, self.scores_attacked, self.threshold
        return np.concatenate([np.atleast_1d(part) for part in parts if part is not None])

    def _draw_axis(self, scale: ScoreScale) -> None:
        self.ax_.set_xscale("function", functions=(scale.forward, scale.inverse))
        ticks = scale.ticks()
        self.ax_.set_xticks(list(ticks), list(ticks.values()))
        self.ax_.set_xlim(0 if scale.shows_zero else scale.lowest, scale.highest)
        above = ", above 1000: 1000 + log-odds of the other label" if scale.label_changes else ""
        self.ax_.set(xlabel=f"adversarial score S(x) (nats{above})", ylabel="share of rows in each bin")
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

    def _stairs(self, scores: np.ndarray, edges: np.ndarray, label: str, look: dict[str, Any]) -> Any:
        counts, _ = np.histogram(scores, edges)
        return self.ax_.stairs(counts / len(scores), edges, label=label, **look)

    def _draw_threshold(self, height: float) -> None:
        self.threshold_line_ = None
        if self.threshold is not None:
            look = {"color": foreground(self.ax_), "linestyle": "--", "linewidth": 1.5}
            label = f"threshold {score_text(self.threshold)}: rows that score higher are flagged"
            self.threshold_line_ = self.ax_.axvline(self.threshold, 0, height, label=label, **look)

    def _draw_regions(self, scale: ScoreScale) -> None:
        """Say which scores are of label changes, in room of its own above the bars."""
        if not scale.label_changes:
            return
        self.ax_.set_ylim(0, 1.14 * self.ax_.get_ylim()[1])
        self.ax_.axvspan(LABEL_CHANGE, scale.highest, color=foreground(self.ax_), alpha=0.08, linewidth=0)
        middle = scale.inverse([scale.forward(LABEL_CHANGE) / 2, scale.forward([LABEL_CHANGE, scale.highest]).mean()])
        for score, text in zip(middle, ("x' has the label of x", "x' has another label"), strict=True):
            place: dict[str, Any] = {"transform": self.ax_.get_xaxis_transform(), "ha": "center", "va": "top"}
            self.ax_.text(score, 0.975, text, fontsize="small", **place)


def _rate_text(rate: float | None, name: str) -> str:
    return "" if rate is None else f": {rate:.1%} flagged ({name})"
