"""Draw the pictures of the home page: what is left of a model under attacks, and images before and after the repair.

python docs/home_picture.py    # runs examples/quickstart.py, and writes docs/images/robustness.png and digits.png
"""

from __future__ import annotations

import runpy
from pathlib import Path

import matplotlib

matplotlib.use("agg")
import matplotlib.pyplot as plt
import numpy as np
from diagram import GREEN, ORANGE

from skaae.robustness import evaluate_robustness

ROOT = Path(__file__).parent.parent
N_SHOWN = 6
# In the range of a pixel.
SIZES = (0.03, 0.06, 0.1, 0.15, 0.2)


def save_report(found: dict, path: Path) -> None:
    """Draw the accuracy against the size of the attack, without and with the defense, as the report draws it."""
    rows = found["scale"](found["X_judge"]), found["y_judge"]
    report = evaluate_robustness(found["detector"], *rows, sizes=SIZES, unit="range", random_state=0)
    print(report.summary())
    figure, ax = plt.subplots(figsize=(6.4, 3.4), layout="constrained")
    report.plot(ax)
    ax.set_xlabel("largest change of a pixel (share of its range)")
    figure.savefig(path, dpi=130)
    plt.close(figure)


def save_images(found: dict, path: Path) -> None:
    """Draw the first test images that the attack made the classifier misread, whether they are repaired or not."""
    truth, before, under = found["y_judge"], found["clean"].no_defense, found["attacked"].no_defense
    shown = np.flatnonzero((before == truth) & (under != truth))[:N_SHOWN]
    attacked = found["scale"](found["attacked_judge"][shown])
    lines = (
        ("original", found["scale"](found["X_judge"][shown]), before[shown]),
        ("attacked", attacked, under[shown]),
        ("reconstructed:\nx' = AE(x)", found["detector"].reconstruct(attacked), found["attacked"].corrected[shown]),
    )
    figure = draw(lines, truth[shown])
    figure.savefig(path, dpi=130)
    plt.close(figure)


def draw(lines: tuple, truth: np.ndarray) -> plt.Figure:
    """A row of images for each stage, each with its predicted label below."""
    figure, axes = plt.subplots(len(lines), len(truth), figsize=(6.4, 4.3), layout="constrained")
    for (name, images, labels), line in zip(lines, axes, strict=True):
        line[0].set_ylabel(name, rotation=0, ha="right", va="center", fontsize=12, labelpad=10)
        for ax, image, label, true in zip(line, images, labels, truth, strict=True):
            ax.imshow(image.reshape(8, 8), cmap="gray_r", vmin=0, vmax=1)
            ax.set(xticks=[], yticks=[])
            color, mark = (GREEN, "✓") if label == true else (ORANGE, "✗")
            ax.set_xlabel(f"{label} {mark}", color=color, fontsize=13)
            plt.setp(ax.spines.values(), color=color, linewidth=1.8)
    return figure


if __name__ == "__main__":
    names = runpy.run_path(str(ROOT / "examples" / "quickstart.py"))
    save_report(names, ROOT / "docs" / "images" / "robustness.png")
    save_images(names, ROOT / "docs" / "images" / "digits.png")
