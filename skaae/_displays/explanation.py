"""A display of what was repaired in one flagged row."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.pipeline import Pipeline
from sklearn.utils import _safe_indexing
from sklearn.utils.validation import _num_samples

from skaae._displays.axes import BLUE, detector_and_rows, foreground, pyplot, single_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike


@dataclass(eq=False, repr=False)
class ExplanationDisplay:
    """The features of one flagged row that x' = AE(x) changed most.

    Each bar shows the change of a feature in standard deviations of the training rows. Its values in x and in x' are
    beside it. The title has the labels before and after, and the p-value.

    Use :meth:`from_estimator` or :meth:`from_explanation` to create the display.

    Parameters
    ----------
    explanation : DataFrame
        Lines of one row, as :meth:`AdversarialAEDetector.explain` returns them.

    Attributes
    ----------
    bars_ : matplotlib BarContainer
        One bar for each feature.
    ax_ : matplotlib Axes
        The axes with the bars.
    figure_ : matplotlib Figure
        The figure that contains the axes.

    See Also
    --------
    AdversarialAEDetector.explain : The same for many rows, as a DataFrame.

    Examples
    --------
    >>> import pandas as pd
    >>> from skaae import ExplanationDisplay
    >>> explanation = pd.DataFrame(
    ...     {"row": 7, "feature": ["amount", "job"], "value": [12.0, "cook"], "repaired": [95.5, "clerk"],
    ...      "difference": [1.8, 2.1], "label": "ok", "corrected": "fraud", "defense": "fraud", "p_value": 0.01}
    ... )
    >>> display = ExplanationDisplay.from_explanation(explanation, row=7)
    >>> [text.get_text() for text in display.ax_.get_yticklabels()]
    ['amount', 'job']
    """

    explanation: Any

    @classmethod
    def from_estimator(
        cls, estimator: Any, X: ArrayLike, *, row: int = 0, n_features: int = 10, ax: Axes | None = None
    ) -> ExplanationDisplay:
        """Explain one row of X.

        Parameters
        ----------
        estimator : AdversarialAEDetector, Pipeline that ends in one, CorrectedClassifier, or a search over these
            The fitted estimator. Values are shown as they are before the first step of a Pipeline, if all
            steps before the detector can be inverted.
        X : array-like of shape (n_samples, n_features)
            Rows as the estimator takes them.
        row : int, default=0
            Position of the row in X, from 0, whatever index X has.
        n_features : int, default=10
            Largest number of features.
        ax : matplotlib Axes or None, default=None
            Axes to draw in. None means a new figure.

        Returns
        -------
        display : ExplanationDisplay

        Raises
        ------
        NotFittedError, TypeError, ValueError
            If the estimator is not fitted or does not end in a detector. If the row is not flagged.
        ImportError
            If matplotlib or pandas is not installed.
        """
        pyplot()
        n_rows = _num_samples(X)
        if not isinstance(row, Integral) or not -n_rows <= row < n_rows:
            raise ValueError(f"row must be a position in X, an integer from 0 to {n_rows - 1}, got {row!r}.")
        detector, rows = detector_and_rows(estimator, _safe_indexing(X, [row]))
        steps = estimator[:-1] if isinstance(estimator, Pipeline) else None
        inverse = getattr(steps, "inverse_transform", None) if steps else None
        explanation = detector.explain(rows, n_features=n_features, inverse_transform=inverse)
        if explanation.empty:
            raise ValueError(f"row must be a row of X that is flagged and that x' changes, got {row}.")
        return cls(explanation.assign(row=row)).plot(ax=ax)

    @classmethod
    def from_explanation(cls, explanation: Any, row: Any = None, *, ax: Axes | None = None) -> ExplanationDisplay:
        """Draw lines of an explanation.

        Parameters
        ----------
        explanation : DataFrame
            What :meth:`AdversarialAEDetector.explain` returns.
        row : object, default=None
            Value of the column ``row``. None: the first row of the explanation.
        ax : matplotlib Axes or None, default=None
            Axes to draw in. None means a new figure.

        Returns
        -------
        display : ExplanationDisplay

        Raises
        ------
        ValueError
            If the explanation has no line of this row.
        """
        if row is None and len(explanation):
            row = explanation["row"].iloc[0]
        lines = explanation[explanation["row"] == row]
        if lines.empty:
            raise ValueError(f"row must be a value of the column 'row' of explanation, got {row!r}.")
        return cls(lines).plot(ax=ax)

    def plot(self, ax: Axes | None = None) -> ExplanationDisplay:
        """Draw the bars.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            Axes to draw in. None means a new figure.

        Returns
        -------
        display : ExplanationDisplay
        """
        lines = self.explanation
        self.ax_: Axes = single_axes(ax, (7.2, 1.2 + 0.36 * len(lines)))
        self.figure_: Any = self.ax_.figure
        places = np.arange(len(lines))
        differences = lines["difference"].to_numpy()
        self.bars_ = self.ax_.barh(places, differences, color=BLUE, alpha=0.6)
        beside: dict[str, Any] = {"transform": self.ax_.get_yaxis_transform(), "va": "center"}
        for place, value, repaired in zip(places, lines["value"], lines["repaired"], strict=True):
            self.ax_.text(1.02, float(place), f"{_text(value)} → {_text(repaired)}", **beside)
        self.ax_.axvline(0, color=foreground(self.ax_), linewidth=0.8)
        self.ax_.set_yticks(places, [str(name) for name in lines["feature"]])
        self.ax_.invert_yaxis()
        self.ax_.set_xlabel("change from x to x' (standard deviations)")
        self.ax_.set_title(self._title(), loc="left", fontsize="medium")
        return self

    def _title(self) -> str:
        line = self.explanation.iloc[0]
        p_value = "" if np.isnan(line["p_value"]) else f", p-value {line['p_value']:.2g}"
        withheld = "" if line["defense"] == line["corrected"] else f" (x' is {line['defense']})"
        return f"Row {line['row']}: predicted {line['label']}, corrected {line['corrected']}{withheld}{p_value}"


def _text(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float | np.floating) else str(value)
