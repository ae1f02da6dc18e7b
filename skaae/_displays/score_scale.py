"""A scale for an axis that shows scores from 0 to beyond 1000, with its bins and ticks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

# The constant of skaae._divergence, which is not imported because it would load TensorFlow.
LABEL_CHANGE = 1000.0
# A smaller divergence is a rounding error of 0.
SMALLEST_SCORE = 1e-12


@dataclass(frozen=True)
class ScoreScale:
    """A scale that shows all scores: logarithmic, except near 0 and for label changes, where it is linear.

    Scores below ``lowest``, including 0, share a sixteenth of the axis. Scores above 1000 are 1000
    plus log-odds. On a logarithmic scale all of them would fall on one line.

    Parameters
    ----------
    lowest : float
        The score at which the logarithmic part begins.
    highest : float
        The score at the right end of the axis.
    label_changes : bool
        Whether scores above 1000 are label changes.
    shows_zero : bool, default=True
        Whether the axis begins at 0 instead of `lowest`.

    Examples
    --------
    >>> from skaae._displays.score_scale import ScoreScale
    >>> scale = ScoreScale(lowest=0.001, highest=1020.0, label_changes=True)
    >>> scale.forward([0.0, 0.001, 0.1, 1000.0, 1010.0]).tolist()
    [-0.625, 0.0, 2.0, 6.0, 8.0]
    """

    lowest: float
    highest: float
    label_changes: bool
    shows_zero: bool = True

    @classmethod
    def for_scores(cls, scores: np.ndarray, label_change_first: bool) -> ScoreScale:
        """Choose the scale that shows all of these scores."""
        smallest = max(scores[scores > 0].min(initial=1.0), SMALLEST_SCORE)
        lowest, highest = 10.0 ** np.floor(np.log10(smallest)), float(scores.max())
        shows_zero = bool(scores.min() < lowest)
        if label_change_first and highest >= LABEL_CHANGE:
            return cls(lowest, max(highest, LABEL_CHANGE + 1), True, shows_zero)
        return cls(lowest, 10.0 ** np.ceil(np.log10(max(highest, 10 * lowest))), False, shows_zero)

    @property
    def _decades(self) -> float:
        return np.log10(LABEL_CHANGE / self.lowest)

    @property
    def _nats_per_decade(self) -> float:
        """Nats of log-odds that are as wide as a decade. Label changes get two fifths of the axis."""
        return (self.highest - LABEL_CHANGE) / (2 / 3 * self._decades)

    @property
    def _width_below_lowest(self) -> float:
        """Width of the linear part between 0 and `lowest`, in decades."""
        decades = 5 / 3 * self._decades if self.label_changes else np.log10(self.highest / self.lowest)
        return decades / 16

    def forward(self, scores: ArrayLike) -> np.ndarray:
        """Compute the position of each score, in decades from `lowest`."""
        scores = np.asarray(scores, dtype=np.float64)
        positions = np.log10(np.maximum(scores, self.lowest) / self.lowest)
        if self.label_changes:
            changed = self._decades + (scores - LABEL_CHANGE) / self._nats_per_decade
            positions = np.where(scores > LABEL_CHANGE, changed, positions)
        return np.where(scores < self.lowest, self._width_below_lowest * (scores / self.lowest - 1), positions)

    def inverse(self, positions: ArrayLike) -> np.ndarray:
        """Compute the score at each position."""
        positions = np.asarray(positions, dtype=np.float64)
        scores = self.lowest * 10.0 ** np.maximum(positions, 0)
        if self.label_changes:
            changed = LABEL_CHANGE + (positions - self._decades) * self._nats_per_decade
            scores = np.where(positions > self._decades, changed, scores)
        return np.where(positions < 0, (positions / self._width_below_lowest + 1) * self.lowest, scores)

    def edges(self, bins: int) -> np.ndarray:
        """Compute edges of bins that look equally wide. No bin crosses 1000 or `lowest`."""
        end = float(self.forward(self.highest))
        if not self.label_changes:
            return np.concatenate([[0.0], self.inverse(np.linspace(0, end, bins + 1)[:-1]), [self.highest]])
        n_changed = max(1, round(bins * (1 - self._decades / end)))
        unchanged = self.inverse(np.linspace(0, self._decades, max(1, bins - n_changed) + 1))
        # A score of exactly 1000 is a label change with even odds, as forests produce them.
        unchanged[-1] = LABEL_CHANGE
        changed = np.linspace(LABEL_CHANGE, np.nextafter(self.highest, np.inf), n_changed + 1)
        return np.concatenate([[0.0], unchanged, changed[1:]])

    def ticks(self) -> dict[float, str]:
        """Choose the ticks of the axis, as scores with their labels."""
        first, last = round(np.log10(self.lowest)), 3 if self.label_changes else round(np.log10(self.highest))
        step = max(1, -(-(last - first) // 5))
        if self.label_changes:
            last -= (step + 1) // 2  # leave space for "1000"
        ticks = {10.0**k: f"$10^{{{k}}}$" for k in range(first, last + 1, step)}
        if self.shows_zero:
            # One label for all scores below, because two labels would overlap.
            ticks = {self.lowest / 2: f"$<10^{{{first}}}$", **ticks}
            del ticks[10.0**first]
        if self.label_changes:
            step = _nice_step(self.highest - LABEL_CHANGE)
            ticks |= {float(x): f"{x:g}" for x in np.arange(LABEL_CHANGE, self.highest + step / 10, step)}
        return ticks


def _nice_step(length: float) -> float:
    """Choose 1, 2 or 5 times a power of ten, such that 3 to 6 steps make up the length."""
    power = 10.0 ** np.floor(np.log10(length / 3))
    return float(max(factor * power for factor in (1, 2, 5) if factor * power <= length / 3))
