"""The report of an evaluation: a table, checks, a picture and a page."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from skaae._displays.axes import BLUE, VERMILLION, foreground, legend_above, single_axes
from skaae._utils.extras import import_extra
from skaae.robustness._battery import CLEAN, WORST
from skaae.robustness._checks import FAIL, WARN, Check
from skaae.robustness._html import fragment, page

if TYPE_CHECKING:
    from matplotlib.axes import Axes

STYLES = {
    "unaware": {"color": BLUE, "marker": "o"},
    "knowing": {"color": VERMILLION, "marker": "s"},
}


@dataclass(eq=False, repr=False)
class RobustnessReport:
    """What `evaluate_robustness` found.

    In a notebook it shows itself as a page, in a terminal as a table.

    Parameters
    ----------
    frame : DataFrame
        One line for each attack and size, with the columns

        - ``attacker``: what it knows: "none", "unaware" (the classifier), "knowing" (the defense too);
        - ``attack``, ``kind``, ``norm``, ``size``. The attack "worst case" is every row under the worst attack on it of
          at most this size, by attackers who know at most so much;
        - ``accuracy``: share of the rows whose final answer no restart made wrong, with the bounds ``accuracy_low``
          and ``accuracy_high`` of a 95 % interval;
        - with a defense, ``accuracy_without_defense``: the same for the classifier alone; ``flagged``: share of the
          rows that are flagged (in the worst case: at every loss, or, if nothing takes the row, under any attack); and
          ``undetected``: share of wrong answers without an alarm;
        - ``recall_worst_class`` and, for up to 20 classes, the recall of each;
        - ``rows`` that were attacked, and ``seconds``.
    check_list : list of Check
        The checks, also as the DataFrame ``checks``.
    settings : dict of {str: object}
        How the figures were taken.
    rows : ndarray of int
        Numbers of the rows of X that were attacked.
    not_tried : list of str
        Attacks that could have been made but were not.
    stopped : {"interrupted", "time limit"} or None, default=None
        Why the evaluation ended early, if it did.

    See Also
    --------
    evaluate_robustness : Makes the report.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skaae.robustness import evaluate_robustness
    >>> X, y = load_iris(return_X_y=True)
    >>> model = LogisticRegression(max_iter=1000).fit(X[::2], y[::2])
    >>> report = evaluate_robustness(model, X[1::2], y[1::2], attacks=["FGSM"], random_state=0)
    >>> report.checks.set_index("code").loc["SKA008", "status"]
    'WARN'
    >>> report.passed()
    True
    """

    frame: Any
    check_list: Sequence[Check]
    settings: dict[str, Any]
    rows: np.ndarray
    not_tried: list[str] = field(default_factory=list)
    stopped: str | None = None

    @property
    def checks(self) -> Any:
        """A DataFrame with the columns code, status, title, sentence and link."""
        names = ("code", "status", "title", "sentence", "link")
        lines = [[getattr(check, name) for name in names] for check in self.check_list]
        return import_extra("pandas", "pandas").DataFrame(lines, columns=list(names))

    def passed(self, strict: bool = False) -> bool:
        """Whether attacks were made and no check failed.

        Parameters
        ----------
        strict : bool, default=False
            Whether warnings count as failures, and an evaluation that ended early too.

        Returns
        -------
        passed : bool
        """
        bad = {FAIL, WARN} if strict else {FAIL}
        was_attacked = len(self.frame) > 1
        return was_attacked and not any(c.status in bad for c in self.check_list) and not (strict and self.stopped)

    def accuracy(self, attacker: str = "none", size: float | None = None, *, without_defense: bool = False) -> float:
        """Look up the accuracy in the worst case.

        Parameters
        ----------
        attacker : {"none", "unaware", "knowing"}, default="none"
            "none": on clean rows.
        size : float or None, default=None
            None: the largest.
        without_defense : bool, default=False
            Whether the classifier alone is meant.

        Returns
        -------
        accuracy : float

        Raises
        ------
        ValueError
            If there is no such attack in the report.
        """
        line = self._worst(attacker)
        if attacker != "none" and size is not None:
            line = line[np.isclose(line["size"], size)]
        if not len(line):
            known = self.summary()[["attacker", "size"]].drop_duplicates().itertuples(index=False, name=None)
            raise ValueError(
                f"The report has no attack of attacker {attacker!r} and size {size}, but of these: {[*known]}."
            )
        column = "accuracy_without_defense" if without_defense and self.has_defense else "accuracy"
        return float(line[column].iloc[-1])

    @property
    def has_defense(self) -> bool:
        """Whether the estimator has a defense."""
        return "accuracy_without_defense" in self.frame.columns

    def _worst(self, attacker: str) -> Any:
        name = CLEAN if attacker == "none" else WORST
        return self.frame[(self.frame["attacker"] == attacker) & (self.frame["attack"] == name)]

    def worst_cases(self, attacker: str) -> Any:
        """Lines of the frame: the clean rows, then the worst case of an attacker at each size.

        Parameters
        ----------
        attacker : {"unaware", "knowing"}

        Returns
        -------
        lines : DataFrame

        Raises
        ------
        ValueError
            If there is no attack of this attacker.
        """
        worst = self._worst(attacker)
        if attacker not in STYLES or not len(worst):
            raise ValueError(f"attacker must be one of those that the report has attacks of, got {attacker!r}.")
        return import_extra("pandas", "pandas").concat([self._worst("none"), worst], ignore_index=True)

    def curves(self) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Sizes and accuracies in the worst case, from the clean rows on, by the name in the legend.

        Returns
        -------
        curves : dict of {str: tuple of two ndarray}
        """
        found = {}
        for attacker in STYLES:
            if len(self._worst(attacker)):
                lines = self.worst_cases(attacker)
                found[attacker] = lines["size"].to_numpy(), lines["accuracy"].to_numpy()
                if attacker == "unaware" and self.has_defense:
                    alone = lines["accuracy_without_defense"].to_numpy()
                    found[f"{attacker}, no defense"] = lines["size"].to_numpy(), alone
        return found

    def plot(self, ax: Axes | None = None, label: str | None = None) -> Axes:
        """Draw the accuracy in the worst case against the size, for each attacker, and without the defense.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            None: a new figure.
        label : str or None, default=None
            What stands before the names in the legend, where several reports are drawn in the same axes.

        Returns
        -------
        ax : matplotlib Axes
        """
        ax = single_axes(ax, (6.4, 4.4))
        for name, (sizes, accuracies) in self.curves().items():
            attacker, alone, _ = name.partition(",")
            style: dict[str, Any] = {**STYLES[attacker], "linestyle": "--" if alone else "-"}
            shown = name.replace(attacker, f"{attacker} attacker")
            ax.plot(sizes, accuracies, label=f"{label}: {shown}" if label else shown, **style)
        ax.axhline(0, color=foreground(ax), linewidth=0.5)
        ax.set(xlabel=f"size ({self.settings['unit of sizes']})", ylabel="accuracy, worst case", ylim=(-0.03, 1.03))
        legend_above(ax, ncols=2)
        return ax

    def to_html(self, path: str | os.PathLike[str] | None = None) -> str:
        """Write the report as one page that needs no network and no script.

        Parameters
        ----------
        path : str, path or None, default=None
            A file to write. None: the page is only returned.

        Returns
        -------
        page : str
        """
        html = page(self)
        if path is not None:
            Path(path).write_text(html, encoding="utf-8")
        return html

    def _repr_html_(self) -> str:
        return fragment(self)

    def summary(self) -> Any:
        """The worst cases as a small DataFrame: a line for each attacker and size.

        Returns
        -------
        summary : DataFrame
        """
        wanted = [
            "attacker",
            "size",
            "accuracy",
            "accuracy_without_defense",
            "undetected",
            "recall_worst_class",
            "rows",
        ]
        lines = self.frame[self.frame["attack"].isin([CLEAN, WORST])]
        return lines[[name for name in wanted if name in lines.columns]].reset_index(drop=True)

    def __repr__(self) -> str:
        shown = self.summary().to_string(index=False, float_format=lambda value: f"{value:.3f}")
        checks = "\n".join(f"{check.status:<5}{check.code} {check.sentence}" for check in self.check_list)
        ended = f"\nEnded early: {self.stopped}." if self.stopped else ""
        return f"RobustnessReport of {self.settings['estimator']}\n{shown}\n{checks}{ended}"
