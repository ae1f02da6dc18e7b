"""The axis on which scores from 0 to beyond 1000 can be seen, and its bins and ticks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

LABEL_CHANGE = 1000.0  # that of skaae._divergence, which would load TensorFlow
# Below it a divergence is what rounding left of 0.
SMALLEST_SCORE = 1e-12


@dataclass(frozen=True)
class ScoreScale:
    """An axis on which all scores can be seen: logarithmic, but linear near 0 and for label changes.

    Scores below ``lowest``, 0 among them, share a sixteenth of the axis. Above 1000, where a score is
    1000 plus the logarithm of odds, a logarithm again would press all label changes into one line.

    Parameters
    ----------
    lowest : float
        Where the logarithmic part begins.
    highest : float
        Right end of the axis.
    label_changes : bool
        Whether scores above 1000 are label changes.
    shows_zero : bool, default=True
        Whether the axis begins at 0, or at `lowest`.

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
        """The scale on which these scores can be seen."""
        least = max(scores[scores > 0].min(initial=1.0), SMALLEST_SCORE)
        lowest, highest = 10.0 ** np.floor(np.log10(least)), float(scores.max())
        below = bool(scores.min() < lowest)
        if label_change_first and highest >= LABEL_CHANGE:
            return cls(lowest, max(highest, LABEL_CHANGE + 1), True, below)
        return cls(lowest, 10.0 ** np.ceil(np.log10(max(highest, 10 * lowest))), False, below)

    @property
    def _decades(self) -> float:
        return np.log10(LABEL_CHANGE / self.lowest)

    @property
    def _nats_per_decade(self) -> float:
        """Label changes get two fifths of the axis."""
        return (self.highest - LABEL_CHANGE) / (2 / 3 * self._decades)

    @property
    def _room_of_zero(self) -> float:
        decades = 5 / 3 * self._decades if self.label_changes else np.log10(self.highest / self.lowest)
        return decades / 16

    def forward(self, scores: ArrayLike) -> np.ndarray:
        """Place of each score, in decades from `lowest`."""
        scores = np.asarray(scores, dtype=np.float64)
        places = np.log10(np.maximum(scores, self.lowest) / self.lowest)
        if self.label_changes:
            changed = self._decades + (scores - LABEL_CHANGE) / self._nats_per_decade
            places = np.where(scores > LABEL_CHANGE, changed, places)
        return np.where(scores < self.lowest, self._room_of_zero * (scores / self.lowest - 1), places)

    def inverse(self, places: ArrayLike) -> np.ndarray:
        """Score at each place."""
        places = np.asarray(places, dtype=np.float64)
        scores = self.lowest * 10.0 ** np.maximum(places, 0)
        if self.label_changes:
            changed = LABEL_CHANGE + (places - self._decades) * self._nats_per_decade
            scores = np.where(places > self._decades, changed, scores)
        return np.where(places < 0, (places / self._room_of_zero + 1) * self.lowest, scores)

    def edges(self, bins: int) -> np.ndarray:
        """Edges of bins that are equally wide to the eye; no bin crosses 1000 or `lowest`."""
        end = float(self.forward(self.highest))
        if not self.label_changes:
            return np.concatenate([[0.0], self.inverse(np.linspace(0, end, bins + 1)[:-1]), [self.highest]])
        n_changed = max(1, round(bins * (1 - self._decades / end)))
        kept = self.inverse(np.linspace(0, self._decades, max(1, bins - n_changed) + 1))
        kept[-1] = LABEL_CHANGE  # itself a label change, of even odds, as forests give them
        changed = np.linspace(LABEL_CHANGE, np.nextafter(self.highest, np.inf), n_changed + 1)
        return np.concatenate([[0.0], kept, changed[1:]])

    def ticks(self) -> dict[float, str]:
        """Scores to be written at the axis: next to 0, some decades, and some label changes."""
        first, last = round(np.log10(self.lowest)), 3 if self.label_changes else round(np.log10(self.highest))
        step = max(1, -(-(last - first) // 5))
        if self.label_changes:
            last -= (step + 1) // 2  # room for "1000"
        ticks = {10.0**k: f"$10^{{{k}}}$" for k in range(first, last + 1, step)}
        if self.shows_zero:
            # One label for all that is below, in place of two that would meet.
            ticks = {self.lowest / 2: f"$<10^{{{first}}}$", **ticks}
            del ticks[10.0**first]
        if self.label_changes:
            step = _nice_step(self.highest - LABEL_CHANGE)
            ticks |= {float(x): f"{x:g}" for x in np.arange(LABEL_CHANGE, self.highest + step / 10, step)}
        return ticks


def _nice_step(length: float) -> float:
    """1, 2 or 5 times a power of ten, so that 3 to 6 of it make up the length."""
    power = 10.0 ** np.floor(np.log10(length / 3))
    return float(max(factor * power for factor in (1, 2, 5) if factor * power <= length / 3))
