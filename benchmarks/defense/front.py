"""The front between the two kinds of attackers: what each choice of `virtual_adversarial_shares` leaves to them.

    python -m benchmarks.defense.front [--seeds 1] [SET ...]

A line of results/front.csv for each set, seed and pair of shares: accuracies after `correct` on clean rows, under
attackers who do not know the defense (mean of the attacks of the benchmark) and under those who do (the worse of the
composite and the joint attack at the whole size, 40 steps, one start). Then the picture of the documentation. A run
goes on where the last one stopped.
"""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import logging
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from benchmarks.common.data import IMAGES, TABLES
from benchmarks.defense import attacks
from benchmarks.defense.commands import for_each_set, parsed, parser_of
from benchmarks.defense.defense import KNOWING_IMAGES, N_ROWS, prepared
from benchmarks.defense.judging import Predictions, judge_unaware, thresholds_of
from benchmarks.defense.ledger import Ledger
from benchmarks.defense.methods import skaae
from skaae._training.perturbations import DEFAULT_SHARES

logging.getLogger("tensorflow").setLevel(logging.ERROR)
LEDGER = Ledger.named("front")
SHARES = ((0.8, 0.0), (0.7, 0.1), (0.6, 0.2), (0.4, 0.3), (0.4, 0.5), (0.1, 0.8))
STEPS = 40
PICTURE = Path(__file__).parents[2] / "docs" / "images" / "front.png"


def main() -> None:
    known = [*TABLES, *IMAGES]
    for_each_set(parsed(parser_of(__doc__, ["spambase", "magic"], seeds=1), known), run_set)
    draw(LEDGER.lines()).savefig(PICTURE, dpi=130)


def run_set(name: str, seed: int) -> None:
    """Train and judge those pairs of shares that have no results yet."""
    keys = [{"set": name, "seed": seed, "first": first, "second": second} for first, second in SHARES]
    wanted = [key for key in keys if not LEDGER.done(**key)]
    if not wanted:
        return
    split, model, attacked = prepared(name, seed)
    default = DEFAULT_SHARES["image" if split.is_image else "row"]
    for key in wanted:
        shares = key["first"], key["second"]
        parameters = {"virtual_adversarial_shares": shares}
        line = {**key, "default": shares == default, **judged(split, model, attacked, seed, **parameters)}
        LEDGER.write([line])
        print(line, flush=True)


def judged(split, model, attacked, seed: int, **parameters) -> dict[str, float]:
    """Accuracies of a detector with these parameters."""
    fitted = skaae(model, split, seed, **parameters)
    thresholds = thresholds_of(fitted, model, split)

    def is_right(X: np.ndarray, y: np.ndarray) -> np.ndarray:
        return Predictions.of(fitted, model, X, thresholds).corrected == y

    clean, *lines = judge_unaware(fitted, model, split, attacked, slice(N_ROWS))
    n_rows, size = min(N_ROWS, KNOWING_IMAGES) if split.is_image else N_ROWS, attacks.SIZE[attacks.kind(split)]
    found = attacks.knowing(model, fitted.autoencoder, split, n_rows, size, STEPS, restarts=1, is_right=is_right)
    unaware = np.mean([line["corrected"] for line in lines])
    return {
        "clean": clean["corrected"],
        "unaware": unaware,
        "knowing": min(found.values()),
        "seconds": fitted.seconds,
    }


def draw(lines: pd.DataFrame) -> plt.Figure:
    """A curve for each set, from the shares that serve one attacker to those that serve the other."""
    names = lines["set"].unique()
    figure, axes = plt.subplots(1, len(names), figsize=(4.2 * len(names) + 1.4, 4), layout="constrained", squeeze=False)
    means = lines.groupby(["set", "first", "second"], as_index=False).mean(numeric_only=True).sort_values("second")
    for ax, name in zip(axes[0], names, strict=True):
        points = means[means["set"] == name]
        ax.plot(points["unaware"], points["knowing"], color="0.6", zorder=0)
        colors = plt.colormaps["viridis"](np.linspace(0, 0.95, len(points)))
        for color, point in zip(colors, points.itertuples(), strict=True):
            style = {"marker": "*", "s": 260} if point.default else {"marker": "o", "s": 60}
            label = f"({point.first:g}, {point.second:g})" + (", default" if point.default else "")
            ax.scatter(point.unaware, point.knowing, color=[color], edgecolors="black", label=label, **style)
        ax.set(title=name, xlabel="accuracy, attackers who do not know AE", ylabel="accuracy, attackers who know AE")
        ax.margins(0.08)
        ax.spines[["top", "right"]].set_visible(False)
    handles, labels = axes[0][0].get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside right center", frameon=False, title="shares of the rows\nagainst M, M(AE(x))"
    )
    return figure


if __name__ == "__main__":
    main()
