"""The diagram of the procedure, drawn for a light and for a dark page.

python docs/diagram.py [FOLDER]
"""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib

matplotlib.use("agg")
import matplotlib.pyplot as plt
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

BLUE, ORANGE, GREEN = "#0072B2", "#D55E00", "#009E73"
INK = {"light": "#222222", "dark": "#EEEEEE"}
# Name: text, centre, width, colour.
BOXES = {
    "x": ("x", (0.35, 1.75), 0.5, None),
    "AE": ("AE\nautoencoder", (1.55, 0.55), 1.15, GREEN),
    "x'": ("x' = AE(x)", (2.95, 0.55), 0.95, None),
    "M": ("M\nclassifier, frozen", (2.95, 1.75), 1.5, BLUE),
    "M'": ("M\nthe same", (4.15, 0.55), 0.85, BLUE),
    "S": ("S(x) =\nKL( M(x) ‖ M(x') )", (5.75, 1.15), 1.55, ORANGE),
    "normal": ("up to threshold:\npredict M(x)", (7.7, 1.75), 1.45, None),
    "adversarial": ("above: adversarial,\npredict M(x')", (7.7, 0.55), 1.6, ORANGE),
}
ARROWS = (
    *(("x", "M"), ("x", "AE"), ("AE", "x'"), ("x'", "M'"), ("M", "S"), ("M'", "S")),
    *(("S", "normal"), ("S", "adversarial")),
)
HEIGHT = 0.72


def save(folder: Path) -> None:
    """Write procedure-light.svg and procedure-dark.svg."""
    folder.mkdir(exist_ok=True)
    for theme, ink in INK.items():
        figure = draw(ink)
        figure.savefig(folder / f"procedure-{theme}.svg", transparent=True, metadata={"Date": None})
        plt.close(figure)


def draw(ink: str) -> plt.Figure:
    """The boxes, and the arrows between them."""
    with plt.rc_context({"svg.hashsalt": "skaae", "svg.fonttype": "path"}):
        figure = plt.figure(figsize=(8.6, 2.3))
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set(xlim=(0, 8.6), ylim=(0, 2.3))
        axes.axis("off")
        for text, centre, width, colour in BOXES.values():
            _box(axes, text, centre, width, colour or ink, ink)
        for start, end in ARROWS:
            _arrow(axes, BOXES[start], BOXES[end], ink)
    return figure


def _box(axes, text: str, centre: tuple[float, float], width: float, colour: str, ink: str) -> None:
    corner = centre[0] - width / 2, centre[1] - HEIGHT / 2
    style = {"boxstyle": "round,pad=0,rounding_size=0.08", "facecolor": "none", "edgecolor": colour, "linewidth": 1.8}
    axes.add_patch(FancyBboxPatch(corner, width, HEIGHT, **style))
    axes.text(*centre, text, ha="center", va="center", fontsize=10.5, color=ink, linespacing=1.4)


def _arrow(axes, start: tuple, end: tuple, ink: str) -> None:
    (_, (x, y), width, _), (_, (to_x, to_y), to_width, _) = start, end
    ends = (x + width / 2 + 0.04, y), (to_x - to_width / 2 - 0.04, to_y)
    axes.add_patch(FancyArrowPatch(*ends, arrowstyle="-|>", mutation_scale=12, color=ink, linewidth=1.2))


if __name__ == "__main__":
    save(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "_static")
